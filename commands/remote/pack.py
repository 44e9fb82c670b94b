"""``snn-deploy pack``: a bundle that another machine can run."""

from __future__ import annotations

from pathlib import Path

import click

from ..options import BUNDLE, COUNT, DATA, PATH, STEPS, WEIGHT, consoles, say


@click.command(
    epilog="Example: snn-deploy pack build/locnet-reference/program.snn --samples 64 "
    "--out locnet.snn"
)
@BUNDLE
@click.option("--out", type=PATH, required=True, help="File to write, .snn.")
@click.option("--samples", type=COUNT, help="[default: 64, or as many as there are]")
@click.option("--data", type=PATH, help=f"New samples.  {DATA}")
@STEPS
@click.option(
    "--rate-tolerance",
    type=WEIGHT,
    help="Of a float simulation's mean rates, as in compare.",
)
@click.option("--output-tolerance", type=WEIGHT, help="Of its outputs, as in compare.")
def pack(
    bundle: Path,
    out: Path,
    samples: int | None,
    data: Path | None,
    steps: int | None,
    rate_tolerance: float | None,
    output_tolerance: float | None,
) -> None:
    """Pack a BUNDLE for another machine: samples, what they must cause, a worker.

    The worker is one file of Python that needs NumPy alone; it is shown by
    python3 -m zipfile -e OUT FOLDER, as FOLDER/worker.py.
    """
    from ... import packing
    from ...toolchain.verdict.compare import Tolerances

    _, stderr = consoles()
    with stderr.status("running on reference"):
        packed = packing.pack(
            bundle,
            out,
            samples=samples,
            data=data,
            steps=steps,
            tolerances=Tolerances(rate=rate_tolerance, output=output_tolerance),
        )
    assert packed.golden is not None and packed.program is not None
    spikes = sum(int(array.sum()) for array in packed.golden.values())
    count, length, _ = next(iter(packed.golden.values())).shape
    say(
        stderr,
        f"wrote {out}: {count} samples of {length} steps, {spikes} golden spikes of "
        f"{len(packed.golden)} populations",
    )
    for refusal in packing.refusals(packed.program):
        say(stderr, f"note: {refusal}")
