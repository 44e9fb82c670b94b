"""Another membrane time constant: the drive beyond the threshold goes with it."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_graphs import graphs, samples_for

from snn_deploy.calibration.membrane import with_time_constant
from snn_deploy.toolchain.errors import ModelError
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import interpret
from snn_deploy.toolchain.passes.legalize.legalize import legalize


@settings(max_examples=15, deadline=None)
@given(graphs(populations=1), st.integers(0, 99), st.sampled_from([0.005, 0.01, 0.04]))
def test_drive_beyond_the_threshold_goes_with_the_time_constant(graph, seed, tau_rc):
    try:
        legal = legalize(graph)
        changed = with_time_constant(legal, tau_rc)
    except ModelError:  # a population on the bare input
        assume(False)
    x = samples_for(legal, seed)
    for before in legal.nodes:
        if not isinstance(before, n.LIF):
            continue
        after = changed[before.name]
        assert vars(after) == vars(before) | {"tau_rc": tau_rc}
        (source,) = before.inputs
        j, moved = (interpret(g, x, record=[source])[source] for g in (legal, changed))
        k = tau_rc / before.tau_rc
        np.testing.assert_allclose(moved - 1, k * (j - 1), atol=1e-9 * abs(j).max())


def test_rates_stay_far_above_the_threshold():
    graph = Graph(
        (
            n.Input("x", shape=(1,)),
            n.Dense("a", ("x",), weight=np.array([[10.0, 20.0]]), bias=np.zeros(2)),
            n.LIF("A", ("a",), tau_rc=0.02, tau_ref=0.0),
            n.Output("y", ("A",)),
        )
    )
    x = np.ones((1, 1))
    rates, moved = (
        interpret(g, x)["y"] for g in (graph, with_time_constant(graph, 0.01))
    )
    np.testing.assert_allclose(moved, rates, rtol=0.06)
    assert (rates > 400).all()  # Hz


def test_other_neurons_stay():
    graph = Graph(
        (
            n.Input("x", shape=(1,)),
            n.Dense("a", ("x",), weight=np.ones((1, 2)), bias=np.zeros(2)),
            n.IF("A", ("a",)),
            n.Output("y", ("A",)),
        )
    )
    assert with_time_constant(graph, 0.01).nodes == graph.nodes
