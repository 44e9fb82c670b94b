"""Dequantize: the float Graph that a Program's integers stand for."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ...errors import ModelError
from ...graph.graph import Graph
from ...graph.nodes import FloatArray, Node, Windowed
from ...program.connections import Connection, SparseConnection
from ...program.correction import across
from ...program.host import SpikeEncoder, parts_of
from ...program.program import Population, Program
from .bounds import membrane_gain, synaptic_gain
from .layers import Layer, Synapses, layers
from .rounding import windowed


def dequantize(program: Program) -> Graph:
    """``program.graph`` with the weights and biases that the integers stand for.

    Weights are integers divided by what one unit of the float weight is in them; the
    rounded threshold, which the float model keeps at 1, is divided out too. A spiking
    simulation of it errs by spiking and rounding; one of ``program.graph`` by spiking
    alone.

    >>> from ...graph.nodes import IF, Dense, Input, Lowpass, Output
    >>> graph = Graph.chain(
    ...     Input("x", shape=(2,)),
    ...     IF("a", amplitude=0.004),
    ...     Lowpass("s", tau_syn=0.0),
    ...     Dense("sum", weight=np.array([[80.0], [-39.9]]), bias=np.full(1, 20.0)),
    ...     IF("b", amplitude=0.004),
    ...     Output("y"),
    ... )
    >>> from .quantize import quantize
    >>> program = quantize(graph, np.full((1, 2), 250.0), steps=8)
    >>> print(program)
    BiasEncoder → a: scale 1048
        x: Input() → 2
        a.current: Output(x) → 2
    a: Population 2 δ_u 4095 δ_v 0 θ 1048320 r 1 v_min 0 bias 0
    a → b: DenseConnection 2→1 weight [254 -126] 8 bits exponent 7 delay 1
    b: Population 1 δ_u 4095 δ_v 0 θ 6502400 r 1 v_min 0 bias 130048
    b → Decoder: amplitude 0.004
        b: Input() → 1
        y: Output(b) → 1
    timing: 8 steps of 0.001 s
    >>> print(graph)
    x: Input() → 2
    a: IF(x) amplitude 0.004 → 2
    s: Lowpass(a) → 2
    sum: Dense(s) 2→1 weight [80 -39.9] bias 20 → 1
    b: IF(sum) amplitude 0.004 → 1
    y: Output(b) → 1
    >>> print(dequantize(program))
    x: Input() → 2
    a: IF(x) amplitude 0.004 → 2
    s: Lowpass(a) → 2
    sum: Dense(s) 2→1 weight [80 -39.69] bias 20 → 1
    b: IF(sum) amplitude 0.004 → 1
    y: Output(b) → 1

    Raises:
        ModelError: the Program holds no float Graph, sends its input as spikes, or has
            biases that no node of the Graph can hold.
    """
    graph = program.graph
    if graph is None or program.inputs:
        raise ModelError(
            "Program: de-quantising needs its float graph and a bias encoder"
        )
    changed: dict[str, Node] = {}
    for layer in layers(graph):
        for node in _layer(program, layer):
            changed[node.name] = node
    nodes = tuple(changed.get(node.name, node) for node in graph.nodes)
    return replace(graph, nodes=nodes)


def current_unit(program: Program, layer: Layer, size: int) -> FloatArray:
    """Bias units for one unit of the de-quantised Graph's J, whose threshold is 1.

    Of each of so many neurons or filters in a row, (size,).
    """
    population = program[layer.population.name]
    assert isinstance(population, Population)
    thresholds = np.resize(population.threshold, size)
    unit: FloatArray = thresholds * membrane_gain(layer, program.timing.dt)
    return unit


def without_correction(program: Program, name: str, current: FloatArray) -> FloatArray:
    """The float network's J, (…, neurons), of what drives a population on the core."""
    population = program[name]
    assert isinstance(population, Population)
    correction = population.correction
    return current if correction is None else correction.removed(current)


def spike_unit(program: Program, layer: Layer, synapses: Synapses) -> FloatArray:
    """Integer units for a weight of 1 in the de-quantised Graph, before correction.

    One a filter, as the last axis of the weights is.
    """
    amplitude = amplitude_of(program, synapses.source)
    unit = current_unit(program, layer, synapses.node.weight.shape[-1])
    return unit * synaptic_gain(layer, amplitude, program.timing.dt)


def amplitude_of(program: Program, name: str) -> float:
    """Output of one spike of a population or spike input, integrated over s."""
    member = program[name]
    if isinstance(member, Population):
        return member.amplitude
    (rate,) = (
        part.max_rate
        for part in parts_of(program.encoder)
        if isinstance(part, SpikeEncoder) and part.population == name
    )
    return 1 / rate


def connection_of(program: Program, layer: Layer, synapses: Synapses) -> Connection:
    """The integers of these synapses."""
    (found,) = (
        c
        for c in program.incoming(layer.population.name)
        if (c.source, c.delay) == (synapses.source, synapses.delay)
    )
    return found


def held_weight(program: Program, layer: Layer, synapses: Synapses) -> FloatArray:
    """The float weight that a connection's integers stand for."""
    population = program[layer.population.name]
    assert isinstance(population, Population)
    connection = connection_of(program, layer, synapses)
    spike = spike_unit(program, layer, synapses)
    weight = _weight(connection, synapses) / spike
    if population.correction is None:
        return weight
    held: FloatArray = weight / across(population.correction.gain, weight)
    return held


def _layer(program: Program, layer: Layer) -> list[Node]:
    """The layer's linear nodes, with the numbers that its integers stand for."""
    population = program[layer.population.name]
    assert isinstance(population, Population)
    holder = _holder(layer, population)
    found: list[Node] = []
    for synapses in layer.synapses:
        node = synapses.node
        bias = np.zeros_like(node.bias)
        if synapses is holder:
            held = population.bias.reshape(-1, node.bias.size)[0]
            held = held / current_unit(program, layer, held.size)
            if population.correction is not None:
                held = population.correction.removed(held)
            bias = held.reshape(node.bias.shape)
        weight = held_weight(program, layer, synapses)
        found.append(replace(node, weight=weight, bias=bias))
    return found


def _weight(c: Connection, synapses: Synapses) -> FloatArray:
    """What the connection's spikes add to q, in the form of the node's weight."""
    node, held = synapses.node, c.effective_weight.astype(np.float64)
    if not isinstance(c, SparseConnection):
        return held.reshape(node.weight.shape)
    size = math.prod(c.target_shape)
    if not isinstance(node, Windowed):
        whole: FloatArray = np.zeros((math.prod(c.source_shape), size))
        whole[c.sender, c.receiver] = held
        return whole
    numbers = 1 + np.arange(node.weight.size).reshape(node.weight.shape)
    ends = {"source": c.source, "target": c.target}
    windows = windowed(node, numbers, synapses.shape, **ends)
    source, target, number = (x.ravel() for x in windows.synapses())
    pairs = c.sender.astype(np.int64) * size + c.receiver
    sought = source.astype(np.int64) * size + target
    place = np.searchsorted(pairs, sought).clip(max=pairs.size - 1)
    there = pairs[place] == sought
    weight = np.zeros(node.weight.size)
    weight[number[there] - 1] = held[place[there]]
    return weight.reshape(node.weight.shape)


def _holder(layer: Layer, population: Population) -> Synapses | None:
    """The first synapses whose node can hold all biases, as legalize puts them there.

    Dense has one for each neuron, a convolution the same for all neurons of a channel.
    """
    for synapses in layer.synapses:
        rows = population.bias.reshape(-1, synapses.node.bias.size)
        if (rows == rows[0]).all():
            return synapses
    if not layer.synapses:
        return None
    raise ModelError(
        f"Population {population.name!r}: its biases differ within a channel, which no "
        "layer that feeds it in the Program's float graph can hold; build the Program "
        "from its model again"
    )
