"""A scale for each channel: which share one, and that weights lose less."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_graphs import graphs, samples_for
from uneven_networks import one_scale, pictures, uneven

from snn_deploy.calibration.balance import balance
from snn_deploy.toolchain.errors import SnnDeployError
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import evaluate
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.quantize.bounds import Bounds
from snn_deploy.toolchain.passes.quantize.channels import grouped
from snn_deploy.toolchain.passes.quantize.dequantize import dequantize
from snn_deploy.toolchain.passes.quantize.layers import layers
from snn_deploy.toolchain.passes.quantize.quantize import quantize, scales_of
from snn_deploy.toolchain.passes.quantize.rounding import Scales
from snn_deploy.toolchain.program import arithmetic as core
from snn_deploy.toolchain.program.program import Program

DT, STEPS = 0.001, 24
relaxed = settings(deadline=None, suppress_health_check=list(HealthCheck))


# --- grouping ------------------------------------------------------------------------

SIZES = st.lists(st.floats(0.1, 1e4), min_size=1, max_size=10)


@given(SIZES, st.data())
def test_no_grouping_into_seven_has_less_noise(sizes, data):
    largest = np.array(sizes)
    heard = np.array([data.draw(st.booleans()) for _ in sizes])
    found = grouped(largest, heard)
    assert (found <= largest).all() and np.unique(found).size <= 7
    levels, best = np.unique(largest), math.inf
    for more in range(min(7, levels.size)):
        for chosen in itertools.combinations(levels[1:], more):
            all_ = np.array([levels[0], *chosen])
            scale = all_[np.searchsorted(all_, largest, side="right") - 1]
            best = min(best, (heard / scale**2).sum())
    assert (heard / found**2).sum() == pytest.approx(best)


def test_thousands_of_channels_are_grouped_as_well():
    largest = np.exp(np.random.default_rng(0).normal(size=20_000))
    found = grouped(largest, largest > 0)
    assert (found <= largest).all() and np.unique(found).size <= 7
    assert (1 / found**2).sum() < 2.5 * (1 / largest**2).sum()


# --- what is chosen ------------------------------------------------------------------


def error_of(graph: Graph, scales: dict[str, Scales], bits: int) -> dict[str, float]:
    """Population → squared error of its weights, in thresholds a spike."""
    amplitudes = {x.name: x.amplitude for x in graph.nodes if isinstance(x, n.Neurons)}
    how = dict(amplitudes=amplitudes, dt=DT, largest=2.0**bits - 2, peak=0.0)
    return {
        layer.population.name: Bounds(layer=layer, **how).error(
            scales[layer.population.name]
        )
        for layer in layers(graph)
    }


@settings(relaxed, max_examples=60)
@given(graphs(), st.integers(2, 8))
def test_weights_never_err_more_than_with_one_scale(graph, bits):
    samples = samples_for(graph, 0)
    try:
        legal = legalize(graph)
        found = scales_of(legal, samples, weight_bits=bits)
        program = quantize(legal, samples, steps=5, scales=found)
        with one_scale():
            before = scales_of(legal, samples, weight_bits=bits)
    except SnnDeployError:
        assume(False)
    assert all(np.unique(p.threshold).size <= 7 for p in program.populations)
    assert all(p.v_min == 0 for p in program.populations)
    error, old = error_of(legal, found, bits), error_of(legal, before, bits)
    assert all(error[name] <= old[name] for name in error)


@settings(relaxed, max_examples=40)
@given(graphs(), st.integers(3, 8))
def test_no_sum_that_could_not_overflow_can(graph, bits):
    """Nothing wraps around, whatever spikes, that could not with one scale."""
    samples = samples_for(graph, 0)
    try:
        legal = balance(legalize(graph), samples)
        program = quantize(legal, samples, steps=5, weight_bits=bits)
        with one_scale():
            before = quantize(legal, samples, steps=5, weight_bits=bits)
    except SnnDeployError:
        assume(False)
    for p in program.populations:
        worst = [
            sum((c.worst_q for c in made.incoming(p.name)), np.zeros(p.size, np.int64))
            for made in (program, before)
        ]
        now, then = (core.worst_current(q, p.decay_u) for q in worst)
        assert ((worst[0] < 1 << core.Q_BITS) | (worst[0] <= worst[1])).all()
        assert ((now < 1 << core.U_BITS) | (now <= then)).all()


def decibels(graph: Graph, program: Program) -> dict[str, float]:
    """Node → signal-to-quantization-noise of its weights, dB."""
    held = {
        s.node.name: s.node for x in layers(dequantize(program)) for s in x.synapses
    }
    return {
        name: 10
        * math.log10(
            np.square(graph[name].weight).sum()
            / np.square(graph[name].weight - node.weight).sum()
        )
        for name, node in held.items()
    }


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("kind", [n.LIF, n.IF])
def test_channels_of_different_strength_keep_their_bits(kind, bits):
    """Five networks: the weights, and the answers that the integers stand for."""
    gains, ratios = [], []
    for seed in range(5):
        graph, x = uneven(kind, seed), pictures(count=20)
        program = quantize(graph, x, steps=STEPS, weight_bits=bits)
        with one_scale():
            before = quantize(graph, x, steps=STEPS, weight_bits=bits)
        found, old = decibels(graph, program), decibels(graph, before)
        gains += [found[name] - old[name] for name in found]
        wanted = evaluate(graph, x)
        errors = [
            np.abs(evaluate(dequantize(made), x) - wanted).mean()
            for made in (program, before)
        ]
        ratios.append(errors[0] / errors[1])
    assert min(gains) > 1.5 and np.mean(gains) > 4
    assert max(ratios) < 1.1 and np.exp(np.log(ratios).mean()) < 0.65


def test_a_channel_without_weights_or_with_one_outlier_leaves_the_others_their_bits():
    weight = np.random.default_rng(0).normal(size=(12, 10)) * 30
    weight[:, 3] = 0
    weight[2, 7] = 400 * 30
    graph = legalize(
        Graph(
            (
                n.Input("x", shape=(12,)),
                n.IF("a", ("x",), amplitude=0.01),
                n.Dense("d", ("a",), weight=weight, bias=np.zeros(10)),
                n.IF("b", ("d",), amplitude=0.01),
                n.Output("y", ("b",)),
            )
        )
    )
    program = quantize(graph, np.ones((1, 12)), steps=5)
    (connection,) = program.connections
    largest = np.abs(connection.weight).max(axis=0)
    assert largest[3] == 0 and largest[7] == 254
    assert (np.delete(largest, [3, 7]) > 150).all()


def test_weights_that_will_be_trained_on_share_one_scale():
    """Those of a weak channel may grow as far as a strong one's."""
    scales = scales_of(uneven(n.LIF, 0), pictures(), moving=True)
    assert not any(s.channels for s in scales.values())


@pytest.mark.parametrize("floor", [-1.0, -4.0])
def test_every_channel_can_fall_as_far_as_the_float_neuron(floor):
    graph = uneven(n.LIF, 0, floor)
    program = quantize(graph, pictures(), steps=STEPS)
    for p in program.populations:
        assert p.v_min == round(floor * np.max(p.scale))
        assert (p.v_min / p.thresholds <= floor * 0.999).all()
        assert (p.v_min / p.thresholds >= floor * 4.001).all()
    assert any(np.unique(p.threshold).size > 2 for p in program.populations)


def test_no_floor_is_a_low_one_for_all():
    for p in quantize(uneven(n.IF, 0, -math.inf), pictures(), steps=5).populations:
        assert p.v_min == -core.V_LIMIT and p.thresholds.max() <= core.V_LIMIT / 15
