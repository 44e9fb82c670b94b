"""``snn-deploy run``: a built bundle on a target."""

from __future__ import annotations

from pathlib import Path

import click

from .options import BUNDLE, COUNT, DEVICE, STEPS, TARGET, consoles, json_option, show


@click.command(
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
    from .. import deploy

    stdout, stderr = consoles()
    with stderr.status(f"running on {target}"):
        report = deploy.run(bundle, target, samples=samples, steps=steps, device=device)
    show(report, stdout, as_json)
