"""Operators that cut pieces out of a tensor, surround it, or sample it anew."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ....graph import nodes as n
from ....graph.nodes import Array, FloatArray
from ....graph.rearranging import Pad2D, Slice
from .arithmetic import rescaled
from .arrangement import Tensor
from .call import Call
from .network import Known


def cut(call: Call, tensor: Tensor, picks: Sequence[range], suffix: str = "") -> Tensor:
    """The values at these places along each of ONNX's axes, a range each.

    With steps it takes every so many, as pooling over windows of one value does.
    """
    if all(pick == range(size) for pick, size in zip(picks, tensor.shape)):
        return tensor
    if any(not len(pick) or pick.step < 1 for pick in picks):
        raise call.refuse(
            "it takes nothing, or takes values in reverse",
            "take a part of at least one value, in order",
            "slice",
        )
    steps = [i for i, pick in enumerate(picks) if pick.step > 1]
    if steps and (len(picks) not in (2, 3) or 0 in steps):
        raise call.refuse(
            "it leaves out values by steps, not along a picture's height or width",
            "use a stride in the layer before it",
            "slice",
        )
    tensor = call.net.picture(tensor) if steps else call.net.orderly(tensor)
    order = tensor.order
    assert order is not None
    taken = [range(1) if axis is None else picks[axis] for axis in order]
    node = call.add(
        Slice,
        tensor.node,
        suffix=suffix,
        start=tuple(pick[0] for pick in taken),
        stop=tuple(pick[-1] + 1 for pick in taken),
    )
    if steps:
        stride = (taken[0].step, taken[1].step)
        pool = suffix + "_every"
        node = call.add(n.AvgPool2D, node, suffix=pool, pool=(1, 1), stride=stride)
    shape = tuple(len(pick) for pick in picks)
    return Tensor.ordered(node, shape, order, tensor.whole)


def slices(call: Call) -> Tensor:
    """Slice; its bounds are attributes before version 10, then inputs."""
    tensor = call.tensor()
    rank = len(tensor.shape)
    if call.operator.version < 10:
        starts, ends = (call.attribute(name, (0,)) for name in ("starts", "ends"))
        axes = call.attribute("axes", tuple(range(len(starts))))
        steps = (1,) * len(starts)
    else:
        starts, ends = call.whole(1, "starts"), call.whole(2, "ends")
        axes = call.whole(3, "axes") if call.has(3) else tuple(range(len(starts)))
        steps = call.whole(4, "steps") if call.has(4) else (1,) * len(starts)
    picks = [range(size) for size in tensor.shape]
    for axis, start, end, step in zip(axes, starts, ends, steps):
        if axis in (0, -rank - 1):
            if (start, step) == (0, 1) and end >= call.net.batch:
                continue
        place = call.axis(axis, rank, "another")
        picks[place] = picks[place][start:end:step]
    return cut(call, tensor, picks)


def split(call: Call) -> tuple[Tensor, ...]:
    """Split: a Slice for each output that is used."""
    tensor = call.tensor()
    axis = call.axis(call.attribute("axis", 0), len(tensor.shape))
    size, count = tensor.shape[axis], len(call.operator.outputs)
    sizes = call.attribute("split", ())
    if call.has(1):
        sizes = call.whole(1, "sizes")
    if not sizes:
        each = -(-size // call.attribute("num_outputs", count))
        sizes = tuple(min(each, size - i * each) for i in range(count))
    if sum(sizes) != size or len(sizes) != count or min(sizes) < 1:
        raise call.refuse(f"it makes parts of {sizes} of {size}", "", "slice")
    ends = np.cumsum(sizes).tolist()
    found = []
    for i, (start, end) in enumerate(zip((0, *ends), ends)):
        picks = [range(s) for s in tensor.shape]
        picks[axis] = range(start, end)
        used = call.net.uses[call.operator.outputs[i]]
        found.append(cut(call, tensor, picks, f"_{i}") if used else tensor)
    return tuple(found)


def gather(call: Call) -> Tensor:
    """Gather of one place, or of places evenly apart, along an axis."""
    tensor = call.tensor()
    axis = call.axis(call.attribute("axis", 0), len(tensor.shape), "another")
    index: Array = call.constant(1, "index")
    size = tensor.shape[axis]
    places = [int(i) + size * (i < 0) for i in index.reshape(-1)]
    step = places[1] - places[0] if len(places) > 1 else 1
    even = places == [places[0] + i * step for i in range(len(places))]
    inside = even and step > 0 and 0 <= places[0] and places[-1] < size
    if index.ndim > 1 or not inside:
        raise call.refuse(
            "it takes values in an order of its own",
            "take a part of neighbouring values",
            "slice",
        )
    picks = [range(s) for s in tensor.shape]
    picks[axis] = range(places[0], places[-1] + 1, step)
    found = cut(call, tensor, picks)
    if index.ndim:
        return found
    axes = tuple(a for i, a in enumerate(found.axes) if i != axis)
    return Tensor(
        node=found.node,
        sizes=found.sizes,
        axes=axes,
        held=found.held,
        whole=found.whole,
    )


def pad(call: Call) -> Tensor:
    """Pad with a constant around a picture; a negative pad cuts off."""
    tensor = call.tensor()
    rank = len(tensor.shape)
    if call.attribute("mode", "constant") != "constant":
        raise call.refuse(f"it pads by {call.attribute('mode', '')!r}")
    if call.operator.version < 11:
        pads, value = call.attribute("pads", (0,)), call.attribute("value", 0.0)
    else:
        pads, value = call.whole(1, "pads"), call.scalar(2, "value", 0.0)
    given = call.whole(3, "axes") if call.has(3) else tuple(range(rank + 1))
    if len(pads) != 2 * len(given):
        raise call.refuse(f"its pads are {list(pads)}", "export the model again")
    sides = [(0, 0)] * rank
    for axis, side in zip(given, zip(pads[: len(given)], pads[len(given) :])):
        if any(side):
            sides[call.axis(axis, rank, "another")] = side
    kept = [
        range(max(-a, 0), size - max(-b, 0))
        for (a, b), size in zip(sides, tensor.shape)
    ]
    tensor = cut(call, tensor, kept, "_cut")
    around = [(max(a, 0), max(b, 0)) for a, b in sides]
    if not any(map(any, around)):
        return tensor
    if rank not in (2, 3) or any(around[0]):
        raise call.refuse("it pads another axis than a picture's height and width")
    if not np.isfinite(value):
        raise call.refuse(
            f"it pads with {value:g}", "give the pooling behind it the padding"
        )
    return _padded(call, call.net.picture(tensor), around[1:], value)


def _padded(
    call: Call, tensor: Tensor, around: list[tuple[int, int]], value: float
) -> Tensor:
    """With ``value`` around: zeros around what is less by as much."""
    one, shift = np.ones(1), np.full(1, value)
    below = rescaled(call, tensor, one, -shift, "_less") if value else tensor
    padding = (*around, *((0, 0),) * (2 - len(around)))
    node = call.add(Pad2D, below.node, padding=padding)
    space = len(around)
    *size, channels = call.net.shapes[node]
    order = (1, None, 0) if space == 1 else (1, 2, 0)
    padded = Tensor.ordered(node, (channels, *size[:space]), order)
    return rescaled(call, padded, one, shift, "_more") if value else padded


def resize(call: Call) -> Tensor:
    """Resize and Upsample to the nearest neighbour by whole factors."""
    tensor = call.tensor()
    if call.attribute("mode", "nearest") != "nearest":
        raise call.refuse(f"its mode is {call.attribute('mode', '')!r}")
    places = _sampled(call, tensor)
    factors, picks = [1] * len(places), []
    for axis, (place, size) in enumerate(zip(places, tensor.shape)):
        times = len(place) // size
        pick = range(size)
        if len(place) % size == 0 and (place == np.arange(len(place)) // times).all():
            factors[axis] = times
        else:
            step = int(place[1] - place[0]) if len(place) > 1 else 1
            pick = range(int(place[0]), int(place[-1]) + 1, max(step, 1))
            if list(pick) != place.tolist():
                raise call.refuse(
                    f"it makes {len(place)} values of {size} along an axis, which is "
                    "no whole factor, or not evenly"
                )
        picks.append(pick)
    found = cut(call, tensor, picks, "_cut")
    if all(factor == 1 for factor in factors):
        return found
    if len(factors) not in (2, 3) or factors[0] != 1:
        raise call.refuse("it repeats another axis than a picture's height and width")
    found = call.net.picture(found)
    rows, columns = (*factors[1:], *(1,) * (3 - len(factors)))
    node = call.add(n.Upsample2D, found.node, factor=(rows, columns))
    shape = tuple(size * factor for size, factor in zip(found.shape, factors))
    return Tensor.ordered(node, shape, (1, None, 0) if len(shape) == 2 else (1, 2, 0))


def _sampled(call: Call, tensor: Tensor) -> list[Array]:
    """Along each axis of the sample, which value each new one is."""
    rank = len(tensor.shape)
    scales, sizes = _scales(call, rank)
    if scales[:1] not in ([], [1]) or sizes[:1] not in ([], [1], [call.net.batch]):
        raise call.refuse(
            "it resizes the axis of the samples", "leave it as it is", "resize"
        )
    found = []
    for axis, size in enumerate(tensor.shape, 1):
        scale = scales[axis] if scales else sizes[axis] / size
        count = sizes[axis] if sizes else math.floor(size * scale)
        call.demand_size((count,))
        if count < 1:
            raise call.refuse(f"it leaves {count} values of {size}")
        found.append(_nearest(call, size, count, scale))
    return found


def _scales(call: Call, rank: int) -> tuple[list[float], list[int]]:
    """Factors or sizes of all axes, the samples' first."""
    if call.kind == "Upsample" or call.operator.version < 11:
        given = call.attribute("scales", ()) or call.numbers(1, "scales").tolist()
        scales, sizes = [float(v) for v in given], []
    else:
        scales = call.numbers(2, "scales").reshape(-1).tolist() if call.has(2) else []
        sizes = list(call.whole(3, "sizes")) if call.has(3) else []
    axes = call.attribute("axes", ())
    if axes:
        places = [axis + (rank + 1 if axis < 0 else 0) for axis in axes]
        if scales:
            told = dict(zip(places, scales))
            scales = [told.get(i, 1.0) for i in range(rank + 1)]
        elif call.net.batch and sizes:
            own = (call.net.batch, *call.tensor().shape)
            counts = dict(zip(places, sizes))
            sizes = [counts.get(i, own[i]) for i in range(rank + 1)]
    policy = call.attribute("keep_aspect_ratio_policy", "stretch")
    if policy != "stretch" or max(len(scales), len(sizes)) != rank + 1:
        raise call.refuse(
            "its sizes are not one for each axis", "give each a whole factor", "resize"
        )
    return scales, [] if scales else sizes


def _nearest(call: Call, size: int, count: int, scale: float) -> Array:
    """Source: onnx/docs/Operators.md, Resize."""
    x: FloatArray = np.arange(count, dtype=np.float64)
    old = call.kind == "Upsample" or call.operator.version < 11
    how = call.attribute(
        "coordinate_transformation_mode", "asymmetric" if old else "half_pixel"
    )
    half = (x + 0.5) / scale - 0.5
    exact = count / scale / size
    ways: Mapping[str, FloatArray] = {
        "asymmetric": x / scale,
        "half_pixel": half,
        "pytorch_half_pixel": half if count > 1 else np.zeros(1),
        "align_corners": x * (size - 1) / (count - 1) if count > 1 else np.zeros(1),
        "half_pixel_symmetric": half + size / 2 * (1 - exact),
        "tf_half_pixel_for_nn": (x + 0.5) / scale,
    }
    if how not in ways:
        raise call.refuse(f"its coordinate_transformation_mode is {how!r}")
    default = "floor" if old else "round_prefer_floor"
    rounding: Mapping[str, Callable[[FloatArray], FloatArray]] = {
        "floor": np.floor,
        "ceil": np.ceil,
        "round_prefer_floor": lambda v: np.ceil(v - 0.5),
        "round_prefer_ceil": lambda v: np.floor(v + 0.5),
    }
    name = call.attribute("nearest_mode", default)
    if name not in rounding:
        raise call.refuse(f"its nearest_mode is {name!r}")
    return np.clip(rounding[name](ways[how]), 0, size - 1).astype(int)


BOXES: Mapping[str, Callable[[Call], Known | tuple[Known, ...]]] = {
    "Slice": slices,
    "Split": split,
    "Gather": gather,
    "Pad": pad,
    **dict.fromkeys(("Resize", "Upsample"), resize),
}
