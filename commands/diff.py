"""``snn-deploy diff``: two builds or reports beside each other."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .options import PATH, consoles

FORMATS = ("terminal", "json", "markdown", "html")


@click.command(
    epilog="Example: snn-deploy diff build/before build/after "
    "--fail-if 'score drops 0.01' --fail-if 'synaptic_operations grow 5 %'"
)
@click.argument("a", type=PATH)
@click.argument("b", type=PATH)
@click.option(
    "--fail-if",
    "rules",
    multiple=True,
    metavar="RULE",
    help="Exit with 1 where a quantity drops, grows or changes, by so much or more.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="terminal",
    show_default=True,
    help="Written to standard output.",
)
def diff(a: Path, b: Path, rules: tuple[str, ...], form: str) -> None:
    """What is different from A to B: builds' folders, program.snn or report.json.

    Model, data, configuration, versions, and figures, overall and by layer.
    """
    from ..calibration.difference.difference import difference
    from ..calibration.difference.figures import read_side
    from ..calibration.difference.rules import parse_rule
    from ..calibration.difference.shown import WRITERS, print_difference

    stdout, _ = consoles()
    wanted = [parse_rule(rule) for rule in rules]
    found = difference(read_side(a), read_side(b), wanted)
    if form in WRITERS:
        click.echo(WRITERS[form](found))
    else:
        print_difference(found, stdout)
    sys.exit(1 if found.fails else 0)
