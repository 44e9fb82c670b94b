"""Linear and pointwise nodes of a Graph in TensorFlow, as ``interpret`` has them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import tensorflow as tf

from ...toolchain.graph import nodes as n
from ...toolchain.graph.preparation import ChannelsLast, Rescale


def linear(node: n.Linear, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The node's weighted sums with another kernel, without its bias."""
    if isinstance(node, n.Conv2D):
        return _conv(node, x, kernel)
    if isinstance(node, n.ConvTranspose2D):
        rows, columns = node.weight.shape[:2]
        size = n.transpose_shape(
            x.shape[1:], (rows, columns), node.stride, node.padding
        )
        shape = (tf.shape(x)[0], *size, node.weight.shape[-1])
        pads = [[0, 0], *map(list, node.padding), [0, 0]]
        swapped = tf.transpose(kernel, (0, 1, 3, 2))
        return tf.nn.conv2d_transpose(x, swapped, shape, node.stride, pads)
    return tf.linalg.matmul(x, kernel)


def apply(node: n.Node, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
    """Output of a node without weights."""
    return _OPERATIONS[type(node)](node, *inputs)


def _conv(node: n.Conv2D, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Where one column comes out, it is cut out first, and not strided to.

    TensorFlow 2.16 to 2.21 (oneDNN) read beyond pictures of one channel otherwise,
    where the window goes one row a step: other samples' numbers, or nothing's.
    """
    pads = [[0, 0], *map(list, node.padding), [0, 0]]
    rows, width, *_ = node.weight.shape
    down, across = node.stride
    _, columns = n.conv_shape(x.shape[1:], (rows, width), node.stride, node.padding)
    if columns > 1:
        return tf.nn.conv2d(x, kernel, (down, across), pads)
    return tf.nn.conv2d(tf.pad(x, pads)[:, :, :width], kernel, (down, 1), "VALID")


def _pool(node: n.AvgPool2D, x: tf.Tensor) -> tf.Tensor:
    return tf.nn.avg_pool2d(x, node.pool, node.stride, "VALID")


def _upsample(node: n.Upsample2D, x: tf.Tensor) -> tf.Tensor:
    return tf.repeat(tf.repeat(x, node.factor[0], axis=1), node.factor[1], axis=2)


def _norm(node: n.BatchNorm | Rescale, x: tf.Tensor) -> tf.Tensor:
    return x * tf.constant(node.scale, x.dtype) + tf.constant(node.offset, x.dtype)


_OPERATIONS: dict[type[n.Node], Callable[..., tf.Tensor]] = {
    n.AvgPool2D: _pool,
    n.Upsample2D: _upsample,
    n.BatchNorm: _norm,
    ChannelsLast: lambda node, x: tf.transpose(x, (0, *range(2, len(x.shape)), 1)),
    Rescale: _norm,
    n.Flatten: lambda node, x: tf.reshape(x, (-1, math.prod(x.shape[1:]))),
    n.Reshape: lambda node, x: tf.reshape(x, (-1, *node.shape)),
    n.Add: lambda node, *xs: tf.add_n(xs),
    n.Concat: lambda node, *xs: tf.concat(xs, axis=-1),
    n.Sigmoid: lambda node, x: tf.sigmoid(x),
    n.Tanh: lambda node, x: tf.tanh(x),
    n.Softmax: lambda node, x: tf.nn.softmax(x),
    n.LogSoftmax: lambda node, x: tf.nn.log_softmax(x),
    n.Argmax: lambda node, x: tf.cast(tf.argmax(x, axis=-1), x.dtype),
    n.Output: lambda node, x: x,
}
