"""Input currents of a hybrid network's populations: constant, in time, and mean.

Where populations drive each other in a loop, their currents and spikes are only had
together, step by step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import tensorflow as tf

from ...toolchain.passes.quantize.layers import Layer, Synapses
from ...toolchain.program.arithmetic import WEIGHT_SHIFT
from .core_neurons import State, core_step, round_bias
from .host_layers import linear
from .hybrid import HybridNetwork


def constant(
    net: HybridNetwork, layer: Layer, x: tf.Tensor, dtype: tf.DType = tf.float64
) -> tf.Tensor:
    """Constant part of J, (samples or 1, neurons)."""
    bias = tf.cast(net.bias(layer), dtype)
    if layer.host is None:
        return bias
    start = {net.graph.input.name: tf.cast(x, dtype)}
    host = net.host(layer.host, start, dtype)
    share = tf.reshape(host, (-1, math.prod(layer.shape)))
    return share + bias if layer.synapses else share


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
    rounded = net.once(
        ("", 0, "biases"),
        lambda: tf.function(round_bias, jit_compile=net.compiled, autograph=False),
    )
    return tf.cast(current, tf.float32), rounded(bias)


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


Tensors = dict[str, tf.Tensor]


def together(
    net: HybridNetwork, x: tf.Tensor, steps: int, given: Mapping[str, tf.Tensor]
) -> Tensors:
    """Population → spikes (steps, samples, neurons), the core's; without gradients.

    Args:
        net: what is run.
        x: samples.
        steps: to run.
        given: spikes of an Input that sends events, likewise.
    """
    bias = {layer.population.name: biases(net, layer, x)[1] for layer in net.layers}
    halves = {
        s.node.name: tf.stop_gradient(net.half_mantissas(layer, s))
        for layer in net.layers
        for s in layer.synapses
    }
    run = net.once(("together", steps), partial(_compiled, net, steps))
    found: Tensors = run(tf.shape(x)[0], bias, halves, dict(given))
    return found


def _compiled(net: HybridNetwork, steps: int) -> Any:
    return tf.function(partial(_run, net, steps), autograph=False)


def _run(
    net: HybridNetwork,
    steps: int,
    samples: tf.Tensor,
    bias: Tensors,
    halves: Tensors,
    given: Tensors,
) -> Tensors:
    """A train a population; the last spikes, the latest first, are kept for delays."""
    wait: dict[str, int] = {}
    for layer in net.layers:
        for s in layer.synapses:
            wait[s.source] = max(s.delay, wait.get(s.source, 1))
    size = {layer.population.name: layer.bias.size for layer in net.layers}
    size |= {name: train.shape[2] for name, train in given.items()}
    past = {name: tf.zeros((wait[name], samples, size[name])) for name in wait}
    state = {
        layer.population.name: State.zero((samples, layer.bias.size))
        for layer in net.layers
    }
    trains = {
        name: tf.TensorArray(tf.float32, steps, element_shape=(None, size[name]))
        for name in state
    }

    def body(t, state, past, trains):  # type: ignore[no-untyped-def]
        state, trains = dict(state), dict(trains)
        sent = {name: train[t] for name, train in given.items()}
        for layer in net.layers:
            name = layer.population.name
            q = _arriving(net, layer, halves, past)
            population = net.populations[name]
            sent[name], state[name], _ = core_step(
                population, q, bias[name], state[name]
            )
            trains[name] = trains[name].write(t, sent[name])
        past = {
            name: tf.concat([sent[name][None], spikes[:-1]], axis=0)
            for name, spikes in past.items()
        }
        return t + 1, state, past, trains

    *_, trains = tf.while_loop(
        lambda t, *_: t < steps,
        body,
        (0, state, past, trains),
        maximum_iterations=steps,
    )
    return {name: train.stack() for name, train in trains.items()}


def _arriving(
    net: HybridNetwork, layer: Layer, halves: Tensors, past: Tensors
) -> tf.Tensor | None:
    """Sum of the weights whose spikes arrive, int32 (samples, neurons)."""
    total = None
    exponents = net.scales[layer.population.name].exponents
    for s in layer.synapses:
        came = past[s.source][s.delay - 1][None]
        sums = through_time(s, came, halves[s.node.name], layer.bias.size)[0]
        bits = WEIGHT_SHIFT + 1 + exponents[s.source]
        brought = tf.bitwise.left_shift(tf.cast(tf.round(sums), tf.int32), bits)
        total = brought if total is None else total + brought
    return total
