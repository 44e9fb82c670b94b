"""``snn-deploy run``: a built bundle on a target."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import (
    ALL_COLUMNS,
    BUNDLE,
    COUNT,
    DEVICE,
    FORCE,
    OPINION,
    PATH,
    STEPS,
    TARGET,
    WORKERS,
    command_line,
    consoles,
    end,
    json_option,
    say,
    show,
)
from .remote.where import taken_where, where

if TYPE_CHECKING:
    from ..calibration.report.report import Report
    from ..elsewhere import Where


@click.command(
    epilog="Example: snn-deploy run build/locnet-reference/program.snn "
    "--target loihi-emulator --data new.npz --predictions answers.csv"
)
@BUNDLE
@TARGET
@click.option("--data", type=PATH, help="New samples; those in the bundle otherwise.")
@click.option(
    "--samples", type=COUNT, help="[default: all of --data, else 16 of the bundle's]"
)
@WORKERS
@click.option(
    "--predictions", type=PATH, help="File to write the answers to, .csv or .npz."
)
@click.option(
    "--out", type=PATH, help="Folder to write report.json and report.html to."
)
@click.option(
    "--recording",
    type=PATH,
    help="File to write the spikes of a packed bundle's samples to, and no report.",
)
@where
@STEPS
@DEVICE
@OPINION
@FORCE
@ALL_COLUMNS
@json_option("the report")
def run(
    bundle: Path,
    target: str,
    predictions: Path | None,
    out: Path | None,
    recording: Path | None,
    workers: int,
    force: bool,
    as_json: bool,
    wide: bool,
    **choices: Any,
) -> None:
    """Run samples through a BUNDLE on a target; report firing rates and energy.

    Exit code 1 where the answers are worth nothing.
    """
    from .. import folders
    from ..showing import report_files

    stdout, stderr = consoles()
    there = taken_where(choices)
    if there is not None and workers > 1:
        raise click.UsageError(
            "--workers are processes of this machine; leave it out where the run is "
            "elsewhere"
        )
    if recording is not None:
        others = (choices["data"], choices["samples"], choices["steps"])
        if (*others, predictions, out) != (None,) * 5:
            raise click.UsageError(
                "--recording is of all that a packed bundle holds, and is no report: "
                "leave out --data, --samples, --steps, --predictions and --out"
            )
        return _record(bundle, target, recording, there)
    if out is not None:
        folders.check_folder(out)
    asked = {
        **choices,
        "workers": workers,
        "predictions": predictions,
        "command": command_line(),
    }
    report = _report(bundle, target, there, asked)
    if out is not None:
        folders.write_into(out, report_files(report))
    show(report, stdout, as_json, wide)
    if predictions is not None:
        say(stderr, f"wrote {predictions}")
    if out is not None:
        say(stderr, f"wrote {out}/report.json, report.html")
    end(report.findings, force)


def _report(
    bundle: Path, target: str, there: Where | None, asked: dict[str, Any]
) -> Report:
    """The report of a run here, or there."""
    _, stderr = consoles()
    if there is None:
        from .. import trials

        with stderr.status(f"running on {target}"):
            return trials.run(bundle, target, announce=partial(say, stderr), **asked)
    from .. import elsewhere

    return elsewhere.report_from(
        there, bundle, target, tell=partial(say, stderr), **asked
    )


def _record(bundle: Path, target: str, recording: Path, there: Where | None) -> None:
    """Write the Recording of a run here, or there."""
    from .. import elsewhere, packing

    _, stderr = consoles()
    tell = partial(say, stderr)
    if there is None:
        made = packing.record(bundle, target, recording, tell)
    else:
        made = elsewhere.recording_from(there, bundle, target, recording, tell)
    spikes = sum(int(array.sum()) for array in made.spikes.values())
    say(stderr, f"wrote {recording}: {spikes} spikes on {made.target}, {made.system}")
