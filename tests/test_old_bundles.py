"""Bundles that earlier versions wrote still load, and run to the same answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snn_deploy.targets.contract import find_target
from snn_deploy.toolchain.bundle.bundle import load_bundle

BUNDLES = Path(__file__).parent / "bundles"
COUNTS = {"lif": 685, "relu": 16}  # spikes, as version 0.1.0 fired them
OUTPUT = [
    [0.17763042, -0.75857394, -0.0503709],
    [0.15752046, 0.65250579, -1.17562472],
    [0.26739405, 0.26385258, -0.65342865],
    [0.14284926, -0.27572571, -1.15529754],
]


def test_a_graph_of_0_1_0():
    graph = load_bundle(BUNDLES / "graph-0.1.0.snn").graph
    assert graph is not None
    graph.check()
    assert [type(node).__name__ for node in graph.nodes] == (
        "Input Conv2D LIF AvgPool2D Flatten Dense ReLU Dense Output".split()
    )


def test_a_program_of_0_1_0():
    bundle = load_bundle(BUNDLES / "program-0.1.0.snn")
    assert bundle.program is not None and bundle.samples is not None
    with find_target("reference").load(bundle.program) as session:
        recording = session.run(bundle.samples)
    counts = {name: int(count.sum()) for name, count in recording.counts.items()}
    assert counts == COUNTS
    np.testing.assert_allclose(recording.output, OUTPUT, atol=1e-6)
