"""NIR nodes and edges as they grow, and values in NIR's layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from ....graph import nodes as n
from ....graph.graph import Graph
from ....graph.nodes import Array, FloatArray, Node
from ..form import first
from .laying import Laid
from .parts import Parts, parts_of
from .splits import Split
from .unsaid import DT
from .writing import node_name


class Writer:
    """Nodes of NIR as they grow."""

    def __init__(
        self, graph: Graph, laid: Mapping[str, Laid], splits: Mapping[str, Split]
    ) -> None:
        self.graph, self.laid, self.splits = graph, laid, splits
        self.dt = graph.dt or DT
        self.parts: dict[str, Parts] = parts_of(graph)
        self.absorbed = {
            *(name for parts in self.parts.values() for name in parts.absorbed),
            *(name for split in splits.values() for name in split.absorbed),
        }
        self.nodes: dict[str, dict[str, Any]] = {}
        self.ends: dict[str, list[str]] = {}  # node here → NIR's, whose sum it is
        self.takes: list[tuple[str, str]] = []  # node here, and one of NIR's behind it
        self.links: list[tuple[str, str]] = []  # nodes of NIR

    def put(self, node: Node, kind: str, source: str | None, **fields: Any) -> None:
        """The node of NIR that a node is, of its name; another one adds to it."""
        name = self.free(node.name)
        self.nodes[name] = {"type": kind, **fields}
        self.ends.setdefault(node.name, []).append(name)
        if source is not None:
            self.takes.append((source, name))

    def behind(self, node: Node, suffix: str, kind: str, **fields: Any) -> None:
        """A node of NIR behind those that a node is by now."""
        name = self.free(f"{node.name}.{suffix}")
        self.nodes[name] = {"type": kind, **fields}
        self.links += [(end, name) for end in self.ends[node.name]]
        self.ends[node.name] = [name]

    def free(self, wanted: str) -> str:
        """A name that no node of NIR has yet, and that is one of HDF5's."""
        wanted = node_name(wanted)
        name, count = wanted, 1
        while name in self.nodes:
            count += 1
            name = f"{wanted}.{count}"
        return name

    def edges(self) -> list[tuple[str, str]]:
        """All edges; of a node that is added to itself the others go past a Scale."""
        found = list(self.links)
        for source, name in self.takes:
            for end, count in Counter(self.sum(source)).items():
                found.append((end, name))
                if count > 1:
                    again = self.free(f"{end}.again")
                    scale = np.full(self.shape(self.graph[source]), count - 1.0)
                    self.nodes[again] = {"type": "Scale", "scale": scale}
                    found += [(end, again), (again, name)]
        return found

    def sum(self, name: str) -> list[str]:
        """The nodes of NIR whose sum a node here is."""
        found: list[str] = []
        waiting, seen = [name], set[str]()
        while waiting:
            node = self.graph[waiting.pop()]
            if node.name in self.ends:
                found += self.ends[node.name]
            elif node.name not in seen or not isinstance(node, n.Delayed):
                seen.add(node.name)
                waiting += node.inputs
        return found

    def shape(self, node: Node) -> tuple[int, ...]:
        """Of a node's value in NIR."""
        return self.laid[node.name].form.shape

    def turned(self, node: Node, values: FloatArray) -> Array:
        """Values of a node as NIR has them: one, or broadcast to its shape."""
        form = self.laid[node.name].form
        if values.ndim == 0 or values.shape == (1,) == form.shape:
            return values
        if len(form.shape) > 1:
            if values.ndim == 1:
                values = values.reshape((1, 1, -1))
            turned = first(values)
            return turned[:, 0] if len(form.shape) == 2 else turned
        flat = np.broadcast_to(values, self.graph.shapes[node.name]).ravel()
        order = form.order
        if order is None:
            return flat
        placed = np.empty_like(flat)
        placed[order] = flat
        return placed

    def whole(self, node: Node, values: FloatArray) -> Array:
        """The same, all of them."""
        return np.broadcast_to(self.turned(node, values), self.shape(node)).copy()
