"""The spiking float network whose arithmetic a Program's integers round."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ...errors import ModelError
from ...graph.graph import Graph
from ...graph.nodes import (
    IF,
    LIF,
    Add,
    Concat,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Flatten,
    FloatArray,
    Input,
    Lowpass,
    Membrane,
    Neurons,
    Node,
    Output,
    Reshape,
    Shape,
)
from ...graph.preparation import Rescale
from ...memory import demand_memory
from ...program.connections import (
    Connection,
    ConvTransposeConnection,
    SparseConnection,
    WindowConnection,
)
from ...program.host import SpikeEncoder, parts_of
from ...program.program import Population, Program

ONE = 4096  # of the core's decays
FOREVER = 2.0**20  # steps: the time constant of a membrane without leak that needs one


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
    steps. A population that nothing read depends on is left out.

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
        """
        names = {}
        for node in graph.nodes:
            if isinstance(node, Input) and given is None:
                inputs = [x for x in self.nodes.values() if isinstance(x, Input)]
                names[node.name] = inputs[0].name if inputs else self.add(node)
            elif isinstance(node, Input) and given is not None:
                names[node.name] = given
            elif not isinstance(node, Output):
                taken = tuple(names[name] for name in node.inputs)
                names[node.name] = self.add(replace(node, inputs=taken))
        return names[graph.output.inputs[0]]

    def shaped(self, name: str, given: Shape, wanted: Shape) -> str:
        """A node's output in another shape; the name of what gives it."""
        if given == wanted:
            return name
        return self.add(Reshape(f"{name}.shape", (name,), shape=wanted))

    def encode(self) -> None:
        """What enters: spikes, or what the host adds to each population it feeds."""
        for part in parts_of(self.program.encoder):
            member = self.program[part.population]
            if isinstance(part, SpikeEncoder):
                self.add(Input(member.name, shape=member.shape))
                continue
            name = self.host(part.graph, None)
            given = part.graph.shapes[part.graph.output.name]
            name = self.shaped(name, given, member.shape)
            scale = np.atleast_1d(np.asarray(part.scale, np.float64))
            zero = np.zeros(1)
            scaled = Rescale(f"{member.name}.bias", (name,), scale=scale, offset=zero)
            self.biased[member.name] = self.add(scaled)

    def populate(self, p: Population) -> None:
        """A population, behind all that drives it."""
        parts = [self.biased[p.name]] if p.name in self.biased else []
        own = p.bias * (p.name not in self.biased)
        for connection in self.program.incoming(p.name):
            parts.append(self.connect(p, connection))
        if not parts:
            raise ModelError(
                f"Population {p.name!r}: nothing feeds it, which no float network here "
                "can say; leave it out of the Program"
            )
        drive = parts[0]
        if len(parts) > 1:
            drive = self.add(Add(f"{p.name}.sum", tuple(parts)))
        self.nodes[p.name] = self.neurons(p, drive, own.astype(np.float64))

    def neurons(self, p: Population, drive: str, bias: FloatArray) -> Neurons:
        """Its neurons, behind what their constants make of j, in integer units."""
        tau_rc, gain = _membrane(p, self.dt)
        threshold = np.asarray(p.threshold, np.float64) + 0.5
        membrane = Membrane(
            f"{p.name}.membrane",
            (drive,),
            resistance=np.full(1, gain),
            rest=gain * bias.reshape(p.shape),
            threshold=np.atleast_1d(threshold),
            reset_to=np.zeros(1),
        )
        inputs = (self.add(membrane),)
        least = p.v_min / float(threshold.min())
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

    def connect(self, p: Population, c: Connection) -> str:
        """A connection behind its synapse; the name of the node of what it brings."""
        keep = (4095 - p.decay_u) / ONE
        source = self.program[c.source]
        synapse = Lowpass(
            f"{c.source}.to.{p.name}",
            (c.source,),
            tau_syn=-self.dt / math.log(keep) if keep else 0.0,
            delay=c.delay,
            shape=source.shape,
        )
        name = self.shaped(self.add(synapse), source.shape, c.source_shape)
        weight = c.effective_weight / (1 - keep)
        node, shape = _linear(f"{c.source}.into.{p.name}", c, weight)
        if isinstance(node, Dense) and len(c.source_shape) > 1:
            name = self.add(Flatten(f"{name}.flat", (name,)))
        return self.shaped(self.add(replace(node, inputs=(name,))), shape, p.shape)

    def decode(self) -> None:
        """What the host makes of the spikes that it reads."""
        decoder, parts = self.program.decoder, []
        for name, amplitude in decoder.reads:
            worth = decoder.gain * amplitude / self.dt
            given, shape = name, self.program[name].shape
            if worth != 1:
                scale, offset = np.full(1, worth), np.zeros(1)
                scaled = Rescale(f"{name}.read", (given,), scale=scale, offset=offset)
                given = self.add(scaled)
            if decoder.others and len(shape) > 1:
                given = self.add(Flatten(f"{given}.flat", (given,)))
            parts.append(given)
        whole = parts[0]
        if decoder.others:
            whole = self.add(Concat("read", tuple(parts)))
            shape = (sum(self.program[name].size for name, _ in decoder.reads),)
        whole = self.shaped(whole, shape, decoder.graph.input.shape)
        whole = self.host(decoder.graph, whole)
        end = Output(decoder.graph.output.name, (whole,))
        self.add(replace(end, settle=decoder.settle, tau_syn=decoder.tau_syn))


def _membrane(p: Population, dt: float) -> tuple[float, float]:
    """Time constant (s; 0: an IF), and the current that adds 1 to v in a step."""
    if p.decay_v:
        return -dt / math.log1p(-p.decay_v / ONE), ONE / p.decay_v
    if p.refractory > 1:
        return FOREVER * dt, -1 / math.expm1(-1 / FOREVER)
    return 0.0, 1 / dt


def _linear(name: str, c: Connection, weight: FloatArray) -> tuple[Node, Shape]:
    """A connection's weights as a node, and the shape of what it gives."""
    if isinstance(c, WindowConnection):
        back = isinstance(c, ConvTransposeConnection)
        node = (ConvTranspose2D if back else Conv2D)(
            name,
            weight=weight,
            bias=np.zeros(weight.shape[-1]),
            stride=c.stride,
            padding=c.padding,
            groups=c.groups,
            dilation=c.dilation,
        )
        return node, c.target_shape
    if isinstance(c, SparseConnection):
        ends = (math.prod(c.source_shape), math.prod(c.target_shape))
        demand_memory(
            f"Connection {c.source!r} → {c.target!r} as a matrix {ends}",
            8 * math.prod(ends),
            "deploy a smaller network",
        )
        whole = np.zeros(ends)
        whole[c.sender, c.receiver] = weight
        weight = whole
    return Dense(name, weight=weight, bias=np.zeros(weight.shape[1])), (
        math.prod(c.target_shape),
    )
