"""``snn-deploy report``: a report, printed again, or with what a power log says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from .options import ALL_COLUMNS, COUNT, PATH, consoles, json_option, say, show


@click.command(
    epilog="Example: snn-deploy report build/locnet-loihi-emulator --power run.csv "
    "--idle idle.csv --inferences 1000"
)
@click.argument("path", type=PATH)
@click.option(
    "--power",
    type=PATH,
    help="CSV of time (s), rail and watts while the network ran: the energy that was "
    "measured is kept in the report.",
)
@click.option("--idle", type=PATH, help="Likewise of the device at rest, to subtract.")
@click.option("--inferences", type=COUNT, help="That ended within --power's log.")
@ALL_COLUMNS
@json_option("the report")
def report(
    path: Path,
    power: Path | None,
    idle: Path | None,
    inferences: int | None,
    wide: bool,
    as_json: bool,
) -> None:
    """Print the report at PATH: a report.json, or the folder of a build."""
    from ..calibration.report.report import Report

    stdout, stderr = consoles()
    file = path / "report.json" if path.is_dir() else path
    found = Report.from_json(file)
    if power is not None and inferences is not None:
        from ..calibration.energy.power_log import measured_energy

        profile = found.energy.profile
        measured = measured_energy(power, idle, inferences, profile)
        found = replace(found, measured=measured)
        found.to_json(file)
        say(stderr, f"wrote {file}")
    elif power is not None or idle is not None or inferences is not None:
        raise click.UsageError("--power and --inferences go together; --idle with them")
    show(found, stdout, as_json, wide)
