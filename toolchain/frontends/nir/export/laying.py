"""How each value of a Graph is laid out in NIR, found before any node is written."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ....errors import Obstacle
from ....graph import nodes as n
from ....graph.graph import Graph
from ....graph.nodes import Node, Shape
from ....graph.preparation import ChannelsLast, Rescale
from ....graph.rearranging import Pad2D, Permute, Slice
from ..form import Form

MATRICES = (n.ConvTranspose2D, n.Upsample2D, Pad2D, Slice)
"""Linear nodes that NIR has not: matrices."""
FIRST = (2, 0, 1)  # axes of a Permute that brings channels first


@dataclass(frozen=True)
class Laid:
    """A node's value: its ``form``, and whether it is ``raw``: channels first here."""

    form: Form
    raw: bool = False


class Unlaid(Exception):
    """A node has no equivalent in NIR: why, and what to do."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(why)
        self.why, self.fix = why, fix

    def of(self, node: Node) -> Obstacle:
        """The obstacle that a node is."""
        return Obstacle(
            id="not-in-nir",
            layer=node.name,
            kind=type(node).__name__,
            why=self.why,
            fix=self.fix,
        )


def laid_out(
    graph: Graph, like: Mapping[str, str]
) -> tuple[dict[str, Laid], list[Obstacle]]:
    """Node → how it is laid out, and all nodes that NIR has no equivalent of.

    Around loops too: of a node's inputs the first that is known says it.

    Args:
        graph: any Graph.
        like: node → an earlier one that it is laid out as.
    """
    found: dict[str, Laid] = {}
    obstacles: list[Obstacle] = []
    waiting = list(graph.nodes)
    while waiting:
        left = []
        for node in waiting:
            known = [found[name] for name in node.inputs if name in found]
            ready = len(known) == len(node.inputs) or known and isinstance(node, n.Add)
            if not ready:
                left.append(node)
                continue
            if node.name in like:
                found[node.name] = found[like[node.name]]
                continue
            try:
                found[node.name] = _laid(graph, node, known)
            except Unlaid as error:
                obstacles.append(error.of(node))
                found[node.name] = Laid(_natural(graph.shapes[node.name]))
        if len(left) == len(waiting):  # behind a loop of none but sums
            obstacles += [
                Unlaid("a loop leads to it that nothing enters", "remove it").of(x)
                for x in left
            ]
            break
        waiting = left
    return found, obstacles


def _natural(shape: Shape) -> Form:
    """Of a value that is held as any other."""
    if len(shape) == 3:
        return Form((shape[2], *shape[:2]))
    return Form(shape)


def _laid(graph: Graph, node: Node, inputs: list[Laid]) -> Laid:
    kind = next((kind for kind in _LAYING if isinstance(node, kind)), None)
    if kind is None:
        raise Unlaid(
            "NIR has no such node",
            "train again with convolutions of stride, average pooling and ReLU",
        )
    return _LAYING[kind](graph, node, inputs)


def _input(graph: Graph, node: n.Input, inputs: list[Laid]) -> Laid:
    turned = any(isinstance(x, ChannelsLast) for x in graph.consumers(node.name))
    if turned and len(node.shape) in (2, 3):
        return Laid(Form(node.shape), raw=True)
    if len(node.shape) not in (1, 3):
        raise Unlaid(
            f"a sample is {node.shape}, and NIR's is (N,), (C, N) or (C, H, W)",
            "flatten samples before",
        )
    return Laid(_natural(node.shape))


def _same(graph: Graph, node: Node, inputs: list[Laid]) -> Laid:
    if inputs[0].raw:
        raise Unlaid("it takes channels first", "put it before the Permute")
    if len({laid.form for laid in inputs}) > 1:
        raise Unlaid(
            "it takes values in another order each", "flatten pictures once, or nowhere"
        )
    return inputs[0]


def _turned(graph: Graph, node: ChannelsLast, inputs: list[Laid]) -> Laid:
    return replace(inputs[0], raw=False)


def _permuted(graph: Graph, node: Permute, inputs: list[Laid]) -> Laid:
    form, raw = inputs[0].form, inputs[0].raw
    known = len(form.shape) > 1 or form.image is not None
    if node.axes == FIRST and known and not raw:
        return replace(inputs[0], raw=True)
    return Laid(Form((math.prod(_same(graph, node, inputs).form.shape),)))


def _reshaped(graph: Graph, node: n.Reshape, inputs: list[Laid]) -> Laid:
    form, raw = inputs[0].form, inputs[0].raw
    if len(node.shape) > 1:
        plain = raw and len(node.shape) == 2 == len(form.shape)
        if len(form.shape) == 1 or plain or node.shape == form.held:
            return inputs[0]
        if not raw and len(form.shape) == 3:
            channels, rows, columns = form.shape
            if node.shape == (1, rows * columns, channels):
                return Laid(Form((channels, rows * columns)))
    return _flat(graph, node, inputs)


def _flat(graph: Graph, node: Node, inputs: list[Laid]) -> Laid:
    form, raw = inputs[0].form, inputs[0].raw
    if len(form.shape) == 1:
        return Laid(Form(form.shape)) if raw else inputs[0]
    return Laid(Form((form.size,), None if raw else form.shape))


def _summed(graph: Graph, node: Node, inputs: list[Laid]) -> Laid:
    return Laid(Form(graph.shapes[node.name]))


def _windowed(graph: Graph, node: Node, inputs: list[Laid]) -> Laid:
    form = _same(graph, node, inputs).form
    if is_matrix(node, form):
        return Laid(Form((math.prod(graph.shapes[node.name]),)))
    channels, rows, columns = _natural(graph.shapes[node.name]).shape
    if len(form.shape) == 2:
        return Laid(Form((channels, columns)))
    return Laid(Form((channels, rows, columns)))


def is_matrix(node: Node, form: Form) -> bool:
    """Whether a linear node is a matrix in NIR, which has no such window.

    Args:
        node: what moves a window, or moves values.
        form: of its input; in NIR pictures are flattened once and for all.
    """
    if len(form.shape) == 1:
        return True
    if isinstance(node, n.Conv2D):
        uneven = (abs(b - a) % d for (a, b), d in zip(node.padding, node.dilation))
        least = min(map(min, node.padding))
        return node.bias.ndim > 1 or least < 0 or any(uneven)
    if isinstance(node, n.AvgPool2D):
        (top, bottom), (left, right) = node.padding
        even = top == bottom >= 0 and left == right >= 0
        return not even or node.inside and bool(top or left)
    return True


def _joined(graph: Graph, node: Node, inputs: list[Laid]) -> Laid:
    shape = graph.shapes[node.name]
    if all(len(_same(graph, node, [x]).form.shape) == 3 for x in inputs):
        return Laid(_natural(shape))
    return Laid(Form((math.prod(shape),)))


def _read(graph: Graph, node: Node, inputs: list[Laid]) -> Laid:
    return inputs[0]


_LAYING: Mapping[type[Node], Callable[..., Laid]] = {
    n.Input: _input,
    ChannelsLast: _turned,
    Permute: _permuted,
    n.Reshape: _reshaped,
    n.Flatten: _flat,
    n.Dense: _summed,
    **dict.fromkeys((n.Conv2D, n.AvgPool2D, *MATRICES), _windowed),
    n.Concat: _joined,
    n.Output: _read,
    n.Readout: _read,
    n.Add: _same,
    n.BatchNorm: _same,
    Rescale: _same,
    n.Membrane: _same,
    n.Delayed: _same,
    n.LI: _same,
    n.Neurons: _same,
}
