"""Two convolutions, plain or transposed, as one: its kernel, stride and padding.

Biases are left out (0). A function returns None where no single kernel is exact: where
zero padding or cropping between the two hides values that one kernel would let through.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from ...graph.nodes import Conv2D, ConvTranspose2D, FloatArray, Padding, Shape

Kernel = Conv2D | ConvTranspose2D
Pair = tuple[int, int]
AXES = (0, 1)


def compose_kernels(first: Kernel, second: Kernel, shape: Shape) -> Kernel | None:
    """second ∘ first, for first's input of ``shape``; None where there is no kernel."""
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
    total = _conv(one.name, weight, one.stride, padding)
    return total if total.output_shape(shape) == windows else None


def to_conv(node: ConvTranspose2D) -> Conv2D:
    """The convolution whose matrix is the transpose of the node's."""
    weight = node.weight.swapaxes(2, 3)
    return _conv(node.name, weight, node.stride, node.padding)


def to_transpose(node: Conv2D) -> ConvTranspose2D:
    """The transposed convolution whose matrix is the transpose of the node's."""
    weight = node.weight.swapaxes(2, 3)
    return _transpose(node.name, weight, node.stride, node.padding)


def _conv(name: str, weight: FloatArray, stride: Pair, padding: Padding) -> Conv2D:
    bias = np.zeros(weight.shape[3])
    return Conv2D(name, weight=weight, bias=bias, stride=stride, padding=padding)


def _transpose(
    name: str, weight: FloatArray, stride: Pair, padding: Padding
) -> ConvTranspose2D:
    bias = np.zeros(weight.shape[3])
    return ConvTranspose2D(
        name, weight=weight, bias=bias, stride=stride, padding=padding
    )


def _place(weight: FloatArray, part: FloatArray, row: int, column: int) -> None:
    rows, columns = part.shape[:2]
    weight[row : row + rows, column : column + columns] += part


def _empty(a: Kernel, b: Kernel, pace_a: Pair, pace_b: Pair) -> FloatArray:
    """Room for a's kernel spread by pace_a over b's, spread by pace_b."""
    rows, columns = (
        (a.weight.shape[i] - 1) * pace_a[i] + (b.weight.shape[i] - 1) * pace_b[i] + 1
        for i in AXES
    )
    return np.zeros((rows, columns, a.weight.shape[2], b.weight.shape[3]))


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
    weight = _empty(a, b, (1, 1), a.stride)
    for m, n in product(*map(range, b.weight.shape[:2])):
        _place(weight, a.weight @ b.weight[m, n], m * a.stride[0], n * a.stride[1])
    rows, columns = (
        (
            a.padding[i][0] + b.padding[i][0] * a.stride[i],
            a.padding[i][1] + b.padding[i][1] * a.stride[i],
        )
        for i in AXES
    )
    stride = (a.stride[0] * b.stride[0], a.stride[1] * b.stride[1])
    return _conv(b.name, weight, stride, (rows, columns))


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
    weight = _empty(a, b, (1, 1), (1, 1))
    flipped = b.weight[::-1, ::-1]
    for m, n in product(*map(range, b.weight.shape[:2])):
        _place(weight, a.weight @ flipped[m, n], m, n)
    top, bottom, left, right = sides
    return _transpose(b.name, weight, a.stride, ((top, bottom), (left, right)))


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
    weight = _empty(a, b, b.stride, (1, 1))
    rows, columns = a.weight.shape[:2]
    for m, n in product(range(rows), range(columns)):
        row, column = (rows - 1 - m) * b.stride[0], (columns - 1 - n) * b.stride[1]
        _place(weight, a.weight[m, n] @ b.weight, row, column)
    top, bottom, left, right = sides
    return _transpose(b.name, weight, b.stride, ((top, bottom), (left, right)))
