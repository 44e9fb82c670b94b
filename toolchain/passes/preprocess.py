"""Preprocess: how samples were prepared for training becomes a part of the network."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..errors import ModelError
from ..graph.graph import Graph
from ..graph.nodes import FloatArray, Node
from ..graph.preparation import ChannelsLast, Rescale

Numbers = tuple[float, ...]


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

    Args:
        graph: the network for prepared samples.
        how: what was done to them for training.

    Raises:
        ModelError: the network has preprocessing already, or numbers do not meet its
            channels.
    """
    if how == NONE:
        return graph
    if preprocessing_of(graph):
        raise ModelError(
            f"Input {graph.input.name!r}: the network has its preprocessing "
            f"({preprocessing_of(graph)}), which is applied; leave out --scale, "
            "--offset, --mean, --std and --channels-first"
        )
    if not all(value > 0 for value in how.std):
        raise ModelError(f"--std is {how.std}; numbers greater than 0 are needed")
    start, shape = graph.input, graph.input.shape
    added: list[Node] = []
    name = start.name
    if how.channels_first:
        first = replace(start, shape=(shape[-1], *shape[:-1]))
        added.append(ChannelsLast(f"{start.name}.channels_last", (name,)))
    else:
        first = start
    if replace(how, channels_first=False) != NONE:
        name = added[-1].name if added else name
        added.append(_rescale(f"{start.name}.rescaled", name, how))
    name = added[-1].name
    rest = [
        replace(node, inputs=tuple(name if i == start.name else i for i in node.inputs))
        for node in graph.nodes
        if node is not start
    ]
    made = Graph((first, *added, *rest))
    made.check()
    return made


def preprocessing_of(graph: Graph) -> str:
    """What the host does to a sample first, in words; "" where nothing."""
    words = []
    for node in graph.nodes:
        if isinstance(node, ChannelsLast):
            words.append("channels first")
        elif isinstance(node, Rescale):
            words.append(f"x · {_words(node.scale)} + {_words(node.offset)}")
    return ", ".join(words)


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


def _words(numbers: FloatArray) -> str:
    texts = [f"{number:.6g}" for number in numbers.tolist()]
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"
