"""``snn-deploy report``: a report, printed again."""

from __future__ import annotations

from pathlib import Path

import click

from .options import PATH, consoles, json_option, show


@click.command(epilog="Example: snn-deploy report build/locnet-loihi-emulator")
@click.argument("path", type=PATH)
@json_option("the report")
def report(path: Path, as_json: bool) -> None:
    """Print the report at PATH: a report.json, or the folder of a build."""
    from ..calibration.report.report import Report

    stdout, _ = consoles()
    file = path / "report.json" if path.is_dir() else path
    show(Report.from_json(file), stdout, as_json)
