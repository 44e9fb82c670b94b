"""``snn-deploy compare``: targets held to each other."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .options import BUNDLE, COUNT, PATH, STEPS, WEIGHT, consoles, json_option, say


@click.command(
    epilog="Example: snn-deploy compare build/locnet-reference/program.snn "
    "--targets reference,loihi-emulator --samples 32"
)
@BUNDLE
@click.option("--targets", required=True, help="Names, with commas between them.")
@click.option("--samples", type=COUNT, help="[default: all of the bundle's]")
@STEPS
@click.option(
    "--rate-tolerance",
    type=WEIGHT,
    help="Of a float simulation's mean rates, as a share of the first target's.  "
    "[default: each neuron as its equations say]",
)
@click.option(
    "--output-tolerance",
    type=WEIGHT,
    help="Of its outputs on average, as a share of the first target's largest.  "
    "[default: as rates and steps make it]",
)
@click.option(
    "--plot", type=PATH, help="Draw the first difference, .png, .svg or .pdf."
)
@json_option("the verdict")
def compare(
    bundle: Path,
    targets: str,
    samples: int | None,
    steps: int | None,
    rate_tolerance: float | None,
    output_tolerance: float | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Run a BUNDLE on several targets and hold them to the first.

    Integer targets: spike for spike. Float simulations: rates and answers as far as
    their neurons make them. Exit code 1 where one does not agree.
    """
    from .. import trials
    from ..calibration.report.divergence_picture import save_divergence
    from ..calibration.report.picture import picture_kind
    from ..calibration.report.verdict import print_verdict, to_json
    from ..toolchain.verdict.compare import Tolerances

    stdout, stderr = consoles()
    if plot is not None:
        picture_kind(plot)
    names = tuple(name.strip() for name in targets.split(","))
    tolerances = Tolerances(rate=rate_tolerance, output=output_tolerance)
    with stderr.status(f"running on {', '.join(names)}"):
        found = trials.compare(
            bundle, names, samples=samples, steps=steps, tolerances=tolerances
        )
    if as_json:
        click.echo(to_json(found.verdict, found.histories, found.scores))
    else:
        print_verdict(found.verdict, found.histories, stdout, found.scores)
    if plot is not None and found.verdict.first is not None and found.histories:
        save_divergence(plot, found.verdict.first, found.histories)
        say(stderr, f"wrote {plot}")
    elif plot is not None:
        say(stderr, f"nothing to draw, so no {plot}: no spike of a population differs")
    sys.exit(0 if found.verdict.agrees else 1)
