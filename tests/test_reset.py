"""What the core's reset to 0 loses is made up for, on integer targets alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_deploy.calibration.balance import balance
from snn_deploy.calibration.reset import spike_worth
from snn_deploy.targets.contract import find_target
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import evaluate
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.quantize.quantize import quantize

DT = 0.001


def stacked(populations: int, neurons: type = n.ReLU) -> Graph:
    """So many populations of 40 neurons, and a linear answer of both signs."""
    rng, nodes = np.random.default_rng(0), [n.Input("x", shape=(12,))]
    for i in range(populations):
        size = 40 if i else 12
        weight = rng.normal(0, np.sqrt(2 / size), (size, 40))
        nodes.append(
            n.Dense(f"d{i}", (nodes[-1].name,), weight=weight, bias=np.full(40, 0.1))
        )
        nodes.append(neurons(f"n{i}", (f"d{i}",)))
    last = n.Dense(
        "d", (nodes[-1].name,), weight=rng.normal(size=(40, 3)), bias=np.zeros(3)
    )
    graph = Graph((*nodes, last, n.Output("y", ("d",), settle=0.1)))
    graph.check()
    return graph


SAMPLES = np.random.default_rng(1).random((48, 12))


def slope(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.polyfit(wanted.ravel(), found.ravel(), 1)[0])


@pytest.mark.parametrize("populations", [1, 2, 4])
def test_real_values_come_back_whole_through_any_depth(populations):
    graph = balance(legalize(stacked(populations), 0.005), SAMPLES)
    wanted = evaluate(graph, SAMPLES)
    found, worth = [], spike_worth(graph, SAMPLES, DT)
    for told in (None, worth):
        program = quantize(graph, SAMPLES, steps=512, worth=told)
        with find_target("reference").load(program) as session:
            found.append(session.run(SAMPLES, record="counts").output)
    lost, whole = (slope(output, wanted) for output in found)
    assert lost < 0.95**populations
    assert whole == pytest.approx(1, abs=0.07)
    errors = [np.sqrt(np.mean((output - wanted) ** 2)) for output in found]
    assert errors[1] < 0.75 * errors[0]


@given(st.lists(st.floats(0, 900), min_size=1, max_size=20))
def test_no_other_factor_would_bring_rates_nearer(rates):
    graph = Graph.chain(n.Input("x", shape=(1,)), n.IF("a"), n.Output("y"))
    meant = np.array(rates)
    worth = spike_worth(graph, meant[:, None], DT)["a"]
    fired = meant / (1 + meant * DT / 2)

    def error(factor: float) -> float:
        return float(np.sum((factor * fired - meant) ** 2))

    assert 1 <= worth <= 1.5
    slack = 1e-9 * np.sum(meant**2)
    assert all(error(worth) <= error(worth * f) + slack for f in (0.99, 1.01))


def test_leaky_neurons_and_the_silent_keep_their_worth():
    leaky = legalize(stacked(1, n.SoftLIF), 0.005)
    assert spike_worth(leaky, SAMPLES, DT) == {}
    silent = Graph.chain(n.Input("x", shape=(1,)), n.IF("a"), n.Output("y"))
    assert spike_worth(silent, np.full((3, 1), -5.0), DT) == {"a": 1.0}


@pytest.mark.parametrize("target", ["nengo-dl", "nengo-dl-rounded"])
def test_a_float_simulation_loses_nothing_and_makes_up_for_nothing(target):
    pytest.importorskip("nengo_dl", reason="nengo-dl is not installed")
    graph = balance(legalize(stacked(2), 0.005), SAMPLES)
    outputs = []
    for worth in (None, spike_worth(graph, SAMPLES, DT)):
        program = quantize(graph, SAMPLES, steps=160, worth=worth)
        with find_target(target).load(program) as session:
            outputs.append(session.run(SAMPLES[:8]).output)
    off = 0 if target == "nengo-dl" else 0.03  # of other mantissas
    allowed = 1e-6 + off * np.abs(outputs[0]).max()
    np.testing.assert_allclose(*outputs, rtol=1e-6, atol=allowed)
