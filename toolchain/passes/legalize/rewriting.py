"""Rewriting: the nodes of a legalised Graph, population by population."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from ...errors import Obstacle, UnsupportedLayer
from ...graph import nodes as n
from ...graph.graph import Graph
from ...graph.nodes import FloatArray, Node, Shape
from ...graph.operations import apply
from ...graph.preparation import Rescale
from ...graph.rearranging import Pad2D, Permute, Slice
from .affine import (
    Affine,
    added,
    concatenated,
    moved,
    reshaped,
    through,
    times,
    with_bias,
)
from .compose import (
    LinearMap,
    pooling,
    surrounding,
    unbiased,
    upsampling,
)

FORGETFUL = 1e-12  # s, far below the shortest step


def spiking(node: Node) -> Node:
    """SoftLIF → LIF, ReLU → IF, with the same constants; other nodes as they are.

    Threshold → LIF that forgets: of its potential a core keeps 1/4096 for a step.
    """
    if isinstance(node, n.SoftLIF):
        return n.LIF(
            node.name,
            node.inputs,
            amplitude=node.amplitude,
            tau_rc=node.tau_rc,
            tau_ref=node.tau_ref,
        )
    if isinstance(node, n.Threshold):
        return n.LIF(
            node.name,
            node.inputs,
            amplitude=node.amplitude,
            tau_rc=FORGETFUL,
            tau_ref=0.0,
        )
    if isinstance(node, n.ReLU):
        return n.IF(
            node.name, node.inputs, amplitude=node.amplitude, ceiling=node.ceiling
        )
    return node


class Rewriting:
    """The nodes emitted so far, and what every node between populations amounts to."""

    def __init__(
        self,
        graph: Graph,
        tau_syn: float,
        encoder: Collection[str],
        decoder: Collection[str],
        sends: str | None,
    ) -> None:
        """``sends``: the node whose value is sent as spikes, None for none."""
        self.graph = graph
        self.tau_syn = tau_syn
        self.encoder = encoder
        self.sends = sends
        self.emitted: dict[str, Node] = {}
        self.lowpass: dict[str, str] = {}  # synapse → name of its Lowpass
        self.before: dict[str, n.Synapse] = {}  # synapses that stood behind weights
        self.affine: dict[str, Affine] = {}
        self.relays: dict[str, str] = {}  # node → the population that sends it on
        self.shapes = dict(graph.shapes)  # of relays too
        kept = {x.name for x in graph.nodes if isinstance(x, n.Input | n.Neurons)}
        self.reserved = kept | {*encoder, *decoder}

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
        """Add a population, behind what feeds it."""
        parts = self.current(node.name, self.value(node.inputs[0]))
        self.emit(replace(spiking(node), inputs=parts))

    def current(self, name: str, current: Affine) -> tuple[str]:
        """Add a linear node for each source, and the host's share; the sum's name."""
        maps = current.explicit(f"{name}.weights")
        parts = []
        if current.host is not None:
            ones = np.ones(1)
            share = Rescale(f"{name}.host", scale=ones, offset=current.bias)
            parts.append(self.make(replace(share, inputs=(current.host,))))
        elif maps:
            maps = with_bias(maps, current.bias)
        parts += [self.connection(x, m, current.shape) for x, m in maps.items()]
        if len(parts) > 1:
            parts = [self.make(n.Add(f"{name}.sum", tuple(parts)))]
        return (parts[0],)

    def synapse(self, x: str) -> str:
        """Add the synapse's Lowpass or Delay where it is not there yet; its name."""
        if x not in self.lowpass:
            known = self.known(x)
            if not isinstance(known, n.Synapse):
                known = n.Lowpass(f"{x}.synapse", (x,), tau_syn=self.tau_syn)
            self.lowpass[x] = self.make(known)
        return self.lowpass[x]

    def known(self, x: str) -> Node | None:
        """The node called x of the Graph, or of the synapses moved before weights."""
        return self.before.get(x) or (self.graph[x] if x in self.graph.shapes else None)

    def filtered(self, node: n.Synapse | n.LI) -> Affine:
        """What a Synapse, or an LI, makes of spikes, or of their weighted sum.

        A filter of the sum is one of each of its sources, before the weights. Their
        bias stays behind it: in spiking mode it acts in full from the first step on.

        Raises:
            UnsupportedLayer: a source has a filter already.
        """
        if isinstance(node, n.Synapse) and self.is_synapse(node):
            name = _synapse(self.graph, node).name
            return Affine({name: None}, np.zeros(self.graph.shapes[node.name]))
        value = self.value(node.inputs[0])
        moved = {self.moved(node, x): m for x, m in value.maps.items()}
        return Affine(moved, value.bias)

    def moved(self, node: n.Synapse | n.LI, x: str) -> str:
        """The name of a synapse of x that does what ``node`` does behind weights.

        An LI takes no step of its own, and so is that of the connection.
        """
        known, delay, tau_syn = self.known(x), 1, 0.0
        if isinstance(node, n.LI):
            tau_syn = node.tau_rc
        else:
            delay, tau_syn = node.delay, node.tau_syn
        if isinstance(known, n.Synapse):
            if tau_syn and known.tau_syn:
                raise UnsupportedLayer.of([twice(node, known)])
            delay = known.delay + (0 if isinstance(node, n.LI) else delay)
            (x,), tau_syn = known.inputs, tau_syn or known.tau_syn
        name, shape = f"{x}.{node.name}", self.shapes[x]
        made = n.Lowpass(name, (x,), tau_syn=tau_syn, delay=delay, shape=shape)
        for same in (*self.graph.nodes, *self.before.values()):
            if isinstance(same, n.Synapse) and _does(same) == _does(made):
                return same.name
        self.before[name], self.shapes[name] = made, shape
        return name

    def connection(self, x: str, linear: LinearMap, shape: Shape) -> str:
        """Add a linear node behind synapse x, between what gives it its shapes."""
        name, y = "+".join(linear.layers), self.synapse(x)
        if linear.shape != self.shapes[x]:
            y = self.make(_reshape(f"{name}.in", y, linear.shape))
        y = self.make(replace(linear.node, name=name, inputs=(y,)))
        if linear.natural != shape:
            y = self.make(_reshape(f"{name}.out", y, shape))
        return y

    def value(self, name: str) -> Affine:
        """What a node between populations amounts to, after all that it is made of."""
        waiting = [name]
        while name not in self.affine:
            node = self.graph[waiting[-1]]
            missing = [i for i in self.summed(node) if i not in self.affine]
            if missing:
                waiting.append(missing[0])
            else:
                self.affine[node.name] = self.compute(node)
                waiting.pop()
        return self.affine[name]

    def summed(self, node: Node) -> tuple[str, ...]:
        """Names of the nodes whose values a node's is computed from."""
        fixed = isinstance(node, n.Neurons) or node.name in self.encoder
        if fixed or node.name == self.sends or self.is_synapse(node):
            return ()
        return node.inputs

    def is_synapse(self, node: Node) -> bool:
        """Whether it is a Synapse directly behind spikes."""
        return isinstance(node, n.Synapse) and (
            node.inputs[0] == self.sends
            or isinstance(self.graph[node.inputs[0]], n.Neurons)
        )

    def compute(self, node: Node) -> Affine:
        """``value`` of a node that was not asked for before."""
        zero = np.zeros(self.graph.shapes[node.name])
        if isinstance(node, n.Synapse | n.LI):
            return self.filtered(node)
        if node.name == self.sends or isinstance(node, n.Neurons):
            return Affine({node.name: None}, zero)
        if node.name in self.encoder:
            return Affine({}, zero, host=node.name)
        values = [self.value(name) for name in node.inputs]
        try:
            total = combined(node, values)
        except UnsupportedLayer:
            if any(v.host is not None or not is_positive(v) for v in values):
                raise
            values = [self.relayed(name) for name in node.inputs]
            total = combined(node, values)
        return replace(total, host=self.host(node, values))

    def host(self, node: Node, values: list[Affine]) -> str | None:
        """Add what the host computes of a node, without its bias; None for nothing."""
        parts = [value.host for value in values]
        if not any(parts):
            return None
        shapes = [value.shape for value in values]
        given = []
        for part, shape in zip(parts, shapes):
            if part is None:  # a Concat's or Add's part that is of spikes alone
                part = self._zero(node, shape)
            given.append(part)
        return self.make(
            replace(_linear(node), name=f"{node.name}.host", inputs=tuple(given))
        )

    def _zero(self, node: Node, shape: Shape) -> str:
        """Add zeros of this shape, made of the Input."""
        start = self.graph.input
        size = int(np.prod(start.shape))
        flat = self.make(n.Flatten(f"{node.name}.all", (start.name,)))
        nothing = np.zeros((size, int(np.prod(shape))))
        none = n.Dense(
            f"{node.name}.none",
            (flat,),
            weight=nothing,
            bias=np.zeros(nothing.shape[1]),
        )
        return self.make(_reshape(f"{node.name}.zero", self.make(none), shape))

    def relayed(self, name: str) -> Affine:
        """A node's value, never negative, sent on by a population of its own."""
        value = self.value(name)
        if name not in self.relays:
            relay = n.IF(f"{name}.relay", self.current(f"{name}.relay", value))
            self.relays[name] = self.make(relay)
            self.shapes[self.relays[name]] = value.shape
        return Affine({self.relays[name]: None}, np.zeros(value.shape))


def combined(node: Node, values: list[Affine]) -> Affine:
    """What a node makes of its inputs' values, without what the host adds.

    Raises:
        UnsupportedLayer: only too large a matrix would be exact.
    """
    value = values[0]
    if isinstance(node, n.Flatten | n.Reshape):
        return reshaped(value, node.output_shape(value.shape))
    if isinstance(node, n.Add):
        return added(values, node.name)
    if isinstance(node, n.Concat):
        return concatenated(values, node.name)
    if isinstance(node, n.BatchNorm | n.Membrane | Rescale):
        scale, offset = (
            np.broadcast_to(part, value.shape) for part in (node.scale, node.offset)
        )
        return times(value, scale, offset, node.name)
    if isinstance(node, Permute | Slice):
        return moved(value, node)
    if isinstance(node, n.AvgPool2D):
        pooled = through(value, pooling(node, value.shape[2]))
        inside = _share_inside(node, value.shape)
        if (inside == 1).all():
            return pooled
        return times(pooled, 1 / inside, np.zeros(pooled.shape), node.name)
    if isinstance(node, n.Upsample2D):
        return through(value, upsampling(node, value.shape[2]))
    if isinstance(node, Pad2D):
        return through(value, surrounding(node, node.padding, value.shape[2]))
    assert isinstance(node, n.Dense | n.Conv2D | n.ConvTranspose2D), node
    return through(value, node)


def is_positive(value: Affine) -> bool:
    """Whether it cannot be negative, nor is a population itself: a relay could send
    it."""
    maps = [m for m in value.maps.values() if m is not None]
    weights = all((m.node.weight >= 0).all() for m in maps)
    return bool(maps) and weights and bool((value.bias >= 0).all())


def twice(node: n.Synapse | n.LI, before: n.Synapse) -> Obstacle:
    """That a filter is filtered again."""
    return Obstacle(
        id="two-filters",
        layer=node.name,
        kind=type(node).__name__,
        why=f"it filters what {before.name!r} has filtered, and a connection has one",
        fix="put a population between them, or keep the slower filter alone",
    )


def _share_inside(node: n.AvgPool2D, shape: Shape) -> FloatArray:
    """Share of each window that lies within the picture, where only that counts."""
    counted = replace(node, inside=False)
    share = apply(counted, np.ones((1, *shape)))[0]
    return share if node.inside else np.ones_like(share)


def _linear(node: Node) -> Node:
    """The node without its bias or offset."""
    if isinstance(node, n.Linear):
        return unbiased(node)  # type: ignore[arg-type]
    if isinstance(node, n.BatchNorm | n.Membrane | Rescale):
        return Rescale(node.name, scale=node.scale, offset=np.zeros(1))
    return node


def _synapse(graph: Graph, node: n.Synapse) -> n.Synapse:
    """The first that does what this one does."""
    return next(
        x for x in graph.nodes if isinstance(x, n.Synapse) and _does(x) == _does(node)
    )


def _does(node: n.Synapse) -> tuple[object, ...]:
    return node.inputs, node.tau_syn, node.delay


def _reshape(name: str, x: str, shape: Shape) -> Node:
    if len(shape) == 1:
        return n.Flatten(name, (x,))
    return n.Reshape(name, (x,), shape=shape)
