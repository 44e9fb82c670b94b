"""Fold: every BatchNorm becomes part of the weights and biases beside it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import cast

import numpy as np

from ..errors import UnsupportedLayer
from ..graph.graph import Graph
from ..graph.nodes import (
    AvgPool2D,
    BatchNorm,
    Conv2D,
    ConvTranspose2D,
    Flatten,
    FloatArray,
    Linear,
    Node,
    Upsample2D,
)

AVERAGES = (AvgPool2D, Upsample2D)  # scale and offset pass through them unchanged


def fold(graph: Graph) -> Graph:
    """The same network without BatchNorm.

    A BatchNorm goes into the weighted sum before it, or else into all those after it,
    past pooling, upsampling and flattening on its way. Into a padded or transposed
    convolution after it only where its offset is 0: the zeros around a picture are not
    normalised, so that an offset would act differently at the border.

    >>> from ..graph.nodes import Dense, Input, Output
    >>> one, two = np.ones(2), np.array([4.0, 8.0])
    >>> graph = Graph.chain(
    ...     Input("x", shape=(1,)),
    ...     Dense("sum", weight=np.ones((1, 2)), bias=one),
    ...     BatchNorm("norm", gamma=two, beta=one, mean=one, variance=one, epsilon=3.0),
    ...     Output("y"),
    ... )
    >>> print(graph)
    x: Input() → 1
    sum: Dense(x) 1→2 weight 1 bias 1 → 2
    norm: BatchNorm(sum) gamma [4 8] beta 1 mean 1 variance 1 epsilon 3 → 2
    y: Output(norm) → 2
    >>> print(fold(graph))
    x: Input() → 1
    sum: Dense(x) 1→2 weight [2 4] bias 1 → 2
    y: Output(sum) → 2

    Raises:
        UnsupportedLayer: a BatchNorm has no such neighbour.
    """
    pending = [node.name for node in graph.nodes if isinstance(node, BatchNorm)]
    for name in pending:
        graph = _fold_back(graph, name) or graph
    for name in reversed(pending):
        if name in {node.name for node in graph.nodes}:
            graph = _fold_forward(graph, name)
    return graph


def _fold_back(graph: Graph, name: str) -> Graph | None:
    """Into the weighted sum before; None where there is none of its own."""
    norm = cast(BatchNorm, graph[name])
    before: Node = norm
    while True:
        (source,) = before.inputs
        if len(graph.consumers(source)) != 1:
            return None
        before = graph[source]
        if isinstance(before, Linear):
            break
        if not isinstance(before, AVERAGES):
            return None
    folded = replace(
        before,
        weight=before.weight * norm.scale,
        bias=before.bias * norm.scale + norm.offset,
    )
    return _without(graph, norm, {before.name: folded})


def _fold_forward(graph: Graph, name: str) -> Graph:
    """Into all the weighted sums after."""
    norm = cast(BatchNorm, graph[name])
    folded: dict[str, Node] = {}
    front = [(after, norm.scale, norm.offset) for after in graph.consumers(name)]
    while front:
        node, scale, offset = front.pop()
        if isinstance(node, Linear):
            folded[node.name] = _absorb(norm, node, scale, offset)
            continue
        if isinstance(node, Flatten):
            pixels = math.prod(graph.shapes[node.inputs[0]]) // len(scale)
            scale, offset = np.tile(scale, pixels), np.tile(offset, pixels)
        elif not isinstance(node, AVERAGES):
            raise _stuck(norm, f"is followed by {type(node).__name__} {node.name!r}")
        front += [(after, scale, offset) for after in graph.consumers(node.name)]
    return _without(graph, norm, folded)


def _absorb(
    norm: BatchNorm, node: Linear, scale: FloatArray, offset: FloatArray
) -> Linear:
    """node(scale · x + offset) as one weighted sum of x."""
    weight = node.weight * scale[:, None]
    if not offset.any():
        return replace(node, weight=weight)
    padded = isinstance(node, Conv2D) and any(map(any, node.padding))
    if padded or isinstance(node, ConvTranspose2D):
        raise _stuck(
            norm,
            f"adds an offset before {type(node).__name__} {node.name!r}, whose "
            "border it does not reach",
        )
    added = (offset @ node.weight).reshape(-1, node.bias.size).sum(axis=0)
    return replace(node, weight=weight, bias=node.bias + added)


def _without(graph: Graph, norm: BatchNorm, folded: dict[str, Node]) -> Graph:
    """The Graph with these nodes in place of theirs, and the BatchNorm bridged."""
    (source,) = norm.inputs
    nodes = (folded.get(n.name, n) for n in graph.nodes if n is not norm)
    return Graph(
        tuple(
            replace(n, inputs=tuple(source if i == norm.name else i for i in n.inputs))
            if norm.name in n.inputs
            else n
            for n in nodes
        )
    )


def _stuck(norm: BatchNorm, why: str) -> UnsupportedLayer:
    return UnsupportedLayer(
        f"BatchNorm {norm.name!r}: it {why}; it can only be folded into a "
        "Dense, Conv2D or ConvTranspose2D, put it right after one and train again"
    )
