"""``snn-deploy calibrate``: which layer of a build is guilty, and what would help."""

from __future__ import annotations

from pathlib import Path

import click

from ..toolchain.visible import visible_json
from .options import BUNDLE, COUNT, FORCE, PATH, consoles, end, json_option, say


@click.command(
    epilog="Example: snn-deploy calibrate build/faces-reference/program.snn "
    "--data caltech101-faces"
)
@BUNDLE
@click.option(
    "--data",
    type=PATH,
    help="Samples, with or without labels; those in the bundle otherwise.",
)
@click.option(
    "--samples", type=COUNT, default=64, show_default=True, help="Of them, at most."
)
@FORCE
@json_option("all of it")
def calibrate(
    bundle: Path, data: Path | None, samples: int, force: bool, as_json: bool
) -> None:
    """Say which layer of a BUNDLE loses most of the answers, and what would help.

    Runs on the reference. Exit code 1 where the answers are worth nothing.
    """
    from .. import calibrating
    from ..calibration.report.guilt import print_guilt
    from ..calibration.report.terminal import finding_lines, score_lines

    stdout, stderr = consoles()
    with stderr.status("trying layers and changes"):
        found = calibrating.calibrate(bundle, data, samples)
    if as_json:
        click.echo(visible_json(found.to_json()))
    else:
        print_guilt(found.guilt, found.metric, stdout)
        for line in score_lines(found.scores):
            say(stdout, line)
        if found.tuned:
            say(stdout, calibrating.TUNED)
        for severity, words in finding_lines(found.findings):
            say(stdout, f"{severity}: {words}")
    end(found.findings, force)
