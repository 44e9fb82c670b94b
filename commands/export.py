"""``snn-deploy export``: a network's rates, as a file of another format."""

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
    """Write the float network, of neurons their rates, as ONNX.

    It takes and gives arrays in the layout of MODEL: onnxruntime runs it.
    """
    from .. import model_files

    _, stderr = consoles()
    found = model_files.read_model(model, output, rewrites)
    model_files.export(found, name, out)
    say(stderr, f"wrote {out}")
    say(stderr, f"next: snn-deploy check {out}")
