"""Populations that were one in NIR, where each neuron has time constants of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from ....graph import nodes as n
from ....graph.graph import Graph
from ....graph.nodes import Array, FloatArray, Node
from ....graph.preparation import Rescale
from .parts import FILTERS, Parts

TIMES = {"tau": "node", "tau_mem": "node", "tau_syn": "synapse"}


@dataclass(frozen=True, eq=False, kw_only=True)
class Split:
    """Several populations, each of some neurons of what one matrix puts together."""

    parts: tuple[Parts, ...]  # of each population
    nodes: tuple[n.LIF | n.LI, ...]
    chosen: tuple[Array, ...]  # places of its neurons
    between: tuple[str, ...]  # names of what chooses and puts together

    @property
    def absorbed(self) -> set[str]:
        """Names of all nodes but the last matrix."""
        inner = {name for parts in self.parts for name in parts.absorbed}
        return inner | {*self.between} | {node.name for node in self.nodes}

    def constants(self, name: str) -> FloatArray:
        """A time constant of NIR's name for each neuron, s."""
        size = sum(map(len, self.chosen))
        found = np.empty(size)
        for node, parts, places in zip(self.nodes, self.parts, self.chosen):
            held = node if TIMES[name] == "node" else parts.synapse
            assert held is not None
            found[places] = held.tau_rc
        return found


def splits_of(graph: Graph) -> dict[str, Split]:
    """Name of a matrix → the populations that it puts together."""
    found = {}
    for node in graph.nodes:
        if isinstance(node, n.Dense) and _permutes(node):
            split = _split(graph, node)
            if split is not None:
                found[node.name] = split
    return found


def _split(graph: Graph, last: n.Dense) -> Split | None:
    joined = _own(graph, last.inputs[0], {last.name})
    if not isinstance(joined, n.Concat):
        return None
    nodes = [_own(graph, name, {joined.name}) for name in joined.inputs]
    members = [node for node in nodes if isinstance(node, FILTERS)]
    chosen = [_own(graph, x.inputs[0], {x.name}) for x in members]
    matrices = [x for x in chosen if isinstance(x, n.Dense) and _chooses(x)]
    if not len(joined.inputs) == len(members) == len(matrices):
        return None
    sources = [matrix.inputs[0] for matrix in matrices]
    takers = {matrix.name for matrix in matrices}
    parts = _parts(graph, sources, takers, f"{last.name}.w_in")
    same = all(_alike(x, members[0]) for x in members)
    if parts is None or not same or not all(_equal(x, parts[0]) for x in parts):
        return None
    places = np.concatenate([x.weight.argmax(axis=0) for x in matrices])
    if not (last.weight.argmax(axis=1) == places).all():
        return None
    return Split(
        parts=tuple(parts),
        nodes=tuple(members),
        chosen=tuple(x.weight.argmax(axis=0) for x in matrices),
        between=(joined.name, *takers),
    )


def _parts(
    graph: Graph, sources: list[str], takers: set[str], scaled: str
) -> list[Parts] | None:
    """What stands before each population, up to what all of them take."""
    membranes = [_kind(graph, name, takers, n.Membrane) for name in sources]
    if all(membranes):
        takers, sources = {*sources}, [x.inputs[0] for x in membranes if x]
    synapses = [_kind(graph, name, takers, n.LI) for name in sources]
    if all(synapses):
        takers, sources = {*sources}, [x.inputs[0] for x in synapses if x]
    w_in = _kind(graph, sources[0], takers, Rescale) if all(synapses) else None
    source, held = sources[0], None
    mixed = any(any(x) != all(x) for x in (membranes, synapses))
    if len({*sources}) > 1 or mixed:
        return None
    if isinstance(w_in, Rescale) and w_in.name == scaled:
        source, held = w_in.inputs[0], w_in
    return [
        Parts(source=source, membrane=membrane, synapse=synapse, w_in=held)  # type: ignore[arg-type]
        for membrane, synapse in zip(membranes, synapses)
    ]


def _kind(
    graph: Graph, name: str, takers: Iterable[str], kind: type[Node]
) -> Node | None:
    node = _own(graph, name, takers)
    return node if isinstance(node, kind) else None


def _own(graph: Graph, name: str, takers: Iterable[str]) -> Node | None:
    """The node, where nothing but the takers takes its value."""
    after = {node.name for node in graph.consumers(name)}
    return graph[name] if after <= {*takers} else None


def _alike(node: n.LIF | n.LI, other: n.LIF | n.LI) -> bool:
    """Whether they differ in their time constant alone."""
    return replace(node, name="", inputs=(), tau_rc=1.0).__dict__ == (
        replace(other, name="", inputs=(), tau_rc=1.0).__dict__
    ) and type(node) is type(other)


def _equal(parts: Parts, other: Parts) -> bool:
    """Whether their constants are the same."""
    if parts.membrane is None or other.membrane is None:
        return parts.membrane is other.membrane
    return all(
        np.array_equal(getattr(parts.membrane, name), getattr(other.membrane, name))
        for name in ("resistance", "rest", "threshold", "reset_to")
    )


def _chooses(node: n.Dense) -> bool:
    """Whether each output is one of the inputs."""
    ones = (node.weight == 1).sum(axis=0) == 1
    return (
        bool(ones.all())
        and np.count_nonzero(node.weight) == ones.size
        and (not node.bias.any())
    )


def _permutes(node: n.Dense) -> bool:
    square = node.weight.shape[0] == node.weight.shape[1]
    return square and _chooses(node) and bool((node.weight.sum(axis=1) == 1).all())
