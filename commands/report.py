"""``snn-deploy report``: a report shown again, or with what a power log says."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import (
    ALL_COLUMNS,
    COUNT,
    DEVICE,
    PATH,
    command_line,
    consoles,
    json_option,
    say,
    show,
)

if TYPE_CHECKING:
    from ..calibration.report.report import Report

WIDTH = 100  # columns of a terminal's table in a file
FORMATS = ("terminal", "html", "markdown", "json")


@click.command(
    epilog="Example: snn-deploy report build/locnet-loihi-emulator --format markdown"
)
@click.argument("path", type=PATH)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="terminal",
    show_default=True,
    help="html: a page that is one file; markdown: for a pull request.",
)
@click.option("--out", type=PATH, help="File to write instead of printing.")
@click.option(
    "--power",
    type=PATH,
    help="CSV of time (s), rail and watts while the network ran: the energy that was "
    "measured is kept in the report, and in the page beside it.",
)
@click.option("--idle", type=PATH, help="Likewise of the device at rest, to subtract.")
@click.option("--inferences", type=COUNT, help="That ended within --power's log.")
@click.option(
    "--recording",
    type=PATH,
    help="That another machine made of the packed bundle at PATH: its report.",
)
@DEVICE
@ALL_COLUMNS
@json_option("the report")
def report(
    path: Path,
    recording: Path | None,
    device: str,
    form: str,
    out: Path | None,
    power: Path | None,
    idle: Path | None,
    inferences: int | None,
    wide: bool,
    as_json: bool,
) -> None:
    """Show the report at PATH: a report.json, or the folder of a build.

    With --recording, PATH is the packed bundle that was run.
    """
    from ..calibration.report.report import write_files

    stdout, stderr = consoles()
    file = path / "report.json" if path.is_dir() else path
    if recording is None:
        found = _read(file)
    else:
        from .. import packing

        found = packing.reported(path, recording, device, command=command_line())
    if power is not None and recording is not None:
        raise click.UsageError("--power is kept in a report; write that with --out")
    if power is not None and inferences is not None:
        found = _measured(found, file, power, idle, inferences)
        say(stderr, f"wrote {file}")
    elif power is not None or idle is not None or inferences is not None:
        raise click.UsageError("--power and --inferences go together; --idle with them")
    form = "json" if as_json else form
    if out is not None:
        write_files({out: _content(found, form, wide)})
        say(stderr, f"wrote {out}")
    elif form in ("terminal", "json"):
        show(found, stdout, form == "json", wide)
    else:
        click.echo(_content(found, form, wide).decode(), nl=False)


def _read(file: Path) -> Report:
    """The report in a file; a warning where the program beside it is of another."""
    from ..calibration.report.report import Report

    found = Report.from_json(file)
    program = file.with_name("program.snn")
    if found.of_another(program):
        _, stderr = consoles()
        say(
            stderr,
            f"warning: {program} is of another build than {file}; build again into an "
            "empty folder",
        )
    return found


def _measured(
    report: Report, file: Path, power: Path, idle: Path | None, inferences: int
) -> Report:
    """The report with what was measured, which is kept; the page too, if there is."""
    from ..calibration.energy.power_log import measured_energy
    from ..calibration.report.page.page import page_of
    from ..calibration.report.report import write_files

    measured = measured_energy(power, idle, inferences, report.energy.profile)
    report = replace(report, measured=measured)
    page = file.with_name("report.html")
    pages = {page: page_of(report)} if page.is_file() else {}
    write_files({file: report.encoded(), **pages})
    return report


def _content(report: Report, form: str, wide: bool) -> bytes:
    """The report as a file of this format."""
    if form == "html":
        from ..calibration.report.page.page import page_of

        return page_of(report)
    if form == "markdown":
        from ..calibration.report.page.markdown import markdown_of

        return markdown_of(report).encode()
    if form == "json":
        return report.encoded()
    from rich.console import Console

    from ..calibration.report.terminal import print_report

    text = io.StringIO()
    print_report(report, Console(file=text, width=WIDTH), wide=wide)
    return text.getvalue().encode()
