"""Hybrid networks of several ends, populations fed by the host, and highest rates."""

from __future__ import annotations

import numpy as np
import pytest
from test_hybrid import STEPS, assert_same_spikes, network

from snn_deploy.calibration.balance import balance
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import interpret
from snn_deploy.toolchain.passes.legalize.legalize import legalize

tf = pytest.importorskip("tensorflow", reason="hybrid networks are TensorFlow's")
from snn_deploy.models.cotraining import core_neurons  # noqa: E402
from snn_deploy.models.cotraining import hybrid_neurons as neurons  # noqa: E402
from snn_deploy.models.cotraining.semantics import forward  # noqa: E402


def meeting() -> Graph:
    """Populations that the host feeds, feeds too and reads, one of them of two ends.

    a → A → (b + the host's share) → B, x → C of a highest rate, A + B + C read.
    """
    rng = np.random.default_rng(0)

    def dense(name: str, source: str) -> n.Dense:
        weight, bias = rng.normal(size=(5, 5)), rng.uniform(0.5, 2, 5)
        return n.Dense(name, (source,), weight=weight, bias=bias)

    return Graph(
        (
            n.Input("x", shape=(5,)),
            dense("a", "x"),
            n.LIF("A", ("a",), amplitude=0.01),
            n.Add("both", ("A", "a")),
            dense("b", "both"),
            n.LIF("B", ("b",), amplitude=0.02),
            dense("c", "x"),
            n.ReLU("C", ("c",), amplitude=0.01, ceiling=1.5),
            n.Add("sum", ("A", "B", "C")),
            dense("read", "sum"),
            n.Softmax("y", ("read",)),
            n.Output("out", ("y",), settle=0.004),
        )
    )


@pytest.mark.parametrize("gradient", ["rate", "time"])
def test_populations_may_be_fed_by_the_host_and_read_in_any_number(gradient):
    x = np.random.default_rng(1).random((3, 5))
    net = network(balance(legalize(meeting()), x), x, gradient=gradient)
    assert sum(layer.host is not None for layer in net.layers) == 3
    assert net.reads == {"A", "B", "C"} and net.delays["A"] == 1
    assert assert_same_spikes(net, x) > 100
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(forward(net, x, STEPS).output))
    for found in tape.gradient(loss, net.trainable_variables):
        assert np.abs(found).max() > 0


@pytest.mark.parametrize("semantics, apart", [("float", 0.02), ("rate", 0.15)])
def test_rates_of_several_ends_come_near_to_the_graph(semantics, apart):
    """Over many steps: the float network's answer, but for what resets lose."""
    x = np.random.default_rng(1).random((3, 5))
    legal = balance(legalize(meeting()), x)
    found = forward(network(legal, x), x, 400, semantics).output
    np.testing.assert_allclose(found, interpret(legal, x)["out"], atol=apart)


def test_a_ceiling_is_the_highest_rate_of_twin_and_spikes():
    ramp = tf.constant(np.linspace(-100, 3000, 32), tf.float32)
    for ceiling, most in ((None, None), (300.0, 300.0), (5000.0, 1000.0)):
        node = n.IF("a", ceiling=ceiling)
        core_rate = core_neurons.core_rate(node, 0, 0.001, 0.15, 20.0)(ramp).numpy()
        rate = neurons.float_rate(node, 0.005)(ramp).numpy()
        assert core_rate.max() == most if most else core_rate.max() > 1000
        np.testing.assert_allclose(rate, np.clip(ramp, 0, ceiling))
        spikes = neurons.float_spikes(node, tf.nn.relu, 200, 0.001, False)(ramp[None])
        np.testing.assert_allclose(np.mean(spikes, 0), rate, atol=5.1)
