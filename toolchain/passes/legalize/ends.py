"""What of a network is the host's: before its first populations and after its last."""

from __future__ import annotations

from ...graph import nodes as n
from ...graph.graph import Graph


def sources_of(graph: Graph) -> dict[str, frozenset[str]]:
    """Node → the populations, or the Input, that its value is computed from."""
    sources: dict[str, frozenset[str]] = {}
    for node in graph.nodes:
        if isinstance(node, n.Input | n.Neurons):
            sources[node.name] = frozenset({node.name})
        else:
            sources[node.name] = frozenset().union(*(sources[i] for i in node.inputs))
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
