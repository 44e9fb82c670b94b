"""Nengo networks: the Graph does in each step what Nengo's simulator does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

nengo = pytest.importorskip("nengo")
from drawn_nengo import DT, Drawn, convolved, decoded, through_neurons  # noqa: E402

from snn_deploy.toolchain.frontends.contract import Imported  # noqa: E402
from snn_deploy.toolchain.frontends.nengo.nengo import graph_of  # noqa: E402
from snn_deploy.toolchain.graph.interpret import interpret  # noqa: E402

STEPS = 24
relaxed = settings(
    max_examples=25, deadline=None, suppress_health_check=[*HealthCheck]
)


def assert_same(drawn: Drawn, imported: Imported, sim: Any, steps: int) -> None:
    """Each neuron gives out the same in each step, and the Output is their mean.

    A spike is there or not; how much it is worth, and rates, to 1e-9, since Nengo sums
    in another order.
    """
    graph = imported.graph
    graph.check()
    x = drawn.x.reshape(1, *graph.input.shape)
    found = interpret(graph, x, "spiking", steps=steps, dt=DT, record=[*drawn.spikes])
    for name, probe in drawn.spikes.items():
        wanted = sim.data[probe][:steps]
        got = found[name][0].reshape(wanted.shape)
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-9, err_msg=name)
    wanted = sim.data[drawn.output][:steps].mean(axis=0)
    got = found[graph.output.name].ravel()
    np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-9)


def check(drawn: Drawn) -> None:
    with drawn.simulated(STEPS) as sim:
        ends = {"input": drawn.input, "output": drawn.output}
        assert_same(drawn, graph_of(drawn.network, **ends, simulator=sim), sim, STEPS)
        built_here = graph_of(drawn.network, **ends, dt=DT)
        assert_same(drawn, built_here, sim, STEPS)


@relaxed
@given(through_neurons())
def test_dense_and_sparse_weights_between_neurons(drawn):
    check(drawn)


@relaxed
@given(convolved())
def test_convolutions_between_neurons(drawn):
    check(drawn)


@relaxed
@given(decoded())
def test_decoded_connections(drawn):
    check(drawn)
