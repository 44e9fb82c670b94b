"""``import`` and ``export``: networks kept as bundles, and written as ONNX."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_networks import fitted, save
from tiny_files import CONV, DENSE, FLATTEN, write_model

from snn_deploy.model_files import read_model
from snn_deploy.toolchain.errors import ModelError
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.functions import MaxPool2D
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import evaluate

MODELS = Path(__file__).parent / "onnx_models"


@pytest.fixture
def keras(tmp_path):
    return write_model(tmp_path / "net.h5", CONV, FLATTEN, DENSE)


def answers(path: Path) -> np.ndarray:
    graph = read_model(path).graph
    return evaluate(graph, np.random.default_rng(0).random((3, *graph.input.shape)))


def test_import_keeps_a_network_and_says_what_to_do_next(
    keras, tmp_path, run_cli, capsys
):
    out = tmp_path / "net.snn"
    assert run_cli("import", keras, "--out", out) == 0
    told = capsys.readouterr()
    assert not told.out and "takes (8, 12, 3), gives (4,)" in told.err
    np.testing.assert_array_equal(answers(out), answers(keras))
    assert f"next: snn-deploy check {out}" in told.err
    assert run_cli("check", out, "--target", "reference") == 0
    again = tmp_path / "again.snn"  # a bundle is a network too
    assert run_cli("import", out, "--out", again) == 0
    assert again.read_bytes() == out.read_bytes()


def test_what_was_said_of_a_file_is_kept(tmp_path, run_cli, capsys):
    pytest.importorskip("onnx", reason="onnx is not installed")
    out = tmp_path / "unet.snn"
    assert run_cli("import", MODELS / "unet.onnx", "--out", out) == 0
    remark = "The answer is (height, width, channels)."
    assert f"note: {remark}" in capsys.readouterr().err
    assert read_model(out).notes == (remark,)


def test_import_takes_rewrites(tmp_path, run_cli):
    graph = Graph.chain(
        n.Input("x", shape=(4, 4, 2)),
        n.ReLU("first"),
        MaxPool2D("largest", pool=(2, 2), stride=(2, 2)),
        n.ReLU("last"),
        n.Output("y"),
    )
    words = ("import", save(tmp_path / "a.snn", graph), "--out", tmp_path / "b.snn")
    assert run_cli(*words, "--rewrite", "maxpool=average") == 0
    found = read_model(tmp_path / "b.snn")
    assert found.remarks[0].startswith("rewritten on request: maxpool as average")
    assert isinstance(found.graph["largest"], n.AvgPool2D)


@pytest.mark.parametrize(
    "words, message",
    [
        (("import", "gone.onnx", "--out", "net.snn"), "no such file"),
        (("import", "net.h5", "--out", "net.onnx"), "has to end in .snn"),
        (("import", "net.h5", "--out", "no/net.snn"), "choose a folder that exists"),
        (("export", "net.h5", "--out", "no/net.onnx"), "choose a folder that exists"),
        (("export", "net.h5", "--format", "pb", "--out", "n"), "not written; onnx"),
        (("export", "gone.snn", "--out", "net.onnx"), "no such file"),
    ],
)
def test_mistakes_are_one_sentence_and_write_nothing(
    words, message, keras, tmp_path, run_cli, capsys, monkeypatch
):
    if words[0] == "export":
        pytest.importorskip("onnx", reason="onnx is not installed")
    monkeypatch.chdir(tmp_path)
    assert run_cli(*words) == 2
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1
    assert list(tmp_path.iterdir()) == [keras]


def test_damaged_remarks_are_refused(tmp_path):
    x = np.random.default_rng(0).normal(size=(30, 3))
    path = save(tmp_path / "net.snn", fitted(x, x[:, :1]), remarks=[1])
    with pytest.raises(ModelError, match="its metadata are damaged .*remarks"):
        read_model(path)


def test_export_writes_what_import_reads(keras, tmp_path, run_cli, capsys):
    pytest.importorskip("onnx", reason="onnx is not installed")
    out = tmp_path / "net.onnx"
    assert run_cli("export", keras, "--format", "onnx", "--out", out) == 0
    assert f"wrote {out}" in capsys.readouterr().err
    np.testing.assert_allclose(answers(out), answers(keras), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["unet", "resnet8", "keywords"])
def test_pytorchs_networks_come_back_as_they_were(name, tmp_path, run_cli):
    """Channels first, as torch takes them; the U-Net's answer is channels last."""
    pytest.importorskip("onnx", reason="onnx is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    out = tmp_path / "net.onnx"
    assert run_cli("export", MODELS / f"{name}.onnx", "--out", out) == 0
    with np.load(MODELS / f"{name}.npz") as kept:
        x, y = kept["x"], kept["y"]
    session = runtime.InferenceSession(out, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: x})
    wanted = np.moveaxis(y, 1, -1) if name == "unet" else y
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * np.abs(y).max())
