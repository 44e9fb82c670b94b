"""Driven: a Graph that is, in its own weights, what a conversion made up for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ...toolchain.graph.graph import Graph
from ...toolchain.graph.nodes import IF, LIF, FloatArray, Linear, Lowpass, Node
from ...toolchain.program.correction import Correction, across
from ...toolchain.program.host import Decoder
from ..balance import driven, lacks_weights, weighted, with_scale


def with_corrections(graph: Graph, corrections: Mapping[str, Correction]) -> Graph:
    """The Graph whose J is the J′ of the corrections, with their least potentials.

    What the core's neurons do is the same as with the corrections beside the Graph;
    float neurons, which lose nothing, fire too often. Training moves these weights.

    >>> from ...toolchain.graph.nodes import Dense, Input, Output
    >>> graph = Graph.chain(
    ...     Input("x", shape=(1,)),
    ...     Dense("sum", weight=np.full((1, 2), 3.0), bias=np.ones(2)),
    ...     IF("a"),
    ...     Output("y"),
    ... )
    >>> gain, offset = np.array([1.0, 2.0]), np.array([0.0, 5.0])
    >>> correction = Correction(gain=gain, offset=offset, min_potential=-1.0)
    >>> print(with_corrections(graph, {"a": correction}))
    x: Input() → 1
    sum: Dense(x) 1→2 weight [3 6] bias [1 7] → 2
    a: IF(sum) amplitude 1 min_voltage -1 → 2
    y: Output(a) → 2

    Args:
        graph: legalised.
        corrections: population → its own.
    """
    changes: dict[str, tuple[FloatArray, FloatArray]] = {}  # node with weights → what
    for name, each in corrections.items():
        if lacks_weights(graph, name):
            graph = with_scale(graph, name)
        feeding = weighted(graph, name)
        share = each.offset / len(feeding)
        changes |= dict.fromkeys(feeding, (each.gain, share))

    def changed(node: Node) -> Node:
        if isinstance(node, LIF | IF) and node.name in corrections:
            return replace(node, min_voltage=corrections[node.name].min_potential)
        if node.name not in changes:
            return node
        shape = graph.shapes[node.name]
        like = node.bias if isinstance(node, Linear) else np.zeros(shape)
        gain, more = (across(part, like) for part in changes[node.name])
        return driven(node, gain, more)

    return Graph(tuple(map(changed, graph.nodes)))


def read_as(graph: Graph, decoder: Decoder) -> Graph:
    """The Graph, read from the step on and with the gain that a Decoder was fitted.

    The gain is left out where a population that is read feeds others too.
    """
    read = {name for name, _ in decoder.reads}
    alone = not any(
        isinstance(taker, Lowpass) for name in read for taker in graph.consumers(name)
    )
    gain = decoder.gain if alone else 1.0

    def changed(node: Node) -> Node:
        if node is graph.output:
            return replace(graph.output, settle=decoder.settle)
        if isinstance(node, LIF | IF) and node.name in read:
            return replace(node, amplitude=node.amplitude * gain)
        return node

    return Graph(tuple(map(changed, graph.nodes)))
