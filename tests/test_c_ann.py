"""The ANN as int8 C: code for code what NumPy says, here and on an emulated board."""

from __future__ import annotations

import shutil
from fractions import Fraction

import numpy as np
import pytest
from c_programs import SANITIZED, STRICT, each_compiler, needs_compiler
from hypothesis import given
from hypothesis import strategies as st

from snn_deploy.targets.c.ann.network import Network
from snn_deploy.targets.c.ann.quantize import quantized
from snn_deploy.targets.c.ann.requantize import multiplier_of, requantized
from snn_deploy.targets.c.ann.session import AnnSession
from snn_deploy.targets.c.ann.source import Source
from snn_deploy.targets.cortex_m.ann import AnnOnBoard
from snn_deploy.targets.cortex_m.image import COMPILER, INSTALL, QEMU
from snn_deploy.toolchain.errors import ModelError, UnsupportedLayer
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import evaluate
from snn_deploy.toolchain.graph.nodes import (
    LIF,
    Add,
    AvgPool2D,
    BatchNorm,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Flatten,
    Input,
    Output,
    ReLU,
    SoftLIF,
    Softmax,
)

__all__ = ["each_compiler"]
needs_board = pytest.mark.skipif(
    shutil.which(COMPILER) is None or shutil.which(QEMU) is None,
    reason=f"there is no {COMPILER} or no {QEMU}; {INSTALL}",
)
RNG = np.random.default_rng(0)
SAMPLES = RNG.random((12, 9, 8, 3)) - 0.2  # of both signs: zero is no code 0


def weights(*shape: int) -> dict[str, np.ndarray]:
    scale = 2 / np.sqrt(np.prod(shape[:-1]))
    return {
        "weight": RNG.normal(0.2 * scale, scale, shape),
        "bias": RNG.normal(0.5, 0.5, shape[-1]),
    }


def every_kind() -> Graph:
    """Each layer, activation, stride and padding that is written."""
    return Graph.chain(
        Input("picture", shape=(9, 8, 3)),
        Conv2D("a/1", **weights(3, 2, 3, 5), padding=((1, 1), (0, 1))),
        BatchNorm(
            "norm",
            gamma=np.full(5, 1.5),
            beta=np.full(5, 0.1),
            mean=np.full(5, 0.2),
            variance=np.ones(5),
            epsilon=0.001,
        ),
        ReLU("rectified", amplitude=0.5),
        Conv2D("int", **weights(3, 3, 5, 6), stride=(2, 3), padding=((0, 1), (2, 0))),
        SoftLIF("soft", amplitude=0.02),
        ConvTranspose2D("up", **weights(3, 3, 6, 4), stride=(2, 2)),
        Conv2D("linear", **weights(1, 1, 4, 3)),
        ConvTranspose2D("more", **weights(2, 3, 3, 2), padding=((1, 0), (1, 1))),
        LIF("hard", amplitude=0.02),
        Flatten("flat"),
        Dense("last", **weights(126, 4)),
        Softmax("classes"),
        Output("answer"),
    )


def chain(*nodes) -> Graph:
    return Graph.chain(Input("x", shape=(9, 8, 3)), *nodes, Output("y"))


def assert_equal(got, network: Network, x) -> None:
    for layer, mine, want in zip(network.layers, got, network.run(x)):
        differ = np.argwhere(mine != want)
        assert not len(differ), f"{layer.node.name}: first at {differ[0]}"


@needs_compiler
def test_every_layer_is_code_for_code_what_numpy_says(each_compiler):
    network = quantized(every_kind(), SAMPLES)
    beyond = np.concatenate([SAMPLES, 3 * SAMPLES, np.full((1, 9, 8, 3), -9.0)])
    codes = network.run(beyond)
    assert all(len(np.unique(each)) > 20 for each in codes)
    with AnnSession(network, SANITIZED) as session:
        assert_equal(session.run(beyond), network, beyond)


@needs_board
def test_and_on_a_board_with_bytes_and_instructions(monkeypatch):
    monkeypatch.delenv("SNN_DEPLOY_BOARD", raising=False)
    network = quantized(every_kind(), SAMPLES)
    source = Source(network)
    with AnnOnBoard(network) as session:
        assert_equal(session.run(SAMPLES[:2]), network, SAMPLES[:2])
        assert 0 < session.image.flash - source.tables < 9000
        assert 0 <= session.image.ram - 2048 - source.memory < 64
        first, second = session.instructions
    assert len(first) == len(network.layers)
    assert all(abs(a - b) < 0.02 * a + 50 for a, b in zip(first, second))
    real = network.macs
    assert real / 2 < sum(first) < 40 * real


def test_the_answer_is_near_that_of_the_floats():
    graph = every_kind()
    network = quantized(graph, SAMPLES)
    got = network.answers(network.run(SAMPLES)[-1])
    want = evaluate(graph, SAMPLES)
    assert got.shape == want.shape
    assert np.abs(got - want).max() < 0.1


@given(
    st.integers(-(1 << 31), (1 << 31) - 1),
    st.floats(1e-9, 0.999_999_999),
)
def test_requantisation_is_the_product_rounded_to_the_nearest(total, factor):
    """Twice rounded, so that it may be one half and a little more away."""
    multiplier, shift = multiplier_of(factor)
    assert 1 << 30 <= multiplier < 1 << 31
    assert abs(Fraction(multiplier, 1 << 31 + shift) / Fraction(factor) - 1) < 2**-30
    got = requantized(np.array([total]), np.array([multiplier]), np.array([shift]))
    exact = Fraction(total * multiplier, 1 << 31 + shift)
    assert abs(int(got[0]) - exact) <= Fraction(1, 2) + Fraction(1, 2 << shift)


def test_channels_without_weights_answer_their_bias():
    weight = np.zeros((72 * 3, 2))
    weight[0, 1] = 1.0
    bias = np.array([0.75, -0.5])
    graph = chain(Flatten("flat"), Dense("only", weight=weight, bias=bias))
    network = quantized(graph, SAMPLES)
    got = network.answers(network.run(SAMPLES)[-1])
    np.testing.assert_allclose(got[:, 0], 0.75, atol=network.answered.scale)


@needs_compiler
def test_neither_compiler_warns(each_compiler):
    with AnnSession(quantized(every_kind(), SAMPLES), STRICT):
        pass


def test_the_same_network_gives_the_same_bytes():
    network = quantized(every_kind(), SAMPLES)
    assert Source(network).file("ann.c") == Source(network).file("ann.c")


@pytest.mark.parametrize(
    ("node", "says"),
    [
        (AvgPool2D("pool", pool=(2, 2), stride=(2, 2)), "'pool' is a AvgPool2D"),
        (
            Conv2D("wide", **weights(2, 2, 3, 4), dilation=(2, 2)),
            "'wide' has groups, a dilation",
        ),
        (ReLU("alone"), "'alone' is a ReLU"),
        (Add("sum", ("x", "x")), "'sum' takes x, x; only chains"),
    ],
)
def test_what_is_not_written_is_one_sentence(node, says):
    with pytest.raises(UnsupportedLayer, match=says):
        quantized(chain(node), SAMPLES)


def test_sums_that_cancel_each_other_are_refused():
    """Each step of a weight would move the answer by more than one of its own."""
    large = np.zeros((216, 1))
    large[0], large[1] = 1e6, -1e6
    graph = chain(Flatten("flat"), Dense("only", weight=large, bias=np.zeros(1)))
    same = np.broadcast_to(np.linspace(0, 1, 12)[:, None, None, None], SAMPLES.shape)
    with pytest.raises(ModelError, match="'only' has sums that 32 bits do not hold"):
        quantized(graph, same)
