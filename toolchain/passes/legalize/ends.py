"""What of a network is the host's: before its first populations and after its last."""

from __future__ import annotations

from ...graph import nodes as n
from ...graph.graph import Graph


def sources_of(graph: Graph) -> dict[str, frozenset[str]]:
    """Node → the populations, or the Input, that its value is computed from."""
    starts = {x.name for x in graph.nodes if isinstance(x, n.Input | n.Neurons)}
    none = frozenset[str]()
    sources = {x.name: none | ({x.name} & starts) for x in graph.nodes}
    while True:  # once, and again where a synapse leads back
        before = dict(sources)
        for node in graph.nodes:
            if node.name not in starts:
                sources[node.name] = none.union(*(sources[i] for i in node.inputs))
        if sources == before:
            return sources


def prepared_by(graph: Graph) -> frozenset[str]:
    """Names of the nodes that prepare a sample before it is sent as spikes."""
    names: set[str] = set()
    node = graph.prepared
    while node is not graph.input:
        names.add(node.name)
        node = graph[node.inputs[0]]
    return frozenset(names)


def encoder_of(graph: Graph) -> frozenset[str]:
    """Names of the nodes that are computed from the Input alone."""
    sources, start = sources_of(graph), graph.input.name
    return frozenset(
        node.name
        for node in graph.nodes
        if sources[node.name] == {start} and not isinstance(node, n.Neurons)
    )


def decoder_of(graph: Graph) -> frozenset[str]:
    """Names of the nodes between the populations that are read and the Output."""
    names: set[str] = set()
    waiting = [graph.output.name]
    while waiting:
        node = graph[waiting.pop()]
        if not isinstance(node, n.Input | n.Neurons) and node.name not in names:
            names.add(node.name)
            waiting += node.inputs
    return frozenset(names)
