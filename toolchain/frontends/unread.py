"""Files that are no network that is read: what each is, and what to do today.

They are told apart by their first bytes and the names inside; nothing of them is run,
and a pickle, which may hold any code, is never opened.
"""

from __future__ import annotations

import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ..rehearsal import rehearsed
from .keras.hdf5 import MAGIC as HDF5

START = 64  # bytes
_EXPORT = "torch.onnx.export(model, (samples,), 'net.onnx') and give net.onnx"


DAMAGED = (
    *(OSError, KeyError, ValueError, TypeError, RuntimeError, NotImplementedError),
    zipfile.BadZipFile,
)
"""What h5py and zipfile raise on a damaged file."""


@dataclass(frozen=True)
class Unread:
    """A kind of file that is not read."""

    what: str
    do: str


TORCH = Unread(
    "a PyTorch file, which is a pickle inside and is never unpickled",
    f"load it in PyTorch, call {_EXPORT}",
)
PICKLE = Unread(
    "a pickle, which may hold any code and is never unpickled",
    f"load it where it was made and export it as ONNX: {_EXPORT}, or skl2onnx.to_onnx",
)
TFLITE = Unread(
    "a TensorFlow Lite model, which is not read",
    "save the Keras model that it was made of with model.save('net.keras')",
)
FROZEN = Unread(
    "a frozen graph of TensorFlow, which is not read",
    "save its Keras model with model.save('net.keras'), or make an ONNX of it: python "
    "-m tf2onnx.convert --graphdef net.pb --inputs NAME:0 --outputs NAME:0 --output "
    "net.onnx",
)
SAVED_MODEL = Unread(
    "one file of a SavedModel folder",
    "give the folder that it lies in",
)
SAFETENSORS = Unread(
    "a safetensors file, which holds weights and no network",
    f"load them into their network in PyTorch, call {_EXPORT}",
)
DESCRIPTION = Unread(
    "a description of layers without their weights",
    "save the whole model with model.save('net.keras')",
)
DATA = Unread(
    "a file of arrays and no network",
    "give it as --data, and the network as the model",
)
BUNDLE = Unread("a bundle of snn-deploy", "call it NAME.snn")
SUFFIXES = {
    ".mlmodel": Unread("a Core ML model, which is not read", f"call {_EXPORT}"),
    ".xml": Unread("no network that is read (OpenVINO's are .xml)", f"call {_EXPORT}"),
    ".caffemodel": Unread("a Caffe model, which is not read", "make an ONNX of it"),
    ".py": Unread(
        "a program, which is not run",
        f"run it yourself, and in it {_EXPORT}; of a Nengo network keep a .snn "
        "(docs/nengo.md)",
    ),
}


def known_as(path: Path) -> Unread | None:
    """What a file is known to be that is no network that is read; None: not known."""
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            start = file.read(START)
        if start.startswith(HDF5):
            return _of_hdf5(path)
        if start.startswith(b"PK"):
            return _of_zip(path)
    except DAMAGED:
        return None  # which who reads it will say
    return _of_start(path, start) or SUFFIXES.get(path.suffix.lower())


def _of_start(path: Path, start: bytes) -> Unread | None:
    if start[4:8] == b"TFL3":
        return TFLITE
    if start[:1] == b"\x80" and 2 <= start[1] <= 5:  # pickle's protocol
        legacy = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # PyTorch before 1.6
        return TORCH if legacy in start else PICKLE
    if start.startswith(b"\x93NUMPY"):
        return DATA
    if start.startswith(b"\x08\x01\x12") and path.name == "saved_model.pb":
        return SAVED_MODEL
    if start[:1] == b"\n" and path.suffix == ".pb":
        return FROZEN
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size:
        return SAFETENSORS
    if start[:1] == b"{" and b'"class_name"' in start:
        return DESCRIPTION
    return None


@rehearsed
def _of_hdf5(path: Path) -> Unread | None:
    import h5py

    with h5py.File(path, "r") as file:
        names = set(file)
        if "model_config" in file.attrs:
            return None
    return DATA if names & {"x", "x_train"} else None


def _of_zip(path: Path) -> Unread | None:
    with zipfile.ZipFile(path) as archive:
        names: Collection[str] = archive.namelist()
    ends = {name.rpartition("/")[2] for name in names}
    if ends & {"data.pkl", "archive_format"}:  # torch.save, torch.export.save
        return TORCH
    if "manifest.json" in names:
        return BUNDLE
    if names and all(name.endswith(".npy") for name in names):
        return DATA
    return None
