"""What every pass makes of three networks, as text: tests/golden/NAME.txt.

``python tests/test_golden.py`` writes the files anew; then read what changed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snn_deploy.calibration.membrane import with_time_constant
from snn_deploy.deploy import CONVERTED
from snn_deploy.pipeline.compilation import (
    Compilation,
    Settings,
    compiled,
    find_pass,
)
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.passes.place.limits import CoreLimits
from snn_deploy.toolchain.passes.place.place import place
from snn_deploy.toolchain.passes.preprocess import Preprocessing, with_preprocessing
from snn_deploy.toolchain.passes.quantize.dequantize import dequantize
from snn_deploy.toolchain.passes.readout import without_readout

GOLDEN = Path(__file__).parent / "golden"
CORE = CoreLimits(
    compartments=32, input_axons=256, output_axons=256, synapse_bits=1 << 16
)


def sevenths(*shape: int) -> np.ndarray:
    """Weights from −1 to 1, which no rounding to mantissas meets half-way."""
    return (np.arange(np.prod(shape)) * 4 % 15 - 7).reshape(shape) / 7


def convolutions() -> Graph:
    """Batch normalisation after a convolution, pooling before another: IF neurons."""
    one, two = np.ones(4), np.full(4, 2.0)
    return Graph.chain(
        n.Input("image", shape=(6, 6, 1)),
        n.Conv2D("conv1", weight=sevenths(3, 3, 1, 4), bias=np.zeros(4)),
        n.BatchNorm(
            "norm", gamma=two, beta=one, mean=0 * one, variance=one, epsilon=3.0
        ),
        n.ReLU("relu1", amplitude=0.25),
        n.AvgPool2D("pool", pool=(2, 2), stride=(2, 2)),
        n.Conv2D(
            "conv2",
            weight=sevenths(2, 2, 4, 2),
            bias=np.ones(2),
            padding=((0, 1), (0, 1)),
        ),
        n.ReLU("relu2"),
        n.Flatten("flat"),
        n.Dense("logits", weight=sevenths(8, 3), bias=sevenths(3)),
        n.Softmax("odds"),
        n.Output("answer"),
    )


def branches() -> Graph:
    """Two ways that meet in a sum: two sources of one population."""
    dense = lambda name, source: n.Dense(  # noqa: E731
        name, (source,), weight=sevenths(4, 4), bias=np.ones(4)
    )
    return Graph(
        (
            n.Input("x", shape=(4,)),
            dense("first", "x"),
            n.ReLU("a", ("first",)),
            dense("left", "a"),
            n.ReLU("b", ("left",)),
            dense("right", "b"),
            dense("past", "a"),
            n.Add("both", ("right", "past")),
            n.ReLU("c", ("both",)),
            n.Output("y", ("c",)),
        )
    )


def leaky() -> Graph:
    """Soft LIF neurons, an upsampling and a transposed convolution."""
    return Graph.chain(
        n.Input("image", shape=(2, 2, 1)),
        n.Conv2D("grow", weight=2 + sevenths(1, 1, 1, 2), bias=np.full(2, 1.5)),
        n.SoftLIF("lif1", amplitude=0.01),
        n.Upsample2D("up", factor=(2, 2)),
        n.ConvTranspose2D(
            "spread", weight=1 + sevenths(2, 2, 2, 1), bias=np.ones(1), stride=(2, 2)
        ),
        n.SoftLIF("lif2", amplitude=0.01),
        n.Output("mask"),
    )


NETWORKS = {
    "convolutions": (convolutions, Settings(steps=16)),
    "branches": (branches, Settings(steps=16, encoder="spikes", weight_bits=4)),
    "leaky": (leaky, Settings(steps=16, tau_syn=0.0)),
}


def stages(name: str) -> str:
    """The network as read, and after each pass; each stage is the next one's before."""
    make, settings = NETWORKS[name]
    graph = make()
    size = np.prod(graph.input.shape)
    samples = (np.arange(3 * size) % 8 / 8).reshape(3, *graph.input.shape)
    now = Compilation(graph=graph, samples=samples, settings=settings)
    texts: dict[str, object] = {"as read": str(now)}
    for each in map(find_pass, CONVERTED):
        before, now = str(now), compiled(now, [each])
        texts[each.name] = str(now) if str(now) != before else "(as before)"
    program = now.program
    assert program is not None
    texts["place"] = place(program, CORE, cores=16)
    if name == "leaky":
        texts["with_time_constant, of calibrate"] = with_time_constant(now.graph, 0.01)
    if not program.inputs:
        texts["dequantize, of readout"] = dequantize(program)
    if name == "convolutions":
        stored = Preprocessing(scale=(1 / 256,), channels_first=True)
        texts["with_preprocessing, of as read"] = with_preprocessing(graph, stored)
        texts["without_readout, of as read"] = without_readout(graph)[0]
    return "\n\n".join(f"## {title}\n\n{text}" for title, text in texts.items()) + "\n"


@pytest.mark.parametrize("name", NETWORKS)
def test_every_pass_makes_what_it_made(name):
    assert stages(name) == (GOLDEN / f"{name}.txt").read_text()


def test_a_weight_moved_is_seen():
    """Text tells networks apart that have the same shapes, and the same numbers."""
    graph = branches()
    moved = [
        n.Dense(x.name, x.inputs, weight=x.weight[::-1], bias=x.bias)
        if x.name == "left"
        else x
        for x in graph.nodes
    ]
    before, after = str(graph).splitlines(), str(Graph(tuple(moved))).splitlines()
    assert [a.split(":")[0] for a, b in zip(after, before) if a != b] == ["left"]


def test_a_graph_that_is_not_in_order_can_still_be_printed():
    text = str(
        Graph.chain(
            n.Input("x", shape=(3,)), n.AvgPool2D("p", pool=(2, 2), stride=(2, 2))
        )
    )
    assert text == "x: Input() → ?\np: AvgPool2D(x) pool 2×2 stride 2×2 → ?"


if __name__ == "__main__":
    for network in NETWORKS:
        (GOLDEN / f"{network}.txt").write_text(stages(network))
