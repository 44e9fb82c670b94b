"""A conversion in the Graph's own weights: where fine-tuning begins."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_graphs import graphs, samples_for

from snn_deploy.calibration.conversion.driven import read_as, with_corrections
from snn_deploy.deploy import CONVERTED
from snn_deploy.pipeline.compilation import Compilation, Settings, compiled, find_pass
from snn_deploy.targets.contract import find_target
from snn_deploy.toolchain.errors import SnnDeployError
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import interpret
from snn_deploy.toolchain.passes.fold import fold_scales
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.quantize.layers import layers
from snn_deploy.toolchain.passes.quantize.quantize import quantize
from snn_deploy.toolchain.program.correction import Correction


@settings(max_examples=30, deadline=None)
@given(graphs(populations=2), st.integers(0, 99))
def test_the_drive_of_a_population_is_the_corrected_one(graph, seed):
    rng = np.random.default_rng(seed)
    try:
        legal = legalize(graph)
        *_, last = layers(legal)
        correction = Correction(
            gain=rng.uniform(0.5, 2, last.channels),
            offset=rng.normal(size=last.channels),
            min_potential=-0.5,
        )
        changed = with_corrections(legal, {last.population.name: correction})
    except SnnDeployError:  # a population on the bare input
        assume(False)
    changed.check()
    name, x = last.population.name, samples_for(legal, seed)
    assert changed[name].min_voltage == -0.5
    j, moved = (
        interpret(g, x, record=[source])[source].reshape(len(x), -1)
        for g in (legal, changed)
        for (source,) in [g[name].inputs]
    )
    wanted = correction.applied(j)
    np.testing.assert_allclose(moved, wanted, atol=1e-9 * max(1, abs(wanted).max()))


def stacked() -> Graph:
    """Three dense populations, and a linear answer of both signs."""
    rng, sizes = np.random.default_rng(0), (12, 40, 40, 40)
    nodes: list[n.Node] = [n.Input("x", shape=(12,))]
    for inputs, outputs in pairwise(sizes):
        weight = rng.normal(0, np.sqrt(2 / inputs), (inputs, outputs))
        name, bias = f"d{len(nodes)}", np.full(outputs, 0.1)
        nodes += [n.Dense(name, weight=weight, bias=bias), n.ReLU(f"{name}.neurons")]
    last = n.Dense("d", weight=rng.normal(size=(40, 3)), bias=np.zeros(3))
    return Graph.chain(*nodes, last, n.Output("y"))


def pictures() -> Graph:
    """A convolution by the host, one on the core, and a dense layer."""
    rng = np.random.default_rng(0)
    sides = ((1, 1), (1, 1))

    def weights(*shape: int) -> dict[str, np.ndarray]:
        weight = rng.normal(size=shape) * 3 / np.sqrt(np.prod(shape[:-1]))
        return {"weight": weight, "bias": rng.normal(size=shape[-1]) / 4}

    return Graph.chain(
        n.Input("x", shape=(4, 3, 1)),
        n.Conv2D("a", padding=sides, **weights(3, 3, 1, 5)),
        n.ReLU("A"),
        n.Conv2D("b", padding=sides, **weights(3, 3, 5, 4)),
        n.ReLU("B"),
        n.Flatten("flat"),
        n.Dense("c", **weights(48, 3)),
        n.Softmax("p"),
        n.Output("y"),
    )


@pytest.mark.parametrize(
    ("graph", "shape"), [(stacked(), (12,)), (pictures(), (4, 3, 1))]
)
def test_it_fires_and_answers_as_the_untrained_conversion(graph, shape):
    samples = np.random.default_rng(1).random((48, *shape))
    settings = Settings(steps=32, tau_syn=0.0)
    start = Compilation(graph=graph, samples=samples, settings=settings)
    now = compiled(start, map(find_pass, CONVERTED))
    driven = with_corrections(now.graph, now.corrections)
    found = fold_scales(read_as(driven, now.program.decoder))
    assert not [node for node in found.nodes if node.name == "A.up"]
    program = quantize(found, samples, steps=32)
    fresh = np.random.default_rng(2).random((20, *shape))
    recordings = []
    for each in (now.program, program):
        with find_target("reference").load(each) as session:
            recordings.append(session.run(fresh))
    one, other = recordings
    for name, spikes in one.spikes.items():
        assert spikes.any(), name
        np.testing.assert_array_equal(spikes, other.spikes[name])
    np.testing.assert_allclose(one.output, other.output, atol=1e-9)
