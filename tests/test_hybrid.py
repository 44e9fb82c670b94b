"""Hybrid networks: what is trained is what is deployed, and how gradients flow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from drawing import drawn
from hypothesis import given
from hypothesis import strategies as st
from moved_weights import move_weights
from random_graphs import graphs, samples_for
from random_programs import simulate_oracle

from snn_deploy.calibration.balance import balance
from snn_deploy.toolchain.errors import DataError, DoesNotFit, SnnDeployError
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import interpret
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.quantize.quantize import quantize, scales_of
from snn_deploy.toolchain.program import arithmetic as core
from snn_deploy.toolchain.program.host import decode, encode
from snn_deploy.toolchain.program.program import Program

tf = pytest.importorskip("tensorflow", reason="hybrid networks are TensorFlow's")
from snn_deploy.models.cotraining import core_neurons  # noqa: E402
from snn_deploy.models.cotraining import hybrid_neurons as neurons  # noqa: E402
from snn_deploy.models.cotraining.hybrid import HybridNetwork  # noqa: E402
from snn_deploy.models.cotraining.semantics import forward  # noqa: E402

STEPS = 24
NEURONS = {
    "lif, no refractory step": lambda *a: n.LIF(*a, amplitude=0.01, tau_ref=0.0),
    "lif, 1 refractory step": lambda *a: n.LIF(*a, amplitude=0.01, tau_ref=0.001),
    "lif, 2, v down to −1": lambda *a: n.LIF(*a, amplitude=0.01, min_voltage=-1.0),
    "lif, 3 refractory steps": lambda *a: n.LIF(*a, amplitude=0.01, tau_ref=0.003),
    "if": lambda *a: n.IF(*a, amplitude=0.01),
    "if, v down to −1": lambda *a: n.IF(*a, amplitude=0.01, min_voltage=-1.0),
    "lif, whole steps": lambda *a: n.LIF(*a, amplitude=0.01, whole_steps=True),
}
LIF, IF = "lif, 2, v down to −1", "if"
MIXED = [tuple(NEURONS)[at : at + 4] for at in (0, 2)]  # a population each
WHOLE = ("lif, whole steps", IF) * 2


def convolutions(kinds: Sequence[str], tau_syn: float) -> Graph:
    """conv → strided conv → transposed conv → dense → linear read-out, legalised.

    Args:
        kinds: of neurons, of the four populations.
        tau_syn: s.
    """
    rng, make = np.random.default_rng(0), [NEURONS[kind] for kind in kinds]
    units = [60.0 if k.startswith("if") else 1.0 for k in kinds]  # of J: Hz, or θ

    def weights(unit: float, *shape: int) -> dict[str, n.FloatArray]:
        weight = rng.normal(size=shape) * 3 / math.sqrt(math.prod(shape[:-1]))
        bias = rng.normal(0.8, 0.5, shape[-1])
        return {"weight": unit * weight, "bias": unit * bias}

    same, uneven = ((1, 1), (1, 1)), ((0, 1), (1, 0))
    apart = {"stride": (2, 2), "padding": uneven}
    graph = Graph(
        (
            n.Input("x", shape=(6, 6, 2)),
            n.Conv2D("a", ("x",), padding=same, **weights(units[0], 3, 3, 2, 3)),
            make[0]("A", ("a",)),
            n.Conv2D("b", ("A",), **apart, **weights(units[1], 3, 3, 3, 4)),
            make[1]("B", ("b",)),
            n.ConvTranspose2D("c", ("B",), **apart, **weights(units[2], 3, 3, 4, 2)),
            make[2]("C", ("c",)),
            n.Flatten("flat", ("C",)),
            n.Dense("d", ("flat",), **weights(units[3], 72, 5)),
            make[3]("D", ("d",)),
            n.Dense("read", ("D",), **weights(1.0, 5, 3)),
            n.Output("y", ("read",), settle=0.01),
        )
    )
    return legalize(graph, tau_syn)


def network(graph: Graph, x: n.FloatArray, **options: object) -> HybridNetwork:
    return HybridNetwork(graph, scales_of(graph, x), **options)


def deployed(net: HybridNetwork, x: n.FloatArray, steps: int = STEPS) -> Program:
    return quantize(net.to_graph(), x, steps=steps, scales=net.scales)


def assert_same_spikes(net: HybridNetwork, x: n.FloatArray, steps: int = STEPS) -> int:
    """The forward pass against the core's specification; how many spikes there were."""
    program = deployed(net, x, steps)
    wanted = simulate_oracle(program, encode(program.encoder, x, steps, net.dt))
    activity = forward(net, x, steps, record=True)
    for name, spikes in wanted.items():
        found = activity.spikes[name].numpy().transpose(1, 0, 2)
        for t in range(steps):
            different = np.flatnonzero((found[:, t] != spikes[:, t]).any(0))
            assert not different.size, f"{name}, step {t}: neurons {different}"
    read = decode(program.decoder, wanted, net.dt)
    np.testing.assert_allclose(activity.output, read, rtol=1e-5, atol=1e-5)
    return sum(int(spikes.sum()) for spikes in wanted.values())


@pytest.mark.parametrize("tau_syn", [0.0, 0.005])
@pytest.mark.parametrize("kinds", MIXED)
def test_forward_pass_gives_the_spikes_of_the_deployed_integers(kinds, tau_syn):
    graph = convolutions(kinds, tau_syn)
    x = np.random.default_rng(1).random((3, 6, 6, 2))
    assert assert_same_spikes(network(graph, x), x) > 100


@pytest.mark.parametrize(
    "gradient", ["rate", pytest.param("time", marks=pytest.mark.slow)]
)
def test_weights_that_training_moved_give_the_same_spikes_too(gradient):
    """After updates: rounded anew, brought back to the mantissas, biases as well."""
    graph = convolutions([LIF] * 4, 0.0)
    x = np.random.default_rng(1).random((3, 6, 6, 2))
    net = network(graph, x, gradient=gradient)
    move_weights(net, seed=2, share=0.3)
    assert assert_same_spikes(net, x) > 100


@drawn(
    graph=graphs(),
    seed=st.integers(0, 99),
    tau_syn=st.sampled_from((0.0, 0.005)),
    few=3,
    many=12,
)
def test_forward_pass_of_any_graph(graph, seed, tau_syn):
    x = samples_for(graph, seed)
    try:
        legal = legalize(graph, tau_syn)
        legal = balance(legal, x)
        net = network(legal, x, compiled=False)
        deployed(net, x)
    except SnnDeployError:
        return  # no core holds it
    assert_same_spikes(net, x, 16)


def test_forward_pass_without_xla_is_the_same():
    graph = convolutions(MIXED[1], 0.005)
    x = np.random.default_rng(1).random((3, 6, 6, 2))
    plain = forward(network(graph, x, compiled=False), x, STEPS, record=True)
    fast = forward(network(graph, x), x, STEPS, record=True)
    for name, spikes in plain.spikes.items():
        np.testing.assert_array_equal(spikes, fast.spikes[name])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_biases_are_rounded_as_the_host_rounds_them(values):
    bias = np.array([*values, 4095.5, 8190.0, 8191.0, -524160.0])
    np.testing.assert_array_equal(
        core_neurons.round_bias(tf.constant(bias)), core.round_bias(bias)
    )


def test_network_refuses_more_synapses_than_float32_sums_exactly():
    size = (2**24 - 1) // 127 + 1
    graph = Graph(
        (
            n.Input("x", shape=(1,)),
            n.Dense("a", ("x",), weight=np.ones((1, size)), bias=np.zeros(size)),
            n.LIF("A", ("a",)),
            n.Dense("b", ("A",), weight=np.ones((size, 1)), bias=np.zeros(1)),
            n.LIF("B", ("b",)),
            n.Output("y", ("B",)),
        )
    )
    legal = legalize(graph)
    with pytest.raises(DoesNotFit, match="'A' → 'B'.* 132105 synapses.*132104"):
        network(legal, np.ones((1, 1)))


def test_network_refuses_unknown_names_and_too_few_steps():
    graph = convolutions([IF] * 4, 0.0)
    x = np.random.default_rng(1).random((1, 6, 6, 2))
    with pytest.raises(DataError, match="gradient 'exact' is unknown"):
        network(graph, x, gradient="exact")
    with pytest.raises(DataError, match="semantics 'exact' is unknown"):
        forward(network(graph, x), x, STEPS, "exact")
    hasty = Graph(
        tuple(replace(o, settle=0.0) if o is graph.output else o for o in graph.nodes)
    )
    with pytest.raises(DoesNotFit, match="3 steps are run and the network is 4 steps"):
        forward(network(hasty, x), x, 3)


@pytest.mark.parametrize("tau_syn", [0.0, 0.005])
@pytest.mark.parametrize("kinds", [*MIXED, WHOLE])
def test_float_semantics_give_the_spikes_of_interpret(kinds, tau_syn):
    """In float32, so a potential within 1e−5 of the threshold may fall either way."""
    graph = convolutions(kinds, tau_syn)
    x = np.random.default_rng(1).random((3, 6, 6, 2))
    activity = forward(network(graph, x), x, STEPS, "float", record=True)
    names = list(activity.spikes)
    wanted = interpret(graph, x, "spiking", steps=STEPS, record=names)
    for name in names:
        series = wanted[name].reshape(3, STEPS, -1) * 0.001 / 0.01
        found = activity.spikes[name].numpy().transpose(1, 0, 2)
        assert np.mean(np.abs(found - series) > 0.5) < 1e-3, name
    np.testing.assert_allclose(activity.output, wanted["y"], rtol=1e-3, atol=1e-3)


def test_float_gradients_are_those_of_a_plain_loop():
    graph = convolutions([LIF, IF, IF, LIF], 0.005)
    x = np.random.default_rng(1).random((2, 6, 6, 2)).astype(np.float32)
    net = network(graph, x)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(forward(net, x, STEPS, "float").output))
    found = tape.gradient(loss, net.trainable_variables)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(_plain_loop(net, x, STEPS)))
    wanted = tape.gradient(loss, net.trainable_variables)
    for variable, a, b in zip(net.trainable_variables, found, wanted):
        assert np.abs(b).max() > 0, variable.name
        scale = np.abs(b).max()
        np.testing.assert_allclose(
            a / scale, b / scale, atol=1e-4, err_msg=variable.name
        )


def _plain_loop(net: HybridNetwork, x, steps: int):
    """Step by step, all layers a step, every spike the rate's gradient."""
    k = {name: net.kernel(name) for name in net.kernels}
    b = {name: net.bias_of(name) for name in net.biases}
    keep = math.exp(-0.001 / 0.005)
    (first, *_, last) = net.layers
    state = {p.population.name: [0.0, 0.0] for p in net.layers}
    held = {p.population.name: 0.0 for p in net.layers}
    read = []

    def conv(z, name, stride, pads):
        pads = [[0, 0], *pads, [0, 0]]
        return tf.nn.conv2d(z, k[name], stride, pads) + b[name]

    def transposed(z):
        kernel = tf.transpose(k["c"], (0, 1, 3, 2))
        pads = [[0, 0], [0, 1], [1, 0], [0, 0]]
        return tf.nn.conv2d_transpose(z, kernel, (2, 6, 6, 2), 2, pads) + b["c"]

    currents = {
        "A": lambda: conv(x, "a", 1, [[1, 1], [1, 1]]),
        "B": lambda: conv(held["A"] + tf.zeros((2, 6, 6, 3)), "b", 2, [[0, 1], [1, 0]]),
        "C": lambda: transposed(held["B"] + tf.zeros((2, 3, 3, 4))),
        "D": lambda: (
            tf.reshape(held["C"] + tf.zeros((2, 6, 6, 2)), (2, 72)) @ k["d"] + b["d"]
        ),
    }
    for _ in range(steps):
        sent = {}
        for layer in net.layers:
            node = layer.population
            j = currents[node.name]()
            twin = neurons.float_rate(node, 0.005)(j)
            step = neurons._step_lif if isinstance(node, n.LIF) else neurons._step_if
            v, rest = (z + tf.zeros_like(j) for z in state[node.name])
            spikes, *after = step(node, tf.stop_gradient(j), v, rest, 0.001)
            state[node.name] = after
            sent[node.name] = 0.01 * (twin + tf.stop_gradient(spikes / 0.001 - twin))
        for name, y in sent.items():
            held[name] = keep * held[name] + (1 - keep) * y
        read.append(sent["D"])
    return tf.reduce_mean(tf.stack(read[10:]), 0) @ k["read"] + b["read"]


def test_rate_gradient_is_that_of_the_twin_at_the_mean_current():
    """One population: dL/dJ = amplitude · f'(J), the spikes being what is read."""
    graph = Graph(
        (
            n.Input("x", shape=(4,)),
            n.Dense("a", ("x",), weight=np.eye(4), bias=np.zeros(4)),
            n.LIF("A", ("a",), amplitude=0.01),
            n.Output("y", ("A",)),
        )
    )
    legal = legalize(graph)
    x = np.array([[0.5, 1.2, 2.0, 5.0]])
    net = network(legal, x, sigma=0.1)
    with tf.GradientTape() as tape:
        activity = forward(net, x, 50, record=True)
        loss = tf.reduce_sum(activity.output)
    found = tape.gradient(loss, net.biases["a"])
    count = activity.spikes["A"].numpy().sum((0, 1))
    np.testing.assert_allclose(activity.output[0], 0.01 * count / 0.05, rtol=1e-5)
    np.testing.assert_allclose(activity.rates["A"][0], count / 0.05, rtol=1e-5)

    def rate(j):
        soft = 0.1 * np.log1p(np.exp((j - 1) / 0.1))
        return 1 / (2.5 * 0.001 + 0.02 * np.log1p(1 / soft))

    slope = (rate(x[0] + 1e-5) - rate(x[0] - 1e-5)) / 2e-5
    np.testing.assert_allclose(found, 0.01 * slope, rtol=1e-3)


@pytest.mark.parametrize("kind", [LIF, IF])
@pytest.mark.parametrize("tau_syn", [0.0, 0.005])
def test_gradient_through_time_is_that_of_a_plain_loop(kind, tau_syn):
    """Against automatic differentiation of the recursion in float, spikes given."""
    make = NEURONS[kind]
    rng = np.random.default_rng(3)
    unit = 60.0 if kind.startswith("if") else 1.0
    graph = Graph(
        (
            n.Input("x", shape=(6,)),
            n.Dense(
                "a", ("x",), weight=unit * rng.normal(size=(6, 8)), bias=np.ones(8)
            ),
            make("A", ("a",)),
            n.Dense(
                "b", ("A",), weight=unit * rng.normal(size=(8, 5)), bias=np.ones(5)
            ),
            make("B", ("b",)),
            n.Output("y", ("B",)),
        )
    )
    x = rng.random((3, 6)) * 4
    net = network(legalize(graph, tau_syn), x, gradient="time")
    with tf.GradientTape() as tape:
        activity = forward(net, x, STEPS, record=True)
        loss = tf.reduce_sum(tf.square(activity.output))
    variables = [net.kernels["b"], net.biases["b"], net.kernels["a"], net.biases["a"]]
    found = tape.gradient(loss, variables)
    spikes = {name: tf.constant(s) for name, s in activity.spikes.items()}
    with tf.GradientTape() as tape:
        read = _plain_core(net, tf.constant(x, tf.float32), spikes)
        loss = tf.reduce_sum(tf.square(read))
    wanted = tape.gradient(loss, variables)
    for variable, a, b in zip(variables, found, wanted):
        scale = np.abs(b).max()
        assert scale > 0, variable.name
        np.testing.assert_allclose(
            a / scale, b / scale, atol=2e-2, err_msg=variable.name
        )


@tf.custom_gradient
def _surrogate(v, fired):
    return fired, lambda up: (up / (1 + tf.square(math.pi * (v - 1))), None)


def _plain_core(net: HybridNetwork, x, spikes):
    """The core in float, in units of the threshold; spikes as they were."""
    j, sent = x @ net.kernel("a") + net.bias_of("a"), None
    for layer in net.layers:
        name = layer.population.name
        p, scales = net.populations[name], net.scales[name]
        if sent is not None:
            mantissa = net.kernel("b") * scales.spread(scales.weights["A"], 5)
            weight = mantissa * 2.0 ** (6 + scales.exponents["A"]) / p.thresholds
            j = net.bias_of("b")
        unit = scales.spread(scales.current, p.size) / p.thresholds
        floor = tf.constant(p.v_min / p.thresholds, tf.float32)
        u = v = tf.zeros((3, p.size))
        trains, rest = [], np.zeros((3, p.size))
        for t in range(STEPS):
            q = sent[t - 1] @ weight if sent is not None and t else 0.0
            u = u * (4095 - p.decay_u) / 4096 + q
            v = v * (4096 - p.decay_v) / 4096 + u + j * unit
            clipped = tf.where(v > floor, v, floor)
            v = tf.where(rest > 0, 0.0, clipped)
            fired = _surrogate(v, spikes[name][t])
            fired = tf.where(rest > 0, 0.0, fired)
            hit = spikes[name][t].numpy()
            rest = np.maximum(np.where(hit > 0, p.refractory, rest) - 1, 0)
            v = v * (1 - spikes[name][t])
            trains.append(fired)
        sent = tf.stack(trains)
    return 0.01 * tf.reduce_mean(sent, 0) / 0.001
