"""``snn-deploy doctor``: what runs here, and what is missing for the rest."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ..toolchain.visible import visible, visible_json
from .options import consoles, json_option, say

if TYPE_CHECKING:
    from rich.console import Console

    from ..doctoring import Examination
    from ..machine.packages import Package


@click.command(epilog="Paste what it prints into a report of a bug.")
@json_option("all of it")
def doctor(as_json: bool) -> None:
    """Say what of snn-deploy runs on this machine, and how to get what does not.

    Every target runs a tiny network. What is printed names no user, no host and no
    folder of theirs. Exit code 0 where the target reference is ready, else 1.
    """
    from .. import doctoring

    stdout, stderr = consoles()
    with stderr.status("running a tiny network on every target"):
        found = doctoring.examine()
    if as_json:
        click.echo(visible_json(found.to_json()))
    else:
        _print(found, stdout)
    sys.exit(0 if found.ready else 1)


def _print(found: Examination, stdout: Console) -> None:
    say(stdout, f"snn-deploy {found.version}, Python {found.python}, {found.system}")
    stdout.print()
    for tried in found.targets:
        words = "" if tried.state == "ready" else f": {tried.words}"
        kind = tried.kind or "a plug-in"
        say(stdout, f"{tried.state:<9}  {tried.target} ({kind}){words}")
    stdout.print()
    _print_packages(found.packages, stdout)
    if found.others:
        here = (f"{p.name} {p.installed} ({p.pinned})" for p in found.others)
        say(stdout, f"pinned, and here in another version: {', '.join(here)}")
    strict = (f"{p.name}: {p.licence}" for p in found.packages if p.strict)
    say(stdout, f"mind the licences: {'; '.join(strict)}")
    gpus = ", ".join(found.gpus.names) or found.gpus.words
    say(stdout, f"GPUs: {gpus}")
    for board in found.boards:
        what = f"{board.library} {board.installed}" if board.installed else board.words
        names = ", ".join(board.variables) or "none"
        say(stdout, f"{board.chip}: {what}; variables set: {names}")
    tools = (f"{t.name} {t.version or '(no version)'}" for t in found.slurm if t.found)
    say(stdout, f"SLURM: {', '.join(tools) or 'no sinfo, srun or sbatch on the path'}")


def _print_packages(packages: tuple[Package, ...], stdout: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("package", "for", "here", "pinned", "asked for", "state", "licence")
    for p in packages:
        extras = ", ".join(p.extras)
        cells = (p.name, extras, p.installed, p.pinned, p.wanted, p.state, p.licence)
        table.add_row(*(Text(visible(cell)) for cell in cells))
    stdout.print(table)
