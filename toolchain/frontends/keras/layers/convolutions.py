"""Layers with a kernel or a matrix, as the nodes of a Graph."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ....errors import ModelError
from ....graph import nodes as n
from ....graph.node import FloatArray, Padding, Pair, Shape
from .layer import Layer, Tensor

NO_PADDING: Padding = ((0, 0), (0, 0))
LARGEST = 1 << 28  # bytes of a kernel


def dense(layer: Layer) -> Tensor:
    """Of a sequence or picture: the same for every place, a convolution of size 1."""
    tensor, weight = layer.input, layer.weight("kernel")
    bias = layer.bias(weight.shape[-1])
    if len(tensor.shape) == 1:
        return layer.put(n.Dense, tensor, weight=weight, bias=bias)
    fields: dict[str, Any] = {"weight": weight[None, None], "bias": bias}
    if len(tensor.shape) <= 3:
        line = len(tensor.shape) == 2
        image = layer.network.formed(tensor, first=False, line=line)
        return layer.put(n.Conv2D, image, **fields)
    *places, last = tensor.shape
    shape = (math.prod(places[:-1]), places[-1], last)
    tensor = layer.put(n.Reshape, tensor, part="in", shape=shape)
    tensor = layer.put(n.Conv2D, tensor, part="each", **fields)
    return layer.put(n.Reshape, tensor, shape=(*places, weight.shape[-1]))


def conv(layer: Layer) -> Tensor:
    """A convolution, grouped or dilated too."""
    weight = _kernel(layer, layer.weight("kernel"))
    groups = int(layer.config.get("groups") or 1)
    bias = layer.bias(weight.shape[3])
    return _put_conv(layer, layer.picture(), weight, bias, groups)


def depthwise(layer: Layer) -> Tensor:
    """Each channel alone, with as many filters as depth_multiplier says."""
    kernel = _kernel(layer, layer.weight("kernel", "depthwise_kernel"))
    weight, groups = _each_channel(kernel)
    bias = layer.bias(weight.shape[3])
    return _put_conv(layer, layer.picture(), weight, bias, groups)


def separable(layer: Layer) -> Tensor:
    """Each channel alone, then all at every place."""
    depth, groups = _each_channel(_kernel(layer, layer.weight("depthwise_kernel")))
    point = _kernel(layer, layer.weight("pointwise_kernel"))
    zeros = np.zeros(depth.shape[3])
    tensor = _put_conv(layer, layer.picture(), depth, zeros, groups, part="depthwise")
    return layer.put(n.Conv2D, tensor, weight=point, bias=layer.bias(point.shape[3]))


def _kernel(layer: Layer, weight: FloatArray) -> FloatArray:
    """(rows, columns, …); that of a sequence is one pixel wide."""
    return weight[:, None] if layer.flat else weight


def _each_channel(kernel: FloatArray) -> tuple[FloatArray, int]:
    """Of (rows, columns, channels, multiplier): weights, and the number of groups."""
    rows, columns, channels, times = kernel.shape
    return kernel.reshape(rows, columns, 1, channels * times), channels


def _put_conv(
    layer: Layer,
    image: Tensor,
    weight: FloatArray,
    bias: FloatArray,
    groups: int,
    part: str = "",
) -> Tensor:
    stride, dilation = layer.pair("strides"), _dilation(layer)
    rows, columns = weight.shape[:2]
    return layer.put(
        n.Conv2D,
        image,
        part=part,
        weight=weight,
        bias=bias,
        stride=stride,
        padding=padding_of(layer, image, (rows, columns), stride, dilation),
        groups=groups,
        dilation=dilation,
    )


def _dilation(layer: Layer) -> Pair:
    return layer.pair("dilation_rate") if "dilation_rate" in layer.config else (1, 1)


def padding_of(
    layer: Layer, image: Tensor, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)
) -> Padding:
    """What TensorFlow adds: ⌈size / stride⌉ windows fit, the odd pixel comes last.

    Source: "Notes on padding", www.tensorflow.org/api_docs/python/tf/nn.
    """
    layer.demand("padding", "same", "valid", *(("causal",) if layer.flat else ()))
    if layer.config["padding"] == "valid":
        return NO_PADDING
    if layer.config["padding"] == "causal":  # as many places before as it reaches back
        return ((kernel[0] - 1) * dilation[0], 0), (0, 0)
    sides = []
    for size, k, step, spread in zip(image.stored, kernel, stride, dilation):
        reach = (k - 1) * spread + 1
        total = max((-(-size // step) - 1) * step + reach - size, 0)
        sides.append((total // 2, total - total // 2))
    return sides[0], sides[1]


def conv_transpose(layer: Layer) -> Tensor:
    """The adjoint of a convolution whose input is as large as Keras says.

    Where that is larger than what the kernel reaches, zeros are left at the end.
    """
    layer.demand("padding", "same", "valid")
    image = layer.picture()
    weight = _kernel(layer, layer.weight("kernel")).swapaxes(2, 3)
    stride, dilation = layer.pair("strides"), _dilation(layer)
    given = layer.config.get("output_padding")
    extra: tuple[int | None, ...] = (None, None)
    if given is not None:
        rows, columns = layer.pair("output_padding")
        extra = rows, None if layer.flat else columns
    sides, grow = [], []
    for axis in range(2):
        reach = (weight.shape[axis] - 1) * dilation[axis] + 1
        how = image.stored[axis], reach, stride[axis], extra[axis]
        before, after = _cut(*how, same=layer.config["padding"] == "same")
        taps = -(-max(-after, 0) // dilation[axis])
        grow.append((0, taps))
        sides.append((before, after + taps * dilation[axis]))
    _demand_small(layer.title, weight.shape, grow)
    weight = np.pad(weight, (*grow, (0, 0), (0, 0)))
    return layer.put(
        n.ConvTranspose2D,
        image,
        weight=weight,
        bias=layer.bias(weight.shape[3]),
        stride=stride,
        padding=(sides[0], sides[1]),
        dilation=dilation,
    )


def _demand_small(title: str, shape: Shape, grow: Sequence[Pair]) -> None:
    """Raise ModelError where a kernel with zeros around is larger than any file's."""
    rows, columns = (size + sum(more) for size, more in zip(shape, grow))
    size = 8 * rows * columns * math.prod(shape[2:])
    if size > LARGEST:
        raise ModelError(
            f"{title}: its strides or output padding go so far beyond its kernel that "
            f"with zeros it has {size} bytes; {LARGEST} are allowed, use smaller ones"
        )


def _cut(
    size: int, reach: int, stride: int, extra: int | None, *, same: bool
) -> tuple[int, int]:
    """What is cut off before and after of all that a transposed kernel reaches.

    Source: keras/src/backend/common/backend_utils.py, output shapes of TensorFlow.
    """
    whole = (size - 1) * stride + reach
    if extra is not None:
        output = whole - 2 * (reach // 2 if same else 0) + extra
    else:
        output = size * stride + (0 if same else max(reach - stride, 0))
    before = max(whole - output, 0) // 2 if same else 0
    return before, whole - output - before


def upsample(layer: Layer) -> Tensor:
    """Nearest neighbour."""
    if not layer.flat:
        layer.demand("interpolation", "nearest")
    image = layer.picture()
    size = layer.config["size"]
    factor = (int(size), 1) if layer.flat else layer.pair("size")
    return layer.put(n.Upsample2D, image, factor=factor)


def repeat(layer: Layer) -> Tensor:
    """(channels,) → (n, channels)."""
    (channels,) = layer.input.shape
    line = layer.put(n.Reshape, layer.input, part="in", shape=(1, 1, channels))
    tensor = layer.put(n.Upsample2D, line, factor=(int(layer.config["n"]), 1))
    return replace(tensor, line=True)
