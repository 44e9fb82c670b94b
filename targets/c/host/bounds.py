"""How far a value in fixed point may be from what exact numbers give, and how large."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ....toolchain.graph import nodes as n
from ....toolchain.graph.functions import LeakyReLU
from ....toolchain.graph.graph import Graph
from ....toolchain.graph.nodes import FloatArray, Node
from ....toolchain.graph.preparation import Rescale
from .values import Bound, shift_of


def bounds(graph: Graph, given: Bound, fraction: int) -> list[Bound]:
    """Of every node's value, in order; ``given``: of the Input's.

    ``fraction``: bits behind the point.
    """
    found: dict[str, Bound] = {}
    for node in graph.nodes:
        taken = [found[i] for i in node.inputs] or [given]
        shapes = [graph.shapes[i] for i in node.inputs]
        exact = _BOUNDS.get(type(node), _moved)(node, taken, shapes)
        rounded = 2.0 ** -(fraction + 1) if type(node) in _ROUNDED else 0.0
        found[node.name] = Bound(exact.size, exact.error + rounded)
    return [*found.values()]


def fits(graph: Graph, given: Bound, fraction: int) -> bool:
    """Whether 32 bits hold every value, with so many behind the point."""
    limit = 2.0 ** (31 - fraction)
    found = bounds(graph, given, fraction)
    return all(x.size + min(x.error, 1.0) < limit for x in found)


def weighted(weight: FloatArray, bias: FloatArray, x: Bound) -> Bound:
    """Of Σ weight · x + bias; weight (terms, sums)."""
    rounding = 2.0 ** -(shift_of(weight) + 1)
    total = np.abs(weight).sum(axis=0).max()
    size = float(total) * x.size + float(np.abs(bias).max(initial=0))
    error = float(total) * x.error + len(weight) * rounding * (x.size + x.error)
    return Bound(size, error)


def _moved(node: Node, taken: list[Bound], shapes: Any) -> Bound:
    return Bound(max(x.size for x in taken), max(x.error for x in taken))


def _linear(node: n.Linear, taken: list[Bound], shapes: Any) -> Bound:
    flat = node.weight.reshape(-1, node.weight.shape[-1])
    return weighted(flat, node.bias, taken[0])


def _scaled(node: Any, taken: list[Bound], shapes: Any) -> Bound:
    scale, offset = np.ravel(node.scale), np.ravel(node.offset)
    return weighted(scale[None], offset, taken[0])


def _rectified(node: n.IF | n.ReLU, taken: list[Bound], shapes: Any) -> Bound:
    if node.amplitude == 1:
        return taken[0]
    return weighted(np.full((1, 1), node.amplitude), np.zeros(1), taken[0])


def _leaky(node: LeakyReLU, taken: list[Bound], shapes: Any) -> Bound:
    slope = weighted(np.ravel(node.slope)[None], np.zeros(1), taken[0])
    plain = taken[0]
    return Bound(max(slope.size, plain.size), slope.error + plain.error)


def _add(node: n.Add, taken: list[Bound], shapes: Any) -> Bound:
    return Bound(sum(x.size for x in taken), sum(x.error for x in taken))


def _argmax(node: n.Argmax, taken: list[Bound], shapes: Any) -> Bound:
    return Bound(float(shapes[0][-1]), 0.0 if not taken[0].error else math.inf)


_BOUNDS: Mapping[type[Node], Callable[..., Bound]] = {
    n.Dense: _linear,
    n.Conv2D: _linear,
    n.ConvTranspose2D: _linear,
    n.BatchNorm: _scaled,
    n.Membrane: _scaled,
    Rescale: _scaled,
    n.ReLU: _rectified,
    n.IF: _rectified,
    LeakyReLU: _leaky,
    n.Add: _add,
    n.Argmax: _argmax,
}
_ROUNDED = {kind for kind in _BOUNDS if kind not in (n.Add, n.Argmax)} | {n.AvgPool2D}
