"""Hybrid networks with loops and delays: the spikes of the deployed integers."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_loops import DT, loops
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_graphs import samples_for

from snn_deploy.toolchain.errors import DataError, DoesNotFit
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import interpret
from snn_deploy.toolchain.passes.legalize.legalize import legalize

tf = pytest.importorskip("tensorflow", reason="hybrid networks are TensorFlow's")
from test_hybrid import assert_same_spikes, network  # noqa: E402

from snn_deploy.models.cotraining.hybrid import HybridNetwork  # noqa: E402
from snn_deploy.models.cotraining.semantics import forward  # noqa: E402

STEPS = 12
relaxed = settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def hybrid(graph: Graph, x: np.ndarray, **how: object) -> HybridNetwork:
    return network(legalize(graph), x, dt=DT, compiled=False, **how)


@relaxed
@given(loops(), st.integers(0, 2**32 - 1))
def test_forward_pass_gives_the_spikes_of_the_deployed_integers(graph, seed):
    x = samples_for(graph, seed, count=2)
    try:
        net = hybrid(graph, x)
    except DoesNotFit:  # a drawn weight beyond a core's widths
        assume(False)
        raise
    assume(max(net.delays.values()) < STEPS)
    assert_same_spikes(net, x, STEPS)


def chain(*, back: bool, delay: int = 3) -> Graph:
    """Two populations in a row, the second one's spikes led back, or not."""
    rng, how = np.random.default_rng(3), {"amplitude": DT, "tau_ref": 0.0}

    def weights(name: str, source: str, *size: int) -> n.Dense:
        weight = rng.normal(scale=12, size=size) / size[0] ** 0.5
        return n.Dense(name, (source,), weight=weight, bias=np.full(size[1], 0.9))

    again = (
        n.Delay("back", ("b",), shape=(4,)),
        weights("again", "back", 4, 4),
        n.Add("sum", ("forth", "again")),
    )
    return Graph(
        (
            n.Input("x", shape=(3,)),
            weights("in", "x", 3, 5),
            n.LIF("a", ("in",), **how),
            n.Lowpass("on", ("a",), tau_syn=0.002 * (not back), delay=delay),
            weights("forth", "on", 5, 4),
            *(again if back else ()),
            n.LIF("b", ("sum" if back else "forth",), **how),
            n.Output("y", ("b",), settle=0.005),
        ),
        dt=DT,
    )


@pytest.mark.parametrize("gradient", ["rate", "time"])
def test_delays_without_loops_run_layer_by_layer(gradient):
    graph = chain(back=False)
    x = samples_for(graph, 0)
    assert assert_same_spikes(hybrid(graph, x, gradient=gradient), x, STEPS) > 20


def test_float_semantics_wait_as_interpret_does():
    graph = legalize(chain(back=False))
    x = samples_for(graph, 1)
    net = hybrid(graph, x)
    found = forward(net, x, STEPS, "float", record=True).spikes["b"]
    wanted = interpret(graph, x, "spiking", steps=STEPS, record=["b"])["b"]
    assert wanted.any()
    np.testing.assert_array_equal(found.numpy().transpose(1, 0, 2), wanted > 0)


def test_gradients_go_around_a_loop_once():
    graph = chain(back=True)
    net = hybrid(graph, samples_for(graph, 2))
    with tf.GradientTape() as tape:
        output = forward(net, samples_for(graph, 2), STEPS).output
        loss = tf.reduce_sum(tf.square(output - 1.0))
    found = tape.gradient(loss, [net.kernels[x] for x in ("in", "forth", "again")])
    assert all(np.abs(each.numpy()).max() > 0 for each in found)


@pytest.mark.parametrize("semantics", ["float", "rate"])
def test_semantics_that_run_layer_by_layer_refuse_a_loop(semantics):
    net = hybrid(chain(back=True), np.ones((1, 3)))
    with pytest.raises(DataError, match=f"{semantics!r} .* the loop back → again → .*"):
        forward(net, np.ones((1, 3)), STEPS, semantics)


def test_the_gradient_through_time_refuses_a_loop():
    with pytest.raises(DataError, match="'time': it goes through no loop, .* back → "):
        hybrid(chain(back=True), np.ones((1, 3)), gradient="time")


def test_potentials_that_are_read_are_refused_with_what_comes_nearest():
    graph = chain(back=False)
    read = n.LI("read", ("b",), tau_rc=0.02)
    last = n.Output("y", ("read",))
    graph = Graph((*graph.nodes[:-1], read, last), dt=DT)
    with pytest.raises(DoesNotFit, match=r"LI 'read': .* tau_syn = 0.02 s of Output"):
        network(legalize(graph), np.ones((1, 3)))
