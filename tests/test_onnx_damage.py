"""ONNX files that are damaged or hostile: one sentence, exit code 2, nothing written.

A file is read as numbers only; nothing of it is ever run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from snn_deploy.model_files import read_model  # noqa: E402
from snn_deploy.toolchain.errors import SnnDeployError  # noqa: E402

MODELS = Path(__file__).parent / "onnx_models"
WEIGHT = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


def model(*nodes, inputs=((None, 4),), weight=None, outputs=("y",), version=17):
    """A network of these nodes, whose weight is w (4, 3)."""
    weight = numpy_helper.from_array(WEIGHT, "w") if weight is None else weight
    graph = helper.make_graph(
        nodes or [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "network",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in zip("xabc", inputs)
        ],
        [helper.make_tensor_value_info(name, 1, None) for name in outputs],
        [weight],
    )
    opsets = [helper.make_opsetid("", version)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def node(kind, inputs, output="y", **attributes):
    return helper.make_node(kind, inputs, [output], name=f"the {kind}", **attributes)


def outside(**entries):
    """The weight in a file beside the model."""
    tensor = TensorProto(name="w", dims=(4, 3), data_type=TensorProto.FLOAT)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)
    return model(weight=tensor)


def tensor(**fields):
    """The weight as fields of a protocol buffer."""
    return model(weight=TensorProto(name="w", **{"data_type": 1, **fields}))


def no_text():
    """A node whose name is no Unicode, which protobuf does not write."""
    content = model(node("Relu", ["x"])).SerializeToString()
    return content.replace(b"the Relu", b"\xffhe Relu")


FLAT = [0.0] * 12
BAD = {  # what is wrong → the model, and what of it is said
    "no output": (model(outputs=()), "holds no network with an output"),
    "an output that nothing makes": (
        model(outputs=("z",)),
        "'z' .* made by no|'z' dep",
    ),
    "a cycle": (
        model(node("Add", ["x", "b"], "a"), node("Relu", ["a"], "b"), outputs=("b",)),
        "'the Add': its input 'b' is computed after it",
    ),
    "no such tensor": (
        model(node("MatMul", ["x", "gone"])),
        "'the MatMul': its input 'gone' does not exist",
    ),
    "no input": (model(node("Relu", ["w"])), "depends on 0 inputs"),
    "two inputs": (
        model(node("Add", ["x", "a"]), inputs=((None, 4), (None, 4))),
        r"depends on 2 inputs \('x', 'a'\)",
    ),
    "an open picture": (model(inputs=((None, None),)), "only the first axis"),
    "a giant input": (model(inputs=((None, 1 << 40),)), "GiB are needed in memory"),
    "a giant weight": (tensor(dims=(1 << 31, 1 << 31)), "GiB are needed in memory"),
    "a weight of less than nothing": (tensor(dims=(-4, 3)), "its shape is"),
    "too few numbers": (tensor(dims=(4, 3), float_data=FLAT[:5]), "takes 12 numbers"),
    "too few bytes": (tensor(dims=(4, 3), raw_data=b"1234"), "takes 48 bytes and 4"),
    "no type": (tensor(dims=(4, 3), data_type=99), "its data type is number 99"),
    "text": (
        tensor(dims=(2,), data_type=8, string_data=[b"a", b"b"]),
        "cannot be read|'y': its factors",
    ),
    "not finite": (
        model(weight=numpy_helper.from_array(WEIGHT * np.nan, "w")),
        "holds 12 NaN or infinite",
    ),
    "an attribute of another type": (
        model(node("Flatten", ["x"], axis="one")),
        "'the Flatten': its attribute 'axis' is a str",
    ),
    "an axis that is not there": (model(node("Flatten", ["x"], axis=9)), "'the Flatt"),
    "a picture that is none": (model(node("Conv", ["x", "w"])), "'the Conv'"),
    "padding beyond memory": (
        model(
            node("Pad", ["x"], pads=[0, 0, 0, 1 << 40]), inputs=((None, 4),), version=9
        ),
        "the Pad",
    ),
    "a stride of 0": (
        model(node("Conv", ["x", "w"], strides=[1, 0], kernel_shape=[3, 3])),
        "'the Conv'",
    ),
    "a Scan of nothing": (model(node("Scan", ["x"])), "'the Scan'"),
    "a name of no text": (no_text(), "the name b'.xffhe Relu' in it is no text"),
    "a shape beyond floats": (
        tensor(dims=(1 << 62,) * 20),
        "GiB are needed in memory",
    ),
    "far away": (outside(location="w.bin"), "'w.bin' beside the model, which cannot"),
    "nowhere": (outside(), "'w': its numbers are said to lie in ''"),
    "above": (outside(location="../w.bin"), "model's own folder is allowed"),
    "above on Windows": (outside(location="..\\w.bin"), "model's own folder is"),
    "deep and above": (outside(location="a/../../w.bin"), "model's own folder is"),
    "absolute": (outside(location="/etc/passwd"), "model's own folder is allowed"),
    "absolute on Windows": (outside(location="C:\\w.bin"), "model's own folder is"),
    "a zero byte": (outside(location="w\0.bin"), "model's own folder is allowed"),
    "through a link": (outside(location="link.bin"), "model's own folder is allowed"),
    "through a folder": (outside(location="folder/w.bin"), "model's own folder is"),
    "a pipe": (outside(location="pipe"), "it is no regular file|Invalid argument"),
    "too long": (outside(location="few.bin", length=48), "are needed, it says 48"),
    "another length": (outside(location="many.bin", length=47), "it says 47"),
    "before it": (outside(location="many.bin", offset=-1), "from -1 on"),
    "behind it": (outside(location="many.bin", offset=1 << 62), "are needed"),
    "an offset that is none": (outside(location="many.bin", offset="x"), "damaged|w"),
}


@pytest.fixture
def folder(tmp_path):
    """A model's folder, with files beside it and what points out of it."""
    (tmp_path / "w.bin").write_bytes(WEIGHT.tobytes())
    inside = tmp_path / "model"
    inside.mkdir()
    (inside / "few.bin").write_bytes(b"1234")
    (inside / "many.bin").write_bytes(bytes(99))
    (inside / "link.bin").symlink_to(tmp_path / "w.bin")
    (inside / "folder").symlink_to(tmp_path)
    os.mkfifo(inside / "pipe")
    return inside


def held(folder: Path) -> set[Path]:
    return set(folder.parent.rglob("*"))


@pytest.mark.parametrize("what", BAD)
def test_one_sentence_and_nothing_written(what, folder, run_cli, monkeypatch, capfd):
    proto, message = BAD[what]
    path = folder / "net.onnx"
    made = isinstance(proto, bytes)
    path.write_bytes(proto if made else proto.SerializeToString())
    with pytest.raises(SnnDeployError, match=message):
        read_model(path)
    before = held(folder)
    monkeypatch.chdir(folder)
    for words in (("check", path), ("build", "--target", "reference", "--model", path)):
        code = run_cli(*words)
        out, err = capfd.readouterr()
        if words[0] == "check" and code == 1:  # an obstacle of the network's own
            assert "cannot be deployed" in out and not err
            continue
        assert code == 2 and not out
        assert err.count("\n") == 1 and err.startswith("Error: ")
    assert held(folder) == before


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut short, some bytes changed, or some left out."""
    changed = bytearray(content)
    place = int(rng.integers(len(content)))
    match int(rng.integers(3)):
        case 0:
            return content[:place]
        case 1:
            for i in rng.integers(len(content), size=4):
                changed[i] = rng.integers(256)
        case _:
            del changed[place : place + int(rng.integers(1, 200))]
    return bytes(changed)


@pytest.mark.parametrize("name", ["mlp.onnx", "unet.dynamo.onnx", "keywords.onnx"])
def test_damage_is_told_or_does_no_harm(name, tmp_path, capfd):
    content = (MODELS / name).read_bytes()
    if (MODELS / f"{name}.data").exists():
        data = (MODELS / f"{name}.data").read_bytes()
        (tmp_path / f"{name}.data").write_bytes(data)
    path = tmp_path / name
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        path.write_bytes(damaged(content, rng))
        try:
            read_model(path)
        except SnnDeployError as error:
            refused += 1
            assert str(error)
    assert refused > 50
    assert capfd.readouterr().err == ""


NO_ONNX = {
    "empty": b"",
    "a byte": b"\x08",
    "zeros": bytes(1000),
    "random": np.random.default_rng(0).bytes(1000),
}


@pytest.mark.parametrize("content", NO_ONNX.values(), ids=NO_ONNX)
def test_what_is_no_onnx_is_refused(content, tmp_path, run_cli, capfd):
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    assert run_cli("check", path) == 2
    assert capfd.readouterr().err.count("\n") == 1


MEASURE = """
import resource, sys, time
from pathlib import Path
from snn_deploy.model_files import keep, read_model
import onnx
import snn_deploy.toolchain.frontends.onnx.onnx
def peak():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
keep(read_model(Path(sys.argv[1])), Path(sys.argv[1]).with_name("net.snn"))
print(peak() - before)
"""
SIDE = 1120  # of four matrices of 5 MB


@pytest.mark.parametrize("beside", [False, True], ids=["inside", "beside"])
def test_a_large_model_is_read_and_kept_in_under_4_times_its_size(beside, tmp_path):
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(4, SIDE, SIDE)).astype(np.float32)
    nodes, last = [], "x"
    for i in range(4):
        nodes += [
            node("Gemm", [last, f"w{i}"], f"g{i}"),
            node("Relu", [f"g{i}"], f"{i}"),
        ]
        last = f"{i}"
    proto = model(*nodes, inputs=((None, SIDE),), outputs=(last,))
    del proto.graph.initializer[:]
    for i, weight in enumerate(weights):
        proto.graph.initializer.append(numpy_helper.from_array(weight, f"w{i}"))
    how = {"save_as_external_data": True, "location": "weights"} if beside else {}
    onnx.save(proto, str(tmp_path / "net.onnx"), **how)
    code = [sys.executable, "-c", MEASURE, tmp_path / "net.onnx"]
    done = subprocess.run(code, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 4 * weights.nbytes
