"""Networks as people bring them: built with the ANN's answers, or refused with advice
that works."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

import numpy as np
import pytest

from snn_deploy.targets.contract import find_target
from snn_deploy.toolchain.frontends.keras.keras import from_keras
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import evaluate
from snn_deploy.toolchain.program.program import Program

pytest.importorskip("tensorflow", reason="tensorflow is not installed")
from agreement import answers, assert_same_spikes, compiled  # noqa: E402
from cases import CASES, no_weights, scales_of_all_sizes, trained  # noqa: E402

EMULATOR = pytest.mark.skipif(
    not find_spec("nengo_loihi"), reason="nengo-loihi is not installed"
)


@cache
def deployed(case) -> tuple[Graph, Program, np.ndarray]:
    """A case's Graph, its Program, and samples; it is read as Keras computes it."""
    made = case.make()
    done = case.make in (no_weights, scales_of_all_sizes)
    model = made if done else trained(made)
    graph = from_keras(model)
    x = case.samples(graph.input.shape).astype("f4")
    wanted = np.asarray(model(x, training=False))
    scale = np.abs(wanted).max()
    got = evaluate(graph, x)
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5 * scale)
    return graph, compiled(graph, x.astype(float), 64), x.astype(float)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.make.__name__)
def test_it_answers_as_the_ann_does(case):
    graph, program, x = deployed(case)
    correlation, slope = answers(graph, program, x[:6])
    low, high = case.slope
    print(f"{case.make.__name__} r {correlation:.3f} slope {slope:.3f}")
    assert correlation > case.correlation
    assert low < slope < high


@EMULATOR
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.make.__name__)
def test_not_a_spike_differs_on_the_emulator(case):
    _, program, x = deployed(case)
    assert_same_spikes(program, x[:1])
    with find_target("loihi-emulator").load(program) as session:
        cores = len(session.placement.cores)
    print(f"{case.make.__name__} cores {cores}")
    assert case.cores is None or cores <= case.cores
