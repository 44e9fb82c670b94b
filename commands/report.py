"""``snn-deploy report``: a report, shown again, from report.json alone."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import PATH, consoles, json_option, say, show

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
    help="html: a page of one file; markdown: for a pull request.",
)
@click.option("--out", type=PATH, help="File to write instead of printing.")
@json_option("the report")
def report(path: Path, form: str, out: Path | None, as_json: bool) -> None:
    """Show the report at PATH: a report.json, or the folder of a build."""
    from ..calibration.report.report import Report, write_files

    file = path / "report.json" if path.is_dir() else path
    found = Report.from_json(file)
    form = "json" if as_json else form
    stdout, stderr = consoles()
    if out is None and form in ("terminal", "json"):
        show(found, stdout, form == "json")
        return
    content = _content(found, form)
    if out is None:
        click.echo(content.decode(), nl=False)
        return
    write_files({out: content})
    say(stderr, f"wrote {out}")


def _content(report: Report, form: str) -> bytes:
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
    print_report(report, Console(file=text, width=WIDTH))
    return text.getvalue().encode()
