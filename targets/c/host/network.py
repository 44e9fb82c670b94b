"""A Graph of the host in C: a function for each node, an array where one pays.

An element is computed when it is asked for. What takes long and is asked for again and
again is computed once and kept, so that a last convolution needs no memory at all.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from ....toolchain.graph.graph import Graph
from ....toolchain.graph.nodes import LI, Node
from ..names import commented, identifiers
from .elements import Element, Numbers, Place, element, integrated


@dataclass(frozen=True)
class Kept:
    """An array of a node's values."""

    name: str
    size: int
    made: str  # the function that computes an element


class HostNetwork:
    """The functions of the nodes between some of a Graph.

    Attributes:
        kept: arrays that have to be filled, in order.
    """

    def __init__(
        self,
        graph: Graph,
        prefix: str,
        numbers: Numbers,
        given: dict[str, str],
        *,
        only: Collection[str] | None = None,
        ends: Collection[str] = (),
        dt: float = 0.0,
    ) -> None:
        """Of a Graph.

        Args:
            graph: the Graph.
            prefix: of the functions' names.
            numbers: that are computed with.
            given: node → function that reads its value, from elsewhere.
            only: the nodes to compute; None: all.
            ends: nodes whose elements are asked for more than once from outside.
            dt: s, of a step of leaky integrators; 0: they give their input.
        """
        self.graph, self.numbers, self._dt, self._ends = graph, numbers, dt, ends
        idents = identifiers(node.name for node in graph.nodes)
        self._functions = dict(given)
        self._nodes = [
            x
            for x in graph.nodes
            if x.name not in given and (only is None or x.name in only)
        ]
        self._names = {x.name: f"{prefix}_{idents[x.name]}" for x in self._nodes}
        for node in self._nodes:
            self._functions[node.name] = self._names[node.name]
        self._elements = {x.name: self._element(x) for x in self._nodes}
        often = self._often()
        self.kept = tuple(
            Kept(f"kept_{name}", math.prod(graph.shapes[x.name]), f"make_{name}")
            for x in self._nodes
            if often[x.name] and self._elements[x.name].heavy
            for name in (self._names[x.name],)
        )

    def _element(self, node: Node) -> Element:
        shapes = self.graph.shapes
        place = Place(
            self._names[node.name],
            tuple(self._functions[i] for i in node.inputs),
            tuple(shapes[i] for i in node.inputs),
            shapes[node.name],
            self.numbers,
        )
        if isinstance(node, LI) and self._dt:
            return integrated(node, place, self._dt)
        return element(node, place)

    def _often(self) -> dict[str, bool]:
        """Node → whether its elements are asked for more than once."""
        asked: dict[str, list[bool]] = {x.name: [] for x in self._nodes}
        for node in reversed(self._nodes):
            made = self._elements[node.name]
            if node.name in self._ends or made.state:
                asked[node.name].append(True)
            again = len(asked[node.name]) > 1 or any(asked[node.name])
            again = (again and not made.heavy) or made.many
            for name in node.inputs:
                if name in asked:
                    asked[name].append(again)
        return {name: len(x) > 1 or any(x) for name, x in asked.items()}

    def function(self, name: str) -> str:
        """That reads an element of this node's value."""
        return self._functions[name]

    @property
    def text(self) -> str:
        """The definitions, in order."""
        kept = {x.made for x in self.kept}
        return "\n".join(self._text(node, kept) for node in self._nodes)

    def _text(self, node: Node, kept: set[str]) -> str:
        made, name = self._elements[node.name], self._names[node.name]
        kind = self.numbers.type
        body = "\n".join(f"    {line}" for line in made.body.splitlines())
        tables = f"{made.tables}\n\n" if made.tables else ""
        title = f"/* {commented(f'{node.name}: {type(node).__name__}')} */\n"
        head = "(const host_state *h, uint32_t i)\n{\n"
        first = name if f"make_{name}" not in kept else f"make_{name}"
        text = f"{title}{tables}static {kind} {first}{head}{body}\n}}\n"
        if first == name:
            return text
        return f"{text}\nstatic {kind} {name}{head}    return h->kept_{name}[i];\n}}\n"
