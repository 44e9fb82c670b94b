"""``snn-deploy import``: a network of any format, kept as a bundle."""

from __future__ import annotations

from pathlib import Path

import click

from .options import OUTPUT, PATH, REWRITE, consoles, say


@click.command("import", epilog="Example: snn-deploy import net.onnx --out net.snn")
@click.argument("model", type=PATH)
@OUTPUT
@REWRITE
@click.option("--out", type=PATH, required=True, help="Bundle to write, .snn.")
def import_(
    model: Path, output: str | None, rewrites: dict[str, str], out: Path
) -> None:
    """Read a network (Keras, SavedModel, ONNX, NetX) and keep it as a bundle.

    A bundle needs no other library, and finetune and build take it.
    """
    from ..model_files import keep, read_model

    _, stderr = consoles()
    found = read_model(model, output, rewrites)
    keep(found, out)
    graph = found.graph
    for remark in found.remarks:
        say(stderr, f"note: {remark}")
    say(
        stderr,
        f"wrote {out}: {len(graph.nodes)} nodes, takes {graph.input.shape}, gives "
        f"{graph.shapes[graph.output.name]}",
    )
    say(
        stderr,
        f"next: snn-deploy check {out}, or snn-deploy build --target loihi-emulator "
        f"--model {out} --data …",
    )
