"""Another membrane time constant: the drive beyond the threshold goes with it."""

from __future__ import annotations

import numpy as np
import pytest
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
        kept = vars(before) | {"tau_rc": tau_rc, "inputs": after.inputs}
        assert vars(after) == kept
        j, moved = (
            interpret(g, x, record=[source])[source]
            for g, (source,) in ((legal, before.inputs), (changed, after.inputs))
        )
        k = tau_rc / before.tau_rc
        np.testing.assert_allclose(moved - 1, k * (j - 1), atol=1e-9 * abs(j).max())


@pytest.mark.parametrize("joined", [False, True])
def test_what_the_host_pads_or_joins_is_driven_once(joined):
    nodes = [
        n.Input("x", shape=(3, 1, 1)),
        n.Conv2D("a", ("x",), weight=np.full((1, 1, 1, 1), 2.0), bias=np.ones(1)),
        n.AvgPool2D(
            "pool", ("a",), pool=(3, 1), stride=(3, 1), padding=((1, 0), (0, 0))
        ),
        n.Conv2D(
            "b",
            ("x",),
            weight=np.full((3, 1, 1, 1), 2.0),
            bias=np.ones(1),
        ),
        n.Concat("both", ("pool", "b")),
        n.LIF("A", ("both" if joined else "pool",)),
        n.Output("y", ("A",)),
    ]
    if not joined:
        nodes = [node for node in nodes if node.name not in ("b", "both")]
    graph = Graph(tuple(nodes))
    changed = with_time_constant(graph, 0.01)
    x = np.arange(3.0).reshape(1, 3, 1, 1)
    before = interpret(graph, x, record=[graph["A"].inputs[0]])
    after = interpret(changed, x, record=[changed["A"].inputs[0]])
    j, moved = before[graph["A"].inputs[0]], after[changed["A"].inputs[0]]
    np.testing.assert_allclose(moved - 1, 0.5 * (j - 1))


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
