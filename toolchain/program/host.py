"""The host's side of a Program: how a sample becomes integers, and spikes an answer.

It runs once before and once after the core, in our own code, so that every target is
handed the same integers.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..graph.graph import Graph
from ..graph.interpret import interpret, readout_weights
from ..graph.nodes import (
    LI,
    Array,
    BatchNorm,
    Conv2D,
    ConvTranspose2D,
    Flatten,
    FloatArray,
    Input,
    Output,
    ReLU,
    Reshape,
    Shape,
    Sigmoid,
)
from ..graph.preparation import ChannelsLast, Rescale
from ..graph.text import array_text, field_text, number_text
from .arithmetic import MAX_BIAS, IntArray, round_bias

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False, kw_only=True)
class BiasEncoder:
    """The sample sets a constant bias current: round_bias(scale · graph(sample)).

    ``graph`` is the host's part of the network, up to the current J of ``population``.
    """

    graph: Graph
    population: str
    scale: float | FloatArray  # bias units for one unit of J; for all, or (channels,)

    def __str__(self) -> str:
        """Its line, and the Graph indented."""
        title = f"BiasEncoder → {self.population}: scale {array_text(self.scale)}"
        return f"{title}\n{textwrap.indent(str(self.graph), '    ')}"


@dataclass(frozen=True, eq=False, kw_only=True)
class BiasEncoders:
    """The sample sets the biases of several populations, each as a BiasEncoder says."""

    parts: tuple[BiasEncoder, ...]

    def __str__(self) -> str:
        """That of each."""
        return "\n".join(map(str, self.parts))


@dataclass(frozen=True, eq=False, kw_only=True)
class SpikeEncoder:
    """The sample sends spikes of the SpikeInput ``population``.

    ``coding``, for a value x in 0 … 1 (values outside are clipped):
        rate: regular spikes at x · max_rate, each neuron with its own phase in 0 … 1
            drawn from ``seed``;
        latency: one spike at step round((1 − x) · (steps − 1)), none for x = 0;
        events: the sample is the spikes itself, (steps, …) of 0 and 1.

    ``graph`` is the preprocessing before that; of events, of each step. None: there is
    none, and no shape is demanded.
    """

    population: str
    coding: str = "rate"
    max_rate: float = 1000.0  # Hz
    seed: int = 0
    graph: Graph | None = None

    def __str__(self) -> str:
        """Its line, and the preprocessing indented, where there is any."""
        rate = number_text(self.max_rate)
        title = (
            f"SpikeEncoder → {self.population}: {self.coding}, up to {rate} Hz, "
            f"seed {self.seed}"
        )
        if self.graph is None or self.graph.prepared is self.graph.input:
            return title
        return f"{title}\n{textwrap.indent(str(self.graph), '    ')}"


Encoder = BiasEncoder | BiasEncoders | SpikeEncoder


def parts_of(encoder: Encoder) -> tuple[BiasEncoder | SpikeEncoder, ...]:
    """The encoder of each population that it feeds."""
    return encoder.parts if isinstance(encoder, BiasEncoders) else (encoder,)


APART = {
    *(Input, Output, Conv2D, ConvTranspose2D, BatchNorm, Rescale, ReLU, Sigmoid),
    *(ChannelsLast, Flatten, Reshape),
}
"""Nodes that take each sample by itself, or each number."""
TOGETHER = 16  # samples of graphs of such nodes
MOST = 1 << 23  # spikes that are made numbers at once
CODINGS = ("rate", "latency", "events")
ENCODERS = ("bias", "spikes", "events")
"""How a sample enters, as users say it."""


def spike_encoder(name: str | None, population: str, dt: float) -> SpikeEncoder | None:
    """The encoder of this name, of ``ENCODERS``; None where the host sets biases.

    A value of 1 sends a spike every step.

    Args:
        name: "bias" (as None), "spikes" or "events".
        population: that sends the spikes (``Graph.prepared``).
        dt: s.
    """
    if name in (None, "bias"):
        return None
    coding = "events" if name == "events" else "rate"
    return SpikeEncoder(population=population, coding=coding, max_rate=1 / dt)


def mean_over_steps(events: Array) -> FloatArray:
    """What events are to a network of rates: (samples, steps, …) → (samples, …).

    An input of 1 sends a spike every step, so the mean is the share of steps with one.
    """
    mean: FloatArray = np.asarray(events).mean(axis=1, dtype=np.float64)
    return mean


@dataclass(frozen=True, eq=False, kw_only=True)
class Decoder:
    """graph(gain · amplitude · weighted mean rate of ``population``).

    Where the graph has an LI it runs in time: the weighted mean is of what it gives.

    The weights of the mean are ``interpret.readout_weights``; ``gain`` is what
    calibration makes up for with what the core's neurons lose.

    ``graph`` is the host's last part of the network, from the population's output on;
    where there are ``others``, it takes the values of all, flat, one behind the other.
    """

    graph: Graph
    population: str
    amplitude: float
    settle: float = 0.0  # s left out at the start
    tau_syn: float = 0.0  # s, 0: plain mean
    others: tuple[tuple[str, float], ...] = ()  # populations and their amplitudes
    gain: float = 1.0

    @property
    def reads(self) -> tuple[tuple[str, float], ...]:
        """Every population that is read, and its amplitude."""
        return ((self.population, self.amplitude), *self.others)

    def __str__(self) -> str:
        """Its line, and the Graph indented."""
        names = ", ".join(name for name, _ in self.reads)
        words = [f"{names} → Decoder:"]
        for name in ("amplitude", "settle", "tau_syn"):
            words += field_text(name, getattr(self, name))
        if self.gain != 1:
            words += field_text("gain", self.gain)
        return f"{' '.join(words)}\n{textwrap.indent(str(self.graph), '    ')}"


@dataclass(frozen=True, eq=False, kw_only=True)
class Stimulus:
    """What enters the core for a batch of samples; the same for every target."""

    samples: int
    steps: int
    bias: Mapping[str, IntArray]  # population → (samples, neurons) int32
    spikes: Mapping[str, BoolArray]  # spike input → (samples, steps, neurons)
    current: Mapping[str, FloatArray] = field(default_factory=dict)
    """Population → the J that ``bias`` was rounded from; for float simulations."""


def encode(
    encoder: Encoder, samples: FloatArray, steps: int, dt: float, number: int = 0
) -> Stimulus:
    """Samples (samples, …) → Stimulus.

    A sample's integers depend on nothing but the sample: not on the others.
    ``number`` is that of the first sample, for messages.

    Raises:
        DataError: there is no sample, or one has another shape than the network, holds
            NaN, or drives a bias beyond what the core can hold.
    """
    if not len(samples):
        raise DataError("samples: there are none; give at least one")
    if not np.isfinite(samples).all():
        raise DataError("samples: they hold NaN or infinite values; remove them")
    count = len(samples)
    if isinstance(encoder, BiasEncoders):
        found = [encode(part, samples, steps, dt, number) for part in encoder.parts]
        return Stimulus(
            samples=count,
            steps=steps,
            bias={name: bias for one in found for name, bias in one.bias.items()},
            spikes={},
            current={name: j for one in found for name, j in one.current.items()},
        )
    if isinstance(encoder, BiasEncoder):
        current = _apply(encoder.graph, samples).reshape(count, -1)
        name, bias = encoder.population, _biases(encoder, current, number)
        return Stimulus(
            samples=count,
            steps=steps,
            bias={name: bias},
            spikes={},
            current={name: current},
        )
    if encoder.coding == "events":
        spikes = _events(encoder, samples, steps, number)
    else:
        spikes = _spikes(encoder, samples, steps, dt)
    return Stimulus(
        samples=count, steps=steps, bias={}, spikes={encoder.population: spikes}
    )


def _biases(encoder: BiasEncoder, current: FloatArray, number: int) -> IntArray:
    """Rounded biases, (samples, neurons), of currents J of the same shape."""
    scale = np.resize(encoder.scale, current.shape[1])
    biases = np.empty(current.shape, np.int32)
    for i, row in enumerate(current):
        flat = row * scale
        peak = np.rint(max(flat.max(), -flat.min()))
        if peak > MAX_BIAS:
            raise DataError(
                f"sample {number + i}: it drives population "
                f"{encoder.population!r} with a bias of {peak:.0f}, the core "
                f"holds {MAX_BIAS}; "
                "calibrate with samples of this range (build --data)"
            )
        biases[i] = round_bias(flat)
    return biases


def _apply(graph: Graph, samples: FloatArray) -> FloatArray:
    """What a graph makes of samples, each as if it were alone.

    A matrix product's last bit may depend on its rows, so where samples are rows they
    are taken one at a time.
    """
    _demand_shape(samples.shape[1:], graph.input.shape)
    name = graph.output.name
    size = TOGETHER if {type(node) for node in graph.nodes} <= APART else 1
    parts = range(0, len(samples), size)
    return np.concatenate(
        [interpret(graph, samples[i : i + size])[name] for i in parts]
    )


def demand_events(samples: Array, number: int = 0) -> None:
    """Raise DataError unless samples are events, 0 and 1; ``number``: of the first."""
    for i, sample in enumerate(samples):
        strange = sample[(sample != 0) & (sample != 1)]
        if strange.size:
            raise DataError(
                f"sample {number + i}: it holds {strange[0]:g} events of a neuron in "
                "one step; 0 or 1 is allowed, since a neuron sends one spike a step. "
                "Bin them into more steps, or say where there is at least one (x > 0)"
            )


def _demand_shape(given: Shape, taken: Shape) -> None:
    if given != taken:
        raise DataError(f"samples: each has shape {given}, the network takes {taken}")


def _events(
    encoder: SpikeEncoder, samples: FloatArray, steps: int, number: int
) -> BoolArray:
    held = samples.shape[1] if samples.ndim > 1 else 0
    if held < steps:
        raise DataError(
            f"samples: they hold {held} steps of events, {steps} are to be run; "
            "run fewer steps"
        )
    shown, graph = samples[:, :steps], encoder.graph
    demand_events(shown, number)
    if graph is not None:
        _demand_shape(shown.shape[1:], (steps, *graph.input.shape))
        name = graph.output.name
        shown = np.stack([interpret(graph, sample)[name] for sample in shown])
    sent: BoolArray = shown.reshape(len(shown), steps, -1) != 0
    return sent


def _spikes(
    encoder: SpikeEncoder, samples: FloatArray, steps: int, dt: float
) -> BoolArray:
    if encoder.graph is not None:
        samples = _apply(encoder.graph, samples)
    x = np.clip(samples.reshape(len(samples), -1), 0.0, 1.0)
    sent: BoolArray = np.empty((len(x), steps, x.shape[1]), np.bool_)
    if encoder.coding == "latency":
        first = np.where(x > 0, np.rint((1 - x) * (steps - 1)), -1)
        for t in range(steps):
            sent[:, t] = first == t
        return sent
    phase = np.random.default_rng(encoder.seed).random(x.shape[1])
    rate = x * min(encoder.max_rate * dt, 1.0)  # spikes a step
    before = np.floor(0 * rate + phase)
    for t in range(steps):
        after = np.floor((t + 1) * rate + phase)
        sent[:, t] = after > before
        before = after
    return sent


def decode(decoder: Decoder, spikes: Mapping[str, BoolArray], dt: float) -> FloatArray:
    """Spikes of all populations, each (samples, steps, neurons) → (samples, …)."""
    if any(isinstance(node, LI) for node in decoder.graph.nodes):
        return _integrated(decoder, spikes, dt)
    values = []
    for name, amplitude in decoder.reads:
        sent = spikes[name]
        weights = readout_weights(decoder.settle, decoder.tau_syn, sent.shape[1], dt)
        rate = np.stack([_weighed(weights, s) for s in sent]) / dt  # Hz
        values.append(decoder.gain * amplitude * rate)
    value = values[0] if len(values) == 1 else np.concatenate(values, axis=1)
    return _apply(decoder.graph, value.reshape(-1, *decoder.graph.input.shape))


def _weighed(weights: FloatArray, spikes: BoolArray) -> FloatArray:
    """Sum over the steps, (steps, neurons) → (neurons,); of very many neurons some at a
    time, since they become numbers."""
    neurons = max(MOST // len(weights), 1)
    parts = [
        weights @ spikes[:, first : first + neurons].astype(np.float64)
        for first in range(0, spikes.shape[1], neurons)
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _integrated(
    decoder: Decoder, spikes: Mapping[str, BoolArray], dt: float
) -> FloatArray:
    """Likewise, step by step: a leaky integrator is read, which has a state."""
    graph, given = decoder.graph, decoder.graph.input
    end = replace(graph.output, settle=decoder.settle, tau_syn=decoder.tau_syn)
    nodes = tuple(end if node is graph.output else node for node in graph.nodes)
    graph = replace(graph, nodes=nodes)
    worth = [(name, decoder.gain * amplitude / dt) for name, amplitude in decoder.reads]
    found = []
    for sample in zip(*(spikes[name] for name, _ in worth)):
        values = [value * sent for (_, value), sent in zip(worth, sample)]
        sent = np.concatenate(values, axis=1).reshape(1, -1, *given.shape)
        start, steps = np.zeros((1, *given.shape)), sent.shape[1]
        moved = {given.name: sent}
        ran = interpret(graph, start, "spiking", steps=steps, dt=dt, sent=moved)
        found.append(ran[end.name][0])
    return np.stack(found)
