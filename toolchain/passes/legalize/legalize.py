"""Legalize: rewrite a Graph into what a core can hold, and the host's parts around it.

Between populations stands exactly one linear node per source; everything else there is
composed into it, exactly or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from ...errors import UnsupportedLayer
from ...graph import nodes as n
from ...graph.graph import Graph
from ...graph.nodes import Node, Shape
from ...graph.preparation import ChannelsLast, Rescale
from .affine import Affine, added, concatenated, reshaped, through, with_bias
from .compose import LinearMap, Weighted, pooling, upsampling


def legalize(
    graph: Graph, tau_syn: float = 0.0, *, input_spikes: bool = False
) -> Graph:
    """The same network, as a core and its host can hold it.

    SoftLIF and ReLU become LIF and IF. Every population that feeds another is followed
    by a Lowpass(tau_syn), the connection's synapse and its step of delay; one that is
    there already stays. Pooling, upsampling, reshaping, concatenation and linear layers
    in a row become one Dense, Conv2D or ConvTranspose2D per source population (around
    it at most a Flatten or Reshape), several sources meeting in one Add. What lies
    before the first population, the host's encoder, and after the last, its decoder,
    stays as it is.

    >>> graph = Graph.chain(
    ...     n.Input("x", shape=(2, 2, 1)),
    ...     n.ReLU("a"),
    ...     n.AvgPool2D("pool", pool=(2, 2), stride=(2, 2)),
    ...     n.Conv2D("conv", weight=np.full((1, 1, 1, 3), 4.0), bias=np.ones(3)),
    ...     n.ReLU("b"),
    ...     n.Output("y"),
    ... )
    >>> print(graph)
    x: Input() → 2×2×1
    a: ReLU(x) amplitude 1 → 2×2×1
    pool: AvgPool2D(a) pool 2×2 stride 2×2 → 1×1×1
    conv: Conv2D(pool) 1×1×1→3 weight 4 bias 1 → 1×1×3
    b: ReLU(conv) amplitude 1 → 1×1×3
    y: Output(b) → 1×1×3
    >>> print(legalize(graph, 0.005))
    x: Input() → 2×2×1
    a: IF(x) amplitude 1 → 2×2×1
    a.synapse: Lowpass(a) tau_syn 0.005 → 2×2×1
    pool+conv: Conv2D(a.synapse) 2×2×1→3 weight 1 bias 1 stride 2×2 → 1×1×3
    b: IF(pool+conv) amplitude 1 → 1×1×3
    y: Output(b) → 1×1×3

    Args:
        graph: a Graph without BatchNorm between populations (``fold`` removes them).
        tau_syn: s, of every connection that has no Lowpass yet.
        input_spikes: the sample is sent as spikes, so that the first layers too become
            one linear node behind a Lowpass: a connection on the core. Preprocessing
            stays on the host before that.

    Raises:
        ModelError: the graph is inconsistent.
        UnsupportedLayer: a layer between populations, or the way they are connected,
            has no equivalent on a core.
    """
    graph.check()
    sources = _sources(graph)
    decoder = _decoder(graph, sources)
    encoder = _prepared(graph) if input_spikes else _encoder(graph, sources)
    host = encoder | decoder
    rewriting = _Rewriting(graph, tau_syn, host)
    for node in graph.nodes:
        if isinstance(node, n.Neurons) and node.inputs[0] not in encoder:
            rewriting.population(node)
        elif isinstance(node, n.Input | n.Neurons) or node.name in host:
            rewriting.emit(_spiking(node))
    legal = Graph(tuple(rewriting.emitted.values()))
    legal.check()
    return legal


def _spiking(node: Node) -> Node:
    """SoftLIF → LIF, ReLU → IF, with the same constants; other nodes as they are."""
    if isinstance(node, n.SoftLIF):
        return n.LIF(
            node.name,
            node.inputs,
            amplitude=node.amplitude,
            tau_rc=node.tau_rc,
            tau_ref=node.tau_ref,
        )
    if isinstance(node, n.ReLU):
        return n.IF(node.name, node.inputs, amplitude=node.amplitude)
    return node


def _sources(graph: Graph) -> dict[str, frozenset[str]]:
    """Node → the populations, or the Input, that its value is computed from."""
    sources: dict[str, frozenset[str]] = {}
    for node in graph.nodes:
        if isinstance(node, n.Input | n.Neurons):
            sources[node.name] = frozenset({node.name})
        else:
            sources[node.name] = frozenset().union(*(sources[i] for i in node.inputs))
    return sources


def _prepared(graph: Graph) -> set[str]:
    """Names of the nodes that prepare a sample before it is sent as spikes."""
    names: set[str] = set()
    node = graph.prepared
    while node is not graph.input:
        names.add(node.name)
        node = graph[node.inputs[0]]
    return names


def _encoder(graph: Graph, sources: dict[str, frozenset[str]]) -> set[str]:
    """Names of the nodes before the first population."""
    start = graph.input.name
    fed = [
        node.name
        for node in graph.nodes
        if isinstance(node, n.Neurons) and start in sources[node.inputs[0]]
    ]
    mixed = [name for name in fed if len(sources[graph[name].inputs[0]]) > 1]
    if len(fed) > 1 or mixed:
        raise UnsupportedLayer(
            f"Input {start!r}: its values reach the populations {fed} directly; the "
            "host sets the bias of one population, which takes nothing else. Send the "
            "input as spikes (--encoder spikes), or put one population first and train "
            "again"
        )
    names = {
        node.name
        for node in graph.nodes
        if sources[node.name] == {start} and not isinstance(node, n.Neurons)
    }
    _refuse_lowpass(graph, names, "before the first population; remove it")
    for name in names:
        if isinstance(graph[name], n.Readout):
            raise _stuck(graph[name])
    return names


def _decoder(graph: Graph, sources: dict[str, frozenset[str]]) -> set[str]:
    """Names of the nodes after the last population."""
    read, start = sources[graph.output.name], graph.input.name
    if read == {start}:
        raise UnsupportedLayer(
            f"Output {graph.output.name!r}: it is computed from the Input {start!r} "
            "without a population, so that a core has nothing to do; put a layer with "
            "ReLU before the last one and train again"
        )
    if len(read) != 1 or start in read:
        raise UnsupportedLayer(
            f"Output {graph.output.name!r}: it is computed from {sorted(read)}; one "
            "population is allowed. Put a ReLU where they meet and train again"
        )
    names: set[str] = set()
    waiting = [graph.output.name]
    while waiting:
        node = graph[waiting.pop()]
        if not isinstance(node, n.Neurons) and node.name not in names:
            names.add(node.name)
            waiting += node.inputs
    where = f"after the last population; use tau_syn of Output {graph.output.name!r}"
    _refuse_lowpass(graph, names, where)
    return names


def _refuse_lowpass(graph: Graph, names: Iterable[str], where: str) -> None:
    for name in names:
        if isinstance(graph[name], n.Lowpass):
            raise UnsupportedLayer(f"Lowpass {name!r}: it stands {where}")


class _Rewriting:
    """The nodes emitted so far, and what every node between populations amounts to."""

    def __init__(self, graph: Graph, tau_syn: float, host: set[str]) -> None:
        self.graph = graph
        self.tau_syn = tau_syn
        self.emitted: dict[str, Node] = {}
        self.lowpass: dict[str, str] = {}  # synapse → name of its Lowpass
        self.affine: dict[str, Affine] = {}
        kept = {x.name for x in graph.nodes if isinstance(x, n.Input | n.Neurons)}
        self.reserved = kept | host

    def emit(self, node: Node) -> str:
        """Add a node that keeps its name."""
        self.emitted[node.name] = node
        return node.name

    def make(self, node: Node) -> str:
        """Add a node, under its name or, where that is taken, a numbered one."""
        name, count = node.name, 2
        while name in self.reserved or name in self.emitted:
            name, count = f"{node.name}.{count}", count + 1
        return self.emit(replace(node, name=name))

    def population(self, node: n.Neurons) -> None:
        """Add a population, behind one linear node per source."""
        current = self.value(node.inputs[0])
        maps = with_bias(current.explicit(f"{node.name}.weights"), current.bias)
        parts = tuple(
            self.connection(x, linear, current.shape) for x, linear in maps.items()
        )
        if len(parts) > 1:
            parts = (self.make(n.Add(f"{node.name}.sum", parts)),)
        self.emit(replace(_spiking(node), inputs=parts))

    def synapse(self, x: str) -> str:
        """Add the synapse's Lowpass where it is not there yet; its name."""
        if x not in self.lowpass:
            node = self.graph[x]
            if not isinstance(node, n.Lowpass):
                node = n.Lowpass(f"{x}.synapse", (x,), tau_syn=self.tau_syn)
            self.lowpass[x] = self.make(node)
        return self.lowpass[x]

    def connection(self, x: str, linear: LinearMap, shape: Shape) -> str:
        """Add a linear node behind synapse x, between what gives it its shapes."""
        name, y = "+".join(linear.layers), self.synapse(x)
        if linear.shape != self.graph.shapes[x]:
            y = self.make(_reshape(f"{name}.in", y, linear.shape))
        y = self.make(replace(linear.node, name=name, inputs=(y,)))
        if linear.natural != shape:
            y = self.make(_reshape(f"{name}.out", y, shape))
        return y

    def value(self, name: str) -> Affine:
        """What a node between populations amounts to."""
        if name not in self.affine:
            self.affine[name] = self.compute(self.graph[name])
        return self.affine[name]

    def compute(self, node: Node) -> Affine:
        """``value`` of a node that was not asked for before."""
        shape = self.graph.shapes[node.name]
        if isinstance(node, n.Lowpass):
            node = _synapse(self.graph, node)
        sends = node is self.graph.prepared or isinstance(node, n.Neurons)
        if sends or isinstance(node, n.Lowpass):
            return Affine({node.name: None}, np.zeros(shape))
        values = [self.value(name) for name in node.inputs]
        if isinstance(node, n.Flatten | n.Reshape):
            return reshaped(values[0], shape)
        if isinstance(node, n.Add):
            return added(values, node.name)
        if isinstance(node, n.Concat):
            return concatenated(values, node.name)
        return through(values[0], _weighted(node, values[0].shape))


def _synapse(graph: Graph, node: n.Lowpass) -> n.Lowpass:
    """The first Lowpass that does what this one does, behind a population."""
    source = graph[node.inputs[0]]
    if source is not graph.prepared and not isinstance(source, n.Neurons):
        raise UnsupportedLayer(
            f"Lowpass {node.name!r}: it filters {source.name!r}; put it directly "
            "behind a population"
        )
    return next(
        x
        for x in graph.nodes
        if isinstance(x, n.Lowpass)
        and (x.inputs, x.tau_syn) == (node.inputs, node.tau_syn)
    )


def _reshape(name: str, x: str, shape: Shape) -> Node:
    if len(shape) == 1:
        return n.Flatten(name, (x,))
    return n.Reshape(name, (x,), shape=shape)


def _weighted(node: Node, shape: Shape) -> Weighted:
    """The node with weights that does what ``node`` does to an input of ``shape``."""
    if isinstance(node, Weighted):
        return node
    if isinstance(node, n.AvgPool2D):
        return pooling(node, shape[2])
    if isinstance(node, n.Upsample2D):
        return upsampling(node, shape[2])
    raise _stuck(node)


def _stuck(node: Node) -> UnsupportedLayer:
    """Why this node cannot stand before a population, and what to do."""
    advice = (
        "use it after the last population only, or put a ReLU in its place and train "
        "again"
    )
    if isinstance(node, n.BatchNorm):
        advice = "fold it into the layer before it (toolchain.passes.fold)"
    if isinstance(node, ChannelsLast | Rescale):
        advice = "put it directly behind the Input, as preprocessing on the host"
    return UnsupportedLayer(
        f"{type(node).__name__} {node.name!r}: it stands before a population, where "
        f"only weights may; {advice}"
    )
