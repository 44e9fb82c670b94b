"""A Graph's rate network as ONNX: read back, and run by onnxruntime, it is the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_graphs import graphs, samples_for

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

from snn_deploy.toolchain.frontends.onnx.export import CONVERTERS, to_onnx  # noqa: E402
from snn_deploy.toolchain.frontends.onnx.files import read_file  # noqa: E402
from snn_deploy.toolchain.frontends.onnx.reading import read  # noqa: E402
from snn_deploy.toolchain.graph import nodes as n  # noqa: E402
from snn_deploy.toolchain.graph.functions import (  # noqa: E402
    FUNCTIONS,
    Elementwise,
    LeakyReLU,
    MaxPool2D,
)
from snn_deploy.toolchain.graph.graph import Graph  # noqa: E402
from snn_deploy.toolchain.graph.interpret import interpret  # noqa: E402
from snn_deploy.toolchain.graph.preparation import ChannelsLast, Rescale  # noqa: E402
from snn_deploy.toolchain.graph.rearranging import Pad2D, Permute, Slice  # noqa: E402

rng = np.random.default_rng(0)


def conv(kind, shape, bias=None, **fields):
    bias = rng.normal(size=shape[-1:] if bias is None else bias)
    return kind("", weight=rng.normal(size=shape) / 4, bias=bias, **fields)


def norm(channels):
    gamma, beta, mean = rng.normal(size=(3, channels))
    variance = rng.uniform(0.5, 2, channels)
    return n.BatchNorm(
        "", gamma=gamma, beta=beta, mean=mean, variance=variance, epsilon=1e-3
    )


PICTURE = (6, 5, 4)
C, T = n.Conv2D, n.ConvTranspose2D
ONES = {  # nodes one behind the other, on a picture
    "conv": [conv(C, (3, 2, 4, 5), stride=(2, 1), padding=((1, 0), (0, 2)))],
    "groups": [conv(C, (3, 3, 2, 6), groups=2)],
    "depthwise": [conv(C, (3, 3, 1, 8), groups=4, dilation=(2, 1))],
    "negative padding": [conv(C, (2, 2, 4, 3), padding=((-1, 2), (1, -2)))],
    "a bias each": [conv(C, (2, 2, 4, 3), bias=(5, 4, 3))],
    "transposed": [conv(T, (3, 2, 4, 5), stride=(2, 3), padding=((1, 0), (0, 1)))],
    "transposed, groups": [conv(T, (3, 2, 2, 6), groups=2, dilation=(1, 2))],
    "transposed, more around": [conv(T, (2, 2, 4, 3), padding=((-1, 1), (0, -2)))],
    "transposed, a bias each": [conv(T, (2, 2, 4, 3), bias=(7, 6, 3))],
    "average": [n.AvgPool2D("", pool=(2, 3), stride=(2, 1), padding=((1, 0), (1, 1)))],
    "average inside": [
        n.AvgPool2D(
            *("",), pool=(2, 3), stride=(2, 1), padding=((1, 0), (1, 1)), inside=True
        )
    ],
    "average inside, wide": [
        n.AvgPool2D(
            *("",), pool=(4, 2), stride=(4, 3), padding=((0, 2), (-1, 2)), inside=True
        )
    ],
    "average, negative": [
        n.AvgPool2D("", pool=(2, 2), stride=(1, 1), padding=((-1, 3), (0, 0)))
    ],
    "largest, wide": [
        MaxPool2D("", pool=(2, 2), stride=(2, 2), padding=((1, 2), (0, 0)))
    ],
    "largest": [
        MaxPool2D(
            *("",),
            pool=(2, 2),
            stride=(2, 1),
            padding=((1, 0), (0, 1)),
            dilation=(2, 1),
        )
    ],
    "upsample": [n.Upsample2D("", factor=(2, 3))],
    "pad": [Pad2D("", padding=((1, 2), (0, 1)))],
    "cut": [Slice("", start=(1, 0, 2), stop=(5, 4, 3))],
    "permute": [Permute("", axes=(2, 0, 1)), n.ReLU("", ceiling=0.4)],
    "channels first": [ChannelsLast(""), conv(C, (2, 2, 6, 3))],
    "a line": [n.Reshape("", shape=(6, 20)), ChannelsLast("")],
    "norm": [norm(4), conv(C, (2, 2, 4, 3)), norm(3)],
    "scale": [Rescale("", scale=rng.normal(size=PICTURE), offset=np.ones(1))],
    "dense": [n.Flatten(""), conv(n.Dense, (120, 7)), n.Softmax("")],
    "log softmax": [conv(C, (2, 2, 4, 3)), n.LogSoftmax("")],
    "argmax": [conv(C, (2, 2, 4, 3)), n.Argmax("")],
    "sigmoid, tanh": [n.Sigmoid(""), conv(C, (2, 2, 4, 3)), n.Tanh("")],
    "leaky": [
        conv(C, (1, 1, 4, 3)),
        LeakyReLU("", slope=rng.random(3)),
        LeakyReLU("", slope=np.array([0.2])),
        LeakyReLU("", slope=rng.random((6, 5, 3))),
    ],
    "if": [
        n.IF("", amplitude=0.5, ceiling=0.7),
        n.Lowpass("", tau_syn=0.005),
        n.Delay("", delay=2),
        n.LI("", tau_rc=0.01),
    ],
    "lif": [
        Rescale("", scale=np.full(1, 3.0), offset=np.zeros(1)),
        conv(C, (2, 2, 4, 3)),
        n.LIF("", amplitude=0.01, tau_rc=0.03, tau_ref=0.001),
    ],
    "constants of a neuron": [
        conv(C, (1, 1, 4, 3)),
        n.Membrane(
            "",
            resistance=rng.random((6, 5, 3)),
            rest=np.full((), 0.1),
            threshold=2 + rng.random((1, 1, 3)),
            reset_to=np.zeros(1),
        ),
        n.LIF("", amplitude=0.01),
    ],
    "soft lif": [n.SoftLIF("", amplitude=0.01, sigma=0.02), n.Flatten("")],
    **{name: [Elementwise("", function=name)] for name in FUNCTIONS},
}


def chain(nodes) -> Graph:
    named = [replace(node, name=f"n{i}") for i, node in enumerate(nodes)]
    return Graph.chain(n.Input("x", shape=PICTURE), *named, n.Output("y"))


def answers(graph: Graph, x: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return interpret(graph, x)[graph.output.name]


def by_onnxruntime(content: bytes, x: np.ndarray) -> np.ndarray:
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (port,) = session.get_inputs()
    (found,) = session.run(None, {port.name: x.astype(np.float32)})
    return found


def assert_near(found: np.ndarray, graph: Graph, x: np.ndarray) -> None:
    """1e-5 apart, and what the last bits of a float of 32 bits make of it."""
    wanted = answers(graph, x)
    wide = max(float(np.abs(wanted).max()), 1e-9)
    noise = [np.abs(answers(graph, x * (1 + d)) - wanted) for d in (3e-7, -3e-7)]
    assert found.shape == wanted.shape
    assert (np.abs(found - wanted) <= 1e-5 * wide + 4 * np.max(noise, axis=0)).all()


def read_back(content: bytes, folder, x: np.ndarray) -> np.ndarray:
    """What the file computes as it is read; a picture may be held channels last."""
    path = folder / "net.onnx"
    path.write_bytes(content)
    reading = read(read_file(path), None)
    found = answers(reading.graph, x)
    return np.moveaxis(found, -1, 1) if reading.channels_last else found


def samples(graph: Graph) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(3, *graph.input.shape)).astype("f4")


@pytest.mark.parametrize("kind", ONES)
def test_onnxruntime_computes_every_node(kind):
    graph = chain(ONES[kind])
    x = samples(graph)
    assert_near(by_onnxruntime(to_onnx(graph), x), graph, x)


@pytest.mark.parametrize("kind", ONES)
def test_every_node_is_read_back(kind, tmp_path):
    if kind == "largest, wide":
        pytest.skip("windows of padding alone have no largest value")
    graph = chain(ONES[kind])
    content = to_onnx(graph)
    onnx.checker.check_model(onnx.ModelProto.FromString(content), full_check=True)
    x = samples(graph)
    assert_near(read_back(content, tmp_path, x), graph, x)


def test_no_node_is_left_out():
    """Add and Concat are in random networks."""
    seen = {type(node) for nodes in ONES.values() for node in nodes}
    assert set(CONVERTERS) - seen == {n.Add, n.Concat, n.Output}


@given(graphs(), st.integers(0, 99))
@settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)
def test_random_networks_are_read_back(tmp_path_factory, graph, seed):
    x = samples_for(graph, seed).astype("f4")
    assert_near(read_back(to_onnx(graph), tmp_path_factory.mktemp("e"), x), graph, x)


@given(graphs(), st.integers(0, 99))
@settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)
def test_onnxruntime_computes_random_networks(graph, seed):
    x = samples_for(graph, seed).astype("f4")
    assert_near(by_onnxruntime(to_onnx(graph), x), graph, x)
