"""``snn-deploy export``: a network as a file of another format."""

from __future__ import annotations

from pathlib import Path

import click

from .options import OUTPUT, PATH, REWRITE, consoles, say


@click.command(epilog="Example: snn-deploy export net.snn --out net.onnx")
@click.argument("model", type=PATH)
@OUTPUT
@REWRITE
@click.option(
    "--format",
    "name",
    metavar="NAME",
    default="onnx",
    show_default=True,
    help="Format to write.",
)
@click.option(
    "--host",
    type=click.Choice(["float", "fixed"]),
    help="What encoder and decoder compute in, in C.  [default: float]",
)
@click.option("--out", type=PATH, required=True, help="File to write; of C, a folder.")
def export(
    model: Path,
    output: str | None,
    rewrites: dict[str, str],
    name: str,
    host: str | None,
    out: Path,
) -> None:
    """Write a network as ONNX, of neurons their rates, as NIR, or its integers as NetX.

    An ONNX takes and gives arrays in the layout of MODEL: onnxruntime runs it. A NIR
    holds the equations of spiking neurons, and nothing of their timing; of a Program it
    has its integers and golden spikes in files beside it, of which import brings the
    Program back. A NetX (lava-dl) is of a build's program.snn, or of a network that has
    its integers. C is of a build's program.snn too: a folder that any C compiler makes
    a program of, which fires the same spikes.
    """
    from ..exporting import export as written

    _, stderr = consoles()
    found = written(model, name, out, output=output, rewrites=rewrites, host=host)
    if found.notes:
        say(stderr, f"warning: {'; '.join(found.notes)}")
    for file in found.files:
        say(stderr, f"wrote {file}")
    say(stderr, f"next: {found.next or f'snn-deploy check {out}'}")
