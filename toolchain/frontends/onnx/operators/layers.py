"""Layers on whole tensors: linear ones, normalisation, reductions and read-outs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from ....graph import nodes as n
from ....graph.functions import MaxPool2D
from ....graph.nodes import Array, FloatArray
from .arithmetic import added, rescaled
from .arrangement import Tensor, joined
from .call import Call
from .network import Known
from .pointwise import held_as


def gemm(call: Call) -> Tensor:
    """Gemm with a constant weight: a Dense."""
    if call.attribute("transA", 0):
        raise call.refuse(
            "it transposes its input, so that samples would mix",
            "use transA=0",
            "samples-mixed",
        )
    weight = call.constant(1, "weight")
    if weight.ndim != 2:
        raise call.refuse(f"its weight is {weight.shape}", "two axes are allowed")
    weight = weight.T if call.attribute("transB", 0) else weight
    alpha, beta = call.attribute("alpha", 1.0), call.attribute("beta", 1.0)
    adds = call.has(2) and beta != 0
    constant = adds and call.net.is_constant(call.inputs[2])
    bias = np.zeros(weight.shape[1])
    if constant:
        given = beta * call.numbers(2, "bias")
        if given.ndim > 1 and given.shape[0] != 1:
            raise call.refuse(
                f"its bias is {given.shape} and differs from sample to sample",
                "use one bias for all samples",
                "samples-mixed",
            )
        bias = bias + given.reshape(-1)
    found = dense(call, call.tensor(), weight, bias, alpha)
    if not adds or constant:
        return found
    other = call.tensor(2)
    if beta != 1:
        other = rescaled(call, other, np.full(1, beta), np.zeros(1), "_beta")
    return added(call, [found, other])


def dense(
    call: Call, tensor: Tensor, weight: Array, bias: FloatArray, alpha: float = 1.0
) -> Tensor:
    """A vector times a matrix, whose rows take the order that the vector lies in."""
    if tensor.shape != weight.shape[:1]:
        raise call.refuse(
            f"its weight is {weight.shape} and its input {tensor.shape}",
            "export the model again",
        )
    flat = call.net.arranged(tensor, (joined(tensor.held),))
    (axis,), (lies,) = tensor.axes, flat.held
    rows: Array = weight
    if axis != lies:
        parts = weight.reshape(*(tensor.sizes[f] for f in axis), weight.shape[1])
        order = tuple(axis.index(f) for f in lies)
        rows = parts.transpose(*order, len(axis))
    taken = np.array(rows, np.float64, order="C").reshape(weight.shape)
    if alpha != 1:
        taken *= alpha
    name = call.add(n.Dense, flat.node, weight=taken, bias=bias)
    return Tensor.plain(name, (weight.shape[1],))


def matmul(call: Call) -> Tensor:
    """MatMul by a constant matrix from the right: a Dense, or one at every place."""
    tensor = call.tensor(0)
    weight = call.constant(1, "right factor")
    if weight.ndim > 2 and math.prod(weight.shape[:-2]) == 1:
        weight = weight.reshape(weight.shape[-2:])
    if weight.ndim != 2 or not tensor.shape:
        raise call.refuse(
            f"its factors are {tensor.shape} and {weight.shape}",
            "a constant matrix as the right one is allowed",
        )
    bias = np.zeros(weight.shape[1])
    if len(tensor.shape) == 1:
        return dense(call, tensor, weight, bias)
    *places, last = tensor.axes
    held = (joined(places), (), last)
    if tensor.shape_of((last,)) != weight.shape[:1]:
        raise call.refuse(
            f"its factors are {tensor.shape} and {weight.shape}",
            "export the model again",
        )
    flat = call.net.arranged(tensor, held)
    taken = np.array(weight[None, None], np.float64)
    node = call.add(n.Conv2D, flat.node, weight=taken, bias=bias)
    whole = Tensor.plain(node, call.net.shapes[node])
    found = whole.reshaped((*tensor.shape[:-1], weight.shape[1]))
    assert found is not None  # the places are as many as before
    return found


def batch_norm(call: Call) -> Tensor:
    """BatchNormalization as it is after training."""
    if call.attribute("training_mode", 0) or not call.attribute("spatial", 1):
        raise call.refuse(
            "it normalises by the samples it sees, as in training",
            "export the model in evaluation mode: model.eval()",
            "training-mode",
        )
    tensor = call.tensor()
    names = ("scale", "bias", "mean", "variance")
    scale, bias, mean, variance = (
        call.numbers(i, name).reshape(-1) for i, name in enumerate(names, 1)
    )
    if len(tensor.shape) > 1:
        short = len(tensor.shape) in (2, 3)
        tensor = call.net.picture(tensor) if short else call.net.axis_last(tensor, 0)
    elif tensor.held != tensor.axes:
        tensor = call.net.plain(tensor)
    node = call.add(
        n.BatchNorm,
        tensor.node,
        gamma=scale,
        beta=bias,
        mean=mean,
        variance=variance,
        epsilon=call.attribute("epsilon", 1e-5),
    )
    return held_as(tensor, node)


def _axes(call: Call, rank: int) -> tuple[int, ...] | None:
    """The axes of a reduction, of the sample; None: it reduces nothing."""
    given = call.attribute("axes", ())
    if call.has(1):
        given = call.whole(1, "axes")
    if not given:
        if call.attribute("noop_with_empty_axes", 0):
            return None
        raise call.refuse(
            "it works along all axes, so that samples would mix",
            "leave the first axis to the samples",
            "samples-mixed",
        )
    return tuple(sorted({call.axis(axis, rank, "another") for axis in given}))


def reduce(call: Call) -> Tensor:
    """ReduceMean, ReduceSum and ReduceMax: pooling over everything."""
    tensor = call.tensor()
    if tensor.whole:
        raise call.refuse(
            "it computes with whole numbers, which end or wrap around",
            "cast the input to float before it",
            "integers",
        )
    axes = _axes(call, len(tensor.shape))
    if axes is None:
        return tensor
    return _pooled(call, tensor, axes, bool(call.attribute("keepdims", 1)))


def _pooled(call: Call, tensor: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    """One value over all that lies along these axes."""
    rank = len(tensor.shape)
    chosen = {tensor.axes[i] for i in axes} - {()}
    if len(tensor.held) == 3 and chosen == set(tensor.held[:2]) - {()}:
        pooled = tensor
        window = call.net.shapes[pooled.node][:2]
    elif rank in (2, 3) and axes == tuple(range(1, rank)):  # the whole picture
        pooled = call.net.picture(tensor)
        window = call.net.shapes[pooled.node][:2]
    else:
        over = joined(tensor.axes[i] for i in axes)
        rest = joined(a for i, a in enumerate(tensor.axes) if i not in axes)
        pooled = call.net.arranged(tensor, (over, (), rest))
        window = (call.net.shapes[pooled.node][0], 1)
    kind = MaxPool2D if call.kind in ("ReduceMax", "GlobalMaxPool") else n.AvgPool2D
    node = call.add(kind, pooled.node, pool=window, stride=window)
    shape = tuple(1 if i in axes else size for i, size in enumerate(tensor.shape))
    left = Tensor.plain(node, call.net.shapes[node]).reshaped(shape)
    assert left is not None  # one value for each place that is left
    if not keep:
        left = _without(left, axes)
    if call.kind == "ReduceSum":
        count = np.full(1, math.prod(tensor.shape[i] for i in axes), np.float64)
        return rescaled(call, left, count, np.zeros(1), "_sum")
    return left


def _without(tensor: Tensor, axes: tuple[int, ...]) -> Tensor:
    left = tuple(a for i, a in enumerate(tensor.axes) if i not in axes)
    return Tensor(node=tensor.node, sizes=tensor.sizes, axes=left, held=tensor.held)


def global_pool(call: Call) -> Tensor:
    """GlobalAveragePool and GlobalMaxPool."""
    tensor = call.tensor()
    if len(tensor.shape) < 2:
        raise call.refuse("its input is no picture", "give it one")
    return _pooled(call, tensor, tuple(range(1, len(tensor.shape))), True)


def softmax(call: Call) -> Tensor:
    """Softmax and LogSoftmax; before version 13 over all axes from one on."""
    kind = n.Softmax if call.kind == "Softmax" else n.LogSoftmax
    tensor = call.tensor()
    rank = len(tensor.shape)
    if call.operator.version >= 13:
        axis = call.axis(call.attribute("axis", -1), rank)
        last = call.net.axis_last(tensor, axis)
        return held_as(last, call.add(kind, last.node))
    axis = call.axis(call.attribute("axis", 1), rank)
    first, rest = joined(tensor.axes[:axis]), joined(tensor.axes[axis:])
    held = (first, rest) if first else (rest,)
    lies = call.net.arranged(tensor, held)
    return held_as(lies, call.add(kind, lies.node))


def argmax(call: Call) -> Tensor:
    """ArgMax, of equal values the first."""
    tensor = call.tensor()
    axis = call.axis(call.attribute("axis", 0), len(tensor.shape))
    if call.attribute("select_last_index", 0):
        raise call.refuse(
            "it takes the last of equal values", "use select_last_index=0", "arg-max"
        )
    last = call.net.axis_last(tensor, axis)
    node = call.add(n.Argmax, last.node)
    keep = call.attribute("keepdims", 1)
    axes = [() if i == axis else a for i, a in enumerate(last.axes)]
    if not keep:
        del axes[axis]
    return _compact(node, last, tuple(axes))


def _compact(node: str, tensor: Tensor, axes: tuple[tuple[int, ...], ...]) -> Tensor:
    """Without the factors of the axis that is gone."""
    left = sorted(joined(axes))
    place = {factor: i for i, factor in enumerate(left)}
    return Tensor(
        node=node,
        sizes=tuple(tensor.sizes[factor] for factor in left),
        axes=tuple(tuple(place[f] for f in axis) for axis in axes),
        held=tuple(tuple(place[f] for f in axis) for axis in tensor.held[:-1]),
        whole=True,
    )


LAYERS: Mapping[str, Callable[[Call], Known]] = {
    "Gemm": gemm,
    "MatMul": matmul,
    "BatchNormalization": batch_norm,
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax"), reduce),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), global_pool),
    **dict.fromkeys(("Softmax", "LogSoftmax"), softmax),
    "ArgMax": argmax,
}
