"""Layers in TensorFlow, beside what toolchain.graph says that they are."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import Builder, Drawn

from snn_deploy.toolchain.errors import ModelError
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph import operations
from snn_deploy.toolchain.graph.functions import (
    FUNCTIONS,
    Elementwise,
    LeakyReLU,
    MaxPool2D,
)
from snn_deploy.toolchain.graph.preparation import ChannelsLast, Rescale
from snn_deploy.toolchain.graph.rearranging import Pad2D, Permute, Slice

tf = pytest.importorskip("tensorflow", reason="hybrid networks are TensorFlow's")
from snn_deploy.models.cotraining import host_layers  # noqa: E402

SHAPE = (5, 6, 4)
X = np.random.default_rng(0).normal(size=(3, *SHAPE))
ONES = np.ones(4)
NODES = [
    n.AvgPool2D("a", pool=(2, 3), stride=(2, 2)),
    n.AvgPool2D("a", pool=(3, 2), stride=(1, 2), padding=((1, 1), (0, 1))),
    n.AvgPool2D("a", pool=(3, 3), stride=(2, 2), padding=((1, 0), (1, 1)), inside=True),
    n.AvgPool2D("a", pool=(2, 2), stride=(2, 2), padding=((-1, 0), (0, -2))),
    MaxPool2D("a", pool=(2, 3), stride=(2, 1)),
    MaxPool2D("a", pool=(2, 2), stride=(1, 3), padding=((1, 0), (0, 1))),
    MaxPool2D("a", pool=(2, 2), stride=(1, 2), dilation=(3, 2), padding=((1, 1),) * 2),
    n.Upsample2D("a", factor=(2, 3)),
    n.BatchNorm(
        "a", gamma=2 * ONES, beta=ONES, mean=3 * ONES, variance=ONES, epsilon=1e-3
    ),
    n.Membrane(
        "a", resistance=2 * ONES, rest=ONES, threshold=3 * ONES, reset_to=0 * ONES
    ),
    Rescale("a", scale=np.full(1, 2.0), offset=np.arange(4.0)),
    Rescale("a", scale=X[0], offset=X[1]),
    Pad2D("a", padding=((1, 2), (0, 3))),
    Pad2D("a", padding=((-1, 2), (1, -3))),
    Slice("a", start=(1, 0, 2), stop=(4, 6, 3)),
    Permute("a", axes=(2, 0, 1)),
    ChannelsLast("a"),
    LeakyReLU("a", slope=np.full(1, 0.3)),
    LeakyReLU("a", slope=X[0]),
    n.Flatten("a"),
    n.Reshape("a", shape=(10, 3, 4)),
    n.Sigmoid("a"),
    n.Tanh("a"),
    n.Softmax("a"),
    n.LogSoftmax("a"),
    n.Argmax("a"),
    n.Lowpass("a", tau_syn=0.01),
    n.Delay("a", delay=2),
    n.Output("a"),
    *(Elementwise("a", function=name) for name in FUNCTIONS),
]


@pytest.mark.parametrize("node", NODES, ids=lambda node: type(node).__name__)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_layer_is_what_the_graph_says(node, dtype):
    wanted = operations.apply(node, X)
    found = host_layers.apply(node, [tf.constant(X, dtype)])
    assert found.dtype == dtype and found.shape == wanted.shape
    close = {"float32": 1e-5, "float64": 1e-12}[dtype]
    np.testing.assert_allclose(found, wanted, rtol=close, atol=close)


@pytest.mark.parametrize("node", NODES, ids=lambda node: type(node).__name__)
def test_gradients_are_finite_far_from_zero_too(node):
    x = tf.constant(np.where(X > 1, 40 * X, np.where(X < -1, 40 * X, X)), tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = host_layers.apply(node, [x])
    found = tape.gradient(y, x)
    if not isinstance(node, n.Argmax):
        assert np.isfinite(found).all() and found.shape == x.shape


def test_several_inputs_are_added_and_concatenated():
    for node in (n.Add("a"), n.Concat("a")):
        found = host_layers.apply(node, [tf.constant(X), tf.constant(2 * X)])
        np.testing.assert_allclose(found, operations.apply(node, X, 2 * X))


def test_no_layer_of_the_host_is_missing():
    """Of what a Graph may hold, all but the populations and the layers with weights.

    A hybrid network refuses LI, which reads potentials over time.
    """
    weights = {n.Dense, n.Conv2D, n.ConvTranspose2D}
    neurons = {n.LIF, n.IF, n.SoftLIF, n.ReLU, n.Threshold, n.LI}
    there = operations._OPERATIONS.keys() - weights - neurons
    assert host_layers._OPERATIONS.keys() == there
    assert host_layers.FUNCTIONS.keys() == FUNCTIONS.keys()
    assert {type(node) for node in NODES} | {n.Add, n.Concat} == there


def assert_exact(node: n.Windowed, shape: n.Shape, seed: int = 0) -> None:
    """Sums of whole numbers, and their gradients in any direction."""
    rng = np.random.default_rng(seed)

    def drawn(low: int, high: int, size: n.Shape) -> n.FloatArray:
        return rng.integers(low, high, size).astype(float)

    whole = replace(node, weight=drawn(-127, 128, node.weight.shape))
    x = drawn(0, 2, (4, *shape))
    wanted = operations.apply(whole, x)
    given = tf.constant(x, tf.float32), tf.constant(whole.weight, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(given)
        found = host_layers.linear(whole, *given)
    np.testing.assert_array_equal(found, wanted)
    upstream = drawn(0, 3, wanted.shape)
    to_x, to_weight = tape.gradient(found, given, tf.constant(upstream, tf.float32))
    for _ in range(2):
        dx, dw = (drawn(-3, 4, array.shape) for array in (x, whole.weight))
        by_x = operations.apply(whole, dx)
        by_weight = operations.apply(replace(whole, weight=dw), x)
        assert (to_x.numpy() * dx).sum() == (upstream * by_x).sum()
        assert (to_weight.numpy() * dw).sum() == (upstream * by_weight).sum()


@st.composite
def windowed(draw: Drawn) -> tuple[n.Windowed, n.Shape]:
    """A convolution or its adjoint, its input's shape, and padding of either sign."""
    build = Builder(draw, draw(st.tuples(*[st.integers(2, 7)] * 2, st.integers(1, 4))))
    build.conv(transposed=draw(st.booleans()))
    if isinstance(build.nodes[-1], n.Input):
        build.conv(same=True)
    node = replace(build.nodes[-1], bias=np.zeros(build.nodes[-1].weight.shape[-1]))
    less = draw(st.tuples(*[st.integers(-1, 0)] * 4))
    padding = tuple(
        (a + da, b + db) for (a, b), da, db in zip(node.padding, less[::2], less[1::2])
    )
    fewer = replace(node, padding=padding)
    shape = build.nodes[0].shape
    return (fewer if _fits(fewer, shape) else node), shape


def _fits(node: n.Windowed, shape: n.Shape) -> bool:
    """Whether there is a pixel left on either side."""
    left = (size + min(a, 0) + min(b, 0) for size, (a, b) in zip(shape, node.padding))
    try:
        return min(left) > 0 and bool(node.output_shape(shape))
    except ModelError:
        return False


@settings(max_examples=60, deadline=None)
@given(drawn=windowed(), seed=st.integers(0, 99))
def test_sums_of_whole_numbers_are_exact_whatever_the_window(drawn, seed):
    assert_exact(*drawn, seed)


KINDS = (n.Conv2D, n.ConvTranspose2D)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stride", list(itertools.product((1, 2), (1, 2, 3))))
def test_one_row_one_column_and_one_channel_are_exact_too(kind, stride):
    """TensorFlow has kernels for each, some of them wrong (``windows``)."""
    windows = itertools.product((1, 2, 3), (2, 3), (1, 3, 4), (1, 3))
    for (*kernel, height, width), channels in itertools.product(windows, (1, 2)):
        if kind is n.Conv2D:
            height, width = height + kernel[0], width + kernel[1] - 1
        weight = np.zeros((*kernel, channels, 3 - channels))
        node = kind("a", weight=weight, bias=np.zeros(3 - channels), stride=stride)
        assert_exact(node, (height, width, channels))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (1, 2)])
@pytest.mark.parametrize("inputs, filters", [(3, 3), (3, 6), (6, 3), (6, 6)])
def test_groups_are_exact_of_any_number_of_channels(kind, stride, inputs, filters):
    weight = np.zeros((2, 3, inputs // 3, filters))
    how = {"stride": stride, "groups": 3, "dilation": (2, 1)}
    padding = ((1, -1), (0, 1))
    node = kind("a", weight=weight, bias=np.zeros(filters), padding=padding, **how)
    assert_exact(node, (5, 6, inputs))
