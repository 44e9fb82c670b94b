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
@click.option("--out", type=PATH, required=True, help="File to write.")
def export(
    model: Path,
    output: str | None,
    rewrites: dict[str, str],
    name: str,
    out: Path,
) -> None:
    """Write the float network as ONNX, of neurons their rates, or as NIR.

    An ONNX takes and gives arrays in the layout of MODEL: onnxruntime runs it. A NIR
    holds the equations of spiking neurons, and nothing of their timing.
    """
    from .. import model_files

    _, stderr = consoles()
    found = model_files.read_model(model, output, rewrites)
    notes = model_files.export(found, name, out)
    if notes:
        say(stderr, f"warning: {'; '.join(notes)}")
    say(stderr, f"wrote {out}")
    say(stderr, f"next: snn-deploy check {out}")
