"""balance: rates move into the core's range, the function stays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_graphs import graphs, samples_for

from snn_deploy.calibration.balance import balance
from snn_deploy.toolchain.errors import DataError, ModelError
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import interpret
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
    with pytest.raises(ModelError, match="Population 'a'.*no weights"):
        balance(graph, x)
    with pytest.raises(DataError, match="up to 1000 Hz"):
        balance(graph, x, max_rate=1001.0)
    with pytest.raises(DataError, match="up to 500 Hz"):
        balance(graph, x, max_rate=1001.0, dt=0.002)
    with pytest.raises(DataError, match="percentile 0"):
        balance(graph, x, percentile=0)
    with pytest.raises(DataError, match="samples"):
        balance(graph, x[:0])
