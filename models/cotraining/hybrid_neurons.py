"""Nengo's neurons in TensorFlow: forward they spike, backward they are their rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import tensorflow as tf

from ...toolchain.graph.nodes import IF, LIF
from ..networks.neurons import SoftLIF
from .core_neurons import Rate


def float_rate(population: LIF | IF, sigma: float) -> Rate:
    """Rate twin of a float neuron: soft LIF (Hz), or max(J, 0) up to its ceiling."""
    if isinstance(population, LIF):
        return SoftLIF(
            tau_rc=population.tau_rc, tau_ref=population.tau_ref, sigma=sigma
        ).call
    ceiling = population.ceiling
    if ceiling is None:
        return tf.nn.relu
    return lambda current: tf.clip_by_value(current, 0.0, ceiling)


def float_spikes(
    population: LIF | IF, rate: Rate, steps: int, dt: float, compiled: bool
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Nengo's neurons forward, at every step the gradient of their rate backward.

    dL/dJ[t] = dL/ds[t] · dr/dJ (J[t]), s the spikes divided by dt; what NengoDL would
    train with, had it a neuron that spikes forward (arXiv 2303.12738, section 2.2).
    Only J is kept for the backward pass, which works the rate out again.

    Returns:
        J (steps or 1, samples, neurons) → s (steps, samples, neurons), Hz.
    """
    run, slope = (
        tf.function(function, jit_compile=compiled, autograph=False)
        for function in (
            partial(_recursion, population, steps, dt),
            partial(through_rate, rate),
        )
    )

    @tf.custom_gradient
    def spikes(current: tf.Tensor) -> tuple[tf.Tensor, Callable[..., tf.Tensor]]:
        def backward(upstream: tf.Tensor) -> tf.Tensor:
            if current.shape[0] == 1:
                upstream = tf.reduce_sum(upstream, axis=0, keepdims=True)
            return slope(tf.stop_gradient(current), upstream)

        return run(tf.stop_gradient(current)), backward

    return spikes


def through_rate(rate: Rate, current: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    """dL/dr · dr/dJ."""
    with tf.GradientTape() as tape:
        tape.watch(current)
        twin = rate(current)
    return tape.gradient(twin, current, upstream)


def _recursion(
    population: LIF | IF, steps: int, dt: float, currents: tf.Tensor
) -> tf.Tensor:
    """``toolchain.interpret``'s step of the population, over all steps."""
    step = _step_lif if isinstance(population, LIF) else _step_if
    zero = tf.zeros_like(currents[0])
    train = tf.TensorArray(currents.dtype, steps, element_shape=zero.shape)
    still = currents.shape[0] == 1

    def body(t, v, rest, train):  # type: ignore[no-untyped-def]
        current = currents[0 if still else t]
        spikes, v, rest = step(population, current, v, rest, dt)
        return t + 1, v, rest, train.write(t, spikes / dt)

    *_, train = tf.while_loop(
        lambda t, *_: t < steps,
        body,
        (0, zero, zero, train),
        maximum_iterations=steps,
    )
    return train.stack()


Stepped = tuple[tf.Tensor, tf.Tensor, tf.Tensor]
"""Spikes, potential and s left of the refractory period; (samples, neurons) each."""


def _step_lif(
    node: LIF, current: tf.Tensor, v: tf.Tensor, rest: tf.Tensor, dt: float
) -> Stepped:
    rest = rest - dt
    active = tf.clip_by_value(dt - rest, 0.0, dt)
    most = dt / node.tau_rc
    v = v - (current - v) * _expm1(-active / node.tau_rc, most)
    fired = v > 1
    above = tf.where(fired, (v - 1) / (current - 1), 0.0)
    pause = node.tau_ref + dt + node.tau_rc * _log1p(-above, most)
    if node.whole_steps:
        pause = round(node.tau_ref / dt) * dt + dt
    rest = tf.where(fired, pause, rest)
    v = tf.where(fired, 0.0, tf.maximum(v, node.min_voltage))
    return tf.cast(fired, v.dtype), v, rest


LONGEST = 0.25  # argument up to which a series is quicker than the function


def _expm1(x: tf.Tensor, most: float) -> tf.Tensor:
    """e^x − 1 for |x| ≤ most, to float32's precision."""
    if most > LONGEST:
        return tf.math.expm1(x)
    return x * _series(x, [1 / math.factorial(k) for k in range(1, 16)], most)


def _log1p(x: tf.Tensor, most: float) -> tf.Tensor:
    """ln(1 + x) for −(1 − e^(−most)) ≤ x ≤ 0, to float32's precision."""
    if most > LONGEST:
        return tf.math.log1p(x)
    return x * _series(x, [(-1) ** k / (k + 1) for k in range(15)], most)


def _series(x: tf.Tensor, factors: list[float], most: float) -> tf.Tensor | float:
    """Σ factors[k] · x^k, as many terms as |x| ≤ most needs in float32 (Horner)."""
    needed = [k for k, a in enumerate(factors) if abs(a) * most**k > 2.0**-27]
    total = factors[needed[-1]]
    for k in reversed(needed[:-1]):
        total = total * x + factors[k]
    return total


def _step_if(
    node: IF, current: tf.Tensor, v: tf.Tensor, rest: tf.Tensor, dt: float
) -> Stepped:
    if node.min_voltage == 0 and node.reset != "zero":
        current = tf.maximum(current, 0.0)
    if node.ceiling is not None:
        current = tf.minimum(current, node.ceiling)
    v = tf.maximum(v + current * dt, node.min_voltage)
    if node.reset == "zero":
        fired = v > 1
        return tf.cast(fired, v.dtype), tf.where(fired, 0.0, v), rest
    count = tf.maximum(tf.floor(v), 0.0)
    return count, v - count, rest


def filtered(spikes: tf.Tensor, tau_syn: float, dt: float) -> tf.Tensor:
    """``toolchain.nodes.Lowpass`` along time; (steps, samples, neurons) both.

    As one product with a triangular matrix: row t holds (1 − a) · a^(t − 1 − k), a =
    e^(−dt / tau_syn).
    """
    steps = spikes.shape[0]
    if tau_syn == 0:
        return tf.concat([tf.zeros_like(spikes[:1]), spikes[:-1]], axis=0)
    keep = math.exp(-dt / tau_syn)
    rows = [
        [(1 - keep) * keep ** (t - 1 - k) if k < t else 0.0 for k in range(steps)]
        for t in range(steps)
    ]
    return tf.tensordot(tf.constant(rows, spikes.dtype), spikes, 1)
