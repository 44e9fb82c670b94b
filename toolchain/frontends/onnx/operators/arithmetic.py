"""Sums, differences, products and quotients: with constants, and of tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from ....graph import nodes as n
from ....graph.functions import LeakyReLU
from ....graph.nodes import Array, FloatArray
from ....graph.preparation import Rescale
from .arrangement import Tensor
from .call import Call
from .network import Known
from .pointwise import CURVES, curves, held_as, late

Operation = Callable[[FloatArray, FloatArray], FloatArray]

OPERATIONS: Mapping[str, Operation] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Pow": np.power,
    "Max": np.maximum,
    "Min": np.minimum,
}


def binary(call: Call) -> Known:
    """Add, Sub, Mul, Div, Pow, and Max and Min of two."""
    first, second = call.inputs[:2]
    for name in (first, second):
        if call.net.is_constant(name):
            continue
        call.demand_floats(name)
        if call.net.origin(name).whole:
            raise call.refuse(
                "it computes with whole numbers, which end or wrap around",
                "cast the input to float before it",
                "integers",
            )
    if call.net.is_constant(first):
        return _with_constant(call, second, first, swapped=True)
    if call.net.is_constant(second):
        return _with_constant(call, first, second, swapped=False)
    return _of_tensors(call, first, second)


def _with_constant(call: Call, name: str, constant: str, swapped: bool) -> Known:
    operation = OPERATIONS[call.kind]
    value = call.net.constant(constant)
    assert value is not None
    value = np.asarray(value, np.float64)
    if value.ndim > len(call.net.origin(name).shape) + 1:
        raise _differs(call)
    if value.size != 1 or _is_unbiased(call, name):
        return _with_array(call, name, value, swapped)
    number = value.reshape(())
    with np.errstate(all="ignore"):
        found = {
            base: operation(number, curve) if swapped else operation(curve, number)
            for base, curve in curves(call, name).items()
        }
    return late(call, found, name, lambda: _scaled(call, name, value, swapped))


def _scaled(call: Call, name: str, value: Array, swapped: bool) -> Tensor:
    """With one number, of what is no named function."""
    if call.kind in ("Max", "Min"):
        low = float(value.reshape(())) if call.kind == "Max" else None
        high = float(value.reshape(())) if call.kind == "Min" else None
        return between(call, call.net.tensor(name), low, high)
    raise call.refuse("no population and no read-out here computes it")


def _with_array(call: Call, name: str, value: FloatArray, swapped: bool) -> Tensor:
    if call.kind not in ("Add", "Sub", "Mul", "Div") or (
        call.kind == "Div" and swapped
    ):
        raise call.refuse("no population and no read-out here computes it")
    tensor, one, none = call.net.tensor(name), np.ones(1), np.zeros(1)
    if call.kind in ("Mul", "Div"):
        with np.errstate(all="ignore"):
            scale = value if call.kind == "Mul" else 1 / value
        return rescaled(call, tensor, scale, none)
    if call.kind == "Sub" and swapped:
        return rescaled(call, tensor, -one, value)
    offset = value if call.kind == "Add" else -value
    merged = _as_bias(call, name, tensor, offset)
    return rescaled(call, tensor, one, offset) if merged is None else merged


def rescaled(
    call: Call, tensor: Tensor, scale: FloatArray, offset: FloatArray, suffix: str = ""
) -> Tensor:
    """tensor · scale + offset, both as ONNX broadcasts them to it."""
    samples = tuple(_of_sample(call, tensor, part) for part in (scale, offset))
    varies = {i for part in samples for i, s in enumerate(part.shape) if s > 1}
    if len(varies) == 1 and not _lies_last(tensor, *varies):
        (axis,) = varies
        if axis == 0 and len(tensor.axes) in (2, 3):
            tensor = call.net.picture(tensor)
    parts = [_laid(call, tensor, part, varies) for part in samples]
    node = call.add(
        Rescale, tensor.node, suffix=suffix, scale=parts[0], offset=parts[1]
    )
    return held_as(tensor, node)


def _lies_last(tensor: Tensor, axis: int) -> bool:
    return bool(tensor.held) and set(tensor.held[-1]) == set(tensor.axes[axis])


def _of_sample(call: Call, tensor: Tensor, value: FloatArray) -> FloatArray:
    """The array with the sample's axes alone, of size 1 where it is the same."""
    rank = len(tensor.shape)
    whole: FloatArray = value.reshape((1,) * (rank + 1 - value.ndim) + value.shape)
    if whole.shape[0] != 1 or any(
        have not in (1, size) for have, size in zip(whole.shape[1:], tensor.shape)
    ):
        raise _differs(call)
    sample: FloatArray = whole[0]
    return sample


def _differs(call: Call) -> Exception:
    return call.refuse(
        "its constant differs from sample to sample, or is larger than its input",
        "use a constant of one sample's shape, with 1 for the samples",
        "samples-mixed",
    )


def _laid(
    call: Call, tensor: Tensor, value: FloatArray, varies: set[int]
) -> FloatArray:
    """As Rescale takes it: one number, one a channel, or one for each value."""
    if value.size == 1:
        return value.reshape(1)
    if len(varies) == 1 and _lies_last(tensor, *varies):
        (axis,) = varies
        last = tensor.held[-1]
        parts = value.reshape(tuple(tensor.sizes[f] for f in tensor.axes[axis]))
        order = tuple(tensor.axes[axis].index(f) for f in last)
        lies: FloatArray = parts.transpose(order).reshape(-1)
        return lies
    call.demand_size(tensor.shape)
    return tensor.laid_out(np.broadcast_to(value, tensor.shape), tensor.held)


def _is_unbiased(call: Call, name: str) -> bool:
    """Whether a constant of one number is the bias of a layer with one output."""
    tensor = call.net.known[name]
    node = call.net.nodes[tensor.node] if isinstance(tensor, Tensor) else None
    alone = call.kind == "Add" and call.net.uses[name] == 1
    return alone and isinstance(node, n.Dense) and node.bias.shape == (1,)


def _as_bias(call: Call, name: str, tensor: Tensor, value: FloatArray) -> Tensor | None:
    """The constant as the bias of the layer before, if it has none and none looks."""
    node = call.net.nodes[tensor.node]
    if not isinstance(node, n.Linear) or node.bias.any() or call.net.uses[name] > 1:
        return None
    value = _of_sample(call, tensor, value)
    varies = {i for i, size in enumerate(value.shape) if size > 1}
    if len(varies) > 1 or not all(_lies_last(tensor, axis) for axis in varies):
        return None
    bias = _laid(call, tensor, value, varies)
    if bias.shape != node.bias.shape:
        return None
    call.net.nodes[node.name] = replace(node, bias=bias)
    return tensor


def _of_tensors(call: Call, first: str, second: str) -> Known:
    operation = OPERATIONS[call.kind]
    known = curves(call, second)
    with np.errstate(all="ignore"):
        found = {
            base: operation(curve, known[base])
            for base, curve in curves(call, first).items()
            if base in known
        }
    if not found:
        return _summed(call, first, second)
    return late(call, found, first, lambda: _summed(call, first, second))


def _summed(call: Call, first: str, second: str) -> Tensor:
    if call.kind not in ("Add", "Sub"):
        verb = {"Mul": "multiplies", "Div": "divides"}.get(call.kind, "compares")
        raise call.refuse(f"it {verb} two tensors that depend on the sample")
    tensors = [call.net.tensor(first), call.net.tensor(second)]
    if call.kind == "Sub":
        scale = np.full(1, -1.0)
        tensors[1] = rescaled(call, tensors[1], scale, np.zeros(1), "_negative")
    return added(call, tensors)


def added(call: Call, tensors: list[Tensor]) -> Tensor:
    """The sum of tensors of one shape."""
    shapes = [tensor.shape for tensor in tensors]
    if any(shape != shapes[0] for shape in shapes):
        raise call.refuse(
            f"its inputs have the shapes {', '.join(map(str, shapes))}",
            "tensors of one shape are allowed, expand the smaller one by upsampling",
            "broadcast",
        )
    if any(tensor.whole for tensor in tensors):
        raise call.refuse(
            "it computes with whole numbers, which end or wrap around",
            "cast the input to float before it",
            "integers",
        )
    if len(tensors) == 1:
        return tensors[0]
    orders = [t.order for t in map(call.net.orderly, tensors)]
    order = next(o for o in orders if o is not None)
    shape = shapes[0]
    like = Tensor.ordered("", shape, order)
    names = []
    for tensor in map(call.net.orderly, tensors):
        held = tuple(() if axis is None else tensor.axes[axis] for axis in order)
        names.append(call.net.arranged(tensor, held).node)
    return replace(like, node=call.add(n.Add, *names))


def total(call: Call) -> Known:
    """Sum, Mean, and Max and Min of any number of tensors."""
    if call.kind in ("Max", "Min"):
        if len(call.inputs) == 2:
            return binary(call)
        if len(call.inputs) != 1:
            raise call.refuse("it compares more than two tensors")
        return call.tensor()
    if call.kind == "Sum" and len(call.inputs) == 2:
        return binary(Call(replace(call.operator, kind="Add"), call.net))
    found = added(call, [call.tensor(i) for i in range(len(call.inputs))])
    if call.kind == "Sum" or len(call.inputs) == 1:
        return found
    share = np.full(1, 1 / len(call.inputs))
    return rescaled(call, found, share, np.zeros(1), "_mean")


def clip(call: Call) -> Known:
    """Clip: a bounded ReLU where it begins at 0, else one between two shifts."""
    low, high = _bounds(call)
    (name, *_) = call.inputs
    call.demand_floats(name)
    least, most = low if low is not None else -np.inf, np.inf if high is None else high
    found = {
        base: np.minimum(np.maximum(curve, least), most)
        for base, curve in curves(call, name).items()
    }
    return late(
        call, found, name, lambda: between(call, call.net.tensor(name), low, high)
    )


def _bounds(call: Call) -> tuple[float | None, float | None]:
    if call.operator.version < 11:
        given = [call.attribute(name, default) for name, default in _LIMITS]
    else:
        given = [
            call.scalar(place, name, default)
            for place, (name, default) in enumerate(_LIMITS, 1)
        ]
    low, high = given
    lowest, highest = (default for _, default in _LIMITS)
    return low if low > lowest else None, high if high < highest else None


_LIMITS = (("min", -3.4028234e38), ("max", 3.4028234e38))


def between(
    call: Call, tensor: Tensor, low: float | None, high: float | None
) -> Tensor:
    """min(max(x, low), high) = low + ReLU(x − low) up to high − low."""
    if low is not None and high is not None and low >= high:
        raise call.refuse(
            f"its bounds are {low:g} and {high:g}, between which nothing lies",
            "give it a lower bound below its upper one",
        )
    if low is None and high is None:
        return tensor
    turn = 1.0 if low is not None else -1.0
    start = low if low is not None else high
    assert start is not None
    ceiling = high - low if low is not None and high is not None else None
    if low is not None and not start:
        return held_as(tensor, call.add(n.ReLU, tensor.node, ceiling=ceiling))
    ones = np.full(1, turn)
    shifted = rescaled(call, tensor, ones, np.full(1, -turn * start), "_from")
    cut = call.add(n.ReLU, shifted.node, ceiling=ceiling)
    return rescaled(call, held_as(tensor, cut), ones, np.full(1, start), "_back")


def hard_sigmoid(call: Call) -> Known:
    """HardSigmoid: min(max(a · x + b, 0), 1), a bounded ReLU of a straight line."""
    (name, *_) = call.inputs
    call.demand_floats(name)
    line = CURVES["HardSigmoid"](call)
    slope, start = call.attribute("alpha", 0.2), call.attribute("beta", 0.5)

    def make() -> Tensor:
        given = np.full(1, slope), np.full(1, start)
        straight = rescaled(call, call.net.tensor(name), *given, "_line")
        return between(call, straight, 0.0, 1.0)

    found = {base: line(curve) for base, curve in curves(call, name).items()}
    return late(call, found, name, make)


def prelu(call: Call) -> Known:
    """PRelu: a leaky ReLU, its slope one for all or one a channel."""
    (name, *_) = call.inputs
    slope = call.numbers(1, "slope")
    if not slope.any():
        slope = np.zeros(1)
    if slope.size == 1:
        s = slope.reshape(())
        found = {
            base: np.where(curve > 0, curve, s * curve)
            for base, curve in curves(call, name).items()
        }
        return late(call, found, name, lambda: _leaky(call, slope))
    return _leaky(call, slope)


def _leaky(call: Call, slope: FloatArray) -> Tensor:
    tensor = call.tensor()
    sample = _of_sample(call, tensor, slope)
    varies = {i for i, size in enumerate(sample.shape) if size > 1}
    if varies == {0} and len(tensor.axes) in (2, 3):
        tensor = call.net.picture(tensor)
    laid = _laid(call, tensor, sample, varies)
    return held_as(tensor, call.add(LeakyReLU, tensor.node, slope=laid))


ARITHMETIC: Mapping[str, Callable[[Call], Known]] = {
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Pow"), binary),
    **dict.fromkeys(("Sum", "Mean", "Max", "Min"), total),
    "Clip": clip,
    "HardSigmoid": hard_sigmoid,
    "PRelu": prelu,
}
