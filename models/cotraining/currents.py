"""Input currents of a hybrid network's populations: constant, in time, and mean."""

from __future__ import annotations

import math
from collections.abc import Mapping

import tensorflow as tf

from ...toolchain.passes.quantize.layers import Layer, Synapses
from .core_neurons import round_bias
from .host_layers import linear
from .hybrid import HybridNetwork


def constant(net: HybridNetwork, layer: Layer, x: tf.Tensor) -> tf.Tensor:
    """Constant part of J in float64, (samples or 1, neurons)."""
    if layer.host is None:
        return net.bias(layer)
    start = {net.graph.input.name: tf.cast(x, tf.float64)}
    host = net.host(layer.host, start, tf.float64)
    share = tf.reshape(host, (-1, math.prod(layer.shape)))
    return share + net.bias(layer) if layer.synapses else share


def currents(
    net: HybridNetwork, layer: Layer, x: tf.Tensor, trains: Mapping[str, tf.Tensor]
) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
    """Constant part of J, the same as integer bias, and each source's sums in time."""
    current, bias = biases(net, layer, x)
    sums = []
    for s in layer.synapses:
        train, half = late(trains[s.source], s.delay)[1:], net.half_mantissas(layer, s)
        if net.gradient == "rate":
            train, half = tf.stop_gradient(train), tf.stop_gradient(half)
        sums.append(through_time(s, train, half, current.shape[1]))
    return current, bias, sums


def biases(
    net: HybridNetwork, layer: Layer, x: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Constant part of J, float32, and the same as integer bias."""
    current = constant(net, layer, x)
    scales = net.scales[layer.population.name]
    bias = tf.stop_gradient(current) * scales.spread(scales.current, current.shape[1])
    return tf.cast(current, tf.float32), round_bias(bias)


def late(train: tf.Tensor, delay: int) -> tf.Tensor:
    """(steps, samples, neurons), so many steps later."""
    shown = tf.concat([tf.zeros_like(train[:delay]), train], axis=0)
    return shown[: train.shape[0]]


def mean_current(
    net: HybridNetwork,
    layer: Layer,
    constant: tf.Tensor,
    values: Mapping[str, tf.Tensor],
) -> tf.Tensor:
    """J̄, (samples, neurons), of the sources' mean values."""
    mean = constant
    for s in layer.synapses:
        scales, size = net.scales[layer.population.name], s.node.weight.shape[-1]
        scale = scales.spread(scales.weights[s.source], size)
        unit = tf.constant(2 / scale, tf.float32)
        seen = tf.reshape(values[s.source], (-1, *s.shape))
        sums = linear(s.node, seen, net.half_mantissas(layer, s) * unit)
        mean += tf.reshape(sums, (-1, constant.shape[1]))
    return mean


def through_time(
    s: Synapses, train: tf.Tensor, kernel: tf.Tensor, size: int
) -> tf.Tensor:
    """Weighted sums of (steps, samples, neurons), all steps at once."""
    flat = tf.reshape(train, (-1, *s.shape))
    return tf.reshape(linear(s.node, flat, kernel), (train.shape[0], -1, size))
