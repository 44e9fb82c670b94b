"""A NIR graph without its sub-graphs: nodes by name, and edges between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ...errors import ModelError
from ...graph.nodes import Array, FloatArray, Shape
from .files import Tree

MAX_NODES, MAX_EDGES = 4_000, 100_000


class Edge(NamedTuple):
    """From node to node."""

    source: str
    target: str


@dataclass(frozen=True, eq=False)
class NirNode:
    """A node as its file has it; a node of a sub-graph is called ``graph.node``."""

    name: str
    kind: str
    fields: Mapping[str, Any]

    def error(self, message: str) -> ModelError:
        """An error that names this node."""
        return ModelError(f"{self.kind} {self.name!r}: {message}")

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def numbers(self, name: str) -> Array:
        """A field of numbers, as it is stored."""
        found = self.fields.get(name)
        if not isinstance(found, np.ndarray | np.generic):
            what = "missing" if found is None else "no array of numbers"
            raise self.error(f"its {name} is {what}; write the file with nir.write")
        return np.asarray(found)

    def array(self, name: str) -> FloatArray:
        """The same, finite and in float64."""
        with np.errstate(invalid="ignore"):  # NaN of a kind that NumPy warns of
            found: FloatArray = self.numbers(name).astype(np.float64)
        bad = found.size - np.count_nonzero(np.isfinite(found))
        if bad:
            raise self.error(f"its {name} holds {bad} NaN or infinite value(s)")
        return found

    def whole(self, name: str, least: int = 0) -> Shape:
        """A field of whole numbers."""
        found = self.array(name).ravel()
        if not ((found == np.rint(found)) & (found >= least) & (found < 1 << 31)).all():
            raise self.error(
                f"its {name} is {found[:4].tolist()}; whole numbers from {least} on "
                "are allowed"
            )
        return tuple(int(each) for each in found)

    def pair(self, name: str, least: int) -> tuple[int, int]:
        """One whole number for each of two axes, or one for both."""
        found = self.whole(name, least)
        if len(found) not in (1, 2):
            raise self.error(f"its {name} is {len(found)} numbers; 2 are allowed")
        return found[0], found[-1]


@dataclass(frozen=True, eq=False)
class Network:
    """Nodes and edges; Input and Output nodes of sub-graphs are left out."""

    nodes: dict[str, NirNode] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)

    def reached(self, starts: Iterable[str], back: bool = False) -> set[str]:
        """These nodes and all that edges lead to from them, or ``back`` from where."""
        ways: dict[str, list[str]] = {name: [] for name in self.nodes}
        for source, target in self.edges:
            a, b = (target, source) if back else (source, target)
            ways[a].append(b)
        found, waiting = {*starts}, [*starts]
        while waiting:
            new = {*ways[waiting.pop()]} - found
            found |= new
            waiting += new
        return found

    def only(self, names: Collection[str]) -> Network:
        """The network of these nodes, and the edges between them."""
        return Network(
            {name: node for name, node in self.nodes.items() if name in names},
            [
                edge
                for edge in self.edges
                if edge.source in names and edge.target in names
            ],
        )


@dataclass(frozen=True)
class _Ends:
    """Names of a sub-graph's Input and Output nodes."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def network_of(tree: Tree) -> Network:
    """The network of a file's outermost graph.

    Raises:
        ModelError: a node or an edge of it is not in order.
    """
    found = Network()
    outermost = _add(found, tree, "")
    if len(found.nodes) > MAX_NODES or len(found.edges) > MAX_EDGES:
        raise ModelError(
            f"NIRGraph: it has {len(found.nodes)} nodes and {len(found.edges)} edges; "
            f"{MAX_NODES} and {MAX_EDGES} are allowed"
        )
    ends = {*outermost.inputs, *outermost.outputs}
    inner = (x for x in found.nodes.values() if x.kind in ("Input", "Output"))
    return bridged(found, [x.name for x in inner if x.name not in ends])


def _add(network: Network, tree: Tree, prefix: str) -> _Ends:
    """Add a graph's nodes and edges, its sub-graphs' among them."""
    nodes, edges = tree.get("nodes"), tree.get("edges")
    where = f"NIRGraph {prefix[:-1]!r}" if prefix else "NIRGraph"
    if not isinstance(nodes, dict):
        raise ModelError(f"{where}: it has no nodes; write the file with nir.write")
    inner: dict[str, _Ends] = {}
    own: list[NirNode] = []
    for name, fields in nodes.items():
        if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
            raise ModelError(f"{where}: its node {name!r} has no type")
        if fields["type"] == "NIRGraph":
            inner[name] = _add(network, fields, f"{prefix}{name}.")
        else:
            own.append(NirNode(prefix + name, fields["type"], fields))
    for node in own:
        if node.name in network.nodes:
            raise node.error("two nodes have this name; rename one")
        network.nodes[node.name] = node
    for source, target in _pairs(edges, where):
        for name in (source, target):
            if name not in nodes:
                raise ModelError(
                    f"{where}: its edge {source!r} → {target!r} names {name!r}, which "
                    "is no node of it"
                )
        first = _end(inner, source, "outputs", where, prefix)
        last = _end(inner, target, "inputs", where, prefix)
        network.edges.append(Edge(first, last))
    ends = _Ends(
        tuple(node.name for node in own if node.kind == "Input"),
        tuple(node.name for node in own if node.kind == "Output"),
    )
    return ends


def _pairs(edges: Any, where: str) -> list[tuple[str, str]]:
    if isinstance(edges, np.ndarray) and not edges.size:  # no edge at all
        return []
    if not isinstance(edges, list) or any(len(edge) != 2 for edge in edges):
        raise ModelError(f"{where}: its edges are no pairs of names")
    return [(a, b) for a, b in edges]


def _end(
    inner: Mapping[str, _Ends], name: str, side: str, where: str, prefix: str
) -> str:
    """Where an edge to or from a node begins or ends, in a sub-graph at its end."""
    if name not in inner:
        return prefix + name
    found: tuple[str, ...] = getattr(inner[name], side)
    if len(found) != 1:
        raise ModelError(
            f"{where}: its sub-graph {name!r} has {len(found)} {side}, and an edge "
            "names none of them; one is allowed"
        )
    return found[0]


def bridged(network: Network, names: Iterable[str]) -> Network:
    """The network without these nodes, what came in going on to where it went.

    Raises:
        ModelError: they lead to themselves, or their edges multiply beyond measure.
    """
    nodes = dict(network.nodes)
    came: dict[str, Counter[str]] = {name: Counter() for name in nodes}
    goes: dict[str, set[str]] = {name: set() for name in nodes}
    for edge in network.edges:
        came[edge.target][edge.source] += 1
        goes[edge.source].add(edge.target)
    left = len(network.edges) + MAX_EDGES
    for name in names:
        sources, targets = came.pop(name), goes.pop(name)
        if name in targets:
            raise nodes[name].error("it stands in a loop without a population")
        for source in sources:
            goes[source].discard(name)
            goes[source] |= targets
        for target in targets:
            more = came[target].pop(name)
            left -= more * sources.total()
            if left < 0:
                raise ModelError(f"NIRGraph: it has more than {MAX_EDGES} edges")
            for source, count in sources.items():
                came[target][source] += count * more
        del nodes[name]
    edges = [Edge(a, b) for b, found in came.items() for a in found.elements()]
    return Network(nodes, edges)
