"""Dequantize: the float Graph that the integers stand for, and no other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from random_graphs import graphs, samples_for

from snn_deploy.toolchain.errors import DoesNotFit, ModelError
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.nodes import (
    LIF,
    Add,
    Conv2D,
    ConvTranspose2D,
    Dense,
    FloatArray,
    Input,
    Output,
    Reshape,
)
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.quantize.dequantize import current_unit, dequantize
from snn_deploy.toolchain.passes.quantize.layers import layers
from snn_deploy.toolchain.passes.quantize.quantize import quantize, scales_of
from snn_deploy.toolchain.passes.quantize.rounding import Scales
from snn_deploy.toolchain.program.arithmetic import IntArray
from snn_deploy.toolchain.program.connections import SparseConnection
from snn_deploy.toolchain.program.host import SpikeEncoder
from snn_deploy.toolchain.program.program import Program

relaxed = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def quantized(graph: Graph) -> tuple[Program, FloatArray]:
    samples = samples_for(graph, 0)
    try:
        return quantize(legalize(graph), samples, steps=5), samples
    except (DoesNotFit, ModelError):
        assume(False)
        raise


def rounded(scales: Scales, threshold: int | IntArray) -> Scales:
    """The same for membrane scales that are the rounded thresholds themselves.

    De-quantised weights are in units of the integers' threshold.
    """
    first = float(np.ravel(threshold)[0])
    factors = np.ravel(threshold)[: len(scales.channels)] / first
    factor = first / scales.membrane
    return replace(
        scales,
        membrane=first,
        current=scales.current * factor,
        weights={source: scale * factor for source, scale in scales.weights.items()},
        channels=tuple(factors.tolist()),
    )


@relaxed
@given(graphs())
def test_quantising_it_again_gives_the_same_integers(graph):
    program, samples = quantized(graph)
    chosen = scales_of(program.graph, samples)
    scales = {p.name: rounded(chosen[p.name], p.threshold) for p in program.populations}
    again = quantize(dequantize(program), samples, steps=5, scales=scales)
    for a, b in zip(program.connections, again.connections, strict=True):
        assert (a.source, a.target, a.exponent) == (b.source, b.target, b.exponent)
        np.testing.assert_array_equal(a.weight, b.weight)
    for p, q in zip(program.populations, again.populations, strict=True):
        assert (p.decay_u, p.decay_v) == (q.decay_u, q.decay_v)
        np.testing.assert_array_equal(p.thresholds, q.thresholds)
        np.testing.assert_array_equal(p.bias, q.bias)


@relaxed
@given(graphs())
def test_it_is_off_by_half_a_step_of_rounding_at_most(graph):
    """Weights by half an (even) mantissa; all else of the Graph is untouched."""
    program, samples = quantized(graph)
    chosen = scales_of(program.graph, samples)
    found = dequantize(program)
    for before, after in zip(layers(program.graph), layers(found), strict=True):
        name = before.population.name
        assert before.population is after.population
        scales = chosen[name]
        for a, b in zip(before.synapses, after.synapses, strict=True):
            size = a.node.weight.shape[-1]
            threshold = np.resize(program[name].threshold, size)
            off = threshold / scales.spread(scales.membrane, size)
            step = 2 / scales.spread(scales.weights[a.source], size)
            error = np.abs(b.node.weight * off - a.node.weight)
            assert (error <= 0.5 * step * (1 + 1e-9)).all()
            assert (a.source, a.tau_syn) == (b.source, b.tau_syn)
        if before.synapses:
            unit = current_unit(program, after, after.bias.size)
            np.testing.assert_allclose(after.bias * unit, program[name].bias, atol=1e-6)


def test_what_it_cannot_do_is_said():
    weight = np.eye(3)
    graph = Graph(
        (
            Input("x", shape=(3,)),
            Dense("d", ("x",), weight=weight, bias=np.zeros(3)),
            LIF("n", ("d",), amplitude=0.01),
            Output("y", ("n",)),
        )
    )
    samples = np.full((2, 3), 0.5)
    program = quantize(legalize(graph), samples, steps=5)
    with pytest.raises(ModelError, match="float graph"):
        dequantize(replace(program, graph=None))
    spiking = quantize(
        legalize(graph, input_spikes=True),
        samples,
        steps=5,
        encoder=SpikeEncoder(population="x"),
    )
    with pytest.raises(ModelError, match="bias encoder"):
        dequantize(spiking)


def mixed(bias_a: FloatArray, bias_b: FloatArray) -> Graph:
    """Two sources of one population, whose channels a Reshape makes other neurons."""
    rng = np.random.default_rng(0)
    return Graph(
        (
            Input("x", shape=(2, 2, 3)),
            LIF("first", ("x",), amplitude=0.01),
            Reshape("flat", ("first",), shape=(3, 1, 4)),
            conv("in", "flat", rng.normal(size=(1, 1, 4, 4)), np.zeros(4)),
            LIF("second", ("in",), amplitude=0.01),
            conv("a", "first", rng.normal(size=(1, 1, 3, 3)), bias_a),
            conv("b", "second", rng.normal(size=(1, 1, 4, 4)), bias_b),
            Reshape("back", ("b",), shape=(2, 2, 3)),
            Add("both", ("a", "back")),
            LIF("third", ("both",), amplitude=0.01),
            Output("y", ("third",)),
        )
    )


def conv(name: str, source: str, weight: FloatArray, bias: FloatArray) -> Conv2D:
    return Conv2D(name, (source,), weight=weight, bias=bias)


def test_biases_of_channels_that_a_reshape_mixes():
    """Held by the source that can hold them all, which legalize made sure of."""
    three, four = np.array([0.5, -0.2, 0.1]), np.array([0.3, -0.4, 0.2, 0.6])
    for biases in ((three, 0 * four), (0 * three, four), (three, four)):
        program, _ = quantized(mixed(*biases))
        found = layers(dequantize(program))[-1]
        unit = current_unit(program, found, found.bias.size)
        np.testing.assert_allclose(found.bias * unit, program["third"].bias, atol=1e-6)


def test_biases_that_no_layer_of_the_graph_can_hold():
    """A Program whose integers are not those of its graph."""
    program, _ = quantized(mixed(np.ones(3), np.zeros(4)))
    *others, third = program.populations
    uneven = replace(third, bias=np.arange(12, dtype=np.int32))
    with pytest.raises(ModelError, match="'third'.*no layer"):
        dequantize(replace(program, populations=(*others, uneven)))


@pytest.mark.parametrize("kind", [Conv2D, ConvTranspose2D])
def test_a_pruned_convolution_comes_back_as_its_kernel(kind):
    """Few weights are stored synapse by synapse, and are a kernel again."""
    rng = np.random.default_rng(0)
    pruned = rng.uniform(-1, 1, (3, 2, 2, 4)) * (rng.random((3, 2, 2, 4)) < 0.3)
    graph = Graph.chain(
        Input("x", shape=(5, 6, 2)),
        LIF("a", amplitude=0.01),
        kind("pruned", weight=pruned, bias=np.zeros(4)),
        LIF("b", amplitude=0.01),
        Output("y"),
    )
    program = quantize(legalize(graph), np.ones((1, 5, 6, 2)), steps=4)
    (held,) = program.connections
    assert isinstance(held, SparseConnection)
    (back,) = [x for x in dequantize(program).nodes if x.name == "pruned"]
    np.testing.assert_allclose(back.weight, pruned, atol=0.01)
