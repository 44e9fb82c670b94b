"""Convolutions and pooling: kernels that move over a picture, or over a sequence.

A sequence (channels, length) is a picture one pixel wide.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ....graph import nodes as n
from ....graph.functions import MaxPool2D
from ....graph.nodes import Padding, Pair, Shape
from ....graph.rearranging import Pad2D
from .arrangement import Tensor
from .call import Call
from .network import Known


@dataclass(frozen=True)
class Window:
    """How a kernel moves, along height and width."""

    kernel: Pair
    stride: Pair
    padding: Padding
    dilation: Pair
    beyond: Pair  # pixels by which the last window reaches over the padding (ceil_mode)


def _pair(call: Call, name: str, space: int, default: int = 1) -> Pair:
    values: tuple[int, ...] = call.attribute(name, (default,) * space)
    if len(values) != space or min(values) < 1:
        raise call.refuse(
            f"its {name} are {list(values)}", f"{space} whole numbers are allowed"
        )
    rows, columns = (*values, *(1,) * (2 - space))
    return rows, columns


def picture(call: Call) -> tuple[Tensor, int]:
    """The input as a picture, channels last, and how many axes its space has."""
    tensor = call.tensor()
    space = len(tensor.shape) - 1
    if space not in (1, 2):
        raise call.refuse(
            f"it moves over {space} axes",
            "one or two are allowed: (channels, length) or (channels, height, width)",
            "dimensions",
        )
    return call.net.picture(tensor), space


def _window(call: Call, shape: Shape, kernel: tuple[int, ...]) -> Window:
    """Of a kernel over this (height, width)."""
    space = len(kernel)
    stride = _pair(call, "strides", space)
    dilation = _pair(call, "dilations", space)
    rows, columns = (*kernel, *(1,) * (2 - space))
    reach = [(k - 1) * d + 1 for k, d in zip((rows, columns), dilation)]
    padding = _padding(call, space, shape, reach, stride)
    beyond = [0, 0]
    if call.attribute("ceil_mode", 0):
        for i, (size, pads) in enumerate(zip(shape, padding)):
            left = (size + sum(pads) - reach[i]) % stride[i]
            count = (size + sum(pads) - reach[i]) // stride[i] + 1
            starts = count * stride[i]  # of one window more
            if left and starts < size + pads[0]:
                beyond[i] = stride[i] - left
    return Window((rows, columns), stride, padding, dilation, (beyond[0], beyond[1]))


def _padding(
    call: Call, space: int, shape: Shape, reach: list[int], stride: Pair
) -> Padding:
    how = call.attribute("auto_pad", "NOTSET")
    if how in ("SAME_UPPER", "SAME_LOWER"):
        both = []
        for size, r, step in zip(shape, reach, stride):
            total = (-(-size // step) - 1) * step + r - size
            if total < 0 and call.kind != "Conv":
                raise call.refuse(
                    f"its auto_pad is {how} and its kernel shorter than its stride, "
                    "which runtimes pad each in its own way",
                    "use pads in its place",
                    "padding",
                )
            total = max(total, 0)
            small, large = total // 2, total - total // 2
            both.append((small, large) if how == "SAME_UPPER" else (large, small))
        return both[0], both[1]
    if how not in ("NOTSET", "VALID", ""):
        raise call.refuse(
            f"its auto_pad is {how!r}", "use NOTSET, SAME_UPPER, SAME_LOWER or VALID"
        )
    pads = (0,) * 2 * space
    if how != "VALID":
        pads = call.attribute("pads", pads)
    if len(pads) != 2 * space or min(pads, default=0) < 0:
        raise call.refuse(
            f"its pads are {list(pads)}",
            f"{2 * space} whole numbers from 0 on are allowed",
            "padding",
        )
    starts, ends = pads[:space], pads[space:]
    sides = [*zip(starts, ends), (0, 0)]
    return sides[0], sides[1]


def _weight(call: Call, tensor: Tensor, space: int) -> n.Array:
    """(out, in, height, width), of 32 bits as it is stored."""
    weight = call.constant(1, "weight")
    if weight.ndim != space + 2:
        raise call.refuse(
            f"its weight is {weight.shape} and its input {tensor.shape}",
            "export the model again",
        )
    return weight[..., None] if space == 1 else weight


def _bias(call: Call, filters: int) -> n.FloatArray:
    if not call.has(2):
        return np.zeros(filters)
    return call.numbers(2, "bias").reshape(-1)


def conv(call: Call) -> Tensor:
    """Conv, with groups, dilation and any padding, in one or two dimensions."""
    tensor, space = picture(call)
    weight = _weight(call, tensor, space)
    window = _window(call, call.net.shapes[tensor.node], weight.shape[2 : 2 + space])
    name = call.add(
        n.Conv2D,
        tensor.node,
        weight=np.array(weight.transpose(2, 3, 1, 0), np.float64, order="C"),
        bias=_bias(call, weight.shape[0]),
        stride=window.stride,
        padding=window.padding,
        dilation=window.dilation,
        groups=call.attribute("group", 1),
    )
    return output(call, name, space)


def output(call: Call, node: str, space: int) -> Tensor:
    """A node's (height, width, channels) as ONNX's (channels, …)."""
    *size, channels = call.net.shapes[node]
    order = (1, None, 0) if space == 1 else (1, 2, 0)
    return Tensor.ordered(node, (channels, *size[:space]), order)


def conv_transpose(call: Call) -> Tensor:
    """ConvTranspose; output_padding as rows of zeros at the kernel's end."""
    tensor, space = picture(call)
    weight = _weight(call, tensor, space)
    groups = call.attribute("group", 1)
    inputs, each, rows, columns = weight.shape
    if groups < 1 or inputs % groups:
        raise call.refuse(f"{inputs} channels are not of {groups} equal groups")
    parts = weight.reshape(groups, inputs // groups, each, rows, columns)
    turned = parts.transpose(3, 4, 1, 0, 2)
    turned = turned.reshape(rows, columns, inputs // groups, groups * each)
    dilation = _pair(call, "dilations", space)
    stride = _pair(call, "strides", space)
    shape = call.net.shapes[tensor.node]
    ends = [
        _transposed_end(call, i, space, shape[i], turned.shape[i], stride, dilation)
        for i in range(2)
    ]
    more = [extra for _, extra in ends]
    name = call.add(
        n.ConvTranspose2D,
        tensor.node,
        weight=np.pad(
            turned.astype(np.float64), ((0, more[0]), (0, more[1]), (0, 0), (0, 0))
        ),
        bias=_bias(call, groups * each),
        stride=stride,
        padding=(ends[0][0], ends[1][0]),
        dilation=dilation,
        groups=groups,
    )
    return output(call, name, space)


def _transposed_end(
    call: Call,
    axis: int,
    space: int,
    size: int,
    kernel: int,
    stride: Pair,
    dilation: Pair,
) -> tuple[Pair, int]:
    """What is cut off one axis, before and behind, and zeros behind the kernel."""
    if axis >= space:
        return (0, 0), 0
    zeros = (0,) * space
    spare = call.attribute("output_padding", zeros)[axis]
    full = (size - 1) * stride[axis] + (kernel - 1) * dilation[axis] + 1
    how = call.attribute("auto_pad", "NOTSET")
    wanted = call.attribute("output_shape", ())
    if wanted or how.startswith("SAME"):
        target = wanted[-space:][axis] if wanted else size * stride[axis]
        cut = full + spare - target
        if cut < 0 and not wanted:
            raise call.refuse(
                f"its auto_pad asks for {target} pixels of {full}, which runtimes pad "
                "each in its own way",
                "use pads and output_padding in its place",
                "padding",
            )
        small, large = cut // 2, cut - cut // 2
        start, end = (small, large) if how == "SAME_UPPER" else (large, small)
        end -= spare
    else:
        pads = call.attribute("pads", (0,) * 2 * space)
        start, end = (0, 0) if how == "VALID" else (pads[axis], pads[space + axis])
        end -= spare
    if start < 0 or spare < 0 or -end > 1 << 12:
        raise call.refuse(
            f"it cuts off {start} and {end} pixels",
            "use pads and output_padding from 0 on",
            "padding",
        )
    more = -(-max(-end, 0) // dilation[axis])
    return (start, end + more * dilation[axis]), more


def average_pool(call: Call) -> Tensor:
    """AveragePool; windows over the edge count their padding only where ONNX does."""
    tensor, space = picture(call)
    kernel = call.attribute("kernel_shape", (1,))
    window = _window(call, call.net.shapes[tensor.node], _sized(call, kernel, space))
    counted = bool(call.attribute("count_include_pad", 0))
    _demand_near(call, window)
    padding, node = window.padding, tensor.node
    if window.dilation != (1, 1):
        return _spread_average(call, tensor, window, space, counted)
    if counted and any(window.beyond) and np.any(padding):
        node = call.add(Pad2D, node, suffix="_pad", padding=padding)
        padding = ((0, 0), (0, 0))
        counted = False
    padding = _with_beyond(padding, window.beyond)
    name = call.add(
        n.AvgPool2D,
        node,
        pool=window.kernel,
        stride=window.stride,
        padding=padding,
        inside=bool(np.any(padding)) and (not counted or any(window.beyond)),
    )
    return output(call, name, space)


def _spread_average(
    call: Call, tensor: Tensor, window: Window, space: int, counted: bool
) -> Tensor:
    """With dilation: as the convolution of each channel by itself that it is."""
    if (np.any(window.padding) and not counted) or any(window.beyond):
        raise call.refuse(
            "it has dilation and leaves padding out of its means",
            "use count_include_pad=1 and no ceil_mode, or no dilation",
            "pooling",
        )
    channels = call.net.shapes[tensor.node][-1]
    share = 1 / math.prod(window.kernel)
    name = call.add(
        n.Conv2D,
        tensor.node,
        weight=np.full((*window.kernel, 1, channels), share),
        bias=np.zeros(channels),
        stride=window.stride,
        padding=window.padding,
        dilation=window.dilation,
        groups=channels,
    )
    return output(call, name, space)


def _sized(call: Call, kernel: tuple[int, ...], space: int) -> tuple[int, ...]:
    if len(kernel) != space or min(kernel) < 1:
        raise call.refuse(
            f"its kernel_shape is {list(kernel)}",
            f"{space} whole numbers from 1 on are allowed",
        )
    return kernel


def _demand_near(call: Call, window: Window) -> None:
    """Refuse windows that lie in the padding alone: they have no mean."""
    reach = [(k - 1) * d + 1 for k, d in zip(window.kernel, window.dilation)]
    if any(max(pads) >= r for pads, r in zip(window.padding, reach)):
        raise call.refuse(
            f"its pads are {window.padding} and its kernel {window.kernel}",
            "pads smaller than the kernel are allowed",
            "padding",
        )


def _with_beyond(padding: Padding, beyond: Pair) -> Padding:
    (top, bottom), (left, right) = padding
    return (top, bottom + beyond[0]), (left, right + beyond[1])


def max_pool(call: Call) -> Tensor:
    """MaxPool; where its largest values lay is not read."""
    tensor, space = picture(call)
    kernel = call.attribute("kernel_shape", (1,))
    window = _window(call, call.net.shapes[tensor.node], _sized(call, kernel, space))
    _demand_near(call, window)
    name = call.add(
        MaxPool2D,
        tensor.node,
        pool=window.kernel,
        stride=window.stride,
        padding=_with_beyond(window.padding, window.beyond),
        dilation=window.dilation,
    )
    return output(call, name, space)


WINDOWS: Mapping[str, Callable[[Call], Known]] = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "AveragePool": average_pool,
    "MaxPool": max_pool,
}
