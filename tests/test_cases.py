"""Networks as people bring them are built, with the ANN's answers."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

import numpy as np
import pytest

from snn_deploy.calibration.energy.profile import load_profile
from snn_deploy.calibration.energy.terms import energy_proxy
from snn_deploy.calibration.statistics import layer_statistics, total_statistics
from snn_deploy.targets.contract import find_target
from snn_deploy.toolchain.errors import ModelError
from snn_deploy.toolchain.frontends.keras.keras import from_keras
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import evaluate
from snn_deploy.toolchain.program.program import Program

pytest.importorskip("tensorflow", reason="tensorflow is not installed")
from agreement import (  # noqa: E402
    STEPS,
    answers,
    assert_deployed,
    assert_same_spikes,
    compiled,
)
from cases import (  # noqa: E402
    CASES,
    picture_of,
    pictures,
    synapses_by_hand,
    trained,
    two_answers,
    two_inputs,
)

EMULATOR = pytest.mark.skipif(
    not find_spec("nengo_loihi"), reason="nengo-loihi is not installed"
)
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@cache
def deployed(case) -> tuple[Graph, Program, np.ndarray]:
    """A case's Graph, which computes what Keras predicts, its Program, samples."""
    model = case.model()
    graph = from_keras(model)
    x = case.samples(graph.input.shape).astype("f4")
    wanted = np.asarray(model(x))
    atol = 1e-5 * np.abs(wanted).max()
    np.testing.assert_allclose(evaluate(graph, x), wanted, rtol=1e-5, atol=atol)
    return graph, compiled(graph, x), x


@every_case
def test_it_answers_as_the_ann_does(case):
    graph, program, x = deployed(case)
    correlation, slope = answers(graph, program, x[:6])
    assert correlation > 0.95
    assert 0.9 < slope < 1.1


@EMULATOR
@every_case
def test_not_a_spike_differs_on_the_emulator(case):
    _, program, x = deployed(case)
    assert_same_spikes(program, x[:1])


@EMULATOR
@pytest.mark.parametrize("case", [case for case in CASES if case.cores])
def test_a_large_fan_in_takes_few_cores(case):
    _, program, _ = deployed(case)
    with find_target("loihi-emulator").load(program) as session:
        assert len(session.placement.cores) == case.cores


@EMULATOR
def test_synaptic_operations_and_energy_are_those_counted_by_hand(tmp_path):
    """Every spike of a population, times the neurons that it reaches, in loops."""
    model = trained(synapses_by_hand())
    x = pictures((10, 10, 1))
    program = compiled(from_keras(model), x)
    with find_target("loihi-emulator").load(program) as session:
        recording = session.run(x[:2])
    first, second, third = (recording.spikes[p.name] for p in program.populations)
    fan_out = np.zeros((10, 10))
    for row in range(5):
        for column in range(5):
            for i in range(3):
                for j in range(3):
                    if 2 * row + i < 10 and 2 * column + j < 10:  # padded by 0 before
                        fan_out[2 * row + i, 2 * column + j] += 6
    spikes = operations = neurons = 0
    for sample in range(2):
        for step in range(STEPS):
            fired = first[sample, step].reshape(10, 10, 4)
            operations += (fired * fan_out[:, :, None]).sum()
            operations += 8 * second[sample, step].sum()
            for layer in (first, second, third):
                spikes += layer[sample, step].sum()
                neurons += layer[sample, step].size
    total = total_statistics(program, recording)
    assert total.synaptic_operations == operations / 2
    assert total.active_updates == spikes / 2
    joules = 23.6e-12 * operations + 81e-12 * spikes + 52e-12 * (neurons - spikes)
    layers = layer_statistics(program, recording)
    energy = energy_proxy(layers, load_profile("loihi1_davies2018"))
    assert energy.total.total.value == pytest.approx(joules / 2)


def test_one_of_several_outputs_is_chosen_or_all_are_read():
    model = trained(two_answers())
    with pytest.raises(ModelError, match="'out', 'dense'; name the one.*--output all"):
        from_keras(model)
    x = pictures((4,)).astype("f4")
    out, neurons = map(np.asarray, model(x))
    both = np.concatenate([out, neurons], axis=1)
    for name, wanted in (("out", out), ("dense", neurons), ("all", both)):
        graph = from_keras(model, output=name)
        np.testing.assert_allclose(evaluate(graph, x), wanted, rtol=1e-5, atol=1e-6)
        assert_deployed(graph, x)


def test_several_inputs_are_one_sample():
    """Their values one after the other, in the order of the model's inputs."""
    model = trained(two_inputs())
    graph = from_keras(model)
    assert graph.input.shape == (12,)
    x = pictures((12,)).astype("f4")
    wanted = model([x[:, :8], x[:, 8:]])
    np.testing.assert_allclose(evaluate(graph, x), wanted, rtol=1e-5, atol=1e-6)
    assert_deployed(graph, x)


def test_channels_first_answers_as_its_twin():
    """TensorFlow has no such convolution on a CPU, but its channels-last twin."""
    first, last = (trained(picture_of(form)) for form in ("first", "last"))
    graph = from_keras(first)
    assert graph.input.shape == (3, 8, 8)
    x = pictures((8, 8, 3)).astype("f4")
    turned = x.transpose(0, 3, 1, 2)
    np.testing.assert_allclose(evaluate(graph, turned), last(x), rtol=1e-5, atol=1e-6)
    assert_deployed(graph, turned)
