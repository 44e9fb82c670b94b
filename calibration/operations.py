"""Operations of a conventional network, counted on its Graph as read, before any pass.

A pass may fold pooling into weights: the core then has a synapse for every pixel of a
window and every filter, where the network adds the pixels and multiplies their mean
once. So what a spiking network is held against is counted here, what the core does in
``statistics``.

A MAC is a product of a weight and a value of the input, as a Dense, Conv2D or
ConvTranspose2D has them. Products with padding are left out, exactly, since no hardware
needs them and the core has no synapse there (NeuroBench counts so; syops-counter and
keras-spiking count them). Weights of 0 are counted: dense hardware multiplies by them.
Biases, normalisation, pooling and upsampling are additions or scalings beside them and
no MACs, as in NeuroBench.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..toolchain.graph.graph import Graph
from ..toolchain.graph.nodes import (
    Conv2D,
    Dense,
    Neurons,
    Node,
    Shape,
    Windowed,
)
from ..toolchain.program.program import Program


def macs(graph: Graph) -> dict[str, int]:
    """Node → multiply-accumulates of its weighted sum, one sample; 0 without weights.

    >>> import numpy as np
    >>> from snn_deploy.toolchain.graph.nodes import Input, Output
    >>> weights = {"weight": np.ones((3, 3, 2, 4)), "bias": np.zeros(4)}
    >>> same = Conv2D("c", ("x",), padding=((1, 1), (1, 1)), **weights)
    >>> macs(Graph((Input("x", shape=(5, 5, 2)), same, Output("y", ("c",)))))
    {'x': 0, 'c': 1352, 'y': 0}

    Of 3 · 5 products a row, two fall on padding: (15 − 2)² · 2 · 4.
    """
    return {node.name: _macs(graph, node) for node in graph.nodes}


def with_macs(program: Program, counted: Mapping[str, int] | None) -> Program:
    """The Program whose populations know the MACs that they take the place of.

    Args:
        program: made of the network that ``counted`` is of.
        counted: population → MACs, as ``core_macs`` counts, 0 where it is not there;
            None: not known.
    """
    if counted is None:
        return program
    populations = (replace(p, macs=counted.get(p.name, 0)) for p in program.populations)
    return replace(program, populations=tuple(populations))


def core_macs(graph: Graph, *, input_spikes: bool = False) -> dict[str, int]:
    """Population → the MACs into it that its synapses on a core take the place of.

    A node's MACs are those of the first population that its value reaches; what reaches
    none, the read-out, is the host's, and so is what is computed from the Input alone,
    unless the sample is sent as spikes.

    Args:
        graph: as a frontend reads it.
        input_spikes: whether the first layers run on the core.
    """
    counted = macs(graph)
    on_core = {node.name for node in graph.nodes if isinstance(node, Neurons)}
    if input_spikes:
        on_core.add(graph.input.name)
    moved = set(on_core)  # nodes whose value comes from spikes on the core
    waiting: dict[str, int] = {}  # node → MACs up to it that no population has taken
    found: dict[str, int] = {}
    for node in graph.nodes:
        total = sum(waiting.pop(name, 0) for name in node.inputs)
        if not moved.isdisjoint(node.inputs):
            moved.add(node.name)
            total += counted[node.name]
        if isinstance(node, Neurons):
            found[node.name] = total
        elif total:
            waiting[node.name] = total
    return found


def _macs(graph: Graph, node: Node) -> int:
    if isinstance(node, Dense):
        return int(node.weight.size)
    if isinstance(node, Windowed):
        taken, given = graph.shapes[node.inputs[0]], graph.shapes[node.name]
        pair = (taken, given) if isinstance(node, Conv2D) else (given, taken)
        rows, columns = _products(*pair, node)
        return rows * columns * node.weight.shape[2] * node.weight.shape[3]
    return 0


def _products(large: Shape, small: Shape, node: Windowed) -> list[int]:
    """Along height and width: pairs of a window and a pixel in it, padding left out."""
    found = []
    for size, windows, k, pace, (before, _), spread in zip(
        large, small, node.kernel, node.stride, node.padding, node.dilation
    ):
        pixel = np.arange(windows)[:, None] * pace + np.arange(k) * spread - before
        found.append(int(((pixel >= 0) & (pixel < size)).sum()))
    return found
