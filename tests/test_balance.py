"""balance: rates move into the core's range, the function stays."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_graphs import graphs, samples_for
from small_networks import fitted, save, stripes

from snn_deploy.calibration.balance import balance
from snn_deploy.toolchain.errors import DataError, ModelError
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import evaluate, interpret
from snn_deploy.toolchain.passes.legalize.legalize import legalize


@settings(deadline=None, max_examples=50)
@given(graphs(), st.floats(1, 1000), st.floats(1, 100))
def test_rates_move_and_the_function_stays(
    graph: Graph, max_rate: float, percentile: float
) -> None:
    x = samples_for(graph, 0, count=5)
    try:
        legal = legalize(graph)
        balanced = balance(legal, x, max_rate=max_rate, percentile=percentile)
    except ModelError:  # a rectified linear population on the bare input
        assume(False)
    names = [node.name for node in legal.nodes if isinstance(node, n.Neurons)]
    wanted = interpret(legal, x, record=names)
    found = interpret(balanced, x, record=names)
    for name in (*names, graph.output.name):
        scale = np.abs(wanted[name]).max(initial=0)
        np.testing.assert_allclose(found[name], wanted[name], atol=1e-9 * scale + 1e-12)
    for name in names:
        node = balanced[name]
        if isinstance(node, n.LIF):
            assert node is legal[name]
        elif wanted[name].max() > 1e-9:
            rates = found[name] / node.amplitude
            top = np.percentile(rates, percentile) or rates.max()
            assert top == pytest.approx(max_rate, rel=1e-6)


def relu(inputs: str, *before: n.Node) -> Graph:
    return Graph(
        (
            n.Input("x", shape=(3,)),
            *before,
            n.ReLU("a", (inputs,)),
            n.Output("y", ("a",)),
        )
    )


def test_weights_in_and_amplitude_out() -> None:
    dense = n.Dense("d", ("x",), weight=np.eye(3) * 10, bias=np.ones(3))
    balanced = balance(relu("d", dense), np.ones((1, 3)), max_rate=110.0)
    assert np.allclose(balanced["d"].weight, np.eye(3) * 100)
    assert np.allclose(balanced["d"].bias, 10)
    assert balanced["a"].amplitude == pytest.approx(0.1)


def test_a_silent_population_stays() -> None:
    dense = n.Dense("d", ("x",), weight=-np.eye(3), bias=np.zeros(3))
    graph = relu("d", dense)
    assert balance(graph, np.ones((1, 3))).nodes == graph.nodes


def test_bad_arguments_are_refused() -> None:
    graph, x = relu("x"), np.ones((1, 3))
    with pytest.raises(DataError, match="up to 1000 Hz"):
        balance(graph, x, max_rate=1001.0)
    with pytest.raises(DataError, match="up to 500 Hz"):
        balance(graph, x, max_rate=1001.0, dt=0.002)
    with pytest.raises(DataError, match="percentile 0"):
        balance(graph, x, percentile=0)
    with pytest.raises(DataError, match="samples"):
        balance(graph, x[:0])


def test_a_population_without_weights_of_its_own_gets_a_scale() -> None:
    """Two that take the same of the Input."""
    graph = Graph(
        (
            n.Input("x", shape=(3,)),
            n.Dense("d", ("x",), weight=np.eye(3), bias=np.ones(3)),
            n.ReLU("a", ("d",)),
            n.ReLU("b", ("d",)),
            n.Add("sum", ("a", "b")),
            n.Output("y", ("sum",)),
        )
    )
    x = np.random.default_rng(0).random((8, 3))
    balanced = balance(graph, x, max_rate=110.0, percentile=100)
    balanced.check()
    rates = interpret(balanced, x, record=["a"])["a"] / balanced["a"].amplitude
    assert rates.max() == pytest.approx(110)
    np.testing.assert_allclose(evaluate(balanced, x), evaluate(graph, x))


@pytest.mark.parametrize(("ceiling", "highest"), [(0.5, 1000), (8.0, 250)])
def test_a_ceiling_in_reach_becomes_a_spike_a_step(ceiling, highest) -> None:
    dense = n.Dense("d", ("x",), weight=np.eye(3), bias=np.zeros(3))
    bounded = n.ReLU("a", ("d",), ceiling=ceiling)
    nodes = (n.Input("x", shape=(3,)), dense, bounded, n.Output("y", ("a",)))
    x = np.linspace(0, 1, 30).reshape(10, 3)
    balanced = balance(Graph(nodes), x, percentile=100)
    rates = interpret(balanced, x, record=["a"])["a"] / balanced["a"].amplitude
    assert rates.max() == pytest.approx(highest)
    np.testing.assert_allclose(evaluate(balanced, x), evaluate(Graph(nodes), x))


@pytest.mark.parametrize("dt", [1e-5, 0.001, 0.01])
def test_the_fastest_spike_in_one_of_four_steps_whatever_a_step_lasts(dt) -> None:
    graph = relu("d", n.Dense("d", ("x",), weight=np.eye(3), bias=np.zeros(3)))
    x = np.array([[1.0, 0.2, 0.0]])
    rates = interpret(balance(graph, x, dt=dt, percentile=100), x, record=("d",))["d"]
    assert rates.max() * dt == pytest.approx(0.25)


def test_a_step_too_long_for_250_hz_is_no_error_for_any_network(tmp_path, run_cli):
    """``--dt 0.01`` alone; leaky neurons have no highest rate to choose at all."""
    x, y = stripes(40)
    np.savez(tmp_path / "xy.npz", x=x, y=y)
    rectified = fitted(x, np.eye(3)[y])
    leaky = Graph(
        tuple(
            n.SoftLIF(node.name, node.inputs) if isinstance(node, n.ReLU) else node
            for node in rectified.nodes
        )
    )
    words = ("build", "--target", "reference", "--data", tmp_path / "xy.npz", "--force")
    for name, graph in (("rectified", rectified), ("leaky", leaky)):
        model = save(tmp_path / f"{name}.snn", graph)
        out = tmp_path / name
        assert run_cli(*words, "--model", model, "--dt", 0.01, "--out", out) == 0
    found = json.loads((tmp_path / "rectified" / "report.json").read_text())["scores"]
    (accuracy, *_) = (s["value"] for s in found if s["name"] == "integer SNN")
    assert accuracy > 0.6
