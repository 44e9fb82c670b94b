"""What the host reads of the last population → the last layers of a NetX file."""

from __future__ import annotations

import numpy as np

from ...graph import nodes as n
from ...graph.node import Node
from ...graph.rearranging import Permute
from ...program.arithmetic import MAX_MANTISSA
from ...program.host import Decoder
from .blocks import Block
from .reading import channels_first
from .registers import GAIN


def read_out(decoder: Decoder, last: Block, notes: list[str]) -> list[Block]:
    """Layers without neurons, of potentials or an average; others are told."""
    nodes = [x for x in decoder.graph.nodes if not isinstance(x, n.Input | n.Output)]
    for name, usual in (("settle", 0.0), ("tau_syn", 0.0), ("gain", 1.0)):
        if getattr(decoder, name) != usual:
            notes.append(f"{name} {getattr(decoder, name):g} of its read-out")
    found = None
    if nodes and isinstance(nodes[-1], n.Dense):
        found = _potentials(nodes, last)
    elif any(isinstance(x, n.AvgPool2D) for x in nodes):
        found = _average(nodes)
    if nodes and found is None:
        kinds = ", ".join(type(x).__name__ for x in nodes)
        notes.append(f"its read-out on the host ({kinds})")
    return found or []


def _potentials(nodes: list[Node], last: Block) -> list[Block] | None:
    """A dense layer without neurons; None where its weights are no NetX's."""
    *before, dense = nodes
    assert isinstance(dense, n.Dense)
    weight, bias = np.rint(dense.weight * GAIN), np.rint(dense.bias * GAIN)
    exact = np.allclose(weight, dense.weight * GAIN, atol=1e-6)
    exact = exact and np.allclose(bias, dense.bias * GAIN, atol=1e-6)
    held = np.abs(weight).max() <= MAX_MANTISSA and not (weight % 2).any()
    if not exact or not held or any(not isinstance(x, n.Flatten) for x in before):
        return None
    whole = channels_first(weight.astype(np.int64), last.shape)
    block = Block(
        layer="",
        kind="dense",
        shape=(len(whole),),
        weight=whole,
        bias=bias.astype(np.int64) if bias.any() else None,
    )
    if len(last.shape) == 3:
        size = whole.shape[1]
        return [Block(layer="", kind="flatten", shape=(size, 1, 1)), block]
    return [block]


def _average(nodes: list[Node]) -> list[Block] | None:
    """The mean of equal groups; None where it is another."""
    kinds = [type(x) for x in nodes if not isinstance(x, Permute)]
    if kinds != [n.Reshape, n.AvgPool2D, n.Flatten]:
        return None
    grouped = next(x for x in nodes if isinstance(x, n.Reshape))
    return [Block(layer="", kind="average", shape=(grouped.shape[0], 1, 1))]
