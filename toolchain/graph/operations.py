"""What each node computes of its inputs, in NumPy: rates, where it is a population."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from . import nodes as n
from .functions import FUNCTIONS, Elementwise, LeakyReLU, MaxPool2D
from .nodes import FloatArray, Padding, Pair
from .preparation import ChannelsLast, Rescale
from .rearranging import Pad2D, Permute, Slice


def apply(node: n.Node, *inputs: FloatArray) -> FloatArray:
    """y of a node, (samples, …), of its inputs."""
    return _OPERATIONS[type(node)](node, *inputs)


def lif_rate(excess: FloatArray, tau_rc: float, tau_ref: float) -> FloatArray:
    """1 / (tau_ref + tau_rc · ln(1 + 1 / excess)) in Hz, 0 where excess = J − 1 ≤ 0."""
    above = np.maximum(excess, np.finfo(np.float64).tiny)
    rate = 1.0 / (tau_ref + tau_rc * np.log1p(1.0 / above))
    return np.where(excess > 0, rate, 0.0)


def _lif(node: n.LIF, x: FloatArray) -> FloatArray:
    if node.reset != "zero":
        raise node.error(
            f"with reset {node.reset!r} it has no rate; run its steps (spiking)"
        )
    return node.amplitude * lif_rate(x - 1, node.tau_rc, node.tau_ref)


def _threshold(node: n.Threshold, x: FloatArray) -> FloatArray:
    raise node.error("its rate is as high as steps are short; run them (spiking)")


def _soft_lif(node: n.SoftLIF, x: FloatArray) -> FloatArray:
    """Worked out from ln j, so that it neither underflows nor jumps far below J = 1."""
    z = (x - 1) / node.sigma
    near = np.log(np.logaddexp(0.0, np.maximum(z, _FAR)))
    log_j = np.where(z < _FAR, z, near) + math.log(node.sigma)
    rate: FloatArray = 1.0 / (node.tau_ref + node.tau_rc * np.logaddexp(0.0, -log_j))
    return node.amplitude * rate


_FAR = -40.0  # below it ln(1 + e^z) is e^z to float64's precision


def _conv(node: n.Conv2D, x: FloatArray) -> FloatArray:
    """Every sample as one product of its windows, one a row, with the weights."""
    windows = _windows(x, node.kernel, node.stride, node.padding, node.dilation)
    if node.groups == 1:
        return _product(windows, node.weight) + node.bias
    if node.weight.shape[2] == 1:
        return _depthwise(windows, node) + node.bias
    weights = np.split(node.weight, node.groups, axis=3)
    parts = np.split(windows, node.groups, axis=3)
    y = [_product(part, weight) for part, weight in zip(parts, weights)]
    return np.concatenate(y, axis=-1) + node.bias


def _product(windows: FloatArray, weight: FloatArray) -> FloatArray:
    """(samples, rows, columns, in, *kernel) and (*kernel, in, out) → (…, out)."""
    windows = windows.transpose(0, 1, 2, 4, 5, 3)
    flat = weight.reshape(-1, weight.shape[3])
    y = np.empty((*windows.shape[:3], weight.shape[3]))
    for sample, image in zip(y, windows):
        sample[:] = (image.reshape(-1, len(flat)) @ flat).reshape(sample.shape)
    return y


def _depthwise(windows: FloatArray, node: n.Conv2D) -> FloatArray:
    """Each input channel alone, with as many filters as there are for it."""
    each = node.weight.shape[3] // node.groups
    y = np.zeros((*windows.shape[:4], each))
    for m, k in np.ndindex(*node.kernel):
        weight = node.weight[m, k, 0].reshape(node.groups, each)
        y += windows[..., m, k][..., None] * weight
    return y.reshape(*y.shape[:3], -1)


def _conv_transpose(node: n.ConvTranspose2D, x: FloatArray) -> FloatArray:
    filters, groups = node.weight.shape[3], node.groups
    (top, bottom), (left, right) = node.padding
    reach = [(size - 1) * pace + 1 for size, pace in zip(x.shape[1:3], node.stride)]
    height, width = (
        r + (k - 1) * d for r, k, d in zip(reach, node.kernel, node.dilation)
    )
    full = np.zeros((len(x), height, width, filters))
    grouped = x.reshape((*x.shape[:3], groups, 1, -1))
    for m, k in np.ndindex(*node.kernel):
        row, column = m * node.dilation[0], k * node.dilation[1]
        down = slice(row, row + reach[0], node.stride[0])
        across = slice(column, column + reach[1], node.stride[1])
        weight = node.weight[m, k]
        if groups == 1:
            full[:, down, across] += x @ weight
            continue
        weight = weight.reshape(-1, groups, filters // groups).transpose(1, 0, 2)
        full[:, down, across] += (grouped @ weight).reshape(*x.shape[:3], filters)
    return _padded(full, ((-top, -bottom), (-left, -right))) + node.bias


def _padded(x: FloatArray, padding: Padding, fill: float = 0.0) -> FloatArray:
    """More pixels around x, or fewer where padding is negative."""
    added = [(max(a, 0), max(b, 0)) for a, b in padding]
    left_out = [(max(-a, 0), max(-b, 0)) for a, b in padding]
    rows, columns = (slice(a, size - b) for size, (a, b) in zip(x.shape[1:3], left_out))
    around = ((0, 0), *added, (0, 0))
    return np.pad(x[:, rows, columns], around, constant_values=fill)


def _windows(
    x: FloatArray,
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair = (1, 1),
    fill: float = 0.0,
) -> FloatArray:
    """(samples, rows, columns, channels, *kernel) view of the padded input."""
    padded = _padded(x, padding, fill)
    reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation))
    windows = sliding_window_view(padded, reach, axis=(1, 2))  # type: ignore[call-overload]
    placed = windows[:, :: stride[0], :: stride[1]]
    return cast(FloatArray, placed[:, :, :, :, :: dilation[0], :: dilation[1]])


def _pool(node: n.AvgPool2D, x: FloatArray) -> FloatArray:
    total = _pooled(node, x)
    if not node.inside:
        return cast(FloatArray, total / math.prod(node.pool))
    return cast(FloatArray, total / _pooled(node, np.ones((1, *x.shape[1:3], 1))))


def _pooled(node: n.AvgPool2D, x: FloatArray) -> FloatArray:
    """Sums of x over the windows, the padding zeros."""
    windows = _windows(x, node.pool, node.stride, node.padding)
    total = np.zeros(windows.shape[:4])
    for m, k in np.ndindex(*node.pool):
        total += windows[..., m, k]
    return total


def _max_pool(node: MaxPool2D, x: FloatArray) -> FloatArray:
    windows = _windows(
        x, node.pool, node.stride, node.padding, node.dilation, fill=-np.inf
    )
    return cast(FloatArray, windows.max(axis=(4, 5)))


def _slice(node: Slice, x: FloatArray) -> FloatArray:
    box = (slice(None), *(slice(a, b) for a, b in zip(node.start, node.stop)))
    return x[box]


def _rectified(node: n.IF | n.ReLU, x: FloatArray) -> FloatArray:
    return node.amplitude * np.clip(x, 0, node.ceiling)


def _upsample(node: n.Upsample2D, x: FloatArray) -> FloatArray:
    return x.repeat(node.factor[0], axis=1).repeat(node.factor[1], axis=2)


def _sigmoid(node: n.Sigmoid, x: FloatArray) -> FloatArray:
    y: FloatArray = 0.5 * (1 + np.tanh(0.5 * x))
    return y


def _log_softmax(node: n.Node, x: FloatArray) -> FloatArray:
    below = x - x.max(axis=-1, keepdims=True)
    total: FloatArray = np.exp(below).sum(axis=-1, keepdims=True)
    return cast(FloatArray, below - np.log(total))


def _argmax(node: n.Argmax, x: FloatArray) -> FloatArray:
    y: FloatArray = x.argmax(axis=-1).astype(np.float64)
    return y


_OPERATIONS: dict[type[n.Node], Callable[..., FloatArray]] = {
    n.Dense: lambda node, x: x @ node.weight + node.bias,
    n.Conv2D: _conv,
    n.ConvTranspose2D: _conv_transpose,
    n.AvgPool2D: _pool,
    n.Upsample2D: _upsample,
    n.BatchNorm: lambda node, x: x * node.scale + node.offset,
    n.Membrane: lambda node, x: x * node.scale + node.offset,
    ChannelsLast: lambda node, x: np.moveaxis(x, 1, -1),
    Rescale: lambda node, x: x * node.scale + node.offset,
    Pad2D: lambda node, x: _padded(x, node.padding),
    Slice: _slice,
    Permute: lambda node, x: x.transpose(0, *(axis + 1 for axis in node.axes)),
    MaxPool2D: _max_pool,
    LeakyReLU: lambda node, x: np.where(x > 0, x, node.slope * x),
    Elementwise: lambda node, x: FUNCTIONS[node.function](x),
    n.Flatten: lambda node, x: x.reshape(len(x), -1),
    n.Reshape: lambda node, x: x.reshape(len(x), *node.shape),
    n.Add: lambda node, *xs: sum(xs[1:], xs[0]),
    n.Concat: lambda node, *xs: np.concatenate(xs, axis=-1),
    n.Lowpass: lambda node, x: x,
    n.Delay: lambda node, x: x,
    n.LI: lambda node, x: x,
    n.LIF: _lif,
    n.Threshold: _threshold,
    n.IF: _rectified,
    n.SoftLIF: _soft_lif,
    n.ReLU: _rectified,
    n.Sigmoid: _sigmoid,
    n.Tanh: lambda node, x: np.tanh(x),
    n.Softmax: lambda node, x: cast(FloatArray, np.exp(_log_softmax(node, x))),
    n.LogSoftmax: _log_softmax,
    n.Argmax: _argmax,
    n.Output: lambda node, x: x,
}
