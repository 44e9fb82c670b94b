"""The spiking float network whose arithmetic a Program's integers round."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace

import numpy as np

from ...errors import ModelError
from ...graph.graph import Graph
from ...graph.nodes import (
    IF,
    LI,
    LIF,
    Add,
    Concat,
    Conv2D,
    Delay,
    Dense,
    Flatten,
    FloatArray,
    Input,
    Linear,
    Membrane,
    Neurons,
    Node,
    Output,
    Reshape,
    Shape,
)
from ...graph.preparation import Rescale
from ...memory import demand_memory
from ...program.connections import Connection, ConvConnection
from ...program.host import BiasEncoder, SpikeEncoder, parts_of
from ...program.program import Population, Program
from .bounds import DEEPEST
from .pictures import bias_of_channels, shapes_of

ONE = 4096  # of the core's decays
FOREVER = 2.0**20  # steps: the time constant of a membrane without leak that needs one
NONE = -1e9  # a least potential that is as good as none


def float_network(program: Program) -> Graph:
    """The Program's own equations in floats: nothing is rounded, cut off or wrapped.

    Weights and biases are its integers, thresholds half a unit more (whole numbers pass
    both alike, and no float's last bit decides), time constants those of its decays,
    and a spike is worth 1; what the host adds and reads is as it is there, and spikes
    that it sends are the Input. In spiking mode it spikes as the core does, but where
    ⌊…⌋ moves a potential across a threshold, and where a LIF's refractory period ends
    within a step. Unlike ``dequantize`` it holds what calibration corrected, and is
    made of any Program, also of one that is sent spikes or knows no float network.

    Of several thresholds a population's least potential is the lowest of its channels'.
    A membrane without leak is an IF; with a refractory period, a LIF that leaks in 2^20
    steps. A connection's delay and filter are a Delay and an LI. Where all that drives
    a picture are convolutions it is one; every other population is flat, and what leads
    to it is a matrix. A population that nothing read depends on is left out.

    Raises:
        ModelError: nothing feeds a population.
        DataError: a connection is too large to be written out as a matrix.
    """
    made = _Network(program)
    made.encode()
    for population in program.populations:
        made.populate(population)
    made.decode()
    whole = Graph(tuple(made.nodes.values()), program.timing.dt)
    read = whole.before(whole.output.name)
    return replace(whole, nodes=tuple(n for n in whole.nodes if n.name in read))


class _Network:
    """Its nodes so far, in order of flow."""

    def __init__(self, program: Program) -> None:
        self.program, self.dt = program, program.timing.dt
        self.nodes: dict[str, Node] = {}
        self.taken = {population.name for population in program.populations}
        self.biased: dict[str, str] = {}  # population → node of what the host adds
        self.shapes = shapes_of(program)

    def add(self, node: Node) -> str:
        """Add a node, under another name where its own is taken; the name."""
        name = node.name
        while name in self.taken:
            name += "'"
        self.taken.add(name)
        self.nodes[name] = replace(node, name=name)
        return name

    def host(self, graph: Graph, given: str | None) -> str:
        """Add a Graph of the host without its ends; the name of what it gives.

        ``given``: the node in place of its Input; None: the Input stays, one for all.
        Summands that are nothing, in place of what comes from the core, are left out.
        """
        names: dict[str, str] = {}
        nothing: set[str] = set()
        for node in graph.nodes:
            if isinstance(node, Input) and given is None:
                inputs = [x for x in self.nodes.values() if isinstance(x, Input)]
                names[node.name] = inputs[0].name if inputs else self.add(node)
            elif isinstance(node, Input) and given is not None:
                names[node.name] = given
            elif not isinstance(node, Output):
                if _is_nothing(node, nothing):
                    nothing.add(node.name)
                parts = node.inputs
                if isinstance(node, Add):
                    parts = tuple(x for x in parts if x not in nothing) or parts[:1]
                    if len(parts) == 1:
                        names[node.name] = names[parts[0]]
                        continue
                taken = tuple(names[name] for name in parts)
                names[node.name] = self.add(replace(node, inputs=taken))
        return names[graph.output.inputs[0]]

    def shaped(self, name: str, given: Shape, wanted: Shape) -> str:
        """A node's output in another shape; the name of what gives it."""
        if given == wanted:
            return name
        if len(wanted) == 1:
            return self.add(Flatten(f"{name}.flat", (name,)))
        return self.add(Reshape(f"{name}.shape", (name,), shape=wanted))

    def encode(self) -> None:
        """What enters: spikes, or what the host adds to each population it feeds."""
        for part in parts_of(self.program.encoder):
            name, shape = part.population, self.shapes[part.population]
            if isinstance(part, SpikeEncoder):
                self.add(Input(name, shape=shape))
                continue
            given = part.graph.shapes[part.graph.output.name]
            current = self.shaped(self.host(part.graph, None), given, shape)
            self.biased[name] = self.add(self.scaled(part, current))

    def scaled(self, part: BiasEncoder, current: str) -> Node:
        """A current of the host, in integer units."""
        name, shape = part.population, self.shapes[part.population]
        scale = np.atleast_1d(np.asarray(part.scale, np.float64))
        if len(shape) == 1:  # one for each channel, and these are flat
            scale = np.resize(scale, shape)
            if self.program.incoming(name):  # a sum is of values in one order
                zero = np.zeros(shape)
                return Dense(
                    f"{name}.bias", (current,), weight=np.diag(scale), bias=zero
                )
        return Rescale(f"{name}.bias", (current,), scale=scale, offset=np.zeros(1))

    def populate(self, p: Population) -> None:
        """A population, behind all that drives it."""
        own = p.bias.astype(np.float64).reshape(self.shapes[p.name])
        parts = []
        if p.name in self.biased:
            parts, own = [self.biased[p.name]], np.zeros_like(own)
        for connection in self.program.incoming(p.name):
            bias = bias_of_channels(own)
            if bias is not None:
                own = np.zeros_like(own)
            parts.append(self.connect(p, connection, bias))
        if not parts:
            raise ModelError(
                f"Population {p.name!r}: nothing feeds it, which no float network here "
                "can say; leave it out of the Program"
            )
        drive = parts[0]
        if len(parts) > 1:
            drive = self.add(Add(f"{p.name}.sum", tuple(parts)))
        self.nodes[p.name] = self.neurons(p, drive, own)

    def neurons(self, p: Population, drive: str, bias: FloatArray) -> Neurons:
        """Its neurons, behind what their constants make of j, in integer units."""
        tau_rc, gain = _membrane(p, self.dt)
        threshold = (p.thresholds + 0.5).reshape(bias.shape)
        membrane = Membrane(
            f"{p.name}.membrane",
            (drive,),
            resistance=np.full(bias.shape, gain),
            rest=gain * bias,
            threshold=threshold,
            reset_to=np.zeros(bias.shape),
        )
        inputs = (self.add(membrane),)
        least = p.v_min / float(threshold.min())
        least = least if least > -DEEPEST else NONE
        if not tau_rc:
            return IF(
                p.name, inputs, amplitude=self.dt, min_voltage=least, reset="zero"
            )
        return LIF(
            p.name,
            inputs,
            amplitude=self.dt,
            tau_rc=tau_rc,
            tau_ref=(p.refractory - 1) * self.dt,
            min_voltage=least,
        )

    def connect(self, p: Population, c: Connection, bias: FloatArray | None) -> str:
        """A connection behind its delay and filter; the name of what it brings."""
        keep, shape = (4095 - p.decay_u) / ONE, self.shapes[c.source]
        title = f"{c.source}.to.{p.name}"
        name = self.add(Delay(title, (c.source,), delay=c.delay, shape=shape))
        if keep:
            tau_syn = -self.dt / math.log(keep)
            name = self.add(LI(f"{title}.filter", (name,), tau_rc=tau_syn))
        title = f"{c.source}.into.{p.name}"
        weight = c.effective_weight / (1 - keep)
        node: Node
        if len(self.shapes[p.name]) == 3 and isinstance(c, ConvConnection):
            node = Conv2D(
                title,
                (name,),
                weight=weight,
                bias=np.zeros(weight.shape[-1]) if bias is None else bias,
                stride=c.stride,
                padding=c.padding,
                groups=c.groups,
                dilation=c.dilation,
            )
        else:
            whole = _matrix(c) / (1 - keep)
            bias = np.zeros(p.size) if bias is None else bias
            name = self.shaped(name, shape, (math.prod(shape),))
            node = Dense(title, (name,), weight=whole, bias=bias)
        return self.add(node)

    def decode(self) -> None:
        """What the host makes of the spikes that it reads."""
        decoder, parts = self.program.decoder, []
        for name, amplitude in decoder.reads:
            worth = decoder.gain * amplitude / self.dt
            given, shape = name, self.shapes[name]
            if worth != 1:
                scale, offset = np.full(1, worth), np.zeros(1)
                scaled = Rescale(f"{name}.read", (given,), scale=scale, offset=offset)
                given = self.add(scaled)
            if decoder.others:
                given = self.shaped(given, shape, (math.prod(shape),))
            parts.append(given)
        whole = parts[0]
        if decoder.others:
            whole = self.add(Concat("read", tuple(parts)))
            shape = (sum(self.program[name].size for name, _ in decoder.reads),)
        whole = self.shaped(whole, shape, decoder.graph.input.shape)
        whole = self.host(decoder.graph, whole)
        end = Output(decoder.graph.output.name, (whole,))
        self.add(replace(end, settle=decoder.settle, tau_syn=decoder.tau_syn))


def _is_nothing(node: Node, nothing: Collection[str]) -> bool:
    """Whether a node of the host gives 0 whatever the sample is."""
    if isinstance(node, Linear):
        return not node.weight.any() and not node.bias.any()
    known = isinstance(node, Flatten | Reshape | Add)
    return known and all(name in nothing for name in node.inputs)


def _membrane(p: Population, dt: float) -> tuple[float, float]:
    """Time constant (s; 0: an IF), and the current that adds 1 to v in a step."""
    if p.decay_v:
        return -dt / math.log1p(-p.decay_v / ONE), ONE / p.decay_v
    if p.refractory > 1:
        return FOREVER * dt, -1 / math.expm1(-1 / FOREVER)
    return 0.0, 1 / dt


def _matrix(c: Connection) -> FloatArray:
    """What a spike of each source adds to q of each target."""
    ends = (math.prod(c.source_shape), math.prod(c.target_shape))
    demand_memory(
        f"Connection {c.source!r} → {c.target!r} as a matrix {ends}",
        8 * math.prod(ends),
        "deploy a smaller network",
    )
    whole = np.zeros(ends)
    source, target, weight = replace(c, weight=c.effective_weight).synapses()
    np.add.at(whole, (source, target), weight)
    return whole
