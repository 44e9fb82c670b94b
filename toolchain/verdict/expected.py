"""What a float simulation's neurons must fire, given what they were sent.

A float simulation and the core differ by their neurons, and the differences add up from
layer to layer: the core fires once a step at most and resets to 0, so it loses what is
beyond the threshold, up to one step of every interval (a rate r becomes r / (1 + r·dt)
or more); Nengo's rectified linear neuron fires several times a step, loses nothing, and
ignores negative currents where the core's membrane sinks with them; a float LIF neuron
finds its spike within the step. A bound on all of that together, for rates of deep
networks, allows almost anything, so no bound on the rates' difference tells a wrong
network from a right one.

So a float simulation is held to its own neurons instead, population by population, as
an integer target is in its membrane's history: each population is sent the very spikes
that the simulation recorded in the populations before, and its neurons' equations
(``interpret``, which defines what a Graph means) say how often each must then fire. The
weights and biases are those that the *integers* stand for (``dequantize``), each as
much lower or higher as rounding may have moved it:

    a weight       by one mantissa unit (mantissas are even), 2^(6 + exponent)
    a bias         by half a unit of its 12-bit mantissa
    every current  by 32 / S_v: thresholds are multiples of 64, S_v the membrane's scale

The fewest spikes are those of all weights and biases lowered, the most those of all
raised. Nothing adds up over layers, so the range is narrow: a share of a spike for each
neuron. On 48 random networks of up to five populations no spike of NengoDL's was beyond
it, while one weight of the wrong sign, or one bias left out, was.

What is doubtful: where currents change their sign, a neuron whose membrane is reset
earlier may end up a spike behind; and float32 moves single spikes (tests/test_nengo_dl
allows 0.2 %). ``compare.STRAY`` covers both. A weight whose source or target hardly
fires shows nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..errors import DataError
from ..graph.graph import Graph
from ..graph.interpret import interpret
from ..graph.nodes import FloatArray, Node
from ..passes.quantize.dequantize import (
    connection_of,
    current_unit,
    dequantize,
    spike_unit,
)
from ..passes.quantize.layers import Layer, Synapses, layers
from ..program import arithmetic as core
from ..program.correction import Correction, across
from ..program.host import Stimulus, encode
from ..program.program import Population, Program
from ..program.recording import Recording

BYTES = 64 << 20  # of one population's values held at once, about


@dataclass(frozen=True, eq=False, kw_only=True)
class Expected:
    """Spikes of each neuron, population → (samples, neurons); not whole numbers."""

    fewest: Mapping[str, FloatArray]
    most: Mapping[str, FloatArray]


def expected_counts(
    program: Program, samples: FloatArray, recording: Recording
) -> Expected:
    """Between which numbers of spikes every neuron of a float simulation must be.

    Args:
        program: what ran, with its float Graph.
        samples: what it was given, (samples, *input shape).
        recording: of a float simulation, with spikes.

    Raises:
        DataError: the Program has no float Graph to work it out from, or none that its
            integers can be put into.
    """
    if program.graph is None or program.inputs:
        raise DataError(
            f"Target {recording.target!r}: what its neurons must fire follows from the "
            "Program's float graph, which this Program lacks; say how far rates may "
            "differ with --rate-tolerance"
        )
    middle = dequantize(program)
    portion = max(1, BYTES // (8 * recording.steps * program.neurons))
    ends: list[dict[str, FloatArray]] = []
    for sign in (-1, 1):
        graph = _moved(program, middle, sign)
        parts = [
            _counts(program, graph, samples, recording, slice(i, i + portion), sign)
            for i in range(0, recording.samples, portion)
        ]
        ends.append(
            {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
        )
    return Expected(
        fewest={name: np.minimum(ends[0][name], ends[1][name]) for name in ends[0]},
        most={name: np.maximum(ends[0][name], ends[1][name]) for name in ends[0]},
    )


def _counts(
    program: Program,
    graph: Graph,
    samples: FloatArray,
    recording: Recording,
    part: slice,
    sign: int,
) -> dict[str, FloatArray]:
    """Spikes of each neuron when every population is sent what was recorded."""
    dt = program.timing.dt
    worth = {p.name: p.amplitude / dt for p in program.populations}
    sent = {
        name: (recording.spikes[name][part] * value).reshape(
            -1, recording.steps, *graph.shapes[name]
        )
        for name, value in worth.items()
    }
    stimulus = encode(program.encoder, samples[part], recording.steps, dt)
    found = interpret(
        graph,
        samples[part],
        "spiking",
        steps=recording.steps,
        dt=dt,
        record=tuple(worth),
        sent=sent | _currents(program, graph, stimulus, sign),
    )
    return {
        name: found[name].sum(axis=1).reshape(stimulus.samples, -1) / value
        for name, value in worth.items()
    }


def _currents(
    program: Program, graph: Graph, stimulus: Stimulus, sign: int
) -> dict[str, FloatArray]:
    """The node that feeds a population from the host → J that its bias stands for."""
    found = {}
    for layer in layers(graph):
        name = layer.population.name
        if name in stimulus.bias:
            bias = stimulus.bias[name].astype(np.float64)
            size = bias.shape[1]
            unit = current_unit(program, layer, size)
            threshold = _threshold_error(program, layer, size)
            off = _bias_step(bias) + np.abs(bias) * threshold
            node = layer.population.inputs[0]
            current = (bias + sign * off) / unit
            if (correction := _correction(program, name)) is not None:
                current = correction.removed(current)
            found[node] = current.reshape(-1, *graph.shapes[node])
    return found


def _moved(program: Program, graph: Graph, sign: int) -> Graph:
    """All weights and biases as far up (1) or down (−1) as rounding may have moved."""
    moved: dict[str, Node] = {}
    for layer in layers(graph):
        for synapses in layer.synapses:
            node = synapses.node
            weight, bias = _errors(program, layer, synapses)
            moved[node.name] = replace(
                node, weight=node.weight + sign * weight, bias=node.bias + sign * bias
            )
    nodes = tuple(moved.get(node.name, node) for node in graph.nodes)
    return replace(graph, nodes=nodes)


def _errors(
    program: Program, layer: Layer, synapses: Synapses
) -> tuple[FloatArray, FloatArray]:
    """How far rounding may have moved each weight and bias of a de-quantised node."""
    node = synapses.node
    size = node.weight.shape[-1]
    unit = current_unit(program, layer, size)
    off = _threshold_error(program, layer, size)
    spike = spike_unit(program, layer, synapses)
    connection = connection_of(program, layer, synapses)
    mantissa = 2.0 ** (core.WEIGHT_SHIFT + connection.exponent) / spike
    correction = _correction(program, layer.population.name)
    gain, held = np.ones(1), node.bias
    if correction is not None:
        gain, held = correction.gain, correction.applied(node.bias)
    weight = mantissa * (1 + off) / across(gain, node.weight)
    weight = weight + np.abs(node.weight) * off
    bias = _bias_step(held * unit) / unit + np.abs(held) * off
    return weight, bias / across(gain, node.bias)


def _correction(program: Program, name: str) -> Correction | None:
    population = program[name]
    assert isinstance(population, Population)
    return population.correction


def _threshold_error(program: Program, layer: Layer, size: int) -> FloatArray:
    """Share by which rounding moved the threshold at most, of neurons in a row."""
    population = program[layer.population.name]
    assert isinstance(population, Population)
    error: FloatArray = (
        (1 << core.THRESHOLD_SHIFT) / 2 / np.resize(population.scale, size)
    )
    return error


def _bias_step(bias: FloatArray) -> FloatArray:
    """Half of what lies between two biases that the core can hold, around ``bias``."""
    size = np.maximum(np.abs(bias) / core.MAX_BIAS_MANTISSA, 1.0)
    step: FloatArray = np.exp2(np.ceil(np.log2(size)) - 1)
    return step
