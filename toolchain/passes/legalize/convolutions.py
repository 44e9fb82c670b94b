"""Two convolutions, plain or transposed, as one: its kernel, stride and padding.

Biases are left out (0). A function returns None where no single kernel is exact: where
zero padding or cropping between the two hides values that one kernel would let through.
A kernel whose groups are single channels, as pooling has, keeps the groups of the
other; other groups become one, with zeros between them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TypeVar, cast

import numpy as np

from ...graph.nodes import (
    Conv2D,
    ConvTranspose2D,
    FloatArray,
    Padding,
    Pair,
    Shape,
    Windowed,
)

Kernel = Conv2D | ConvTranspose2D
K = TypeVar("K", bound=Windowed)
AXES = (0, 1)


def compose_kernels(first: Kernel, second: Kernel, shape: Shape) -> Kernel | None:
    """second ∘ first, for first's input of ``shape``; None where there is no kernel."""
    first, second = undilated(first), undilated(second)
    if not (is_depthwise(first) or is_depthwise(second)):
        first, second = ungrouped(first), ungrouped(second)
    if isinstance(first, Conv2D):
        if isinstance(second, Conv2D):
            return _conv_conv(first, second, shape)
        return _conv_transpose(first, second)
    if isinstance(second, Conv2D):
        return _transpose_conv(first, second)
    whole = second.output_shape(first.output_shape(shape))
    adjoint = _conv_conv(to_conv(second), to_conv(first), whole)
    return None if adjoint is None else to_transpose(adjoint)


def add_kernels(one: Conv2D, other: Conv2D, shape: Shape) -> Conv2D | None:
    """one + other, both of an input of ``shape`` and with the same output shape."""
    if one.stride != other.stride:
        return None
    one, other = undilated(one), undilated(other)
    if one.groups != other.groups:
        one, other = ungrouped(one), ungrouped(other)
    windows = one.output_shape(shape)
    before = [max(one.padding[a][0], other.padding[a][0]) for a in AXES]
    places = [
        tuple(before[a] - conv.padding[a][0] for a in AXES) for conv in (one, other)
    ]
    size = [
        max(p[a] + c.weight.shape[a] for p, c in zip(places, (one, other)))
        for a in AXES
    ]
    weight = np.zeros((*size, *one.weight.shape[2:]))
    for (row, column), conv in zip(places, (one, other)):
        _place(weight, conv.weight, row, column)
    last = [(windows[a] - 1) * one.stride[a] - before[a] + size[a] for a in AXES]
    after = [max(0, last[a] - shape[a]) for a in AXES]
    padding = ((before[0], after[0]), (before[1], after[1]))
    total = _conv(one.name, weight, one.stride, padding, one.groups)
    return total if total.output_shape(shape) == windows else None


def is_depthwise(node: Kernel) -> bool:
    """Whether every output channel sees the one input channel of its number."""
    return node.weight.shape[2:] == (1, node.groups)


def undilated(node: K) -> K:
    """The same with a kernel whose positions are side by side."""
    if node.dilation == (1, 1):
        return node
    size = [(k - 1) * d + 1 for k, d in zip(node.kernel, node.dilation)]
    weight = np.zeros((*size, *node.weight.shape[2:]))
    weight[:: node.dilation[0], :: node.dilation[1]] = node.weight
    return replace(node, weight=weight, dilation=(1, 1))


def ungrouped(node: K) -> K:
    """The same with one group, and zeros between what were others."""
    if node.groups == 1:
        return node
    rows, columns, inputs, filters = node.weight.shape
    each = filters // node.groups
    weight = np.zeros((rows, columns, inputs * node.groups, filters))
    for group in range(node.groups):
        own = slice(group * each, (group + 1) * each)
        seen = slice(group * inputs, (group + 1) * inputs)
        weight[:, :, seen, own] = node.weight[..., own]
    return replace(node, weight=weight, groups=1)


def to_conv(node: ConvTranspose2D) -> Conv2D:
    """The convolution whose matrix is the transpose of the node's."""
    weight, how = _adjoint(node), (node.stride, node.padding, node.groups)
    return _conv(node.name, weight, *how)


def to_transpose(node: Conv2D) -> ConvTranspose2D:
    """The transposed convolution whose matrix is the transpose of the node's."""
    weight, how = _adjoint(node), (node.stride, node.padding, node.groups)
    return _transpose(node.name, weight, *how)


def _adjoint(node: Kernel) -> FloatArray:
    """Inputs and outputs exchanged, group by group."""
    rows, columns, inputs, filters = undilated(node).weight.shape
    each = (rows, columns, inputs, node.groups, filters // node.groups)
    swapped = undilated(node).weight.reshape(each).transpose(0, 1, 4, 3, 2)
    return swapped.reshape(rows, columns, filters // node.groups, -1)


def _conv(
    name: str, weight: FloatArray, stride: Pair, padding: Padding, groups: int
) -> Conv2D:
    bias = np.zeros(weight.shape[3])
    how = {"stride": stride, "padding": padding, "groups": groups}
    return Conv2D(name, weight=weight, bias=bias, **how)  # type: ignore[arg-type]


def _transpose(
    name: str, weight: FloatArray, stride: Pair, padding: Padding, groups: int
) -> ConvTranspose2D:
    bias = np.zeros(weight.shape[3])
    how = {"stride": stride, "padding": padding, "groups": groups}
    return ConvTranspose2D(name, weight=weight, bias=bias, **how)  # type: ignore[arg-type]


def _place(weight: FloatArray, part: FloatArray, row: int, column: int) -> None:
    rows, columns = part.shape[:2]
    weight[row : row + rows, column : column + columns] += part


@dataclass(frozen=True)
class _Channels:
    """How the channels of a kernel b behind a kernel a become those of one kernel."""

    a: Kernel
    b: Kernel

    @property
    def groups(self) -> int:
        """Of the one kernel: of the other one where one is depthwise."""
        return self.b.groups if is_depthwise(self.a) else self.a.groups

    def product(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """Weights (…, in, mid) and (…, mid, out), one of them of a place."""
        if is_depthwise(self.a):
            inputs, filters = self.b.weight.shape[2:]
            group = np.arange(filters) // (filters // self.b.groups)
            seen = group * inputs + np.arange(inputs)[:, None]  # a's channel
            return cast(FloatArray, a[..., 0, :][..., seen] * b)
        if is_depthwise(self.b):
            return a * b
        return a @ b

    def empty(self, pace_a: Pair, pace_b: Pair) -> FloatArray:
        """Room for a's kernel spread by pace_a over b's, spread by pace_b."""
        rows, columns = (
            (self.a.weight.shape[i] - 1) * pace_a[i]
            + (self.b.weight.shape[i] - 1) * pace_b[i]
            + 1
            for i in AXES
        )
        inputs = self.b.weight.shape[2] if is_depthwise(self.a) else 0
        inputs = inputs or self.a.weight.shape[2]
        return np.zeros((rows, columns, inputs, self.b.weight.shape[3]))


def _conv_conv(a: Conv2D, b: Conv2D, shape: Shape) -> Conv2D | None:
    """y[i] = Σ z[i·t + n − q] b[n], z[j] = Σ x[j·s + m − p] a[m]: kernel m + n·s.

    Stride s·t, padding p + q·s. z is zero where b pads it; in one kernel it is a's sum
    there, so a's windows there must lie wholly outside the image.
    """
    windows = a.output_shape(shape)
    for i in AXES:
        (p, _), s = a.padding[i], a.stride[i]
        before, after = b.padding[i]
        if before and a.weight.shape[i] > s + p:
            return None
        if after and windows[i] * s - p < shape[i]:
            return None
    channels = _Channels(a, b)
    weight = channels.empty((1, 1), a.stride)
    for m, n in product(*map(range, b.weight.shape[:2])):
        part = channels.product(a.weight, b.weight[m, n])
        _place(weight, part, m * a.stride[0], n * a.stride[1])
    rows, columns = (
        (
            a.padding[i][0] + b.padding[i][0] * a.stride[i],
            a.padding[i][1] + b.padding[i][1] * a.stride[i],
        )
        for i in AXES
    )
    stride = (a.stride[0] * b.stride[0], a.stride[1] * b.stride[1])
    return _conv(b.name, weight, stride, (rows, columns), channels.groups)


def _transpose_conv(a: ConvTranspose2D, b: Conv2D) -> ConvTranspose2D | None:
    """y[i] = Σ z[i + n − q] b[n], z[j·s + m − p] += x[j] a[m]: kernel m + (b − 1) − n.

    Stride s, cropping p + (b − 1) − q; b has stride 1. z is zero where b pads it; in
    one kernel it is what a cropped there, so only one of them may be.
    """
    sides = []
    for i in AXES:
        for p, q in zip(a.padding[i], b.padding[i]):
            crop = p + b.weight.shape[i] - 1 - q
            if b.stride[i] != 1 or (p and q) or crop < 0:
                return None
            sides.append(crop)
    channels = _Channels(a, b)
    weight = channels.empty((1, 1), (1, 1))
    flipped = b.weight[::-1, ::-1]
    for m, n in product(*map(range, b.weight.shape[:2])):
        _place(weight, channels.product(a.weight, flipped[m, n]), m, n)
    top, bottom, left, right = sides
    padding = ((top, bottom), (left, right))
    return _transpose(b.name, weight, a.stride, padding, channels.groups)


def _conv_transpose(a: Conv2D, b: ConvTranspose2D) -> ConvTranspose2D | None:
    """y[j·s+n−q] += z[j] b[n], z[j] = Σ x[j+m−p] a[m]: kernel n + (a − 1 − m)·s.

    Stride s, cropping q + (a − 1 − p)·s; a has stride 1. One kernel also sends what a
    never computed, beside the image: nothing (p ≥ a − 1), or cropped (b ≤ s + q).
    """
    sides = []
    for i in AXES:
        s, reach = b.stride[i], a.weight.shape[i] - 1
        for p, q in zip(a.padding[i], b.padding[i]):
            crop = q + (reach - p) * s
            hidden = p >= reach or b.weight.shape[i] <= s + q
            if a.stride[i] != 1 or crop < 0 or not hidden:
                return None
            sides.append(crop)
    channels = _Channels(a, b)
    weight = channels.empty(b.stride, (1, 1))
    rows, columns = a.weight.shape[:2]
    for m, n in product(range(rows), range(columns)):
        row, column = (rows - 1 - m) * b.stride[0], (columns - 1 - n) * b.stride[1]
        _place(weight, channels.product(a.weight[m, n], b.weight), row, column)
    top, bottom, left, right = sides
    padding = ((top, bottom), (left, right))
    return _transpose(b.name, weight, b.stride, padding, channels.groups)
