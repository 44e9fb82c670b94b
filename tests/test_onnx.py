"""ONNX files: PyTorch's networks, and the cases that come with the onnx package."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

import onnx_cases  # noqa: E402

from snn_deploy.model_files import read_model  # noqa: E402
from snn_deploy.toolchain.errors import ModelError  # noqa: E402
from snn_deploy.toolchain.frontends.onnx.files import read_file  # noqa: E402
from snn_deploy.toolchain.frontends.onnx.reading import read  # noqa: E402
from snn_deploy.toolchain.graph.interpret import evaluate, interpret  # noqa: E402
from snn_deploy.toolchain.graph.nodes import ReLU  # noqa: E402

HERE = Path(__file__).parent
NETWORKS = sorted((HERE / "onnx_models").glob("*.onnx"))
PAGE = HERE.parent / "benchmarks" / "results" / "onnx_node_tests.md"


@pytest.fixture(scope="module")
def cases():
    """All of the package's cases and what became of them, read once."""
    return onnx_cases.outcomes()


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.name)
def test_pytorchs_networks_give_torchs_outputs(path):
    with np.load(path.with_name(f"{path.name.split('.')[0]}.npz")) as kept:
        x, y = kept["x"], kept["y"]
    reading = read(read_file(path), None)
    found = interpret(reading.graph, x)[reading.graph.output.name]
    wanted = np.moveaxis(y, 1, -1) if reading.channels_last else y
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * np.abs(y).max())
    assert reading.channels_last == path.name.startswith("unet")


def test_that_an_answer_has_channels_last_is_said():
    remarks = read_model(HERE / "onnx_models" / "unet.onnx").remarks
    assert "The answer is (height, width, channels)." in remarks


def test_no_case_of_onnx_gives_another_output(cases):
    wrong = [
        f"{name}: {error}"
        for name, (_, error) in cases.items()
        if isinstance(error, AssertionError)
    ]
    assert not wrong and len(cases) > 900


def test_every_refusal_names_the_node(cases):
    unnamed = [
        f"{name}: {error}"
        for name, (case, error) in cases.items()
        if error is not None and not onnx_cases.named(case, error)
    ]
    assert not unnamed


WANTED = """Conv ConvTranspose Gemm MatMul BatchNormalization Relu Clip LeakyRelu PRelu
AveragePool MaxPool GlobalAveragePool ReduceMean Flatten Reshape Transpose Squeeze
Unsqueeze Add Sub Mul Concat Pad Slice Split Upsample Resize Dropout Identity Constant
Cast DequantizeLinear Sigmoid Softmax ArgMax"""


def test_every_operator_that_is_promised_is_read(cases):
    """Concat's cases join the sample and a constant; the U-Net joins two layers."""
    right = {case.operator for case, error in cases.values() if error is None}
    assert set(WANTED.split()) - right <= {"Concat"}


def test_the_page_says_what_became_of_them(cases):
    kept = onnx_cases.sections(PAGE.read_text())
    if onnx.__version__ not in kept:
        pytest.skip(f"{PAGE.name} has no section for onnx {onnx.__version__}")
    assert onnx_cases.section(cases) == kept[onnx.__version__]


def test_the_documentation_quotes_the_counts():
    text = (HERE.parent / "docs" / "models.md").read_text().replace("\n", " ")
    for version, told in onnx_cases.sections(PAGE.read_text()).items():
        pattern = r"Of (\d+) cases (\d+) give .* and (\d+) are refused"
        ((total, right, refused),) = re.findall(pattern, told)
        (said,) = re.findall(rf"onnx {re.escape(version)}: (.*?) refused", text)
        assert f"{right} of {total}" in said and said.split().count(refused) == 1


def small(tmp_path, nodes, outputs, **weights):
    """A file of these nodes on x (samples, 2, 2, 3)."""
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(kind, inputs, [y], **f) for kind, inputs, y, f in nodes],
        "small",
        [value("x", 1, (None, 2, 2, 3))],
        [value(name, 1, None) for name in outputs],
        [onnx.numpy_helper.from_array(w, name) for name, w in weights.items()],
    )
    opsets = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)
    path = tmp_path / "small.onnx"
    onnx.save(model, str(path))
    return path


X = np.random.default_rng(0).normal(size=(2, 2, 2, 3))


def test_one_of_several_outputs_is_read_or_all_of_them(tmp_path):
    weight = np.ones((4, 2, 1, 1), np.float32)
    nodes = [
        ("Conv", ["x", "w"], "first", {}),
        ("Relu", ["first"], "second", {}),
        ("GlobalAveragePool", ["second"], "third", {}),
    ]
    path = small(tmp_path, nodes, ("second", "third"), w=weight)
    message = r"outputs 'second', 'third'; .*--output third, or --output all"
    with pytest.raises(ModelError, match=message):
        read_model(path)
    with pytest.raises(ModelError, match="'third' and no 'first'; name"):
        read_model(path, "first")
    one, other, both = (
        read_model(path, name).graph for name in ("second", "third", "all")
    )
    answers = [evaluate(graph, X) for graph in (one, other, both)]
    channels_first = np.moveaxis(answers[0], -1, 1)
    flat = [a.reshape(len(X), -1) for a in (channels_first, answers[1])]
    np.testing.assert_array_equal(answers[2], np.concatenate(flat, axis=1))


@pytest.mark.parametrize(
    "kind, options, weights",
    [
        ("LeakyRelu", {"alpha": 0.0}, {}),
        ("PRelu", {}, {"s": np.zeros((1,), np.float32)}),
        ("PRelu", {}, {"s": np.zeros((2, 1, 1), np.float32)}),
        ("PRelu", {}, {"s": np.zeros((2, 2, 3), np.float32)}),
    ],
)
def test_a_slope_of_0_is_a_relu(kind, options, weights, tmp_path):
    path = small(tmp_path, [(kind, ["x", *weights], "y", options)], ["y"], **weights)
    graph = read_model(path).graph
    assert [type(node) for node in graph.nodes][1:-1] == [ReLU]
    assert np.array_equal(evaluate(graph, X).reshape(X.shape), np.maximum(X, 0))


def test_keras_2s_hard_sigmoid_is_a_bounded_relu(tmp_path):
    path = small(tmp_path, [("HardSigmoid", ["x"], "y", {"alpha": 0.2})], ["y"])
    answers = evaluate(read_model(path).graph, 4 * X)
    np.testing.assert_allclose(answers, np.clip(0.8 * X + 0.5, 0, 1), atol=1e-6)


@pytest.mark.parametrize(
    "kind, weights",
    [("ConvTranspose", {"w": np.ones((2, 1, 1, 1), np.float32)}), ("AveragePool", {})],
)
def test_a_padding_that_runtimes_understand_differently_is_refused(
    kind, weights, tmp_path
):
    """A kernel shorter than its stride leaves gaps, and SAME says no more where."""
    how = {"auto_pad": "SAME_LOWER", "strides": [2, 2]}
    pool = {} if weights else {"kernel_shape": [1, 1]}
    nodes = [(kind, ["x", *weights], "y", how | pool)]
    path = small(tmp_path, nodes, ["y"], **weights)
    with pytest.raises(ModelError, match="'y': its auto_pad .* each in its own way"):
        read_model(path)
