"""ONNX files: PyTorch's networks, and the cases that come with the onnx package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

import onnx_cases  # noqa: E402

from snn_deploy.model_files import read_model  # noqa: E402
from snn_deploy.toolchain.frontends.onnx.files import read_file  # noqa: E402
from snn_deploy.toolchain.frontends.onnx.reading import read  # noqa: E402
from snn_deploy.toolchain.graph.interpret import interpret  # noqa: E402

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
