"""Files of formats that are not read: each is named, with what to do; none is run."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from small_networks import fitted

from snn_deploy.model_files import read_model
from snn_deploy.toolchain.bundle.bundle import Bundle, save_bundle
from snn_deploy.toolchain.errors import ModelError

HERE = Path(__file__).parent


class Harm:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def hdf5(path, *names):
    with h5py.File(path, "w") as file:
        for name in names:
            file[name] = np.zeros(3)


def zipped(path, **members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def torch(path):
    """As torch.save writes it: a zip with a pickle, and numbers beside it."""
    harm = pickle.dumps(Harm(path.parent / "harm"))
    zipped(path, **{"net/data.pkl": harm, "net/version": b"3", "net/data/0": b"1234"})


LEGACY = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)  # PyTorch before 1.6
HEADER = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})
SAFE = len(HEADER).to_bytes(8, "little") + HEADER.encode() + bytes(4)
NODE = b"\n\x14\n\x05input\x12\x0bPlaceholder"
FILES = {  # name → what writes it, what it is, what to do
    "net.pt": (torch, "a PyTorch file", r"torch.onnx.export\(model, \(samples,\)"),
    "net.pth": (torch, "never unpickled", "give net.onnx"),
    "net.h5": (torch, "a PyTorch file", "torch.onnx.export"),  # whatever it is called
    "old.pt": (lambda p: p.write_bytes(LEGACY), "a PyTorch file", "torch.onnx.export"),
    "net.pkl": (
        lambda p: p.write_bytes(pickle.dumps(Harm(p.parent / "harm"))),
        "a pickle, which may hold any code",
        "skl2onnx.to_onnx",
    ),
    "net.tflite": (
        lambda p: p.write_bytes(b"\x1c\0\0\0TFL3" + bytes(90)),
        "a TensorFlow Lite model",
        r"model.save\('net.keras'\)",
    ),
    "net.pb": (lambda p: p.write_bytes(NODE), "frozen graph", "tf2onnx.convert"),
    "saved_model.pb": (
        lambda p: p.write_bytes(b"\x08\x01\x12" + bytes(30)),
        "one file of a SavedModel folder",
        "give the folder",
    ),
    "net.safetensors": (
        lambda p: p.write_bytes(SAFE),
        "weights and no network",
        "load them into their network in PyTorch",
    ),
    "net.json": (
        lambda p: p.write_text('{"class_name": "Sequential", "config": {}}'),
        "layers without their weights",
        "model.save",
    ),
    "data.npz": (lambda p: np.savez(p, x=np.zeros(3)), "file of arrays", "as --data"),
    "data.npy": (lambda p: np.save(p, np.zeros(3)), "file of arrays", "as --data"),
    "data.h5": (lambda p: hdf5(p, "x", "y"), "file of arrays", "as --data"),
    "weights.h5": (
        lambda p: hdf5(p, "layers/dense/vars/0"),
        "weights only",
        "model.save, not save_weights",
    ),
    "net.zip": (
        lambda p: zipped(p, **{"manifest.json": b"{}"}),
        "a bundle of snn-deploy",
        "call it NAME.snn",
    ),
    "train.py": (lambda p: p.write_text("raise"), "a program, which is not", "torch"),
    "net.mlmodel": (lambda p: p.write_bytes(b"\x08\x05"), "a Core ML", "torch.onnx"),
    "net.txt": (lambda p: p.write_text("net"), "no network of a format", "ONNX .onnx"),
    "folder": (lambda p: p.mkdir(), "no network of a format", "SavedModel folder"),
    "net.keras": (
        lambda p: p.write_text("net"),
        "neither HDF5 nor a zip",
        "model.save",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_named_as_what_it_is(name, tmp_path, run_cli, capsys):
    write, what, do = FILES[name]
    path = tmp_path / name
    write(path)
    with pytest.raises(ModelError, match=f"{what}.*; .*{do}"):
        read_model(path)
    assert run_cli("check", path) == 2
    told = capsys.readouterr()
    assert not told.out and told.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == [path]  # nothing was unpickled


def test_a_damaged_hdf5_or_zip_is_left_to_its_format(tmp_path):
    for name, start in (("net.nir", b"\x89HDF\r\n\x1a\n"), ("net.pt", b"PK\x03\x04")):
        (tmp_path / name).write_bytes(start + bytes(99))
        with pytest.raises(ModelError, match="it is damaged"):
            read_model(tmp_path / name)


def test_a_bundle_may_be_a_folder_of_any_name(tmp_path):
    x = np.random.default_rng(0).normal(size=(30, 3))
    save_bundle(tmp_path / "net", Bundle(graph=fitted(x, x[:, :1])))
    assert read_model(tmp_path / "net").graph.input.shape == (3,)
