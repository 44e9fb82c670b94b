"""Rewrite, on request: functions that no neuron has become others that one has.

What the network computes changes, so nothing here is done unasked; scores before and
after say by how much, and fine-tuning brings most of it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..errors import DataError
from ..graph import nodes as n
from ..graph.functions import FUNCTIONS, Elementwise, LeakyReLU, MaxPool2D
from ..graph.graph import Graph
from ..graph.nodes import Node, Shape
from ..graph.rearranging import Slice
from .legalize.ends import decoder_of, encoder_of
from .legalize.obstacles import is_inside

CHOICES: Mapping[str, tuple[str, ...]] = {
    "maxpool": ("average", "stride"),
    **dict.fromkeys(("leaky_relu", "sigmoid", "tanh", *FUNCTIONS), ("relu",)),
}
"""What may be rewritten → as what."""


def check_rewrites(chosen: Mapping[str, str]) -> None:
    """Raise DataError where a choice is none of ``CHOICES``."""
    for name, new in chosen.items():
        if new not in CHOICES.get(name, ()):
            known = ", ".join(f"{a}={'|'.join(b)}" for a, b in CHOICES.items())
            raise DataError(f"--rewrite {name}={new}: allowed are {known}")


def rewrite(graph: Graph, chosen: Mapping[str, str]) -> Graph:
    """The Graph with every layer of these kinds that stands inside it rewritten.

    >>> graph = Graph.chain(
    ...     n.Input("x", shape=(4, 4, 1)),
    ...     MaxPool2D("max", pool=(2, 2), stride=(2, 2)),
    ...     n.ReLU("a"),
    ...     n.Output("y"),
    ... )
    >>> print(rewrite(graph, {"maxpool": "average"}))
    x: Input() → 4×4×1
    max: AvgPool2D(x) pool 2×2 stride 2×2 → 2×2×1
    a: ReLU(max) amplitude 1 → 2×2×1
    y: Output(a) → 2×2×1

    Args:
        graph: as a frontend reads it.
        chosen: kind → what it becomes, of ``CHOICES``.

    Raises:
        DataError: a choice is unknown, no layer is of its kind, or it does not suit
            the layer.
    """
    check_rewrites(chosen)
    encoder, decoder = encoder_of(graph), decoder_of(graph)
    nodes: list[Node] = []
    used = set()
    for node in graph.nodes:
        kind = kind_of(node) or ""
        if kind in chosen and is_inside(graph, node, encoder, decoder):
            used.add(kind)
            nodes += _rewritten(node, chosen[kind], graph.shapes)
        else:
            nodes.append(node)
    for kind in set(chosen) - used:
        raise DataError(
            f"--rewrite {kind}={chosen[kind]}: the network has no such layer before a "
            "population; leave it out"
        )
    return replace(graph, nodes=tuple(nodes))


def kind_of(node: Node) -> str | None:
    """What the choices call it; None for what cannot be rewritten."""
    if isinstance(node, Elementwise):
        return node.function
    names = {
        MaxPool2D: "maxpool",
        LeakyReLU: "leaky_relu",
        n.Sigmoid: "sigmoid",
        n.Tanh: "tanh",
    }
    return names.get(type(node))


def _rewritten(node: Node, new: str, shapes: Mapping[str, Shape]) -> tuple[Node, ...]:
    """The node's successors; the last has its name."""
    if not isinstance(node, MaxPool2D):
        return (n.ReLU(node.name, node.inputs),)
    if node.dilation != (1, 1):
        raise DataError(
            f"MaxPool2D {node.name!r}: its windows are dilated by {node.dilation}; "
            "(1, 1) can be rewritten"
        )
    if new == "average":
        pool = n.AvgPool2D(
            node.name,
            node.inputs,
            pool=node.pool,
            stride=node.stride,
            padding=node.padding,
            inside=any(map(any, node.padding)),
        )
        return (pool,)
    given, wanted = shapes[node.inputs[0]], shapes[node.name]
    picked = n.AvgPool2D(node.name, node.inputs, pool=(1, 1), stride=node.stride)
    found = picked.output_shape(given)
    if found == wanted:
        return (picked,)
    if any(a < b for a, b in zip(found, wanted)):
        raise DataError(
            f"MaxPool2D {node.name!r}: every {node.stride[0]}th pixel of {given} are "
            f"fewer than its output {wanted}; rewrite it with maxpool=average"
        )
    first = replace(picked, name=f"{node.name}.picked")
    cut = Slice(node.name, (first.name,), start=(0, 0, 0), stop=wanted)
    return first, cut
