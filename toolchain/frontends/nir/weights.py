"""NIR's nodes without a state: weights, pooling, scales, flattening."""

from __future__ import annotations

import math

import numpy as np

from ...graph import nodes as n
from ...graph.node import Padding, Pair, conv_shape
from ...graph.nodes import FloatArray, Shape
from ...graph.preparation import Rescale
from .form import Form, constant
from .network import NirNode
from .reading import Kind, Reading

LARGEST = 1 << 28  # bytes of a kernel


def _same(reading: Reading, node: NirNode, form: Form) -> Form:
    return form


def _matrix(node: NirNode) -> FloatArray:
    weight = node.array("weight")
    if weight.ndim != 2 or not weight.size:
        raise node.error(
            f"its weight is {weight.shape}; (outputs, inputs) is allowed, one matrix "
            "for all"
        )
    return weight


def _sum_form(reading: Reading, node: NirNode, form: Form) -> Form:
    weight = _matrix(node)
    if form.shape != weight.shape[1:]:
        raise node.error(
            f"it takes ({weight.shape[1]},), its input is {form.shape}; flatten it "
            "before"
        )
    return Form(weight.shape[:1])


def _put_sum(reading: Reading, node: NirNode, form: Form) -> None:
    """Affine y = W x + b and Linear y = W x; W (outputs, inputs)."""
    weight = _matrix(node).T
    bias = node.array("bias") if node.kind == "Affine" else np.zeros(weight.shape[1])
    if bias.shape != weight.shape[1:]:
        raise node.error(f"its bias is {bias.shape}, its outputs {weight.shape[1:]}")
    if form.order is not None:
        weight = weight[form.order]
    weight = np.ascontiguousarray(weight)
    x = reading.source(node)
    reading.add(n.Dense(node.name, (x,), weight=weight, bias=bias))


def _put_scale(reading: Reading, node: NirNode, form: Form) -> None:
    """Scale y = s · x, element by element."""
    scale, shape = constant(node, "scale", form), form.held
    if scale.size == 1:
        scale = scale.reshape(1)
    elif scale.shape[:-1] == (1,) * (scale.ndim - 1):
        scale = scale.reshape(-1)
    else:
        scale = np.broadcast_to(scale, shape).copy()
    x = reading.source(node)
    reading.add(Rescale(node.name, (x,), scale=scale, offset=np.zeros(1)))


def _kernel(node: NirNode) -> tuple[FloatArray, int]:
    """Weight (rows, columns, in / groups, out), and groups."""
    weight, (groups,) = node.array("weight"), node.whole("groups", 1)[:1] or (0,)
    axes = 3 if node.kind == "Conv1d" else 4
    if weight.ndim != axes or not weight.size or not groups:
        raise node.error(
            f"its weight is {weight.shape} and groups {groups}; (outputs, inputs / "
            f"groups, {'length' if axes == 3 else 'height, width'}) is allowed"
        )
    if weight.ndim == 3:
        weight = weight[:, :, None]
    return np.ascontiguousarray(weight.transpose(2, 3, 1, 0)), groups


def _sides(node: NirNode, name: str, least: int) -> Pair:
    """Along height and width; of Conv1d, along a row of pixels."""
    if node.kind == "Conv1d":
        (along,) = node.whole(name, least)[:1] or (0,)
        return (0 if name == "padding" else 1), along
    return node.pair(name, least)


def _padding(node: NirNode, kernel: Pair, dilation: Pair, stride: Pair) -> Padding:
    """Zeros around the input: so many, or "valid": none, or "same": as PyTorch."""
    found = node.fields.get("padding")
    if isinstance(found, str):
        if found == "valid":
            return ((0, 0), (0, 0))
        if found != "same" or stride != (1, 1):
            raise node.error(
                f"its padding is {found[:20]!r} at a stride of {stride}; numbers, "
                "'valid', or 'same' at a stride of 1 are allowed"
            )
        total = [d * (k - 1) for d, k in zip(dilation, kernel)]
        rows, columns = ((all // 2, all - all // 2) for all in total)
        return rows, columns
    down, across = _sides(node, "padding", 0)
    return ((down, down), (across, across))


def _conv(node: NirNode, x: str) -> n.Conv2D:
    """Conv1d, Conv2d: cross-correlation, as in PyTorch."""
    weight, groups = _kernel(node)
    kernel = weight.shape[0], weight.shape[1]
    stride, dilation = _sides(node, "stride", 1), _sides(node, "dilation", 1)
    bias = node.array("bias") if "bias" in node else np.zeros(weight.shape[3])
    if bias.ndim == 0:
        bias = np.full(weight.shape[3], float(bias))
    return n.Conv2D(
        node.name,
        (x,),
        weight=weight,
        bias=bias,
        stride=stride,
        dilation=dilation,
        groups=groups,
        padding=_padding(node, kernel, dilation, stride),
    )


def _sum_pool(node: NirNode, x: str, channels: int) -> n.Conv2D:
    """SumPool2d: a convolution of ones, channel by channel."""
    pool, stride, (down, across) = _pooling(node)
    size = 8 * math.prod(pool) * channels
    if size > LARGEST:
        raise node.error(
            f"its window has {size} bytes; {LARGEST} are allowed, use a smaller one"
        )
    return n.Conv2D(
        node.name,
        (x,),
        weight=np.ones((*pool, 1, channels)),
        bias=np.zeros(channels),
        stride=stride,
        padding=((down, down), (across, across)),
        groups=channels,
    )


def _pooling(node: NirNode) -> tuple[Pair, Pair, Pair]:
    """Window, stride and padding."""
    pool = node.pair("kernel_size", 1)
    stride = node.pair("stride", 1) if "stride" in node else pool
    return pool, stride, node.pair("padding", 0)


def _window_form(reading: Reading, node: NirNode, form: Form) -> Form:
    axes = 2 if node.kind == "Conv1d" else 3
    if len(form.shape) != axes:
        wanted = "(C, N)" if axes == 2 else "(C, H, W)"
        raise node.error(f"its input is {form.shape}; {wanted} is allowed")
    if node.kind in ("Conv1d", "Conv2d"):
        shape = _conv(node, "x").output_shape(form.held)
    else:
        pool, stride, (down, across) = _pooling(node)
        padding = ((down, down), (across, across))
        rows, columns = conv_shape(form.held, pool, stride, padding)
        if rows < 1 or columns < 1:
            raise node.error("its window is larger than its padded input")
        shape = (rows, columns, form.shape[0])
    if axes == 2:
        return Form((shape[2], shape[1]))
    return Form((shape[2], *shape[:2]))


def _put_conv(reading: Reading, node: NirNode, form: Form) -> None:
    reading.add(_conv(node, reading.source(node)))


def _put_sum_pool(reading: Reading, node: NirNode, form: Form) -> None:
    reading.add(_sum_pool(node, reading.source(node), form.shape[0]))


def _put_mean_pool(reading: Reading, node: NirNode, form: Form) -> None:
    """AvgPool2d: the padding counts as zeros in the mean, as in PyTorch."""
    pool, stride, (down, across) = _pooling(node)
    padding = ((down, down), (across, across))
    x = reading.source(node)
    reading.add(n.AvgPool2D(node.name, (x,), pool=pool, stride=stride, padding=padding))


def _flat_form(reading: Reading, node: NirNode, form: Form) -> Form:
    """Axes start_dim to end_dim as one, counted without the axis of samples.

    Where what follows takes all of them as one and start_dim is 1, PyTorch's count,
    which has that axis, is meant.
    """
    axes = len(form.shape)
    start, end = (_axis(node, name, axes) for name in ("start_dim", "end_dim"))
    shape: Shape = form.shape
    if start < end:
        joined = math.prod(shape[start : end + 1])
        shape = (*shape[:start], joined, *shape[end + 1 :])
    if start == 1 and len(shape) > 1 and _taken(reading, node) == form.size:
        shape = (form.size,)
    if len(shape) == 1:
        image = form.shape if axes > 1 else form.image
        return Form(shape, image)
    if shape[0] != form.shape[0]:
        raise node.error(
            f"it makes {shape} of {form.shape}; flattening all axes, or all but the "
            "channels, is allowed"
        )
    return Form(shape)


def _axis(node: NirNode, name: str, axes: int) -> int:
    usual = np.array(1 if name == "start_dim" else -1)
    found = np.asarray(node.array(name) if name in node else usual).ravel()
    if found.size != 1 or found[0] != int(found[0]) or not -axes <= found[0] <= axes:
        raise node.error(f"its {name} is {found[:4].tolist()}; an axis is allowed")
    return min(int(found[0]) + (axes if found[0] < 0 else 0), axes - 1)


def _taken(reading: Reading, node: NirNode) -> int:
    """How many inputs the weights behind it have; 0: none are there."""
    for name in reading.leaving[node.name]:
        after = reading.network.nodes[name]
        if after.kind in ("Affine", "Linear"):
            return _matrix(after).shape[1]
    return 0


def _put_flat(reading: Reading, node: NirNode, form: Form) -> None:
    own, x = reading.forms[node.name], reading.source(node)
    if len(own.shape) == 1:
        reading.add(n.Flatten(node.name, (x,)))
    else:
        reading.add(n.Reshape(node.name, (x,), shape=own.held))


WEIGHTS = {
    "Affine": Kind(form=_sum_form, put=_put_sum),
    "Linear": Kind(form=_sum_form, put=_put_sum),
    "Scale": Kind(form=_same, put=_put_scale),
    "Conv1d": Kind(form=_window_form, put=_put_conv),
    "Conv2d": Kind(form=_window_form, put=_put_conv),
    "AvgPool2d": Kind(form=_window_form, put=_put_mean_pool),
    "SumPool2d": Kind(form=_window_form, put=_put_sum_pool),
    "Flatten": Kind(form=_flat_form, put=_put_flat),
}
"""Kind of NIR → how it is read; all of them sum what comes in in the same step."""
