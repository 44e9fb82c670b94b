"""Fold: every BatchNorm becomes part of the weights and biases beside it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import cast

import numpy as np

from ..graph.graph import Graph
from ..graph.nodes import (
    AvgPool2D,
    BatchNorm,
    Conv2D,
    ConvTranspose2D,
    Flatten,
    FloatArray,
    Linear,
    Membrane,
    Node,
    Upsample2D,
    Windowed,
)
from ..graph.preparation import Rescale


def fold(graph: Graph) -> Graph:
    """The same network without the BatchNorm that stands beside weights.

    A BatchNorm goes into the weighted sum before it, or else into all those after it,
    past pooling, upsampling and flattening on its way. Into a padded or transposed
    convolution after it only where its offset is 0: the zeros around a picture are not
    normalised, so that an offset would act differently at the border. Any other stays:
    ``legalize`` makes biases of it that differ from neuron to neuron, and the host
    computes what stands before the first population. The constants of a neuron, a
    Membrane, go into the weighted sum before it, or stay as a Rescale.

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
    """
    constants = [node.name for node in graph.nodes if isinstance(node, Membrane)]
    graph = _rescaled(graph) if constants else graph
    for name in constants:
        held = cast(Rescale, graph[name])
        if held.scale.ndim == held.offset.ndim == 1:
            graph = _fold_back(graph, name) or graph
    pending = [node.name for node in graph.nodes if isinstance(node, BatchNorm)]
    for name in pending:
        graph = _fold_back(graph, name) or graph
    for name in reversed(pending):
        if name in {node.name for node in graph.nodes}:
            graph = _fold_forward(graph, name) or graph
    return graph


def _rescaled(graph: Graph) -> Graph:
    """Each Membrane as the Rescale that it is."""
    nodes = (
        Rescale(node.name, node.inputs, scale=node.scale, offset=node.offset)
        if isinstance(node, Membrane)
        else node
        for node in graph.nodes
    )
    return replace(graph, nodes=tuple(nodes))


def _fold_back(graph: Graph, name: str) -> Graph | None:
    """Into the weighted sum before; None where there is none of its own."""
    norm = cast(BatchNorm | Rescale, graph[name])
    before: Node = norm
    while True:
        (source,) = before.inputs
        if len(graph.consumers(source)) != 1:
            return None
        before = graph[source]
        if isinstance(before, Linear):
            break
        if not _averages(before):
            return None
    folded = replace(
        before,
        weight=before.weight * norm.scale,
        bias=before.bias * norm.scale + norm.offset,
    )
    return _without(graph, norm, {before.name: folded})


def _fold_forward(graph: Graph, name: str) -> Graph | None:
    """Into all the weighted sums after; None where one cannot take it."""
    norm = cast(BatchNorm, graph[name])
    folded: dict[str, Node] = {}
    front = [(after, norm.scale, norm.offset) for after in graph.consumers(name)]
    while front:
        node, scale, offset = front.pop()
        if isinstance(node, Linear):
            absorbed = _absorb(node, scale, offset)
            if absorbed is None or node.name in folded:
                return None
            folded[node.name] = absorbed
            continue
        if isinstance(node, Flatten):
            pixels = math.prod(graph.shapes[node.inputs[0]]) // len(scale)
            scale, offset = np.tile(scale, pixels), np.tile(offset, pixels)
        elif not _averages(node):
            return None
        front += [(after, scale, offset) for after in graph.consumers(node.name)]
    return _without(graph, norm, folded)


def _absorb(node: Linear, scale: FloatArray, offset: FloatArray) -> Linear | None:
    """node(scale · x + offset) as one weighted sum of x; None where it is none."""
    if isinstance(node, Windowed) and node.groups > 1:
        return None
    weight = node.weight * scale[:, None]
    if not offset.any():
        return replace(node, weight=weight)
    padded = isinstance(node, Conv2D) and any(map(any, node.padding))
    if padded or isinstance(node, ConvTranspose2D):
        return None
    added = (offset @ node.weight).reshape(-1, node.weight.shape[-1]).sum(axis=0)
    return replace(node, weight=weight, bias=node.bias + added)


def _averages(node: Node) -> bool:
    """Whether a scale and an offset pass through it unchanged."""
    if isinstance(node, AvgPool2D):
        return node.inside or not any(map(any, node.padding))
    return isinstance(node, Upsample2D)


def _without(graph: Graph, norm: BatchNorm | Rescale, folded: dict[str, Node]) -> Graph:
    """The Graph with these nodes in place of theirs, and the BatchNorm bridged."""
    (source,) = norm.inputs
    nodes = (folded.get(n.name, n) for n in graph.nodes if n is not norm)
    bridged = (
        replace(n, inputs=tuple(source if i == norm.name else i for i in n.inputs))
        if norm.name in n.inputs
        else n
        for n in nodes
    )
    return replace(graph, nodes=tuple(bridged))
