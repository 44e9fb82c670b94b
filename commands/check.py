"""``snn-deploy check``: whether a network can be deployed, and what to change."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..toolchain.visible import visible, visible_json
from .options import NAMES, OUTPUT, PATH, REWRITE, consoles, json_option

if TYPE_CHECKING:
    from ..checking import Check


@click.command(
    epilog="Example: snn-deploy check net.onnx --target loihi-emulator,lava,nengo-dl"
)
@click.argument("model", type=PATH, required=False)
@click.option(
    "--target",
    "targets",
    type=NAMES,
    default=("loihi-emulator",),
    show_default="loihi-emulator",
    help="Targets, with commas between them.",
)
@OUTPUT
@REWRITE
@click.option(
    "--encoder",
    type=click.Choice(["bias", "spikes", "events"]),
    help="How a sample enters; see build.  [default: bias]",
)
@json_option("all of it")
def check(
    model: Path | None,
    targets: tuple[str, ...],
    output: str | None,
    rewrites: dict[str, str],
    encoder: str | None,
    as_json: bool,
) -> None:
    """Say what becomes of each layer of a network, and what stands in the way.

    No data are needed. Ends with 1 where it cannot be deployed on one of the targets.
    """
    from .. import checking

    found = checking.check(
        model, targets, output=output, rewrites=rewrites, encoder=encoder
    )
    if as_json:
        click.echo(visible_json(found.to_json()))
    else:
        _print(found)
    sys.exit(0 if found.deployable else 1)


def _print(found: Check) -> None:
    from rich.table import Table
    from rich.text import Text

    stdout, _ = consoles()
    if found.layers:
        table = Table("layer", "kind", "becomes", "how")
        for use in found.layers:
            cells = (use.layer, use.kind, use.status, use.how)
            table.add_row(*(Text(visible(cell)) for cell in cells))
        stdout.print(table)
    for advice in found.advice:
        words = [f"{advice.severity}: {advice.where}: {advice.message}"]
        words += [advice.fix] if advice.fix else []
        stdout.print(Text(visible(f"{'; '.join(words)} [{advice.id}]")))
    for need in found.needs:
        line = f"{need.target}: unavailable, {need.unavailable}"
        if need.cores is not None:
            line = (
                f"{need.target}: {need.cores} cores on {need.chips} chip(s), "
                f"{need.synapse_bytes} bytes of synapses, scarcest {need.scarcest}"
            )
        stdout.print(Text(line))
    if found.neurons is not None:
        stdout.print(
            f"{found.neurons} neurons, {found.synapses} synapses; dense MACs a sample: "
            f"{found.macs}, of which the core takes the place of {found.core_macs}"
        )
    for line in found.assumed if found.neurons is not None else ():
        stdout.print(Text(f"assumed: {line}"))
    verdict = "can be deployed" if found.deployable else "cannot be deployed as it is"
    stdout.print(Text(visible(f"{found.model} {verdict}")))
