"""Linear and pointwise nodes of a Graph in TensorFlow, as ``interpret`` has them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf

from ...toolchain.graph import nodes as n
from ...toolchain.graph import operations
from ...toolchain.graph.functions import (
    SELU,
    SELU_ALPHA,
    Elementwise,
    LeakyReLU,
    MaxPool2D,
)
from ...toolchain.graph.preparation import ChannelsLast, Rescale
from ...toolchain.graph.rearranging import Pad2D, Permute, Slice
from .windows import convolved, padded, pooled, transposed


def linear(node: n.Linear, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The node's weighted sums with another kernel, without its bias."""
    if isinstance(node, n.Conv2D):
        return convolved(node, x, kernel)
    if isinstance(node, n.ConvTranspose2D):
        return transposed(node, x, kernel)
    return tf.linalg.matmul(x, kernel)


def apply(node: n.Node, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
    """Output of a node without weights."""
    return _OPERATIONS[type(node)](node, *inputs)


def _average(node: n.AvgPool2D, x: tf.Tensor) -> tf.Tensor:
    around = padded(x, node.padding)
    mean = pooled(around, node.pool, node.stride, (1, 1), tf.reduce_mean)
    if not node.inside:
        return mean
    filled = replace(node, inside=False)
    share = operations.apply(filled, np.ones((1, *x.shape[1:3], 1)))
    return mean / tf.constant(share, x.dtype)


def _largest(node: MaxPool2D, x: tf.Tensor) -> tf.Tensor:
    around = padded(x, node.padding, fill=-math.inf)
    return pooled(around, node.pool, node.stride, node.dilation, tf.reduce_max)


def _slice(node: Slice, x: tf.Tensor) -> tf.Tensor:
    box = (slice(None), *map(slice, node.start, node.stop))
    return x[box]


def _upsample(node: n.Upsample2D, x: tf.Tensor) -> tf.Tensor:
    return tf.repeat(tf.repeat(x, node.factor[0], axis=1), node.factor[1], axis=2)


def _rescale(node: n.BatchNorm | n.Membrane | Rescale, x: tf.Tensor) -> tf.Tensor:
    return x * tf.constant(node.scale, x.dtype) + tf.constant(node.offset, x.dtype)


def _leaky(node: LeakyReLU, x: tf.Tensor) -> tf.Tensor:
    return tf.where(x > 0, x, tf.constant(node.slope, x.dtype) * x)


def _hard_sigmoid(x: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(x / 6 + 0.5, 0, 1)


FUNCTIONS: Mapping[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "elu": tf.nn.elu,
    "exponential": tf.exp,
    "gelu": lambda x: 0.5 * x * (1 + tf.math.erf(x / math.sqrt(2))),
    "gelu_tanh": lambda x: (
        0.5 * x * (1 + tf.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    ),
    "hard_sigmoid": _hard_sigmoid,
    "hard_swish": lambda x: x * _hard_sigmoid(x),
    "mish": lambda x: x * tf.tanh(tf.nn.softplus(x)),
    "selu": lambda x: (
        SELU * tf.where(x > 0, x, SELU_ALPHA * tf.math.expm1(tf.minimum(x, 0)))
    ),
    "silu": tf.nn.silu,
    "softplus": tf.nn.softplus,
    "softsign": tf.nn.softsign,
}
"""Those of ``toolchain.graph.functions``."""

_OPERATIONS: dict[type[n.Node], Callable[..., tf.Tensor]] = {
    n.AvgPool2D: _average,
    MaxPool2D: _largest,
    n.Upsample2D: _upsample,
    n.BatchNorm: _rescale,
    n.Membrane: _rescale,
    Rescale: _rescale,
    ChannelsLast: lambda node, x: tf.transpose(x, (0, *range(2, len(x.shape)), 1)),
    Pad2D: lambda node, x: padded(x, node.padding),
    Slice: _slice,
    Permute: lambda node, x: tf.transpose(x, (0, *(axis + 1 for axis in node.axes))),
    n.Flatten: lambda node, x: tf.reshape(x, (-1, math.prod(x.shape[1:]))),
    n.Reshape: lambda node, x: tf.reshape(x, (-1, *node.shape)),
    n.Add: lambda node, *xs: tf.add_n(xs),
    n.Concat: lambda node, *xs: tf.concat(xs, axis=-1),
    n.Sigmoid: lambda node, x: tf.sigmoid(x),
    n.Tanh: lambda node, x: tf.tanh(x),
    n.Softmax: lambda node, x: tf.nn.softmax(x),
    n.LogSoftmax: lambda node, x: tf.nn.log_softmax(x),
    n.Argmax: lambda node, x: tf.cast(tf.argmax(x, axis=-1), x.dtype),
    Elementwise: lambda node, x: FUNCTIONS[node.function](x),
    LeakyReLU: _leaky,
    n.Lowpass: lambda node, x: x,
    n.Delay: lambda node, x: x,
    n.Output: lambda node, x: x,
}
