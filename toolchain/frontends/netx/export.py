"""A Program → a NetX file: its very integers, and what the file cannot hold of it.

What NetX has no field for is left out and told. What it has one for that cannot hold
the value is refused: another value would be another network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...errors import DoesNotFit, ModelError
from ...graph import nodes as n
from ...graph.graph import Graph
from ...graph.node import Shape
from ...graph.preparation import ChannelsLast, Rescale
from ...program import arithmetic as core
from ...program.connections import Connection
from ...program.host import BiasEncoder, Encoder, SpikeEncoder
from ...program.program import Population, Program
from ..contract import Written
from .blocks import Block
from .fields import Integers
from .potentials import read_out
from .reading import DT
from .registers import FORGETS, GAIN, Registers
from .synapses import synaptic
from .writing import packed


def to_netx(program: Program) -> Written:
    """The file of a Program that is a chain of layers, each with a loop at most.

    Raises:
        ModelError: its populations are no such chain, or of no shape that NetX has.
        DoesNotFit: a number of it is beyond NetX's own.
    """
    notes: list[str] = []
    blocks = [_input(program, notes)]
    source = program.members[0].name
    if isinstance(program.members[0], Population):
        _demand_first(program, source)
    for population in program.populations:
        if population.name != source:
            blocks += _layer(program, population, source, blocks, notes)
            source = population.name
    read = [name for name, _ in program.decoder.reads]
    if read != [source]:
        raise ModelError(
            f"Program: it reads {read}, and NetX ends with its last layer, {source!r}; "
            "export a chain of layers"
        )
    blocks += read_out(program.decoder, blocks[-1], notes)
    if _unsaid(program):
        blocks = blocks[1:]
    numbered = [replace(b, layer=str(i)) for i, b in enumerate(blocks)]
    _tell_names(program, numbered, notes)
    told = f"NetX cannot hold: {', '.join(notes)}"
    return Written(content=packed(numbered), notes=(told,) if notes else ())


def _unsaid(program: Program) -> bool:
    """Whether the file's first layer takes spikes that no input layer says.

    It is so in files without one, whose first population is called after layer 0.
    """
    first, *_ = program.populations
    flat = all(len(member.shape) == 1 for member in program.inputs)
    return bool(program.inputs) and flat and first.name == "dense0"


def _demand_first(program: Program, name: str) -> None:
    if program.incoming(name):
        raise ModelError(
            f"Population {name!r}: the host feeds it and it has synapses; a NetX input "
            "has none, export a network whose loops begin later"
        )


def _input(program: Program, notes: list[str]) -> Block:
    """The first layer: what enters as spikes, or neurons that the sample drives."""
    encoder, first = program.encoder, program.members[0]
    if program.timing.dt != DT:
        notes.append(f"a step of {program.timing.dt:g} s, where {DT:g} s is read")
    if isinstance(encoder, SpikeEncoder) and len(program.inputs) == 1:
        if encoder.coding != "events":
            notes.append(f"the {encoder.coding} coding of its input's spikes")
        if encoder.graph and any(isinstance(x, Rescale) for x in encoder.graph.nodes):
            notes.append("how its samples are scaled")
        _tell_order(encoder.graph, first.shape, notes)
        return Block(layer="0", kind="input", shape=_shape(first.name, first.shape))
    if not isinstance(encoder, BiasEncoder) or not isinstance(first, Population):
        raise _host_too_much(encoder)
    factor, offset = _transform(encoder)
    _tell_order(encoder.graph, first.shape, notes)
    registers = _registers(first, notes)
    return Block(
        layer="0",
        kind="input",
        shape=_shape(first.name, first.shape),
        registers=replace(registers, i_decay=4096),  # of a current that is always 0
        weight=np.full((1, 1), factor),
        bias=np.full(1, offset),
    )


def _host_too_much(encoder: Encoder) -> ModelError:
    return ModelError(
        f"{type(encoder).__name__}: the host computes layers of the network, and NetX "
        "has none there; build it with --encoder spikes or events, so that all layers "
        "are on the core"
    )


def _transform(encoder: BiasEncoder) -> tuple[int, int]:
    """weight and bias of an input layer, of which 64 times each is the bias."""
    nodes = [x for x in encoder.graph.nodes if not isinstance(x, n.Input | n.Output)]
    scaled = [x for x in nodes if isinstance(x, Rescale)]
    if len(nodes) - len(scaled) > 1 or len(scaled) > 1:
        raise _host_too_much(encoder)
    if any(not isinstance(x, ChannelsLast | Rescale) for x in nodes):
        raise _host_too_much(encoder)
    factor, offset = np.ones(1), np.zeros(1)
    if scaled:
        factor, offset = scaled[0].scale, scaled[0].offset
    found = []
    for name, value in (("scale", factor), ("offset", offset)):
        held = np.asarray(encoder.scale) * value / GAIN
        whole = np.rint(held)
        if np.ptp(held) > 1e-6 or abs(held.flat[0] - whole.flat[0]) > 1e-6:
            raise DoesNotFit(
                f"BiasEncoder → {encoder.population!r}: its {name} is {held.flat[0]:g} "
                "times 64; one whole number for all neurons is allowed in NetX"
            )
        found.append(int(whole.flat[0]))
    return found[0], found[1]


def _tell_order(graph: Graph | None, shape: Shape, notes: list[str]) -> None:
    nodes = graph.nodes if graph is not None else ()
    if len(shape) == 3 and not any(isinstance(x, ChannelsLast) for x in nodes):
        notes.append("that its samples have their channels last, NetX's come first")


def _shape(name: str, shape: Shape) -> Shape:
    """(neurons,) as it is; a picture's channels come first."""
    if len(shape) == 3:
        return (shape[2], *shape[:2])
    if len(shape) == 1:
        return shape
    raise ModelError(
        f"Population {name!r}: its shape is {shape}; (neurons,) or (height, width, "
        "channels) is allowed in NetX"
    )


def _layer(
    program: Program,
    population: Population,
    source: str,
    before: Sequence[Block],
    notes: list[str],
) -> list[Block]:
    """A population with its synapses, behind a flatten where it takes a picture."""
    forward, back = list[Connection](), list[Connection]()
    for c in program.incoming(population.name):
        if c.source not in (source, population.name):
            raise ModelError(
                f"Connection {c.source!r} → {c.target!r}: a NetX layer takes the layer "
                f"before it, {source!r}, and itself; export a chain of layers"
            )
        (forward if c.source == source else back).append(c)
    if not forward:
        raise ModelError(
            f"Population {population.name!r}: it does not take {source!r}, the layer "
            "before it; export a chain of layers"
        )
    taken = before[-1].shape
    block = synaptic(population, forward, back, taken)
    block = replace(block, shape=_shape(population.name, population.shape))
    block = replace(
        block, registers=_registers(population, notes), bias=_bias(population)
    )
    if block.kind.startswith("dense") and len(taken) == 3:
        return [flatten(taken), block]
    return [block]


def flatten(shape: Shape) -> Block:
    """The layer that makes neurons in a row of a picture."""
    return Block(layer="", kind="flatten", shape=(math.prod(shape), 1, 1))


def _registers(population: Population, notes: list[str]) -> Registers:
    what, theta = f"Population {population.name!r}", np.unique(population.threshold)
    if theta.size > 1:
        raise DoesNotFit(
            f"{what}: it has {theta.size} thresholds, {theta[0]} … {theta[-1]}; one is "
            "allowed in NetX (vThMant)"
        )
    forgets = population.decay_v == FORGETS - 1 and population.v_min == 0
    forgets = forgets and theta[0] < FORGETS
    if population.v_min != -core.V_LIMIT and not forgets:
        notes.append(f"v_min {population.v_min} of {population.name!r}")
    if population.v_max != core.V_LIMIT:
        notes.append(f"v_max {population.v_max} of {population.name!r}")
    return Registers(
        i_decay=population.decay_u + 1,
        v_decay=FORGETS if forgets else population.decay_v,
        threshold=int(theta[0]) // GAIN,
        refractory=population.refractory,
    )


def _bias(population: Population) -> Integers | None:
    """Of each neuron or filter; None where all are 0."""
    channels = population.shape[-1]
    rows = population.bias.reshape(-1, channels)
    wrong = population.bias[population.bias % GAIN != 0]
    if wrong.size or (rows != rows[0]).any():
        raise DoesNotFit(
            f"Population {population.name!r}: its biases "
            + (f"are {wrong[0]} and others" if wrong.size else "differ in a channel")
            + "; multiples of 64, one a channel, are allowed in NetX"
        )
    return (rows[0] // GAIN).astype(np.int64) if rows.any() else None


def _tell_names(program: Program, blocks: list[Block], notes: list[str]) -> None:
    """That a reader gives the populations names of their layers."""
    named = [b.name for b in blocks if b.registers is not None]
    if named != [p.name for p in program.populations]:
        notes.append(f"names of its populations: they come back as {', '.join(named)}")
