"""Preprocess: how samples were prepared for training becomes a part of the network."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..errors import ModelError
from ..graph.graph import Graph
from ..graph.nodes import FloatArray, Node, Shape
from ..graph.preparation import ChannelsLast, Rescale

Numbers = tuple[float, ...]
SHOWN = 4  # channels whose numbers are said


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """(x · scale + offset − mean) / std, a number for all channels or one for each.

    Attributes:
        channels_first: samples are (channels, …) as stored; they become (…, channels).
    """

    scale: Numbers = (1.0,)
    offset: Numbers = (0.0,)
    mean: Numbers = (0.0,)
    std: Numbers = (1.0,)
    channels_first: bool = False


NONE = Preprocessing()


def with_preprocessing(graph: Graph, how: Preprocessing) -> Graph:
    """The network for samples as they are stored: the host prepares them first.

    It stays a part of the host's encoder, exact: a shift is never moved into the
    weights of a convolution that pads with zeros.

    >>> from ..graph.nodes import Flatten, Input, Output
    >>> graph = Graph.chain(Input("x", shape=(2, 3)), Flatten("flat"), Output("y"))
    >>> print(graph)
    x: Input() → 2×3
    flat: Flatten(x) → 6
    y: Output(flat) → 6
    >>> print(with_preprocessing(graph, Preprocessing(std=(0.5,), channels_first=True)))
    x: Input() → 3×2
    x.channels_last: ChannelsLast(x) → 2×3
    x.rescaled: Rescale(x.channels_last) scale 2 offset 0 → 2×3
    flat: Flatten(x.rescaled) → 6
    y: Output(flat) → 6

    Args:
        graph: the network for prepared samples.
        how: what was done to them for training.

    A network that has this preprocessing already (a fine-tuned one) stays as it is.

    Raises:
        ModelError: the network has another preprocessing already, or numbers do not
            meet its channels.
    """
    if how == NONE:
        return graph
    start, shape = graph.input, graph.shapes[graph.prepared.name]
    added = _nodes(start.name, shape, how)
    if preprocessing_of(graph):
        if _content(added) == _content(_chain(graph)):
            return graph
        raise ModelError(
            f"Input {start.name!r}: the network has its preprocessing "
            f"({preprocessing_of(graph)}), which is applied; leave out --scale, "
            "--offset, --mean, --std and --channels-first"
        )
    if how.channels_first:
        shape = (shape[-1], *shape[:-1])
    name = added[-1].name
    rest = [
        replace(node, inputs=tuple(name if i == start.name else i for i in node.inputs))
        for node in graph.nodes
        if node is not start
    ]
    made = replace(graph, nodes=(replace(start, shape=shape), *added, *rest))
    made.check()
    return made


def _nodes(start: str, shape: Shape, how: Preprocessing) -> list[Node]:
    """What ``how`` is for a network that takes ``shape``, behind ``start``."""
    if not all(value > 0 for value in how.std):
        raise ModelError(f"--std is {how.std}; numbers greater than 0 are needed")
    if not all(how.scale):
        raise ModelError(f"--scale is {how.scale}; other numbers than 0 are needed")
    added: list[Node] = []
    name = start
    if how.channels_first:
        if len(shape) < 2:
            raise ModelError(
                f"Input {start!r}: the network takes {shape}, which has no axis beside "
                "its channels; leave out --channels-first"
            )
        name = f"{start}.channels_last"
        added.append(ChannelsLast(name, (start,)))
    if replace(how, channels_first=False) != NONE:
        added.append(_rescale(f"{start}.rescaled", name, how))
    return added


def preprocessing_of(graph: Graph) -> str:
    """What the host does to a sample first, in words; "" where nothing."""
    found = _chain(graph)
    words = [_formula(node) for node in found if isinstance(node, Rescale)]
    if any(isinstance(node, ChannelsLast) for node in found):
        words.append("channels first")
    return ", ".join(words)


def _chain(graph: Graph) -> list[Node]:
    """The preprocessing behind the Input."""
    found: list[Node] = []
    node = graph.prepared
    while node is not graph.input:
        found.insert(0, node)
        node = graph[node.inputs[0]]
    return found


def _content(nodes: list[Node]) -> list[object]:
    """What nodes of preprocessing do, names apart."""
    return [
        (node.scale.tolist(), node.offset.tolist()) if isinstance(node, Rescale) else ()
        for node in nodes
    ]


def _rescale(name: str, source: str, how: Preprocessing) -> Rescale:
    """((x · scale + offset) − mean) / std as one factor and one term."""
    scale, offset, mean, std = (
        np.array(numbers, np.float64)
        for numbers in (how.scale, how.offset, how.mean, how.std)
    )
    try:
        factor, term = np.broadcast_arrays(scale / std, (offset - mean) / std)
    except ValueError as error:
        raise ModelError(
            f"--scale, --offset, --mean and --std have {scale.size}, {offset.size}, "
            f"{mean.size} and {std.size} numbers; give one for all channels, or one "
            "for each"
        ) from error
    return Rescale(name, (source,), scale=factor.copy(), offset=term.copy())


def _formula(node: Rescale) -> str:
    text = "x"
    if (node.scale != 1).any():
        text += f" · {_words(node.scale)}"
    if not node.offset.any():
        return text
    if len(set(node.offset.tolist())) == 1:
        sign = "−" if node.offset[0] < 0 else "+"
        return f"{text} {sign} {_words(np.abs(node.offset))}"
    return f"{text} + {_words(node.offset)}"


def _words(numbers: FloatArray) -> str:
    """One number, or those of the first channels."""
    texts = list(map(_number, numbers.tolist()))
    if len(set(texts)) == 1:
        return texts[0]
    more = ", …" if len(texts) > SHOWN else ""
    return f"({', '.join(texts[:SHOWN])}{more})"


def _number(value: float) -> str:
    """Six digits, or a whole number's inverse.

    >>> _number(1 / 255), _number(0.00392157), _number(-0.5), _number(0.0127)
    ('1/255', '1/255', '−0.5', '0.0127')
    """
    inverse = round(1 / value) if 1e-6 < abs(value) < 0.2 else 0
    if inverse and f"{1 / inverse:.6g}" == f"{value:.6g}":
        return f"1/{inverse}".replace("1/-", "−1/")
    return f"{value:.6g}".replace("-", "−")
