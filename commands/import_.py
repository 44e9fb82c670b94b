"""``snn-deploy import``: a network of any format, kept as a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .options import AMOUNT, OUTPUT, PATH, REWRITE, WEIGHT, consoles, say


@click.command("import", epilog="Example: snn-deploy import net.onnx --out net.snn")
@click.argument("model", type=PATH)
@OUTPUT
@REWRITE
@click.option(
    "--dt",
    type=AMOUNT,
    help="Of a NIR graph: length of a step, s.  [default: 0.001]",
)
@click.option(
    "--reset",
    type=click.Choice(["zero", "subtract"]),
    help="Of a NIR graph: a spike resets a neuron, or takes its threshold from it.  "
    "[default: zero]",
)
@click.option(
    "--refractory",
    "tau_ref",
    type=WEIGHT,
    help="Of a NIR graph: refractory period of its leaky neurons, s.  [default: 0]",
)
@click.option(
    "--discretization",
    "grid",
    type=click.Choice(["exponential", "euler"]),
    help="Of a NIR graph: how its equations become steps; snnTorch, Norse and "
    "SpikingJelly: euler, Sinabs: exponential.  [default: exponential]",
)
@click.option("--out", type=PATH, required=True, help="Bundle to write, .snn.")
def import_(
    model: Path,
    output: str | None,
    rewrites: dict[str, str],
    out: Path,
    **timing: float | str | None,
) -> None:
    """Read a network (Keras, SavedModel, ONNX, NIR, NetX) and keep it as a bundle.

    A bundle needs no other library, and finetune and build take it. Of a NIR with the
    side-car of a Program beside it, X.program.snn, that Program comes back.
    """
    from ..exporting import restore, sidecar_of
    from ..model_files import Timing, keep, read_model

    _, stderr = consoles()
    said: dict[str, Any] = {k: v for k, v in timing.items() if v is not None}
    sidecar = sidecar_of(model)
    if sidecar is not None:
        options = {**said, **rewrites, **({"output": output} if output else {})}
        program = restore(model, sidecar, out, asked=bool(options))
        count = len(program.populations)
        say(
            stderr,
            f"wrote {out}: a Program of {count} population{'s' * (count != 1)}, "
            f"{program.neurons} neurons, as it was before {sidecar} was exported",
        )
        say(stderr, f"next: snn-deploy run {out} --target loihi-emulator")
        return
    found = read_model(model, output, rewrites, Timing(**said) if said else None)
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
