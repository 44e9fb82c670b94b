"""Tensors of ONNX, in the model file or beside it: only what they promise is read."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from ...errors import ModelError
from ...files import demand_regular
from ...graph.nodes import Array, Shape
from ...memory import demand_memory
from .model import Stored

BFLOAT16 = 16
DTYPES: Mapping[int, str] = {
    **{1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32"},
    **{7: "int64", 9: "bool", 10: "float16", 11: "float64", 12: "uint32"},
    **{13: "uint64", BFLOAT16: "bfloat16"},
}
"""TensorProto.DataType → what it is read as. Source: onnx/onnx.proto."""
FLOATS = frozenset((1, 10, 11, BFLOAT16))
TEXT = 8
OUTSIDE = 1  # TensorProto.DataLocation.EXTERNAL


def stored(tensor: Any, folder: Path) -> Stored:
    """A TensorProto; external data lies in ``folder``, the model's.

    What is kept of it is its own, so that the model it is a part of can be let go.
    """
    shape = tuple(int(size) for size in tensor.dims)
    raw: bytes = tensor.raw_data
    own = type(tensor)()
    if raw:
        own.name, own.data_type = tensor.name, tensor.data_type
        own.data_location = tensor.data_location
        own.external_data.extend(tensor.external_data)
    else:
        own.CopyFrom(tensor)
    return Stored(shape=shape, read=lambda: _read(own, raw, folder, shape))


def _read(tensor: Any, raw: bytes, folder: Path, shape: Shape) -> Array:
    """The numbers of a tensor.

    Raises:
        ModelError: they are not what it promises, of a kind that is not read, or lie
            outside the model's folder.
    """
    title = f"Tensor {tensor.name!r}"
    if tensor.data_type == TEXT and len(tensor.string_data) == math.prod(shape):
        return np.array([s.decode() for s in tensor.string_data], object)
    kind = DTYPES.get(tensor.data_type)
    if kind is None:
        raise ModelError(
            f"{title}: its data type is number {tensor.data_type}; floats of 16, 32 or "
            "64 bits and whole numbers of 8 to 64 bits are allowed, export the model "
            "with such"
        )
    if min(shape, default=1) < 0:
        raise ModelError(f"{title}: its shape is {shape}; export the model again")
    dtype = np.dtype("<u2" if kind == "bfloat16" else kind).newbyteorder("<")
    size = math.prod(shape) * dtype.itemsize
    demand_memory(f"{title} of shape {shape}", size, "use a smaller network")
    if tensor.data_location == OUTSIDE:
        flat = _outside(tensor, folder, title, dtype, size)
    elif raw:
        flat = np.frombuffer(raw, np.uint8)
        if flat.size != size:
            raise _short(title, shape, size, flat.size)
        flat = flat.view(dtype)
    else:
        flat = _listed(tensor, title, kind, shape)
    if kind == "bfloat16":
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    return flat.reshape(shape)


def _short(title: str, shape: Shape, size: int, found: int) -> ModelError:
    return ModelError(
        f"{title}: its shape {shape} takes {size} bytes and {found} are there; export "
        "the model again"
    )


def _listed(tensor: Any, title: str, kind: str, shape: Shape) -> Array:
    """Numbers in the fields that protobuf has for them."""
    fields = {
        "float32": "float_data",
        "float64": "double_data",
        "int64": "int64_data",
        **dict.fromkeys(("uint32", "uint64"), "uint64_data"),
    }
    held = getattr(tensor, fields.get(kind, "int32_data"))
    count = math.prod(shape)
    if len(held) != count:
        raise ModelError(
            f"{title}: its shape {shape} takes {count} numbers and {len(held)} are "
            "there; export the model again"
        )
    if kind in ("float16", "bfloat16"):  # their bits, as whole numbers
        bits = np.fromiter(held, np.int64, count).astype(np.uint16)
        return bits.view(np.float16) if kind == "float16" else bits
    return np.fromiter(held, np.dtype(kind), count)


def _outside(
    tensor: Any, folder: Path, title: str, dtype: np.dtype[Any], size: int
) -> Array:
    """Numbers in a file beside the model, as PyTorch's exporter writes them."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    path = beside(folder, location, title)
    try:
        demand_regular(path)
        with path.open("rb") as file:
            there = os.fstat(file.fileno()).st_size
            start = int(entries.get("offset", 0))
            length = int(entries.get("length", size))
            if length != size or not 0 <= start <= there - size:
                raise ModelError(
                    f"{title}: {size} bytes of {location!r} from {start} on are "
                    f"needed, it says {length} and the file has {there}; export the "
                    "model again, and keep both files together"
                )
            file.seek(start)
            return np.fromfile(file, dtype, size // dtype.itemsize)
    except OSError as error:
        raise ModelError(
            f"{title}: its numbers lie in {location!r} beside the model, which cannot "
            f"be read ({error.strerror}); keep both files in one folder"
        ) from error


def beside(folder: Path, location: str, title: str) -> Path:
    """The path of a file in the model's folder, and nowhere else.

    Raises:
        ModelError: it leaves the folder, through a link too.
    """
    parts = {*PurePosixPath(location).parts, *PureWindowsPath(location).parts}
    absolute = PurePosixPath(location).anchor or PureWindowsPath(location).anchor
    try:
        path = folder / location
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # a zero byte, a circle of links
        inside = False
    if not location or absolute or ".." in parts or not inside:
        raise ModelError(
            f"{title}: its numbers are said to lie in {location!r}; a file in the "
            "model's own folder is allowed, export the model again"
        )
    return path
