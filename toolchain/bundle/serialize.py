"""Dataclasses as JSON and arrays, and back: what is stored follows from the fields."""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

from ..errors import BundleError
from ..graph import nodes
from ..graph.functions import Elementwise, LeakyReLU, MaxPool2D
from ..graph.graph import Graph
from ..graph.nodes import Array, FloatArray, Shape
from ..graph.preparation import ChannelsLast, Rescale
from ..graph.rearranging import Pad2D, Permute, Slice
from ..program import connections, correction, host, program
from ..program.arithmetic import IntArray

CLASSES: Mapping[str, type] = {
    kind.__name__: kind
    for kind in (
        *(ChannelsLast, Rescale, Pad2D, Permute, Slice),
        *(Elementwise, LeakyReLU, MaxPool2D),
        *(Graph, nodes.Input, nodes.Dense, nodes.Conv2D, nodes.ConvTranspose2D),
        *(nodes.AvgPool2D, nodes.Upsample2D, nodes.BatchNorm, nodes.Flatten),
        *(nodes.Reshape, nodes.Add, nodes.Concat, nodes.Lowpass, nodes.Delay),
        *(nodes.Sigmoid, nodes.Tanh, nodes.Softmax, nodes.LogSoftmax, nodes.Argmax),
        *(nodes.LIF, nodes.IF, nodes.Threshold, nodes.LI, nodes.Membrane),
        *(nodes.SoftLIF, nodes.ReLU, nodes.Output),
        *(program.Program, program.SpikeInput, program.Population, program.Timing),
        correction.Correction,
        *(connections.DenseConnection, connections.ConvConnection),
        *(connections.ConvTransposeConnection, connections.SparseConnection),
        *(host.BiasEncoder, host.BiasEncoders, host.SpikeEncoder, host.Decoder),
    )
}
"""Every class that a bundle may hold. A new one is stored by adding its name here."""

DTYPES = frozenset(
    {"bool", "float32", "float64"}
    | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
)
MAX_HEADER = 1 << 12  # bytes of a .npy file; NumPy's own have 128
KINDS: Mapping[Any, type] = {FloatArray: np.floating, IntArray: np.signedinteger}


def to_tree(value: object, keep: Callable[[Array], str], where: str) -> Any:
    """JSON of a dataclass, tuple, array or scalar.

    Args:
        value: what to store.
        keep: takes each array and returns the name it is stored by.
        where: what a message calls the value.

    Raises:
        BundleError: a class is not in ``CLASSES``, or a field holds something else
            than its annotation says (a NumPy scalar is no int or float).
    """
    if isinstance(value, np.ndarray):
        return {"array": keep(value)}
    if isinstance(value, tuple):
        return [to_tree(v, keep, f"{where}[{i}]") for i, v in enumerate(value)]
    kind: type = type(value)
    if not is_dataclass(kind):
        return value
    if CLASSES.get(kind.__name__) is not kind:
        raise BundleError(f"{where} is a {kind.__name__}, which no bundle can hold")
    tree: dict[str, Any] = {"class": kind.__name__}
    for field in fields(kind):
        part, inside = getattr(value, field.name), f"{where}.{field.name}"
        _demand_type(part, _hints(kind)[field.name], inside)
        tree[field.name] = to_tree(part, keep, inside)
    return tree


def from_tree(tree: Any, fetch: Callable[[Any], Array], where: str) -> Any:
    """What ``to_tree`` was given.

    Args:
        tree: JSON, from anywhere: nothing in it is trusted.
        fetch: returns the array of a name, or raises BundleError.
        where: what a message calls the value.

    Raises:
        BundleError: an unknown class or field, a missing one, or a value of another
            type than its field's annotation.
    """
    if isinstance(tree, list):
        return tuple(from_tree(t, fetch, f"{where}[{i}]") for i, t in enumerate(tree))
    if not isinstance(tree, dict):
        return tree
    if set(tree) == {"array"}:
        return fetch(tree["array"])
    name = tree.get("class")
    kind = CLASSES.get(name) if isinstance(name, str) else None
    if kind is None:
        raise BundleError(f"{where} is of the unknown class {name!r:.40}")
    parts = {
        key: from_tree(part, fetch, f"{where}.{key}")
        for key, part in tree.items()
        if key != "class"
    }
    _demand_fields(kind, set(parts), where)
    hints = _hints(kind)
    for key, part in parts.items():
        _demand_type(part, hints[key], f"{where}.{key}")
        if hints[key] is float:  # JSON may have it without a point
            parts[key] = float(part)
    return kind(**parts)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _demand_fields(kind: type, given: set[str], where: str) -> None:
    known = {field.name for field in fields(kind)}
    needed = {f.name for f in fields(kind) if f.default is MISSING}
    if given - known or needed - given:
        raise BundleError(
            f"{where}, a {kind.__name__}, has the unknown fields "
            f"{sorted(given - known)} and lacks {sorted(needed - given)}"
        )


def _demand_type(value: object, hint: Any, where: str) -> None:
    if _conforms(value, hint):
        return
    shown = f"{value!r:.40} ({type(value).__name__})"
    wanted = hint if get_origin(hint) else hint.__name__
    if isinstance(value, np.ndarray):
        shown = f"an array of {value.dtype}"
    if hint in KINDS:
        wanted = f"an array of {KINDS[hint].__name__}"
    if hint == Shape:
        wanted = "a tuple of sizes above 0"
    raise BundleError(f"{where} is {shown}; allowed is {wanted}")


def _conforms(value: object, hint: Any) -> bool:
    """Whether a value is what an annotation says, to the leaves of its tuples."""
    origin, args = get_origin(hint), get_args(hint)
    if hint == Shape and isinstance(value, tuple):
        return all(type(size) is int and size > 0 for size in value)
    if origin is UnionType:
        return any(_conforms(value, arg) for arg in args)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if args[-1] is Ellipsis:
            args = args[:1] * len(value)
        return len(args) == len(value) and all(map(_conforms, value, args))
    if hint in KINDS:
        return isinstance(value, np.ndarray) and np.issubdtype(value.dtype, KINDS[hint])
    if hint is float:
        return type(value) in (int, float) and abs(value) <= sys.float_info.max  # type: ignore[arg-type]
    if hint is int:
        return type(value) is int and abs(value) < 1 << 63
    if is_dataclass(hint):
        return isinstance(value, hint)  # type: ignore[arg-type]
    return type(value) is hint


def pack(array: Array) -> bytes:
    """An array as a ``.npy`` file: bool as packed bits, float64 as float32 if lossless.

    Raises:
        BundleError: its dtype is not in ``DTYPES``.
    """
    if array.dtype.name not in DTYPES:
        raise BundleError(f"an array is {array.dtype}; allowed are {sorted(DTYPES)}")
    file = io.BytesIO()
    np.save(file, _narrow(array), allow_pickle=False)
    return file.getvalue()


def _narrow(array: Array) -> Array:
    if array.dtype == np.bool_:
        return np.packbits(array)
    if array.dtype == np.float64:
        with np.errstate(over="ignore"):
            narrow = array.astype(np.float32)
        if np.array_equal(narrow, array):
            return narrow
    return array


def unpack(file: bytes, dtype: str, shape: Shape) -> Array:
    """The array that ``pack`` was given.

    Args:
        file: a ``.npy`` file, from anywhere; no pickle in it is ever read.
        dtype: the array's, and ``shape`` its shape.

    Raises:
        BundleError: the file is no ``.npy``, or holds another array than this.
    """
    stored = _read_npy(file)
    count = math.prod(shape)
    if dtype == "bool" and stored.dtype == np.uint8:
        if stored.shape != (-(-count // 8),):
            raise BundleError(f"it holds {stored.size} bytes of bits, not {count} bits")
        return np.unpackbits(stored, count=count).astype(np.bool_).reshape(shape)
    allowed = {dtype} | ({"float32"} if dtype == "float64" else set())
    if stored.dtype.name not in allowed or stored.shape != shape:
        raise BundleError(
            f"it holds {stored.dtype} {stored.shape}, the manifest says {dtype} {shape}"
        )
    return stored.astype(dtype)


def _read_npy(file: bytes) -> Array:
    if not file.startswith(np.lib.format.MAGIC_PREFIX):
        raise BundleError("it is no .npy file")
    try:
        shape, fortran, dtype, start = _npy_header(file)
    except Exception as error:  # NumPy's parser raises whatever it trips over
        raise BundleError(f"it is no .npy file ({str(error)[:60]})") from error
    if dtype.name not in DTYPES:
        raise BundleError(f"it holds {dtype}; allowed are {sorted(DTYPES)}")
    said = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or said > len(file) - start:
        raise BundleError(
            f"its header says {said} bytes, shape {shape}, and {len(file) - start} "
            "are there"
        )
    order: Literal["F", "C"] = "F" if fortran else "C"
    try:
        array: Array = np.ndarray(shape, dtype, file, start, order=order)
    except (TypeError, ValueError) as error:  # an axis of True, or beyond 64 bits
        raise BundleError(f"its header says shape {shape}") from error
    return array.copy()


def _npy_header(file: bytes) -> tuple[Shape, bool, np.dtype[Any], int]:
    """Shape, order, type, and where the numbers begin."""
    content, formats = io.BytesIO(file[:MAX_HEADER]), np.lib.format
    first = formats.read_magic(content) == (1, 0)  # type: ignore[no-untyped-call]
    read = formats.read_array_header_1_0 if first else formats.read_array_header_2_0
    return *read(content), content.tell()  # type: ignore[no-untyped-call]
