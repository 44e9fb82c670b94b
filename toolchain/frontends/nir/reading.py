"""A NIR graph becomes a Graph, node by node in order of flow."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from ...graph import nodes as n
from ...graph.graph import Graph
from ...graph.nodes import Node, Shape
from ...graph.preparation import ChannelsLast
from ...graph.rearranging import Permute
from ...memory import demand_memory
from ..contract import Timing
from .flow import Flow
from .form import Form
from .network import Edge, Network, NirNode

Timed = Callable[[str, str, Shape], Node]
"""Name, source and its shape → what takes a step, or more, between the two."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of NIR node: its output's form, and the nodes here that it becomes.

    The last of those has its name.
    """

    form: Callable[[Reading, NirNode, Form], Form]
    put: Callable[[Reading, NirNode, Form], None]


class Reading:
    """The nodes of a Graph as they grow."""

    def __init__(self, network: Network, flow: Flow, timing: Timing) -> None:
        self.network, self.timing = network, timing
        self.nodes: list[Node] = []
        self.names = {*network.nodes}
        self.ends: dict[str, str] = {}  # node of NIR → node here, if not of its name
        self.forms: dict[str, Form] = {}
        self.made: dict[tuple[str, str], str] = {}
        self.coming: dict[str, list[tuple[Edge, bool]]] = {x: [] for x in network.nodes}
        self.late = [network.edges[number] for number in sorted(flow.late)]
        self.leaving: dict[str, set[str]] = {name: set() for name in network.nodes}
        for number, edge in enumerate(network.edges):
            self.leaving[edge.source].add(edge.target)
            self.coming[edge.target].append((edge, number in flow.late))
        for ways in self.coming.values():  # a file's edges are a set
            ways.sort()

    def learn(self, kinds: Mapping[str, Kind]) -> None:
        """The form of every node's output, around loops too.

        Raises:
            ModelError: a node does not take what leads to it.
        """
        waiting = [name for name, node in self.network.nodes.items() if _starts(node)]
        known, size = {*waiting}, 0
        for name in waiting:  # which grows
            node = self.network.nodes[name]
            given = Form(()) if _starts(node) else self.given(name)
            self.forms[name] = kinds[node.kind].form(self, node, given)
            waiting += sorted(self.leaving[name] - known)
            known |= self.leaving[name]
            size += self.forms[name].size
            demand_memory(
                f"{node.kind} {name!r}: a sample up to there",
                8 * size,
                "use smaller pictures, padding or strides",
            )

    def given(self, name: str) -> Form:
        """The form of a node's input.

        Raises:
            ModelError: what leads to it has several.
        """
        ways = self.coming[name]
        known = [self.forms[e.source] for e, _ in ways if e.source in self.forms]
        shapes = sorted({form.shape for form in known})
        if len(shapes) > 1:
            raise self.network.nodes[name].error(
                f"its inputs are {', '.join(map(str, shapes))}; inputs of one shape "
                "are allowed, which are added"
            )
        return known[0] if len(ways) == 1 else Form(shapes[0])

    def add(self, node: Node) -> str:
        """Add a node that has a free name."""
        self.nodes.append(node)
        self.names.add(node.name)
        return node.name

    def free(self, wanted: str) -> str:
        """A name that no node has yet."""
        name, count = wanted, 1
        while name in self.names:
            count += 1
            name = f"{wanted}.{count}"
        self.names.add(name)
        return name

    def source(self, node: NirNode) -> str:
        """The node here whose value a node takes: what leads to it, added."""
        return self.summed(f"{node.name}.sum", self.sources(node))

    def summed(self, wanted: str, parts: list[str]) -> str:
        """The sum of nodes, the only one where there is one."""
        if len(parts) == 1:
            return parts[0]
        return self.add(n.Add(self.free(wanted), tuple(parts)))

    def sources(
        self, node: NirNode, wanted: str = "", timed: Timed | None = None
    ) -> list[str]:
        """The nodes here that lead to a node, each through a ``timed`` one if given.

        A way back takes a step here where it is not timed.
        """
        ways = self.coming[node.name]
        found = []
        for edge, late in ways:
            x, form = self.ends.get(edge.source, edge.source), self.forms[edge.source]
            if timed is not None:
                x = self.add(timed(self.free(wanted), x, form.held))
            elif late:
                x = self.back(edge.source, x, form)
            found.append(self.plain(x, form) if len(ways) > 1 else x)
        return found

    def back(self, source: str, x: str, form: Form) -> str:
        """x a step later, once."""
        if (x, "back") not in self.made:
            node = n.Lowpass(
                self.free(f"{source}.back"), (x,), tau_syn=0.0, shape=form.held
            )
            self.made[x, "back"] = self.add(node)
        return self.made[x, "back"]

    def plain(self, x: str, form: Form) -> str:
        """A flattened value in NIR's own order."""
        if form.image is None:
            return x
        if (x, "plain") not in self.made:
            image, axes = Form(form.image).held, (2, 0, 1)
            x1 = self.add(n.Reshape(self.free(f"{x}.image"), (x,), shape=image))
            x2 = self.add(Permute(self.free(f"{x}.first"), (x1,), axes=axes))
            self.made[x, "plain"] = self.add(n.Flatten(self.free(f"{x}.flat"), (x2,)))
        return self.made[x, "plain"]


def _starts(node: NirNode) -> bool:
    return node.kind == "Input"


def input_form(reading: Reading, node: NirNode, form: Form) -> Form:
    """As the file says."""
    shape = node.whole("shape", 1)
    if len(shape) not in (1, 2, 3):
        raise node.error(
            f"its shape is {shape}; (N,), (C, N) or (C, H, W) without the axis of "
            "samples is allowed"
        )
    return Form(shape)


def put_input(reading: Reading, node: NirNode, form: Form) -> None:
    """Samples as the file's tool takes them, channels first."""
    own = reading.forms[node.name]
    x = reading.add(n.Input(node.name, shape=own.shape))
    if len(own.shape) > 1:
        x = reading.add(ChannelsLast(reading.free(f"{x}.channels_last"), (x,)))
    if len(own.shape) == 2:
        wanted = f"{node.name}.row"
        x = reading.add(n.Reshape(reading.free(wanted), (x,), shape=own.held))
    reading.ends[node.name] = x


def put_outputs(reading: Reading, names: Collection[str]) -> str:
    """Add the Output; what is read, as the file's tool gives it."""
    parts = []
    for name in names:
        node = reading.network.nodes[name]
        form = reading.given(name)
        x = reading.plain(reading.source(node), form)
        if len(form.shape) > 1:
            wanted, axes = f"{name}.channels_first", (2, 0, 1)
            x = reading.add(Permute(reading.free(wanted), (x,), axes=axes))
        if len(form.shape) == 2:
            wanted = f"{name}.rows"
            x = reading.add(n.Reshape(reading.free(wanted), (x,), shape=form.shape))
        if len(names) > 1 and len(form.shape) > 1:
            x = reading.add(n.Flatten(reading.free(f"{name}.flat"), (x,)))
        parts.append(x)
    if len(parts) == 1:
        return reading.add(n.Output(next(iter(names)), (parts[0],)))
    joined = reading.add(n.Concat(reading.free("outputs"), tuple(parts)))
    return reading.add(n.Output(reading.free("all"), (joined,)))


def graph_of(reading: Reading) -> Graph:
    """The Graph of all nodes, checked.

    Raises:
        ModelError: it is not in order.
    """
    graph = Graph(tuple(reading.nodes), dt=reading.timing.dt)
    graph.check()
    return graph
