"""``snn-deploy run``: a built bundle on a target."""

from __future__ import annotations

from pathlib import Path

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
    command_line,
    consoles,
    end,
    json_option,
    say,
    show,
)


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
@click.option(
    "--predictions", type=PATH, help="File to write the answers to, .csv or .npz."
)
@click.option(
    "--out", type=PATH, help="Folder to write report.json and report.html to."
)
@STEPS
@DEVICE
@OPINION
@FORCE
@ALL_COLUMNS
@json_option("the report")
def run(
    bundle: Path,
    target: str,
    data: Path | None,
    samples: int | None,
    predictions: Path | None,
    out: Path | None,
    steps: int | None,
    device: str,
    second_opinion: bool,
    force: bool,
    as_json: bool,
    wide: bool,
) -> None:
    """Run samples through a BUNDLE on a target; report firing rates and energy.

    Exit code 1 where the answers are worth nothing.
    """
    from .. import folders, trials
    from ..showing import report_files

    stdout, stderr = consoles()
    if out is not None:
        folders.check_folder(out)
    with stderr.status(f"running on {target}"):
        report = trials.run(
            bundle,
            target,
            samples=samples,
            steps=steps,
            device=device,
            data=data,
            predictions=predictions,
            command=command_line(),
            second_opinion=second_opinion,
        )
    if out is not None:
        folders.write_into(out, report_files(report))
    show(report, stdout, as_json, wide)
    if predictions is not None:
        say(stderr, f"wrote {predictions}")
    if out is not None:
        say(stderr, f"wrote {out}/report.json, report.html")
    end(report.findings, force)
