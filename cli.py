"""The command line: words in, ``deploy`` does it, words and files out."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .cli_finetune import finetune
from .cli_train import train
from .options import AMOUNT, BOXES, COUNT, MASKS, PATH, consoles, say

if TYPE_CHECKING:
    from rich.console import Console

    from .calibration.report import Report

BUNDLE = click.argument("bundle", type=PATH)
TARGET = click.option("--target", required=True, help="See `snn-deploy targets`.")
STEPS = click.option(
    "--steps", type=COUNT, help="Per sample.  [default: the program's]"
)
DEVICE = click.option(
    "--device",
    default="loihi1_davies2018",
    show_default=True,
    help="Device profile of the energy proxy: a name or a .toml file.",
)


def json_option(what: str) -> Any:
    """``--json``, for a verb that prints ``what``."""
    return click.option(
        "--json", "as_json", is_flag=True, help=f"Print {what} as JSON."
    )


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: snn-deploy build --target loihi-emulator",
)
@click.version_option(package_name="snn-deploy")
def cli() -> None:
    """Deploy trained networks on neuromorphic hardware, spike for spike."""


@cli.command(
    epilog="Example: snn-deploy build --target loihi-emulator --model faces.h5 "
    "--data caltech101-faces --out build/faces"
)
@TARGET
@click.option(
    "--model",
    type=PATH,
    help="Keras .h5, SavedModel folder or .snn bundle.  [default: a LocNet that ships]",
)
@click.option(
    "--data",
    type=PATH,
    help=f"For boxes: {BOXES} For masks: {MASKS}  [default: generated data]",
)
@click.option(
    "--out", type=PATH, help="Folder to write.  [default: build/MODEL-TARGET]"
)
@click.option("--samples", type=COUNT, default=8, show_default=True, help="To test.")
@click.option(
    "--steps", type=COUNT, help="Per sample.  [default: as fine-tuned for, else 64]"
)
@click.option("--dt", type=AMOUNT, default=0.001, show_default=True, help="A step, s.")
@click.option(
    "--encoder",
    type=click.Choice(["bias", "spikes"]),
    default="bias",
    show_default=True,
    help="How a sample enters: constant bias currents, or spikes of an input layer.",
)
@click.option(
    "--tau-syn",
    type=click.FloatRange(min=0),
    default=0.005,
    show_default=True,
    help="Synaptic time constant of every connection, s.",
)
@click.option(
    "--max-rate",
    type=AMOUNT,
    default=250.0,
    show_default=True,
    help="Of rectified linear neurons at their 99.9th percentile, Hz.",
)
@click.option("--weight-bits", type=click.IntRange(2, 8), default=8, show_default=True)
@DEVICE
@json_option("the report")
def build(
    target: str,
    model: Path | None,
    data: Path | None,
    out: Path | None,
    samples: int,
    device: str,
    as_json: bool,
    **choices: Any,
) -> None:
    """Compile a trained network, run it on a target, report firing rates and energy.

    Writes program.snn, report.json and report.png.
    """
    from . import deploy

    stdout, stderr = consoles()
    made = deploy.build(
        target,
        model,
        data,
        samples=samples,
        device=device,
        settings=deploy.Settings(**choices),
        steps=deploy.Steps(_announcer(stderr)),
    )
    folder = out or Path("build") / f"{model.stem if model else 'locnet'}-{target}"
    deploy.write(made, folder)
    _show(made.report, stdout, as_json)
    say(stderr, f"wrote {folder}/program.snn, report.json, report.png")
    say(
        stderr,
        f"next: snn-deploy compare {folder}/program.snn "
        "--targets reference,loihi-emulator",
    )


@cli.command(
    epilog="Example: snn-deploy run build/locnet-reference/program.snn "
    "--target loihi-emulator --samples 4"
)
@BUNDLE
@TARGET
@click.option("--samples", type=COUNT, default=16, show_default=True)
@STEPS
@DEVICE
@json_option("the report")
def run(
    bundle: Path,
    target: str,
    samples: int,
    steps: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Run the samples in a BUNDLE on a target; report firing rates and energy."""
    from . import deploy

    stdout, stderr = consoles()
    with stderr.status(f"running on {target}"):
        report = deploy.run(bundle, target, samples=samples, steps=steps, device=device)
    _show(report, stdout, as_json)


@cli.command(
    epilog="Example: snn-deploy compare build/locnet-reference/program.snn "
    "--targets reference,loihi-emulator --samples 32"
)
@BUNDLE
@click.option("--targets", required=True, help="Names, with commas between them.")
@click.option("--samples", type=COUNT, default=32, show_default=True)
@STEPS
@click.option(
    "--rate-tolerance",
    type=click.FloatRange(min=0),
    default=0.15,
    show_default=True,
    help="Of a float simulation's mean rates, as a share of the first target's.",
)
@click.option(
    "--output-tolerance",
    type=click.FloatRange(min=0),
    default=0.1,
    show_default=True,
    help="Of its outputs on average, as a share of the first target's largest.",
)
@click.option(
    "--plot", type=PATH, help="Draw the first difference, .png, .svg or .pdf."
)
@json_option("the verdict")
def compare(
    bundle: Path,
    targets: str,
    samples: int,
    steps: int | None,
    rate_tolerance: float,
    output_tolerance: float,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Run a BUNDLE on several targets and hold them to the first.

    Integer targets: spike for spike. Float simulations: mean rates and outputs within
    tolerances. Exit code 1 where one does not agree.
    """
    from . import deploy
    from .calibration.divergence_picture import check_ending, save_divergence
    from .calibration.verdict import print_verdict, to_json
    from .toolchain.compare import Tolerances

    stdout, stderr = consoles()
    if plot is not None:
        check_ending(plot)
    names = tuple(name.strip() for name in targets.split(","))
    tolerances = Tolerances(rate=rate_tolerance, output=output_tolerance)
    with stderr.status(f"running on {', '.join(names)}"):
        found = deploy.compare(
            bundle, names, samples=samples, steps=steps, tolerances=tolerances
        )
    if as_json:
        click.echo(to_json(found.verdict, found.histories))
    else:
        print_verdict(found.verdict, found.histories, stdout)
    if plot is not None and found.verdict.first is not None and found.histories:
        save_divergence(plot, found.verdict.first, found.histories)
        say(stderr, f"wrote {plot}")
    elif plot is not None:
        say(stderr, f"nothing to draw, so no {plot}: no spike of a population differs")
    sys.exit(0 if found.verdict.agrees else 1)


@cli.command("report", epilog="Example: snn-deploy report build/locnet-loihi-emulator")
@click.argument("path", type=PATH)
@json_option("the report")
def show_report(path: Path, as_json: bool) -> None:
    """Print the report at PATH: a report.json, or the folder of a build."""
    from .calibration.report import Report

    stdout, _ = consoles()
    file = path / "report.json" if path.is_dir() else path
    _show(Report.from_json(file), stdout, as_json)


@cli.command()
@json_option("the list")
def targets(as_json: bool) -> None:
    """List the targets, what kind each is, and whether its library is installed."""
    from rich.table import Table

    from .targets.contract import list_targets

    stdout, _ = consoles()
    rows = list_targets()
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*row.values())
    stdout.print(table)


cli.add_command(train)
cli.add_command(finetune)


def _announcer(stderr: Console) -> Any:
    return lambda name, seconds: say(stderr, f"{name:<24} {seconds:8.2f} s")


def _show(report: Report, stdout: Console, as_json: bool) -> None:
    from .calibration.terminal import print_report

    if as_json:
        click.echo(json.dumps(asdict(report), indent=2, ensure_ascii=False))
    else:
        print_report(report, stdout)
