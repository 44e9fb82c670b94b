"""What becomes of each operation of a network, in words: on the host or on a core."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ...errors import Obstacle
from ...graph import nodes as n
from ...graph.functions import Elementwise, LeakyReLU, MaxPool2D
from ...graph.graph import Graph
from ...graph.nodes import Node
from ...graph.preparation import ChannelsLast, Rescale
from ...graph.rearranging import Pad2D, Permute, Slice
from .ends import decoder_of, encoder_of, prepared_by
from .obstacles import before_populations

NATIVE, REWRITTEN, HOST, UNSUPPORTED = "native", "rewritten", "host", "unsupported"
ENCODES = "once a sample, before the first population"
DECODES = "once a sample, of the rates that are read"
INTEGRATES = "in every step, of the spikes that are read"

OPERATIONS: Mapping[type[Node], tuple[str, str]] = {
    n.Dense: (NATIVE, "a connection"),
    n.Conv2D: (NATIVE, "a connection: groups and dilation as they are"),
    n.ConvTranspose2D: (NATIVE, "a connection: groups and dilation as they are"),
    n.IF: (NATIVE, "a population"),
    n.LIF: (NATIVE, "a population"),
    n.ReLU: (REWRITTEN, "an IF population; a ceiling is its highest rate"),
    n.SoftLIF: (REWRITTEN, "a LIF population"),
    n.Lowpass: (NATIVE, "a connection's synapse"),
    n.Delay: (NATIVE, "a connection's delay"),
    n.Threshold: (REWRITTEN, "a LIF population that forgets within a step"),
    n.LI: (REWRITTEN, "the filter of connections, before their weights"),
    n.AvgPool2D: (REWRITTEN, "part of the weights after it"),
    n.Upsample2D: (REWRITTEN, "part of the weights after it"),
    n.BatchNorm: (REWRITTEN, "part of the weights and biases beside it"),
    n.Membrane: (REWRITTEN, "part of the weights and biases beside it"),
    Rescale: (REWRITTEN, "part of the weights and biases beside it"),
    Pad2D: (REWRITTEN, "padding of the weights after it"),
    Slice: (REWRITTEN, "less of the weights beside it"),
    Permute: (REWRITTEN, "another order of the weights beside it"),
    n.Flatten: (REWRITTEN, "the same neurons in a row"),
    n.Reshape: (REWRITTEN, "the same neurons in another shape"),
    n.Add: (REWRITTEN, "several connections into one population"),
    n.Concat: (REWRITTEN, "several connections into one population"),
    ChannelsLast: (HOST, "directly behind the Input alone"),
    **dict.fromkeys(
        (n.Sigmoid, n.Tanh, n.Softmax, n.LogSoftmax, n.Argmax),
        (UNSUPPORTED, "after the last population alone; not before one"),
    ),
    Elementwise: (UNSUPPORTED, "after the last population alone, or --rewrite"),
    LeakyReLU: (UNSUPPORTED, "after the last population alone, or --rewrite"),
    MaxPool2D: (UNSUPPORTED, "after the last population alone, or --rewrite"),
}
"""Operation → what it is between two populations, and how."""


@dataclass(frozen=True, kw_only=True)
class LayerUse:
    """What becomes of one layer."""

    layer: str
    kind: str
    status: str  # native, rewritten, host or unsupported
    how: str


def explained(
    graph: Graph, legal: Graph, *, input_spikes: bool = False
) -> tuple[LayerUse, ...]:
    """Each layer of a network in order of flow, and what becomes of it.

    Args:
        graph: as a frontend reads it.
        legal: what ``legalize`` made of it.
        input_spikes: whether the first layers run on the core.
    """
    encoder = prepared_by(graph) if input_spikes else encoder_of(graph)
    decoder = decoder_of(graph)
    return tuple(
        LayerUse(
            layer=node.name,
            kind=type(node).__name__,
            **dict(zip(("status", "how"), _use(node, legal, encoder, decoder))),
        )
        for node in graph.nodes
        if not isinstance(node, n.Input | n.Output)
    )


def _use(
    node: Node,
    legal: Graph,
    encoder: frozenset[str],
    decoder: frozenset[str],
) -> tuple[str, str]:
    if node.name in encoder:
        return HOST, ENCODES
    status, how = OPERATIONS[type(node)]
    names = [x.name for x in legal.nodes]
    joined = {part for name in names if "+" in name for part in name.split("+")}
    if node.name in decoder and node.name not in joined:
        return HOST, INTEGRATES if isinstance(node, n.LI) else DECODES
    if status not in (NATIVE, REWRITTEN):
        return status, how
    if f"{node.name}.relay" in names:
        return REWRITTEN, f"{how}; its values sent on by a relay population"
    for name in sorted(names, key=len):
        parts = name.split("+")
        if node.name in parts and len(parts) > 1:
            others = " and ".join(repr(part) for part in parts if part != node.name)
            return REWRITTEN, f"one connection with {others}"
    return status, how


def refused(
    graph: Graph | None, obstacles: Iterable[Obstacle], *, input_spikes: bool = False
) -> tuple[LayerUse, ...]:
    """Each layer of a network that is refused: an obstacle, or what it will become.

    Args:
        graph: as far as it is read; None where nothing of it is.
        obstacles: all that stand in the way.
        input_spikes: whether the first layers run on the core.
    """
    stands = {
        each.layer: LayerUse(
            layer=each.layer, kind=each.kind, status=UNSUPPORTED, how=each.why
        )
        for each in obstacles
    }
    expected = {} if graph is None else _expected(graph, stands, input_spikes)
    return tuple({**expected, **stands}.values())


def _expected(
    graph: Graph, stands: Mapping[str, LayerUse], input_spikes: bool
) -> dict[str, LayerUse]:
    """Name → what a layer becomes once populations are where obstacles stand."""
    before = before_populations(graph, stands)
    encoder: set[str] = set()
    found = dict[str, LayerUse]()
    for node in graph.nodes:
        name = node.name
        if name in stands:
            found[name] = stands[name]
            continue
        if isinstance(node, n.Input | n.Output):
            encoder.add(name)
            continue
        prepares = isinstance(node, ChannelsLast | Rescale) or not input_spikes
        status, how = OPERATIONS[type(node)]
        if isinstance(node, n.Neurons):
            pass
        elif prepares and encoder.issuperset(node.inputs):
            encoder.add(name)
            status, how = HOST, ENCODES
        elif name not in before:
            status, how = HOST, DECODES
        found[name] = LayerUse(
            layer=name, kind=type(node).__name__, status=status, how=how
        )
    return found
