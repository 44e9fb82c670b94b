"""Flow: the float network's values, and what becomes of them if some were others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from ...toolchain.graph.graph import Graph
from ...toolchain.graph.interpret import interpret
from ...toolchain.graph.nodes import FloatArray, Neurons
from ...toolchain.graph.operations import apply


@dataclass(frozen=True, eq=False)
class Flow:
    """A float network in rate mode on some samples, (samples, *input shape)."""

    graph: Graph
    still: FloatArray

    @cached_property
    def values(self) -> Mapping[str, FloatArray]:
        """Node → what it is, (samples, *shape)."""
        names = [node.name for node in self.graph.nodes]
        return interpret(self.graph, self.still, record=names)

    def changed(
        self, given: Mapping[str, FloatArray], until: str | None = None
    ) -> Mapping[str, FloatArray]:
        """The values of all nodes where some are given, as far as ``until``.

        Nodes that none of those reach are not computed again.

        >>> import numpy as np
        >>> from ...toolchain.graph.nodes import Input, Output, ReLU
        >>> graph = Graph.chain(Input("x", shape=(1,)), ReLU("a"), Output("y"))
        >>> flow = Flow(graph, np.ones((1, 1)))
        >>> flow.changed({"a": np.full((1, 1), 5.0)})["y"]
        array([[5.]])

        Args:
            given: node → (samples, *shape).
            until: the node after which nothing is wanted.
        """
        values, moved = {**self.values, **given}, set(given)
        for node in self.graph.nodes:
            if node.name not in given and not moved.isdisjoint(node.inputs):
                values[node.name] = apply(node, *(values[i] for i in node.inputs))
                moved.add(node.name)
            if node.name == until:
                break
        return values

    def outputs(self, given: Mapping[str, FloatArray]) -> FloatArray:
        """The network's answers where some values are given."""
        return self.changed(given)[self.graph.output.name]

    def current(self, name: str, given: Mapping[str, FloatArray]) -> FloatArray:
        """J of a population where some values are given, (samples, neurons)."""
        (source,) = self.graph[name].inputs
        found = self.changed(given, until=source)[source]
        return found.reshape(len(found), -1)

    def rates(self, name: str, current: FloatArray) -> FloatArray:
        """What a population makes of J (samples, neurons), (samples, *shape)."""
        node = self.graph[name]
        assert isinstance(node, Neurons)
        return apply(node, current.reshape(len(current), *self.graph.shapes[name]))
