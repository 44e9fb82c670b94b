"""Convolutions of a Graph in TensorFlow: exact for whole numbers, with gradients.

Groups, strides and dilations are made of what every TensorFlow computes, and
differentiates, on a CPU: convolutions without dilation of one group, or channel by
channel with equal strides. Padding below 0 leaves pixels out.

TensorFlow 2.16 to 2.21 (oneDNN) read beyond pictures of one channel where one column of
windows comes out of several samples and the window goes one row, but several columns a
step: numbers of other samples, or of nothing. No column is strided to here where there
is but one; the backward pass of a transposed convolution is such a convolution too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from ...toolchain.graph.nodes import Conv2D, ConvTranspose2D, Padding, Pair, conv_shape

Summed = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""Input and kernel → weighted sums."""


def convolved(node: Conv2D, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """A convolution's sums with another kernel, (samples, rows, columns, out)."""
    kernel = _spread(kernel, node.dilation, axis=0)
    if node.groups == 1:
        return _conv(x, kernel, node.stride, node.padding)
    x = padded(x, node.padding)
    if kernel.shape[2] == 1:
        return _depthwise(x, kernel, node.stride)
    whole = ((0, 0), (0, 0))
    return _in_groups(
        lambda part, own: _conv(part, own, node.stride, whole), node.groups, x, kernel
    )


def transposed(node: ConvTranspose2D, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """A transposed convolution's sums, likewise."""
    kernel = _spread(kernel, node.dilation, axis=0)
    if node.groups == 1 and min(map(min, node.padding)) >= 0:
        return _adjoint(x, kernel, node.stride, node.padding)
    if node.groups == 1:
        y = _adjoint(x, kernel, node.stride)
    elif kernel.shape[3] == node.groups:
        y = _depthwise_adjoint(x, kernel, node.stride)
    else:
        y = _in_groups(
            lambda part, own: _adjoint(part, own, node.stride), node.groups, x, kernel
        )
    (top, bottom), (left, right) = node.padding
    return padded(y, ((-top, -bottom), (-left, -right)))


def padded(x: tf.Tensor, padding: Padding, fill: float = 0.0) -> tf.Tensor:
    """More pixels around x, or fewer where padding is negative."""
    (top, bottom), (left, right) = padding
    rows, columns = x.shape[1:3]
    x = x[:, max(-top, 0) : rows + min(bottom, 0)]
    x = x[:, :, max(-left, 0) : columns + min(right, 0)]
    added = [[max(side, 0) for side in pair] for pair in padding]
    return tf.pad(x, [[0, 0], *added, [0, 0]], constant_values=fill)


def pooled(
    x: tf.Tensor,
    pool: Pair,
    stride: Pair,
    dilation: Pair,
    together: Callable[..., tf.Tensor],
) -> tf.Tensor:
    """Windows of x made one number each, first along rows, then along columns.

    ``together``: a sum, mean, or maximum (values, axis=…).
    """
    windows = conv_shape(x.shape[1:], pool, stride, ((0, 0), (0, 0)), dilation)
    for axis in (1, 2):
        start = stride[axis - 1] * np.arange(windows[axis - 1])[:, None]
        rows = start + dilation[axis - 1] * np.arange(pool[axis - 1])
        x = together(tf.gather(x, rows, axis=axis), axis=axis + 1)
    return x


def _conv(x: tf.Tensor, kernel: tf.Tensor, stride: Pair, padding: Padding) -> tf.Tensor:
    """Of one group."""
    down, across = stride
    width = kernel.shape[1]
    _, columns = conv_shape(x.shape[1:], kernel.shape[:2], stride, padding)
    if columns == 1:
        return tf.nn.conv2d(
            padded(x, padding)[:, :, :width], kernel, (down, 1), "VALID"
        )
    if min(map(min, padding)) < 0:
        return tf.nn.conv2d(padded(x, padding), kernel, stride, "VALID")
    return tf.nn.conv2d(x, kernel, (down, across), [[0, 0], *padding, [0, 0]])


def _adjoint(
    x: tf.Tensor,
    kernel: tf.Tensor,
    stride: Pair,
    padding: Padding = ((0, 0), (0, 0)),
) -> tf.Tensor:
    """Of one group; padding is what is left out of each side."""
    size = [
        reached - sum(sides)
        for reached, sides in zip(_reached(x, kernel, stride), padding)
    ]
    down, across = stride
    if x.shape[2] == 1:
        across = 1
    shape = (tf.shape(x)[0], *size, kernel.shape[3])
    swapped = tf.transpose(kernel, (0, 1, 3, 2))
    sides = [[0, 0], *map(list, padding), [0, 0]]
    y = tf.nn.conv2d_transpose(x, swapped, shape, (down, across), sides)
    return tf.ensure_shape(y, (None, *size, kernel.shape[3]))


def _depthwise(x: tf.Tensor, kernel: tf.Tensor, stride: Pair) -> tf.Tensor:
    """Each channel alone, its kernels one behind the other in (rows, columns, 1, out).

    TensorFlow has equal strides only: of others, all windows, and some are taken.
    """
    down, across = stride
    own = tf.reshape(kernel, (*kernel.shape[:2], x.shape[3], -1))
    if down == across:
        return tf.nn.depthwise_conv2d(x, own, (1, down, across, 1), "VALID")
    return tf.nn.depthwise_conv2d(x, own, (1, 1, 1, 1), "VALID")[:, ::down, ::across]


def _depthwise_adjoint(x: tf.Tensor, kernel: tf.Tensor, stride: Pair) -> tf.Tensor:
    """Each output channel of inputs of its own, (rows, columns, in / out, out)."""
    size = _reached(x, kernel, stride)
    if stride[0] != stride[1]:
        x, stride = _spread(x, stride, axis=1), (1, 1)
    shape = (tf.shape(x)[0], *size, kernel.shape[3])
    swapped = tf.transpose(kernel, (0, 1, 3, 2))
    y = tf.nn.depthwise_conv2d_backprop_input(
        shape, swapped, x, (1, *stride, 1), "VALID"
    )
    return tf.ensure_shape(y, (None, *size, kernel.shape[3]))


def _in_groups(
    summed: Summed, groups: int, x: tf.Tensor, kernel: tf.Tensor
) -> tf.Tensor:
    parts: Sequence[tf.Tensor] = tf.split(x, groups, axis=3)
    kernels: Sequence[tf.Tensor] = tf.split(kernel, groups, axis=3)
    return tf.concat([summed(*both) for both in zip(parts, kernels)], axis=3)


def _reached(x: tf.Tensor, kernel: tf.Tensor, stride: Pair) -> Pair:
    """Rows and columns that the pixels of x reach with the kernel."""
    rows, columns = (
        (size - 1) * pace + k
        for size, pace, k in zip(x.shape[1:3], stride, kernel.shape[:2])
    )
    return rows, columns


def _spread(x: tf.Tensor, paces: Pair, axis: int) -> tf.Tensor:
    """x with zeros between its rows and columns, which ``axis`` and the next hold."""
    for pace in paces:
        if pace > 1:
            size = x.shape[axis]
            matrix = np.zeros(((size - 1) * pace + 1, size))
            matrix[np.arange(size) * pace, np.arange(size)] = 1
            moved = tf.tensordot(tf.constant(matrix, x.dtype), x, ((1,), (axis,)))
            order = [*range(1, axis + 1), 0, *range(axis + 1, len(x.shape))]
            x = tf.transpose(moved, order)
        axis += 1
    return x
