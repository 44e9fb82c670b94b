"""The figures of benchmarks/placement.py: large networks, placed in seconds."""

from __future__ import annotations

import importlib
import math
import os
import time
from pathlib import Path
from types import ModuleType

import pytest

from snn_deploy.targets.loihi.target import LOIHI1_CORE, LOIHI1_CORES
from snn_deploy.toolchain.graph.nodes import ReLU
from snn_deploy.toolchain.passes.place.place import Placement, place
from snn_deploy.toolchain.program.program import Program

FOLDER = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def placement(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("placement")


def placed(program: Program, bounds: dict[str, int]) -> Placement:
    """Placed within the limits, with at most 15 % more cores than there must be."""
    found = place(program, LOIHI1_CORE, LOIHI1_CORES, chips=None)
    assert all(LOIHI1_CORE.exceeded(core.usage) is None for core in found.cores)
    assert found.total.compartments == program.neurons
    assert sum(bounds.values()) <= len(found.cores) <= 1.15 * sum(bounds.values())
    return found


def test_mobilenet_fills_fewer_chips_than_the_best_published_compiler(placement):
    """NxTF (arXiv 2101.04261): 16 chips at 80 %."""
    program = placement.mobilenet()
    start = time.perf_counter()
    found = placed(program, placement.bounds(program))
    assert time.perf_counter() - start < 120
    assert found.chips <= 16
    assert found.scarcest[1] >= 0.8


def test_the_autoencoder(placement):
    program = placement.cae()
    assert placed(program, placement.bounds(program)).chips == 1
    program = placement.cae((160, 160), (16, 32, 64))
    assert placed(program, placement.bounds(program)).chips > 1


def test_300_000_neurons(placement):
    program = placement.large()
    assert program.neurons > 300_000
    assert placed(program, placement.bounds(program)).chips > 1


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="Unix tells what a child used")
def test_a_residual_network_is_checked_from_its_file(
    placement: ModuleType, tmp_path: Path
) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    residual = placement.residual
    small = residual.residual_network(width=4, side=32, classes=10)
    residual.write(tmp_path / "small.onnx", small)
    found = residual.checked(tmp_path / "small.onnx")
    assert found.neurons == sum(
        math.prod(small.shapes[node.name])
        for node in small.nodes
        if isinstance(node, ReLU)
    )
    assert found.cores > 40 and found.chips == 1  # a core for each population, at least
    assert found.cpu_seconds > 0 and found.peak_gib > 0


def test_the_table_is_of_these_networks(placement):
    table = placement.RESULTS.read_text()
    for program in (placement.mobilenet(), placement.large()):
        assert f"| {program.neurons:,} |" in table
