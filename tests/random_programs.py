"""Random small Programs for property tests, and the plain loop that says what they do.

Hypothesis draws what shrinks well (structure and constants); the arrays come from a
NumPy generator with a drawn seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.nodes import FloatArray, Input, Output, Shape
from snn_deploy.toolchain.program import arithmetic as core
from snn_deploy.toolchain.program.connections import (
    Connection,
    ConvConnection,
    ConvTransposeConnection,
    DenseConnection,
    SparseConnection,
    WindowConnection,
)
from snn_deploy.toolchain.program.host import (
    BiasEncoder,
    BoolArray,
    Decoder,
    SpikeEncoder,
    Stimulus,
    encode,
)
from snn_deploy.toolchain.program.program import Population, Program, SpikeInput, Timing
from snn_deploy.toolchain.program.step import step

DECAYS = st.one_of(st.sampled_from((0, 1, 200, 4094, 4095)), st.integers(0, 4095))
V_MINS = st.sampled_from((0, 0, -core.V_LIMIT, -1, -70_000))
SIDES = st.integers(1, 6)  # pixels
LARGEST = 600  # neurons; six sources of that size are within a core's 4096 axons
Drawn = st.DrawFn
Synapse = tuple[int, int, int]  # source neuron, target neuron, what a spike adds to q


def simulate_oracle(program: Program, stimulus: Stimulus) -> dict[str, BoolArray]:
    """Population → spikes (samples, steps, neurons): the specification of every target.

    State starts at zero; a spike at step t − delay acts at step t.
    """
    count, steps = stimulus.samples, stimulus.steps
    spikes = {
        p.name: np.zeros((count, steps, p.size), bool) for p in program.populations
    }
    spikes |= stimulus.spikes
    state = {
        p.name: np.zeros((3, count, p.size), np.int64) for p in program.populations
    }
    for t in range(steps):
        for p in program.populations:
            q = np.zeros((count, p.size), np.int64)
            for c in program.incoming(p.name):
                if t >= c.delay:
                    q += synaptic_sum(c, spikes[c.source][:, t - c.delay])
            bias = stimulus.bias.get(p.name, p.bias)
            spikes[p.name][:, t], *after = step(p, q, bias, *state[p.name])
            state[p.name] = np.stack(after)
    return {p.name: spikes[p.name] for p in program.populations}


def synaptic_sum(connection: Connection, spikes: BoolArray) -> core.IntArray:
    """Σ weight · spike for every sample and target neuron, tap by tap."""
    channels_in, channels_out = connection.inputs, connection.outputs
    samples, taps = len(spikes), connection.taps
    pixels = spikes.reshape(samples, -1, channels_in)
    units = math.prod(connection.target_shape) // channels_out
    q = np.zeros((units, samples, channels_out), np.int64)
    some = pixels.any(axis=(0, 2))[taps.source]  # a tap without a spike adds nothing
    weight = connection.effective[taps.kernel[some]]
    sums = np.einsum("sti,tio->tso", pixels[:, taps.source[some]], weight, dtype=int)
    np.add.at(q, taps.target[some], sums)
    return q.transpose(1, 0, 2).reshape(samples, -1)


def synapses(c: Connection) -> Iterator[Synapse]:
    """Every synapse by itself, from the equations in nodes.py.

    A kernel's position that is 0 for all of a group has none.
    """
    for block in blocks(c):
        yield from zip(*(a.ravel().tolist() for a in np.broadcast_arrays(*block)))


def matrix(connection: Connection) -> core.IntArray:
    """All synapses, as (source neurons, target neurons)."""
    ends = (connection.source_shape, connection.target_shape)
    full = np.zeros([math.prod(shape) for shape in ends], np.int64)
    for source, target, weight in blocks(connection):
        np.add.at(full, (source, target), weight)
    return full


def blocks(c: Connection) -> Iterator[tuple[core.IntArray, ...]]:
    """Synapses of a kernel's position at a place: source, target, what a spike adds."""
    weight = (c.weight * 2.0 ** (6 + c.exponent)).astype(np.int64)
    if isinstance(c, SparseConnection):
        yield c.sender, c.receiver, weight
    if isinstance(c, DenseConnection):
        yield np.arange(len(weight))[:, None], np.arange(weight.shape[1]), weight
    if not isinstance(c, WindowConnection):
        return
    (top, _), (left, _) = c.padding
    large, small = c.source_shape, c.target_shape
    if isinstance(c, ConvTransposeConnection):
        large, small = small, large
    rows, columns, inputs, filters = weight.shape
    each = filters // c.groups
    for i, j, m, n in np.ndindex(*small[:2], rows, columns):
        y = i * c.stride[0] + m * c.dilation[0] - top
        x = j * c.stride[1] + n * c.dilation[1] - left
        if not (0 <= y < large[0] and 0 <= x < large[1]):
            continue
        one, other = y * large[1] + x, i * small[1] + j
        if isinstance(c, ConvTransposeConnection):
            one, other = other, one
        for group in range(c.groups):
            part = weight[m, n, :, group * each : (group + 1) * each]
            if not part.any():
                continue
            source = (one * c.groups + group) * inputs + np.arange(inputs)
            target = (other * c.groups + group) * each + np.arange(each)
            yield source[:, None], target, part


@st.composite
def programs(
    draw: Drawn, recurrent: bool = False, delays: bool = False, encoder: str = ""
) -> Program:
    """Programs of 1 to 4 populations behind a bias or a spike encoder.

    Args:
        draw: hypothesis's.
        recurrent: some populations are connected to themselves or to earlier ones.
        delays: some connections take more than one step.
        encoder: "bias" or "spikes", either where "".
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = encoder or draw(st.sampled_from(("bias", "spikes")))
    image = st.tuples(SIDES, SIDES, st.integers(1, 3))
    shape = draw(st.one_of(image, image, image, st.tuples(SIDES)))
    sources: dict[str, Shape] = {"first": shape}
    connections: list[Connection] = []
    populations: list[Population] = []
    scale = float(draw(st.sampled_from((50, 3000, 100_000, core.MAX_BIAS))))
    if kind == "bias":
        populations.append(draw(population(rng, "first", shape, scale)))
    for i in range(draw(st.integers(kind == "spikes", 3))):
        name, incoming = f"p{i}", []
        source = draw(st.sampled_from(sorted(sources)))
        incoming.append(draw(any_connection(rng, source, sources[source], name)))
        target = incoming[0].target_shape
        for source in draw(st.sets(st.sampled_from(sorted(sources)), max_size=2)):
            incoming.append(draw(matching(rng, source, sources[source], name, target)))
        if recurrent:
            incoming += draw(
                st.lists(matching(rng, name, target, name, target), max_size=1)
            )
        connections += incoming
        populations.append(draw(population(rng, name, target, _drive(incoming))))
        sources[name] = target
    cores = {p.name: p.shape for p in populations}
    if recurrent:
        back = draw(
            st.lists(st.tuples(*[st.sampled_from(sorted(cores))] * 2), max_size=2)
        )
        for source, name in back:
            connections.append(
                draw(dense(rng, source, cores[source], name, cores[name]))
            )
    if delays:
        waits = st.one_of(st.integers(1, 4), st.just(63))
        connections = [replace(c, delay=draw(waits)) for c in connections]
    program = Program(
        inputs=() if kind == "bias" else (SpikeInput(name="first", shape=shape),),
        populations=tuple(populations),
        connections=tuple(connections),
        encoder=_encoder(draw, kind, shape, scale),
        decoder=Decoder(
            graph=identity(populations[-1].shape),
            population=populations[-1].name,
            amplitude=0.001,
        ),
        timing=Timing(dt=0.001, steps=draw(st.integers(1, 25))),
    )
    program.check()
    return program


@st.composite
def presentations(draw: Drawn, program: Program) -> tuple[FloatArray, int]:
    """1 to 3 samples for a Program, in 0 … 1, and the steps to run them for."""
    steps = draw(st.integers(1, 25))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(1, 3))
    encoder = program.encoder
    if isinstance(encoder, BiasEncoder):
        return rng.uniform(-0.2, 1, (count, *encoder.graph.input.shape)), steps
    shape = program[encoder.population].shape
    if encoder.coding == "events":
        active = rng.random((count, steps, *shape)) < draw(st.sampled_from((0.1, 0.6)))
        return active.astype(np.float64), steps
    return rng.random((count, *shape)), steps


@st.composite
def stimuli(draw: Drawn, program: Program) -> Stimulus:
    """What enters the core for ``presentations``."""
    samples, steps = draw(presentations(program))
    return encode(program.encoder, samples, steps, program.timing.dt)


def identity(shape: Shape) -> Graph:
    """A Graph that changes nothing."""
    return Graph((Input("x", shape=shape), Output("y", ("x",))))


def _encoder(
    draw: Drawn, kind: str, shape: Shape, scale: float
) -> BiasEncoder | SpikeEncoder:
    if kind == "bias":
        return BiasEncoder(graph=identity(shape), population="first", scale=scale)
    coding = draw(st.sampled_from(("rate", "latency", "events")))
    return SpikeEncoder(population="first", coding=coding, max_rate=300.0)


@st.composite
def population(
    draw: Drawn, rng: np.random.Generator, name: str, shape: Shape, drive: float
) -> Population:
    """A population whose threshold is mostly a few times the ``drive`` of one step."""
    likely = st.sampled_from((0.1, 0.4, 1.0, 4.0)).map(lambda factor: factor * drive)
    threshold = draw(
        st.one_of(likely, likely, likely, st.sampled_from((0, core.MAX_THRESHOLD)))
    )
    size = math.prod(shape)
    level = draw(st.sampled_from((0.0, 0.1 * drive, drive, core.MAX_BIAS)))
    return Population(
        name=name,
        shape=shape,
        decay_u=draw(DECAYS),
        decay_v=draw(DECAYS),
        threshold=draw(thresholds(rng, shape[-1], threshold)),
        bias=core.round_bias(rng.uniform(-level, level, size)),
        refractory=draw(st.integers(1, 4)),
        v_min=draw(V_MINS),
    )


@st.composite
def thresholds(
    draw: Drawn, rng: np.random.Generator, channels: int, level: float
) -> int | core.IntArray:
    """One for all, or one a channel, of as many as a core holds, around ``level``."""
    kinds = draw(st.sampled_from((0, 1, 2, core.MAX_THRESHOLDS)))
    around = level * rng.choice((0.1, 0.5, 1, 2, 8), kinds) if kinds else level
    held = np.minimum(around, core.MAX_THRESHOLD).astype(np.int32) >> 6 << 6
    return rng.choice(held, channels) if kinds else int(held)


@st.composite
def mantissas(
    draw: Drawn, rng: np.random.Generator, shape: Shape
) -> tuple[core.IntArray, int]:
    """Legal mantissas (…, in, out) and their exponent; at times all at the limits."""
    exponent = draw(
        st.one_of(st.integers(0, 3), st.integers(-core.MAX_EXPONENT, core.MAX_EXPONENT))
    )
    grain = 2 << max(-exponent, 0)
    if draw(st.integers(0, 4)) == 0:
        weight = rng.choice((-1, 1, 1), shape) * core.MAX_MANTISSA
    else:
        weight = rng.integers(-core.MAX_MANTISSA // 2, core.MAX_MANTISSA + 1, shape)
    return (np.trunc(weight / grain) * grain).astype(np.int16), exponent


def _drive(connections: list[Connection]) -> float:
    """About what arrives in one step, in units of q."""
    worst = [float(np.median(c.worst_q)) for c in connections]
    return 0.2 * max(worst) + 64


@st.composite
def dense(
    draw: Drawn,
    rng: np.random.Generator,
    source: str,
    shape: Shape,
    target: str,
    into: Shape,
) -> Connection:
    """All to all, between populations of any shape."""
    weight, exponent = draw(mantissas(rng, (math.prod(shape), math.prod(into))))
    return DenseConnection(
        source=source, target=target, weight=weight, exponent=exponent, shape=shape
    )


@st.composite
def sparse(
    draw: Drawn,
    rng: np.random.Generator,
    source: str,
    shape: Shape,
    target: str,
    into: Shape,
) -> Connection:
    """Some of all pairs, between populations of any shape."""
    share = draw(st.sampled_from((0.1, 0.5, 1.0)))
    there = rng.random((math.prod(shape), math.prod(into))) < share
    there[rng.integers(len(there)), rng.integers(there.shape[1])] = True
    sender, receiver = (ends.astype(np.int32) for ends in np.nonzero(there))
    weight, exponent = draw(mantissas(rng, (1, sender.size)))
    return SparseConnection(
        source=source,
        target=target,
        weight=weight[0],
        exponent=exponent,
        sender=sender,
        receiver=receiver,
        shape=shape,
        into=into,
    )


@st.composite
def any_connection(
    draw: Drawn, rng: np.random.Generator, source: str, shape: Shape, target: str
) -> Connection:
    """Dense, convolution or transposed convolution; it decides its target's shape."""
    if len(shape) != 3 or draw(st.integers(0, 4)) == 0:
        into = (draw(st.integers(1, 20)),)
        kind = draw(st.sampled_from((dense, dense, sparse)))
        return draw(kind(rng, source, shape, target, into))
    pair = st.tuples(st.integers(0, 2), st.integers(0, 2))
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = draw(st.tuples(pair, pair))
    filters = draw(st.one_of(st.integers(1, 5), st.sampled_from((8, 16, 17))))
    groups = draw(st.sampled_from([1, 1, shape[2]]))
    dilation = draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (2, 3)]))
    filters *= groups
    weight, exponent = draw(mantissas(rng, (*kernel, shape[2] // groups, filters)))
    if draw(st.booleans()):  # a position that no tap takes
        weight[0, 0] = 0
    for kind in draw(st.permutations((ConvConnection, ConvTransposeConnection))):
        connection = kind(
            source=source,
            target=target,
            weight=weight,
            exponent=exponent,
            shape=shape,
            stride=stride,
            padding=padding,
            groups=groups,
            dilation=dilation,
        )
        into = connection.target_shape
        if min(into[:2]) >= 1 and max(into) < 20 and math.prod(into) <= LARGEST:
            return connection
    return draw(dense(rng, source, shape, target, (filters,)))


@st.composite
def matching(
    draw: Drawn,
    rng: np.random.Generator,
    source: str,
    shape: Shape,
    target: str,
    into: Shape,
) -> Connection:
    """A connection into a shape that is given: a 3 × 3 convolution or dense."""
    if len(shape) == len(into) == 3 and shape[:2] == into[:2] and draw(st.booleans()):
        weight, exponent = draw(mantissas(rng, (3, 3, shape[2], into[2])))
        return ConvConnection(
            source=source,
            target=target,
            weight=weight,
            exponent=exponent,
            shape=shape,
            padding=((1, 1), (1, 1)),
        )
    return draw(dense(rng, source, shape, target, into))
