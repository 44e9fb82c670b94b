"""A circuit's objects, one after the other, as nodes of a Graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import nengo
import numpy as np
from nengo.ensemble import Neurons
from nengo.exceptions import NengoException

from ...errors import ModelError, UnsupportedLayer
from ...graph import nodes as n
from ...graph.graph import Graph
from ...graph.nodes import FloatArray, Node, Shape
from ..contract import Imported
from . import neurons
from .circuit import Circuit, circuit_of, owner
from .notes import notes_of
from .obstacles import obstacles_of
from .readout import readout_of
from .wires import Window, Wire, nodes_of, window_of, wire_of


def read(network: Any, input: Any, output: Any, simulator: Any, dt: float) -> Imported:
    """``nengo.graph_of``, with Nengo at hand."""
    circuit = circuit_of(network, input, output)
    found = obstacles_of(circuit)
    if found:
        raise UnsupportedLayer.of(found)
    if simulator is not None:
        _demand_simulator(simulator, output)
    try:
        if simulator is not None:
            return _read(circuit, simulator)
        with nengo.Simulator(network, dt=dt, progress_bar=False) as built:
            return _read(circuit, built)
    except NengoException as error:
        raise ModelError(
            f"Nengo network: Nengo cannot build or read it ({error}); simulate it first"
        ) from error


def _demand_simulator(simulator: Any, output: Any) -> None:
    """That it is one of Nengo's or NengoDL's, of the network that has this probe."""
    homes = {kind.__module__.split(".")[0] for kind in type(simulator).__mro__}
    if not homes & {"nengo", "nengo_dl"}:
        raise ModelError(
            f"Nengo network: the simulator is one of {type(simulator).__module__}; "
            "nengo.Simulator and nengo_dl.Simulator are allowed, or none"
        )
    if output not in simulator.model.params:
        raise ModelError(
            "Nengo network: the simulator was built of another one; give its own, or "
            "none"
        )


def _read(circuit: Circuit, simulator: Any) -> Imported:
    reading = Reading(circuit, simulator)
    nodes = readout_of(reading.nodes(), circuit.output)
    needed = Graph(nodes).before(nodes[-1].name) | {circuit.names[circuit.input]}
    nodes = tuple(node for node in nodes if node.name in needed)
    spikes = any(isinstance(node, n.LIF | n.IF) for node in nodes)
    graph = Graph(nodes, dt=float(simulator.dt) if spikes else None)
    graph.check()
    return Imported(graph=graph, notes=notes_of(circuit))


class Reading:
    """The nodes emitted so far; an object's value is the node of the object's name."""

    def __init__(self, circuit: Circuit, simulator: Any) -> None:
        self.circuit = circuit
        self.built = simulator.data
        self.initial = simulator.model.params
        self.dt = float(simulator.dt)
        self.emitted: dict[str, Node] = {}
        self.reserved = {*circuit.names.values()}
        self.synapses: dict[tuple[Any, float], str] = {}
        self.shapes = {obj: self.shape_of(obj) for obj in circuit.objects}

    def nodes(self) -> list[Node]:
        """All of them, the last an Output."""
        order, _ = self.circuit.ordered()
        for obj in order:
            if obj is self.circuit.input:
                self.emit(n.Input(self.circuit.names[obj], shape=self.shapes[obj]))
        for obj in order:
            if obj is self.circuit.input or self.circuit.is_constant(obj):
                continue
            if isinstance(obj, nengo.Ensemble):
                self.population(obj)
            else:
                self.passing(obj)
        self.output()
        return [*self.emitted.values()]

    def emit(self, node: Node) -> str:
        """Add a node of an object's name."""
        self.emitted[node.name] = node
        return node.name

    def add(self, node: Node, *inputs: str) -> str:
        """Add any other, under its name or, where that is taken, a numbered one."""
        name, count = node.name, 2
        while name in self.reserved or name in self.emitted:
            name, count = f"{node.name}.{count}", count + 1
        return self.emit(replace(node, name=name, inputs=inputs))

    def chain(self, source: str, nodes: Sequence[Node]) -> str:
        """Add nodes in a row behind ``source``; the last one's name."""
        for node in nodes:
            source = self.add(node, source)
        return source

    def shape_of(self, obj: Any) -> Shape:
        """Shape of an object's values: an image where convolutions give or take one.

        An Input has it where nothing but convolutions takes it.
        """
        size = obj.n_neurons if isinstance(obj, nengo.Ensemble) else obj.size_out
        into = [_window(c) for c in self.circuit.incoming[obj]]
        out = [_window(c) for c in self.circuit.connections if owner(c.pre_obj) is obj]
        images = [w.output for w in into if w] + [w.image for w in out if w]
        if obj is self.circuit.input and (None in out or len({*images}) > 1):
            images = []
        return (*images, (int(size),))[0]

    def population(self, ens: Any) -> None:
        """Add an ensemble's neurons, behind what drives them."""
        name = self.circuit.names[ens]
        bias = np.asarray(self.built[ens].bias, np.float64)
        current = self.sum(ens, bias, f"{name}.sum")
        kind = neurons.population(ens.neuron_type, name, self.dt)
        self.emit(replace(kind, inputs=(current,)))

    def passing(self, node: Any) -> None:
        """Add a node that passes on what it is given: the last of what computes it."""
        name, before = self.circuit.names[node], {*self.emitted}
        current = self.sum(node, np.zeros(node.size_in), f"{name}.sum")
        if current in before or current in self.synapses.values():
            self.emit(n.Add(name, (current,)))
        else:
            self.emit(replace(self.emitted.pop(current), name=name))

    def sum(
        self, obj: Any, bias: FloatArray, name: str, tau: float | None = None
    ) -> str:
        """Add what an object is given, and the bias; the name of the sum.

        With ``tau`` (s), of what it is given in the same step, behind such a synapse.
        """
        parts: list[tuple[Any, Wire]] = []
        for connection in self.circuit.incoming[obj]:
            wire = wire_of(connection, self.built, self.initial)
            pre = owner(connection.pre_obj)
            if self.circuit.is_constant(pre):
                bias = bias + wire.of(self.constant(pre))
            else:
                parts.append((connection, wire))
        left = bias if bias.any() else None
        if not parts:  # nothing but its bias: of the Input, nothing is taken
            start = self.circuit.input
            nothing = np.zeros((int(start.size_out), bias.size))
            wire = Wire(gain=np.ones(bias.size), matrix=nothing)
            ends = self.shapes[start], self.shapes[obj]
            nodes = nodes_of(wire, f"{self.circuit.names[obj]}.bias", *ends, bias)
            return self.chain(self.circuit.names[start], nodes)
        found = []
        for connection, wire in parts:
            source = self.synapse(
                owner(connection.pre_obj), _tau(connection) if tau is None else tau
            )
            found.append(self.part(connection, wire, source, left))
            left = None
        return found[0] if len(found) == 1 else self.add(n.Add(name), *found)

    def part(
        self, connection: Any, wire: Wire, source: str, bias: FloatArray | None
    ) -> str:
        """Add a connection's nodes behind its synapse, ``source``."""
        pre, post = (owner(x) for x in (connection.pre_obj, connection.post_obj))
        names, shapes = self.circuit.names, self.shapes
        name = str(connection.label or f"{names[pre]}.{names[post]}")
        return self.chain(source, nodes_of(wire, name, shapes[pre], shapes[post], bias))

    def synapse(self, pre: Any, tau: float | None) -> str:
        """Add a synapse where it is not there yet; the name of what is behind it.

        That of a sum of what is given in the same step stands before the sum's weights,
        behind populations, as a core has it: a filter of a sum is the sum of filters.
        """
        name = self.circuit.names[pre]
        if tau is None:
            return name
        if (pre, tau) not in self.synapses:
            if self.is_instant(pre):
                nothing = np.zeros(pre.size_in)
                behind = self.sum(pre, nothing, f"{name}.filtered", tau)
            else:
                node = n.Lowpass(f"{name}.synapse", shape=self.shapes[pre], tau_syn=tau)
                behind = self.add(node, name)
            self.synapses[pre, tau] = behind
        return self.synapses[pre, tau]

    def is_instant(self, obj: Any) -> bool:
        """Whether it is a sum of what is no constant, and is given in the same step."""
        incoming = self.circuit.incoming[obj]
        return (
            bool(incoming)
            and isinstance(obj, nengo.Node)
            and all(
                c.synapse is None and not self.circuit.is_constant(owner(c.pre_obj))
                for c in incoming
            )
        )

    def constant(self, node: Any) -> FloatArray:
        """What a constant node gives, flat."""
        if node.output is not None:
            return np.asarray(node.output, np.float64)
        total = np.zeros(node.size_in)
        for connection in self.circuit.incoming[node]:
            wire = wire_of(connection, self.built, self.initial)
            total = total + wire.of(self.constant(owner(connection.pre_obj)))
        return total

    def output(self) -> None:
        """Add what the probe records, flat, and the Output."""
        probe = self.circuit.output
        obj, pre = probe.obj, owner(probe.obj)
        source, shape = self.circuit.names[pre], self.shapes[pre]
        if isinstance(obj, nengo.Ensemble):
            (decoding,) = (
                c
                for c in self.initial
                if isinstance(c, nengo.Connection) and c.post_obj is probe
            )
            matrix = np.asarray(self.built[decoding].weights, np.float64).T
            wire = Wire(gain=np.ones(matrix.shape[1]), matrix=matrix)
        elif probe.slice is not None:
            matrix = np.eye(obj.size_out)[:, np.atleast_1d(_indices(probe))]
            wire = Wire(gain=np.ones(matrix.shape[1]), matrix=matrix)
        else:
            wire = Wire(gain=np.ones(obj.size_out))
        name = str(probe.label or "output")
        nodes = nodes_of(wire, f"{source}.{name}", shape, (wire.gain.size,), None)
        self.add(n.Output(name), self.chain(source, nodes))


def _tau(connection: Any) -> float | None:
    """The time constant of its synapse, s; None without one."""
    return None if connection.synapse is None else float(connection.synapse.tau)


def _indices(probe: Any) -> Any:
    return np.arange(probe.obj.size_out)[probe.slice]


def _is_plain(connection: Any) -> bool:
    """Whether it leads from all of an object to all of a node or neurons."""
    ends = connection.pre, connection.post
    objects = connection.pre_obj, connection.post_obj
    return ends == objects and isinstance(objects[1], nengo.Node | Neurons)


def _window(connection: Any) -> Window | None:
    """The window, channels last, of a convolution between whole objects."""
    transform = connection.transform
    shape = getattr(transform, "kernel_shape", None)
    if shape is None or not transform.channels_last or not _is_plain(connection):
        return None
    return window_of(transform, np.zeros(shape))
