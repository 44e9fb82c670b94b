"""Values that depend on no sample, worked out in NumPy: weights, and shape arithmetic.

Exporters write a reshape's target as Shape, Gather, Mul and Concat; every operator here
does to arrays what ONNX says, in the arrays' own data types.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ....errors import ModelError
from ....graph.nodes import Array
from ..model import Stored
from ..tensors import BFLOAT16, DTYPES
from .call import Call, demand_size
from .pointwise import CURVES

Folded = Array | tuple[Array, ...]


def folded(call: Call) -> Folded | None:
    """What an operator on constants gives; None where it is none that is known."""
    if call.kind == "Shape":
        return _shape(call)
    if call.kind == "Size":
        return np.array(int(np.prod(_shape_of(call, 0))))
    arrays = [call.net.constant(name) if name else np.zeros(0) for name in call.inputs]
    if call.kind in FOLDS:
        with np.errstate(all="ignore"):
            return FOLDS[call.kind](call, *arrays)
    if call.kind in CURVES:
        with np.errstate(all="ignore"):
            return CURVES[call.kind](call)(np.asarray(arrays[0], np.float64))
    return None


def _shape_of(call: Call, place: int) -> tuple[int, ...]:
    name = call.inputs[place]
    found = call.net.known.get(name)
    if isinstance(found, np.ndarray | Stored):
        return found.shape
    return (call.net.batch, *call.net.origin(name).shape)


def _shape(call: Call) -> Array:
    shape = _shape_of(call, 0)
    start, end = call.attribute("start", 0), call.attribute("end", len(shape))
    return np.array(shape[start:end], np.int64)


def _constant(call: Call) -> Array:
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        value = call.operator.attributes.get(name)
        if isinstance(value, Stored):
            return value.read()
        if value is not None:
            kind = np.float32 if name.startswith("value_float") else np.int64
            return np.array(value, kind)
    raise call.refuse("it holds no numbers", "export the model again", "constant")


def _of_shape(call: Call, shape: Array) -> Array:
    value = call.operator.attributes.get("value")
    one = value.read() if isinstance(value, Stored) else np.zeros(1, np.float32)
    sizes = tuple(int(size) for size in shape.reshape(-1))
    demand_size(call.title, sizes)
    return np.full(sizes, one.reshape(-1)[0])


def _broadcast(operation: Callable[..., Array]) -> Callable[..., Array]:
    def apply(call: Call, *arrays: Array) -> Array:
        demand_size(call.title, np.broadcast_shapes(*(a.shape for a in arrays)))
        return operation(*arrays)

    return apply


def _divided(a: Array, b: Array) -> Array:
    if a.dtype.kind in "iu":
        quotient: Array = np.trunc(a / np.where(b == 0, 1, b)).astype(a.dtype)
        return quotient
    return np.asarray(a / b)


def _cast(call: Call, a: Array, *like: Array) -> Array:
    to = call.attribute("to", 1)
    kind = like[0].dtype.name if like else DTYPES.get(to)
    if kind is None:
        raise call.refuse(
            "it casts a constant to a data type that is not read",
            "export the model in floats",
            "data-type",
        )
    return a.astype("float32" if kind == DTYPES[BFLOAT16] else kind)


def _axis(call: Call, rank: int, default: int = 0) -> int:
    axis = call.attribute("axis", default)
    if not -rank <= axis < max(rank, 1):
        raise ModelError(f"{call.title}: axis {axis} does not exist")
    return int(axis)


def _axes(call: Call, given: tuple[Array, ...]) -> tuple[int, ...]:
    if given:
        return tuple(int(v) for v in given[0].reshape(-1))
    return tuple(call.attribute("axes", ()))


def _reshape(call: Call, a: Array, shape: Array) -> Array:
    sizes = [
        a.shape[i] if s == 0 and not call.attribute("allowzero", 0) else int(s)
        for i, s in enumerate(shape.reshape(-1).tolist())
    ]
    return a.reshape(sizes)


def _flatten(call: Call, a: Array) -> Array:
    axis = call.attribute("axis", 1)
    return a.reshape(int(np.prod(a.shape[:axis])), -1)


def _squeeze(call: Call, a: Array, *given: Array) -> Array:
    axes = _axes(call, given)
    return np.squeeze(a, axes if axes else None)


def _unsqueeze(call: Call, a: Array, *given: Array) -> Array:
    return np.expand_dims(a, _axes(call, given))


def _slice(call: Call, a: Array, *given: Array) -> Array:
    if given:
        lists = [[int(v) for v in g.reshape(-1)] for g in given]
    else:
        lists = [list(call.attribute(name, ())) for name in ("starts", "ends", "axes")]
    starts, ends = lists[:2]
    axes = lists[2] if len(lists) > 2 and lists[2] else list(range(len(starts)))
    steps = lists[3] if len(lists) > 3 and lists[3] else [1] * len(starts)
    box = [slice(None)] * a.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps):
        far = step < 0 and end < -a.shape[axis]
        box[axis] = slice(start, None if far else end, step)
    return a[tuple(box)]


def _range(call: Call, start: Array, limit: Array, delta: Array) -> Array:
    first, last, step = (v.reshape(()).item() for v in (start, limit, delta))
    if not step:
        raise call.refuse("its step is 0", "export the model again", "constant")
    demand_size(call.title, (max(int((last - first) / step) + 1, 0),))
    return np.arange(first, last, step, dtype=start.dtype)


def _expand(call: Call, a: Array, shape: Array) -> Array:
    sizes = np.broadcast_shapes(a.shape, tuple(int(v) for v in shape.reshape(-1)))
    demand_size(call.title, sizes)
    return np.array(np.broadcast_to(a, sizes))


def _tile(call: Call, a: Array, repeats: Array) -> Array:
    times = [int(v) for v in repeats.reshape(-1)]
    demand_size(call.title, tuple(s * t for s, t in zip(a.shape, times)))
    return np.tile(a, times)


def _split(call: Call, a: Array, *given: Array) -> tuple[Array, ...]:
    axis = _axis(call, a.ndim)
    count = len(call.operator.outputs)
    sizes = given[0].tolist() if given else list(call.attribute("split", ()))
    if not sizes:
        each = -(-a.shape[axis] // count)
        sizes = [each] * count
    return tuple(np.split(a, np.cumsum(sizes)[:-1], axis))


def _reduce(operation: Callable[..., Array]) -> Callable[..., Array]:
    def apply(call: Call, a: Array, *given: Array) -> Array:
        axes = _axes(call, given) or tuple(range(a.ndim))
        keep = bool(call.attribute("keepdims", 1))
        return np.asarray(operation(a, axis=axes, keepdims=keep))

    return apply


def _matmul(call: Call, a: Array, b: Array) -> Array:
    demand_size(call.title, (*a.shape[:-1], *b.shape[-1:]))
    return np.asarray(a @ b)


def _gather(call: Call, a: Array, index: Array) -> Array:
    axis = _axis(call, a.ndim)
    demand_size(call.title, (index.size, a.size // max(a.shape[axis], 1)))
    return np.take(a, index.astype(np.int64), axis)


def _along(call: Call, value: Array, like: Array) -> Array:
    """A scale or zero point in the shape in which it meets ``like``."""
    axis = call.attribute("axis", 1)
    if value.size == 1 or value.ndim != 1:
        return value.reshape(()) if value.size == 1 else value
    shape = [1] * like.ndim
    shape[axis] = value.size
    return value.reshape(shape)


def _dequantize(call: Call, a: Array, scale: Array, *zero: Array) -> Array:
    if call.attribute("block_size", 0):
        raise call.refuse(
            "it has a scale a block", "export the model in floats", "data-type"
        )
    start = _along(call, zero[0], a) if zero else np.zeros((), np.int64)
    whole = a.astype(np.float64) - start.astype(np.float64)
    return np.asarray(whole * _along(call, scale, a).astype(np.float64))


def _quantize(call: Call, a: Array, scale: Array, *zero: Array) -> Array:
    start = _along(call, zero[0], a) if zero else np.zeros((), np.uint8)
    if start.dtype.kind not in "iu" or call.attribute("block_size", 0):
        raise call.refuse(
            "it rounds to another type than whole numbers, or by blocks",
            "export the model in floats",
            "data-type",
        )
    limits = np.iinfo(start.dtype)
    steps = np.rint(a / _along(call, scale, a)) + start.astype(np.int64)
    return np.clip(steps, limits.min, limits.max).astype(start.dtype)


def _transpose(call: Call, a: Array) -> Array:
    return a.transpose(call.attribute("perm", tuple(reversed(range(a.ndim)))))


def _concat(call: Call, *arrays: Array) -> Array:
    demand_size(call.title, (sum(a.size for a in arrays),))
    return np.concatenate(arrays, _axis(call, arrays[0].ndim))


def _plain(operation: Callable[..., Array]) -> Callable[..., Array]:
    return lambda call, *arrays: np.asarray(operation(*arrays))


Operation = Callable[..., Any]
BROADCAST: Mapping[str, Operation] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": _divided,
    "Pow": np.power,
    "Max": lambda *a: np.maximum.reduce(np.broadcast_arrays(*a)),
    "Min": lambda *a: np.minimum.reduce(np.broadcast_arrays(*a)),
    "Mod": np.mod,
    "Equal": np.equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "And": np.logical_and,
    "Or": np.logical_or,
    "Where": np.where,
}
PLAIN: Mapping[str, Operation] = {
    "Identity": lambda a: a,
    "Neg": np.negative,
    "Abs": np.abs,
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Round": np.rint,
    "Sqrt": np.sqrt,
    "Reciprocal": np.reciprocal,
    "Not": np.logical_not,
    "Relu": lambda a: np.maximum(a, 0),
}
REDUCTIONS: Mapping[str, Operation] = {
    "ReduceMean": np.mean,
    "ReduceSum": np.sum,
    "ReduceProd": np.prod,
    "ReduceMax": np.max,
    "ReduceMin": np.min,
}

FOLDS: Mapping[str, Callable[..., Folded]] = {
    "Constant": _constant,
    "ConstantOfShape": _of_shape,
    **{kind: _broadcast(operation) for kind, operation in BROADCAST.items()},
    **{kind: _plain(operation) for kind, operation in PLAIN.items()},
    **{kind: _reduce(operation) for kind, operation in REDUCTIONS.items()},
    "Dropout": lambda call, a, *_: a,
    **dict.fromkeys(("Cast", "CastLike"), _cast),
    "Concat": _concat,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Slice": _slice,
    "Gather": _gather,
    "Range": _range,
    "Expand": _expand,
    "Tile": _tile,
    "Split": _split,
    "Transpose": _transpose,
    "MatMul": _matmul,
    "DequantizeLinear": _dequantize,
    "QuantizeLinear": _quantize,
}
"""Operator → what it does to arrays."""
