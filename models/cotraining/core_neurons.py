"""The core's neurons in TensorFlow: its integers forward, gradients backward."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ...toolchain.graph.nodes import IF, LIF
from ...toolchain.program import arithmetic as core
from ...toolchain.program.program import Population
from ..networks.neurons import SoftLIF

Rate = Callable[[tf.Tensor], tf.Tensor]
"""Input current J → firing rate, Hz."""


class Spikes(NamedTuple):
    """What a population did; time first."""

    train: tf.Tensor  # (steps, samples, neurons), 1 for a spike
    potential: tf.Tensor  # (steps, samples, neurons), v / θ as compared with θ, or ()
    mean: tf.Tensor  # (samples, neurons), weighted mean number of spikes a step
    count: tf.Tensor  # (samples, neurons)


RESTING = -1e9  # potential of a neuron in its refractory period


class State(NamedTuple):
    """Of a population on the core; (samples, neurons) int32 each."""

    u: tf.Tensor
    v: tf.Tensor
    rest: tf.Tensor  # refractory steps left

    @classmethod
    def zero(cls, shape: tf.Tensor) -> State:
        """As it is for every sample at first."""
        whole = tf.zeros(shape, tf.int32)
        return cls(whole, whole, whole)


def core_step(
    population: Population, q: tf.Tensor | None, bias: tf.Tensor, state: State
) -> tuple[tf.Tensor, State, tf.Tensor]:
    """``program.step`` in int32: spikes as float32, the state, and v before its reset.

    Args:
        population: its constants.
        q: sum of the weights whose spikes arrive, before wrapping; None: no synapses.
        bias: int32 (samples or 1, neurons).
        state: before the step.
    """
    threshold = tf.constant(population.thresholds)
    u, v, rest = state
    if q is not None:
        decayed = _decay(u, 4095 - population.decay_u)
        u = _wrap(decayed + _wrap(q, core.Q_BITS), core.U_BITS)
    v = _decay(v, 4096 - population.decay_v) + _wrap(u + bias, core.U_BITS)
    before = tf.clip_by_value(v, population.v_min, population.v_max)
    v = tf.where(rest > 0, 0, before)
    fired = v > threshold
    rest = tf.maximum(tf.where(fired, population.refractory, rest) - 1, 0)
    return tf.cast(fired, tf.float32), State(u, tf.where(fired, 0, v), rest), before


def core_spikes(
    population: Population,
    bits: Sequence[int],
    steps: int,
    record: bool,
    bias: tf.Tensor,
    weights: tf.Tensor,
    *sums: tf.Tensor,
) -> Spikes:
    """The recursion of ``program.step`` over all steps, in int32.

    Only 32 bits are used: |x| · keep is split into two products of 12 bits, and sums
    may wrap there, since the core wraps them at fewer bits anyway.

    Args:
        population: its constants.
        bits: for each source, by how many bits its sums are shifted.
        steps: to run.
        record: whether to give the potential.
        bias: int32 (samples or 1, neurons).
        weights: float32 (steps,), of the mean.
        sums: for each source float32 (steps − 1, samples, neurons), whole numbers; row
            t arrives at step t + 1.
    """
    shape = tf.shape(sums[0])[1:] if sums else tf.shape(bias)
    threshold = tf.constant(population.thresholds)

    def arriving(t: tf.Tensor) -> tf.Tensor:
        rows = [tf.cast(tf.round(s[tf.maximum(t - 1, 0)]), tf.int32) for s in sums]
        q = tf.add_n([tf.bitwise.left_shift(r, k) for r, k in zip(rows, bits)])
        return tf.where(t > 0, q, 0)

    def body(t, state, mean, count, train, potential):  # type: ignore[no-untyped-def]
        resting = state.rest > 0
        q = arriving(t) if sums else None
        spikes, state, v = core_step(population, q, bias, state)
        if record:
            seen = tf.cast(v, tf.float32) / tf.cast(threshold, tf.float32)
            potential = potential.write(t, tf.where(resting, RESTING, seen))
        mean, count = mean + weights[t] * spikes, count + spikes
        return t + 1, state, mean, count, train.write(t, spikes), potential

    state, real = State.zero(shape), tf.zeros(shape)
    train, potential = (
        tf.TensorArray(tf.float32, length, element_shape=real.shape)
        for length in (steps, steps if record else 0)
    )
    start = (0, state, real, real, train, potential)
    *_, mean, count, train, potential = tf.while_loop(
        lambda t, *_: t < steps, body, start, maximum_iterations=steps
    )
    seen = potential.stack() if record else tf.zeros(0)
    return Spikes(train.stack(), seen, mean, count)


def core_gradient(
    population: Population,
    steps: int,
    upstream: tf.Tensor,
    train: tf.Tensor,
    potential: tf.Tensor,
) -> tf.Tensor:
    """Back-propagation through time of ``core_spikes``; all (steps, samples, neurons).

    A spike's derivative is a surrogate, ds/dx = 1 / (1 + (π · (x − 1))²), x = v / θ
    (Fang et al. 2021, arXiv 2007.05785, arctan with α = 2). No gradient passes the
    reset, the refractory period, or v_min.

    Args:
        population: its constants.
        steps: that were run.
        upstream: dL/ds.
        train: spikes.
        potential: v / θ.

    Returns:
        dL/dq · θ; that of the bias is the same where current does not last, so it is
        given second: dL/dj · θ.
    """
    keep_u = (4095 - population.decay_u) / 4096
    keep_v = (4096 - population.decay_v) / 4096
    floor = tf.constant(population.v_min / population.thresholds, tf.float32)
    zero = tf.zeros_like(upstream[0])

    def body(k, to_u, to_v, to_q, to_j):  # type: ignore[no-untyped-def]
        t = steps - 1 - k
        x, spikes = potential[t], train[t]
        slope = 1 / (1 + tf.square(math.pi * (x - 1)))
        to_x = upstream[t] * slope + to_v * (1 - spikes)
        to_x = tf.where(x > floor, to_x, 0.0)
        to_u = to_x + keep_u * to_u
        return k + 1, to_u, keep_v * to_x, to_q.write(t, to_u), to_j + to_x

    to_q = tf.TensorArray(tf.float32, steps, element_shape=zero.shape)
    *_, to_q, to_j = tf.while_loop(
        lambda k, *_: k < steps,
        body,
        (0, zero, zero, to_q, zero),
        maximum_iterations=steps,
    )
    return to_q.stack(), to_j


def trained_spikes(
    population: Population, bits: Sequence[int], steps: int, compiled: bool
) -> Callable[..., tf.Tensor]:
    """``core_spikes`` whose backward pass is ``core_gradient``.

    Returns:
        (bias as float32, bias as int32, *sums) → spikes (steps, samples, neurons).
    """
    forward = tf.function(
        partial(core_spikes, population, bits, steps, True),
        jit_compile=compiled,
        autograph=False,
    )
    backward = tf.function(
        partial(core_gradient, population, steps), jit_compile=compiled, autograph=False
    )

    threshold = population.thresholds.astype(np.float32)

    @tf.custom_gradient
    def spikes(real: tf.Tensor, bias: tf.Tensor, *sums: tf.Tensor) -> Any:
        still = (tf.stop_gradient(total) for total in sums)
        found = forward(bias, tf.zeros(steps), *still)

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
            to_q, to_j = backward(upstream, found.train, found.potential)
            to_j /= threshold
            if real.shape[0] == 1:
                to_j = tf.reduce_sum(to_j, axis=0, keepdims=True)
            to_sums = (to_q[1:] * (2.0**k / threshold) for k in bits)
            return to_j, None, *to_sums

        return found.train, gradient

    return spikes


def _wrap(x: tf.Tensor, bits: int) -> tf.Tensor:
    """``arithmetic.wrap`` in int32."""
    free = 31 - bits
    return tf.bitwise.right_shift(tf.bitwise.left_shift(x, free), free)


def _decay(x: tf.Tensor, keep: int) -> tf.Tensor:
    """``arithmetic.decay`` of |x| ≤ 2^23 in int32."""
    if keep in (0, 4096):
        return x if keep else tf.zeros_like(x)
    size = tf.abs(x)
    low = tf.bitwise.right_shift(tf.bitwise.bitwise_and(size, 4095) * keep, 12)
    kept = tf.bitwise.right_shift(size, 12) * keep + low
    return tf.where(x < 0, -kept, kept)


def round_bias(bias: tf.Tensor) -> tf.Tensor:
    """``arithmetic.round_bias``: float64 → int32."""
    limited = tf.clip_by_value(bias, -core.MAX_BIAS, core.MAX_BIAS)
    size = tf.abs(tf.round(limited))
    step = tf.ones_like(size)
    for exponent in range(core.MAX_BIAS_EXPONENT):
        larger = size > core.MAX_BIAS_MANTISSA * 2.0**exponent
        step = tf.where(larger, 2.0 * step, step)
    limit = core.MAX_BIAS_MANTISSA
    mantissa = tf.clip_by_value(tf.round(limited / step), -limit, limit)
    return tf.cast(mantissa * step, tf.int32)


def core_rate(
    population: LIF | IF, rest: int, dt: float, sigma: float, sigma_if: float
) -> Rate:
    """Rate twin of a neuron of the core: what takes its place in the backward pass.

    Its period is the float neuron's, rounded up to whole steps because of the hard
    reset: half a step longer in the mean. Where it has a highest rate, it exceeds
    neither that nor a spike a step, all that the core knows of it.

        LIF: 1 / r = (rest + ½) · dt + tau_rc · ln(1 + 1 / j)
        IF:  1 / r = (rest + ½) · dt + 1 / j, r ≤ min(ceiling, 1 / dt)

    Args:
        population: the float neuron.
        rest: refractory steps.
        dt: s.
        sigma: LIF, softness of j = softplus((J − 1) / sigma) · sigma.
        sigma_if: IF, Hz; softness of j = softplus(J / sigma_if) · sigma_if.
    """
    pause = (rest + 0.5) * dt
    if isinstance(population, LIF):
        return SoftLIF(tau_rc=population.tau_rc, tau_ref=pause, sigma=sigma).call

    ceiling = population.ceiling

    def rate(current: tf.Tensor) -> tf.Tensor:
        soft = sigma_if * tf.nn.softplus(current / sigma_if)
        found = soft / (1 + pause * soft)
        return found if ceiling is None else tf.minimum(found, min(ceiling, 1 / dt))

    return rate
