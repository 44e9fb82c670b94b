"""Forward passes of a hybrid network, by name, with the backward pass of each.

**What was known.** The paper (arXiv 2303.12738) runs the spiking simulation forward and
the ANN backward: at every step a neuron's spikes are taken to have the gradient of its
rate. It trains what it simulates, Nengo's float neurons, and what is deployed is
rounded afterwards. A chip's neuron is another: it resets to 0 and forgets what was over
the threshold, rests for whole steps, and adds integers. So besides the paper's pass,
``float_``, there is one that runs the very integers that are deployed, ``loihi``.

**Why it is exact.** A spike is 0 or 1 and a half mantissa at most 127, so float32 sums
whole numbers up to 2^24 without an error, that is of up to 132,104 synapses of a
neuron; ``hybrid`` refuses more. The recursion of u and v is int32. A connection has no
memory of its own, so it is applied to all samples and steps at once, and only the
neurons' recursion goes through the steps; where there is a loop, all of it does
(``currents.together``). Spikes equal those of ``reference`` one by one, after training
too, where ``build`` has the same scales (tests/test_hybrid.py).

**Backward.** With read-outs that are means over time and connections that are linear, a
mean current gives a mean rate: one pass through the rate twins at J̄ is the whole
gradient, and costs what the ANN's does. What it leaves out is *when* a spike comes.
The gradient through every step is there too ("time"), at three to four times the work.

**What was tried** (docs/cotraining.md; single runs, validation pictures of faces, seed
0): spikes trained at once, without ``rate`` before them, ended at a mean IoU of 0.61
and 166 Hz. Rates that are *counted*, rounded at random to as many spikes as the steps
read hold, brought 0.831 to 0.849: the network learns early what a population is worth
that fires twice. Fifteen more epochs with the gradient through time brought nothing
(0.832 after 0.831), nor five after counted rates (0.846 after 0.848).

**What is doubtful.** The standard error of such a score is near 0.01, and these are one
seed, at 32 steps. A network trained in ``loihi`` semantics and run in float is on a
different machine: its float score says little.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from ...toolchain.errors import DataError
from ...toolchain.passes.quantize.layers import Layer
from ...toolchain.program.arithmetic import WEIGHT_SHIFT
from .compiled.counts import countable, counts
from .core_neurons import Rate, core_rate, core_spikes, trained_spikes
from .currents import (
    biases,
    constant,
    currents,
    late,
    mean_current,
    through_time,
    together,
)
from .hybrid import HybridNetwork
from .hybrid_neurons import filtered, float_rate, float_spikes, through_rate

FLOAT_SIGMA = 0.005  # of the float neurons' soft LIF twin (arXiv 2303.12738, 3.1)


@dataclass(frozen=True)
class Activity:
    """What a forward pass gives.

    Attributes:
        output: the read-out, (samples, …).
        rates: population → Hz over the whole presentation, (samples, neurons), with the
            gradient of the backward pass; an Input that sends events is among them.
        spikes: population → (steps, samples, neurons), 1 for a spike; float semantics
            may give more than 1, rate semantics none. Likewise.
    """

    output: tf.Tensor
    rates: Mapping[str, tf.Tensor]
    spikes: Mapping[str, tf.Tensor]


Run = tuple[dict[str, tf.Tensor], dict[str, tf.Tensor], dict[str, tf.Tensor]]
"""Values of the populations that are read, all rates and all spikes."""


def loihi(net: HybridNetwork, x: tf.Tensor, steps: int, record: bool) -> Run:
    """The core's own integers, ``toolchain.arithmetic``.

    Spike for spike what every target gives after ``quantize(net.to_graph(), …,
    scales=net.scales)``. Backward, rounding is passed straight through, and

    - gradient "rate": connections are linear and a population is read through its mean
      over time, so one pass through the rate twins f at the mean input current J̄ is
      all: ȳ = mean spikes + f(J̄) − stop_gradient(f(J̄)). The mean leaves out the spikes
      that reach no step that is read, but for the host's own reading;
    - gradient "time": through every step (``core_neurons.core_gradient``).
    """
    values, rates, trains = _sent(net, x, steps)
    if net.graph.loop:
        return _looped(net, x, steps, values, rates, trains)
    if not record and countable(net):
        return _counted_spikes(net, x, steps, values, rates, trains)
    read = {}
    for layer in net.layers:
        name = layer.population.name
        current, bias, sums = currents(net, layer, x, trains)
        window = _window(net, net.delays[name], steps)
        recursion = net.once(
            (name, steps, net.gradient), partial(_core, net, layer, steps)
        )
        if net.gradient == "time":
            scales = net.scales[name]
            unit = scales.spread(scales.current, current.shape[1])
            real = current * tf.constant(unit, tf.float32)
            trains[name] = recursion(real, bias, *sums)
            mean = tf.tensordot(window, trains[name], 1) / net.dt
            rates[name], soft = tf.reduce_mean(trains[name], axis=0) / net.dt, 0.0
        else:
            spikes = recursion(bias, window, *sums)
            trains[name] = spikes.train
            twin = _twin(net, layer)(mean_current(net, layer, current, values))
            soft = twin - tf.stop_gradient(twin)
            mean = tf.stop_gradient(spikes.mean) / net.dt + soft
            rates[name] = tf.stop_gradient(spikes.count) / (steps * net.dt) + soft
        values[name] = _worth(layer, mean)
        if name in net.reads:
            now = tf.tensordot(_window(net, 0, steps), trains[name], 1) / net.dt
            read[name] = _worth(layer, now + soft) if net.delays[name] else values[name]
    return read, rates, trains


def _counted_spikes(
    net: HybridNetwork,
    x: tf.Tensor,
    steps: int,
    values: dict[str, tf.Tensor],
    rates: dict[str, tf.Tensor],
    trains: dict[str, tf.Tensor],
) -> Run:
    """``loihi`` where nobody asks for spikes: only how many there were is worked out.

    The same numbers to the last bit, and the same gradients (tests/test_compiled.py),
    which take of the rate twins their slope alone. What is rounded to biases is
    float64, as the host has it, and what gradients pass through is float32.
    """
    drives = [tf.stop_gradient(biases(net, layer, x)[1]) for layer in net.layers]
    halves = [
        tf.stop_gradient(net.half_mantissas(layer, s))
        for layer in net.layers
        for s in layer.synapses
    ]
    found = counts(net, steps, drives, halves, trains.get(net.start))
    for layer in net.layers:
        name = layer.population.name
        current = constant(net, layer, x, tf.float32)
        carry = net.once((name, steps, "carried"), partial(_carried, net, layer))
        rates[name], mean = carry(
            mean_current(net, layer, current, values),
            found[name].count / (steps * net.dt),
            found[name].mean / net.dt,
        )
        values[name] = _worth(layer, mean)
    return {name: values[name] for name in net.reads}, rates, {}


def _looped(
    net: HybridNetwork,
    x: tf.Tensor,
    steps: int,
    values: dict[str, tf.Tensor],
    rates: dict[str, tf.Tensor],
    trains: dict[str, tf.Tensor],
) -> Run:
    """``loihi`` of a network with loops: all populations together, step by step.

    Backward, a loop is gone through once: what comes back to a population counts as a
    constant.
    """
    trains = trains | together(net, x, steps, trains)
    for layer in net.layers:
        name = layer.population.name
        window = _window(net, net.delays[name], steps)
        values[name] = _worth(layer, tf.tensordot(window, trains[name], 1) / net.dt)
    read = {}
    for layer in net.layers:
        name = layer.population.name
        current = tf.cast(constant(net, layer, x), tf.float32)
        twin = _twin(net, layer)(mean_current(net, layer, current, values))
        soft = twin - tf.stop_gradient(twin)
        rates[name] = tf.reduce_mean(trains[name], axis=0) / net.dt + soft
        values[name] += _worth(layer, soft)
        if name in net.reads:
            now = tf.tensordot(_window(net, 0, steps), trains[name], 1) / net.dt
            read[name] = _worth(layer, now + soft)
    return read, rates, trains


def rate(net: HybridNetwork, x: tf.Tensor, steps: int, record: bool) -> Run:
    """The ANN that the core's integers amount to: rounded weights, and rate twins.

    It knows of the hard reset and of whole numbers of spikes, not of time. Training it
    is cheap, and brings a network trained otherwise to the core and its rates to their
    budgets, before spikes are trained.
    """
    _refuse_loops(net, "rate")
    values, rates, _ = _sent(net, x, steps)
    for layer in net.layers:
        name = layer.population.name
        current = tf.cast(constant(net, layer, x), tf.float32)
        rates[name] = _twin(net, layer)(mean_current(net, layer, current, values))
        values[name] = _worth(layer, _counted(net, name, rates[name], steps))
    return {name: values[name] for name in net.reads}, rates, {}


def float_(net: HybridNetwork, x: tf.Tensor, steps: int, record: bool) -> Run:
    """Nengo's neurons and synapses, ``toolchain.interpret``, in float32.

    Backward through the rate twin at every step, and through the synapses.
    """
    _refuse_loops(net, "float")
    _, rates, events = _sent(net, x, steps)
    trains = {name: train / net.dt for name, train in events.items()}  # Hz
    read = {}
    for layer in net.layers:
        name = layer.population.name
        current = tf.cast(constant(net, layer, x), tf.float32)[None]
        for s in layer.synapses:
            came = late(trains[s.source], s.delay - 1)
            seen = filtered(came, s.tau_syn, net.dt)
            seen *= net.amplitudes[s.source]
            kernel = net.kernel(s.node.name)
            current += through_time(s, seen, kernel, current.shape[2])
        spikes = net.once((name, steps, "float"), partial(_float, net, layer, steps))
        trains[name] = spikes(current)  # Hz
        rates[name] = tf.reduce_mean(trains[name], axis=0)
        if name in net.reads:
            now = tf.tensordot(_window(net, 0, steps), trains[name], 1)
            read[name] = _worth(layer, now)
    spikes = {name: train * net.dt for name, train in trains.items()}
    return read, rates, spikes


SEMANTICS: dict[str, Callable[[HybridNetwork, tf.Tensor, int, bool], Run]] = {
    "loihi": loihi,
    "float": float_,
    "rate": rate,
}


def find_semantics(name: str) -> Callable[[HybridNetwork, tf.Tensor, int, bool], Run]:
    """The forward pass of this name.

    Raises:
        DataError: there is none.
    """
    if name not in SEMANTICS:
        raise DataError(
            f"semantics {name!r} is unknown; there are: {', '.join(SEMANTICS)}"
        )
    return SEMANTICS[name]


def forward(
    net: HybridNetwork,
    x: tf.Tensor,
    steps: int,
    semantics: str = "loihi",
    *,
    record: bool = False,
) -> Activity:
    """Present samples for ``steps`` steps.

    Args:
        net: what is run.
        x: (samples, *input shape); events (samples, steps, *input shape) of 0 and 1,
            more steps than are run being left out.
        steps: at least as many as reach the read-out.
        semantics: "loihi", "float" or "rate".
        record: whether to give the spikes.

    Raises:
        DataError: the semantics are unknown or run no loops, events have fewer steps
            than are run, or no step is left to be read.
        DoesNotFit: there are not enough steps to reach the last layer.
    """
    value, rates, spikes = find_semantics(semantics)(net, x, steps, record)
    output = net.host(net.graph.output.name, value, tf.float32)
    return Activity(output, rates, spikes if record else {})


def _refuse_loops(net: HybridNetwork, semantics: str) -> None:
    if net.graph.loop:
        raise DataError(
            f"semantics {semantics!r} run layer by layer, and the network has the loop "
            f"{' → '.join(net.graph.loop)} → {net.graph.loop[0]}; use 'loihi'"
        )


def _sent(net: HybridNetwork, x: tf.Tensor, steps: int) -> Run:
    """Value, rate and spikes of an Input that sends events; of any other nothing.

    Nothing is trained before it, so that these are the same forward and backward.
    """
    if not net.sends_events:
        return {}, {}, {}
    if len(x.shape) < 2 or x.shape[1] < steps:
        raise DataError(
            f"samples: each has shape {tuple(x.shape[1:])}, and {steps} steps of "
            f"events of shape {net.graph.input.shape} are run; run fewer steps"
        )
    frames = tf.cast(x[:, :steps], tf.float32)
    frames = tf.reshape(frames, (-1, *net.graph.input.shape))
    values = net.host(net.start, {net.graph.input.name: frames}, tf.float32)
    size = math.prod(net.graph.input.shape)
    train = tf.transpose(tf.reshape(values, (-1, steps, size)), (1, 0, 2))
    window = _window(net, net.delays[net.start], steps)
    name, rate = net.start, tf.reduce_mean(train, axis=0) / net.dt
    return {name: tf.tensordot(window, train, 1)}, {name: rate}, {name: train}


def _window(net: HybridNetwork, delay: int, steps: int) -> tf.Tensor:
    return tf.constant(net.window(delay, steps), tf.float32)


def _worth(layer: Layer, rate: tf.Tensor) -> tf.Tensor:
    """Value of a population of these rates, (samples, *shape)."""
    return layer.population.amplitude * tf.reshape(rate, (-1, *layer.shape))


def _core(net: HybridNetwork, layer: Layer, steps: int) -> Any:
    """The population's recursion on the core, compiled."""
    name = layer.population.name
    exponents = net.scales[name].exponents
    bits = [WEIGHT_SHIFT + 1 + exponents[s.source] for s in layer.synapses]
    population = net.populations[name]
    if net.gradient == "time":
        return trained_spikes(population, bits, steps, net.compiled)
    return tf.function(
        partial(core_spikes, population, bits, steps, False),
        jit_compile=net.compiled,
        autograph=False,
    )


def _float(net: HybridNetwork, layer: Layer, steps: int) -> Any:
    """The float population's recursion, compiled."""
    twin = float_rate(layer.population, FLOAT_SIGMA)
    return float_spikes(layer.population, twin, steps, net.dt, net.compiled)


def _carried(net: HybridNetwork, layer: Layer) -> Any:
    """(J̄, rate, mean rate) → both rates, with the gradient of the rate twin at J̄."""
    slope = tf.function(
        partial(through_rate, _twin(net, layer)),
        jit_compile=net.compiled,
        autograph=False,
    )

    @tf.custom_gradient
    def carried(current: tf.Tensor, rate: tf.Tensor, mean: tf.Tensor) -> Any:
        def backward(*upstream: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
            return slope(current, tf.add_n(upstream)), None, None

        return (rate, mean), backward

    return carried


def _twin(net: HybridNetwork, layer: Layer) -> Rate:
    rest = net.populations[layer.population.name].refractory - 1
    return core_rate(layer.population, rest, net.dt, net.sigma, net.sigma_if)


def _counted(net: HybridNetwork, name: str, rate: tf.Tensor, steps: int) -> tf.Tensor:
    """The rate as few steps show it: a whole number of spikes, right on average.

    It is rounded up with the chance of its fraction; the gradient passes straight
    through. What a population is worth in few steps, training thereby sees.
    """
    seconds = np.count_nonzero(net.window(net.delays[name], steps)) * net.dt
    chance = net.noise.uniform(tf.shape(rate))
    counted = tf.floor(rate * seconds + chance) / seconds
    return rate + tf.stop_gradient(counted - rate)
