"""Networks that others made, from their file to spikes that agree on two targets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snn_deploy.checking import check
from snn_deploy.deploy import Steps, compile_program
from snn_deploy.model_files import read_model
from snn_deploy.pipeline.compilation import Settings
from snn_deploy.targets.contract import find_target
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import evaluate

MODELS = Path(__file__).parent / "onnx_models"
pytest.importorskip("nengo_loihi", reason="nengo-loihi is not installed")


def agree(graph: Graph, steps: int = 24, correlation: float = 0.9) -> None:
    """The reference and nengo-loihi's emulator give the same spikes, and the answer
    follows the float network's."""
    x = np.random.default_rng(0).random((10, *graph.input.shape))
    settings = Settings(steps=steps)
    program, _ = compile_program(graph, x[2:], settings, Steps())
    wanted, found = (
        find_target(name).load(program).run(x[:2])
        for name in ("reference", "loihi-emulator")
    )
    for name, spikes in wanted.spikes.items():
        wrong = np.argwhere(spikes != found.spikes[name])
        assert not len(wrong), f"{name}: first in (sample, step, neuron) {wrong[0]}"
    assert all(spikes.any() for spikes in wanted.spikes.values())
    answers = evaluate(graph, x[:2])
    assert np.corrcoef(answers.ravel(), wanted.output.ravel())[0, 1] > correlation


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.onnx")), ids=lambda p: p.name)
def test_pytorchs_networks_are_built(path):
    pytest.importorskip("onnx", reason="onnx is not installed")
    agree(read_model(path).graph)


@pytest.mark.parametrize(
    "path", sorted(MODELS.glob("*net8.onnx")), ids=lambda p: p.name
)
def test_they_are_checked_without_data(path):
    pytest.importorskip("onnx", reason="onnx is not installed")
    found = check(path, ["loihi-emulator", "lava", "reference"])
    assert found.deployable
    assert found.needs[0].cores and found.needs[0].chips == 1
    assert {use.status for use in found.layers} <= {"native", "rewritten", "host"}
