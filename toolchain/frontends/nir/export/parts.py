"""What stands before a neuron and is a constant of it in NIR."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....graph import nodes as n
from ....graph.graph import Graph
from ....graph.nodes import Array, FloatArray, Node, Shape
from ....graph.preparation import Rescale
from ..neurons import FOREVER

Turned = Callable[[FloatArray], Array]
NEUTRAL = n.Membrane(
    "neutral",
    resistance=np.ones(1),
    rest=np.zeros(1),
    threshold=np.ones(1),
    reset_to=np.zeros(1),
)
FILTERS = (n.LIF, n.LI)
"""Nodes that are CubaLIF or CubaLI behind the filter of their current."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Parts:
    """A population, or what integrates, and the nodes before that are one with it."""

    source: str  # what it takes
    membrane: n.Membrane | None = None
    synapse: n.LI | None = None
    w_in: Rescale | None = None

    @property
    def absorbed(self) -> tuple[str, ...]:
        """Names of these nodes."""
        held = (self.membrane, self.synapse, self.w_in)
        return tuple(node.name for node in held if node is not None)

    def fields(self, node: Node, turned: Turned, shape: Shape) -> tuple[str, Any]:
        """Kind and fields of NIR; all of one shape, that of the constants here."""
        held = self.membrane or NEUTRAL
        given = [held.resistance, held.rest, held.threshold, held.reset_to]
        common = {np.shape(turned(each)) for each in given}
        if self.membrane is not None and len(common) == 1:
            (shape,) = common
        r, leak, threshold, reset = (
            np.broadcast_to(turned(each), shape).copy() for each in given
        )

        def full(value: float) -> Array:
            return np.full(shape, value)

        fires = {"r": r, "v_threshold": threshold, "v_reset": reset}
        if isinstance(node, n.Threshold):
            return "Threshold", {"threshold": threshold - leak}
        if isinstance(node, n.IF | n.ReLU):
            return "IF", fires
        if isinstance(node, n.LI) and node.tau_rc == FOREVER:
            return "I", {"r": r / FOREVER}
        fires = {} if isinstance(node, n.LI) else fires
        kind = "LI" if isinstance(node, n.LI) else "LIF"
        assert isinstance(node, n.LIF | n.SoftLIF | n.LI), node
        tau = full(node.tau_rc)
        if self.synapse is None:
            return kind, {"tau": tau, "r": r, "v_leak": leak, **fires}
        scale = np.ones(()) if self.w_in is None else self.w_in.scale
        w_in = turned(scale.reshape(()) if scale.size == 1 else scale)
        return f"Cuba{kind}", {
            **{"tau_mem": tau, "tau_syn": full(self.synapse.tau_rc)},
            **{"r": r, "v_leak": leak, **fires},
            "w_in": np.broadcast_to(
                w_in, np.broadcast_shapes(shape, w_in.shape)
            ).copy(),
        }


def parts_of(graph: Graph) -> dict[str, Parts]:
    """Population, or what integrates → what is one with it."""
    found: dict[str, Parts] = {}
    taken: set[str] = set()
    populations = [x for x in graph.nodes if isinstance(x, n.Neurons)]
    integrators = [x for x in reversed(graph.nodes) if isinstance(x, n.LI)]
    for node in (*populations, *integrators):
        if node.name not in taken:
            found[node.name] = _before(graph, node)
            taken.update(found[node.name].absorbed)
    return found


def _before(graph: Graph, node: Node) -> Parts:
    source, membrane, synapse, w_in = node.inputs[0], None, None, None
    found = _own(graph, source)
    if isinstance(found, n.Membrane) and _holds(node, found):
        membrane, source = found, found.inputs[0]
        found = _own(graph, source)
    if isinstance(node, FILTERS) and isinstance(found, n.LI):
        synapse, source = found, found.inputs[0]
        found = _own(graph, source)
        if isinstance(found, Rescale) and found.name == f"{node.name}.w_in":
            w_in, source = found, found.inputs[0]
    return Parts(source=source, membrane=membrane, synapse=synapse, w_in=w_in)


def _holds(node: Node, found: n.Membrane) -> bool:
    """Whether NIR's node has these constants: an IF no rest, a Threshold no factor."""
    if isinstance(node, n.IF | n.ReLU):
        return bool((found.rest == found.reset_to).all())
    return not isinstance(node, n.Threshold) or bool((found.resistance == 1).all())


def _own(graph: Graph, name: str) -> Node | None:
    """The node, where nothing else takes its value."""
    return graph[name] if len(graph.consumers(name)) == 1 else None
