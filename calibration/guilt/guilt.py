"""Guilt: a built Program's layers, the one that loses most of the answers first."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, replace
from functools import cached_property

import numpy as np

from ...toolchain.errors import ModelError
from ...toolchain.graph.interpret import evaluate
from ...toolchain.graph.nodes import Array, FloatArray
from ...toolchain.passes.quantize.layers import Layer, layers
from ...toolchain.program.host import (
    BoolArray,
    SpikeEncoder,
    decode,
    encode,
    mean_over_steps,
    parts_of,
)
from ...toolchain.program.program import Program
from ...toolchain.program.recording import Recording
from ..conversion.layerwise import Simulate
from ..overflow import Overflow, find_overflow
from ..readout import distance, linear_part
from ..statistics import LayerStatistics, layer_statistics
from .alone import Alone, Bench
from .flow import Flow
from .layer import LayerGuilt, Noise, margins_of, noise_of, rates_of
from .likeness import likeness
from .trained import Trained

AT_ONCE = 8  # samples whose spikes in a whole Program are held

Score = Callable[[FloatArray], float]
"""Of answers to the samples, higher is better."""


@dataclass(frozen=True, kw_only=True)
class Losses:
    """What is lost between the float network and the spikes of its Program."""

    whole: float
    """Mean squared error of the linear outputs, of the float ones' variance."""
    rounding: float
    """Of a float network with the numbers that the integers stand for."""
    spiking: float
    """Of the Program's answers against that one's."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """On the samples, where they have labels."""

    network: float  # the float network
    rounded: float  # a float network with the numbers that the integers stand for
    program: float


@dataclass(frozen=True, kw_only=True)
class Guilt:
    """Which layer loses what."""

    samples: int
    steps: int
    layers: tuple[LayerGuilt, ...]  # the guiltiest first
    losses: Losses
    scores: Scores | None = None


def still_of(program: Program, samples: Array) -> FloatArray:
    """The samples as the float network takes them: of events the mean."""
    parts = parts_of(program.encoder)
    events = any(isinstance(p, SpikeEncoder) and p.coding == "events" for p in parts)
    return mean_over_steps(samples) if events else samples


def find_guilt(
    program: Program,
    samples: Array,
    recording: Recording,
    simulate: Simulate,
    score: Score | None = None,
    trained: Program | None = None,
) -> Guilt:
    """What each layer loses of the float network's answers, by itself.

    Of a fine-tuned network: of the answers of the integers that it was trained as.

    Args:
        program: with its float network.
        samples: as they are sent, (samples, …).
        recording: of these, with spikes.
        simulate: how a Program is run.
        score: of answers to the samples.
        trained: the integers that a fine-tuned network was trained as.

    Raises:
        ModelError: the Program has no float network to be held to.
        DataError: the recording holds no spikes, or is another Program's.
    """
    bench = bench_of(program, samples, recording.steps, simulate)
    truth = None
    if trained is not None:
        truth = Trained(
            program=trained,
            samples=samples,
            steps=recording.steps,
            simulate=simulate,
        )
    court = _Court(bench, recording, score, truth)
    found = [court.spike_input(p.name) for p in program.inputs]
    found += [court.layer(layer) for layer in layers(bench.flow.graph)]
    losses, scores = court.whole()
    return Guilt(
        samples=recording.samples,
        steps=recording.steps,
        layers=tuple(sorted(found, key=lambda guilt: -guilt.lost)),
        losses=losses,
        scores=scores,
    )


def bench_of(program: Program, samples: Array, steps: int, simulate: Simulate) -> Bench:
    """Where a Program's layers are tried alone, on samples as they are sent.

    Raises:
        ModelError: the Program has no float network to be held to.
    """
    if program.graph is None:
        raise ModelError(
            "Program: it has no float network to be held to; build it again from its "
            "model"
        )
    if program.graph.is_spiking:
        raise ModelError(
            "Program: it was written as a spiking network, so that there are no rates "
            "that its layers are to be held to; its report shows what rounding moves"
        )
    return Bench(
        program=program,
        flow=Flow(program.graph, still_of(program, samples)),
        stimulus=encode(program.encoder, samples, steps, program.timing.dt),
        simulate=simulate,
        steps=steps,
    )


def lost_alone(bench: Bench, layer: Layer) -> float:
    """What a layer loses of the answers, all others in float (``LayerGuilt.lost``)."""
    alone, flow = bench.tried(layer), bench.flow
    (linear,) = linear_part(flow.graph).output.inputs
    given = {layer.population.name: inserted(bench, layer, alone.fired, alone)}
    return distance(flow.changed(given)[linear], flow.values[linear])


def answered(bench: Bench, spikes: Mapping[str, BoolArray]) -> FloatArray:
    """A whole Program's answers by its spikes, before a softmax or the like."""
    program = bench.program
    plain = replace(program.decoder, graph=linear_part(program.decoder.graph))
    return decode(plain, spikes, program.timing.dt)


def lost_together(program: Program, samples: Array, simulate: Simulate) -> float:
    """What a whole Program loses of the answers (``Losses.whole``)."""
    found, wanted = [], []
    for start in range(0, len(samples), AT_ONCE):
        few = samples[start : start + AT_ONCE]
        bench = bench_of(program, few, program.timing.steps, simulate)
        found.append(answered(bench, simulate(program, bench.stimulus)))
        linear = linear_part(bench.flow.graph)
        wanted.append(evaluate(linear, bench.flow.still))
    return distance(np.concatenate(found), np.concatenate(wanted))


def inserted(bench: Bench, layer: Layer, found: FloatArray, alone: Alone) -> FloatArray:
    """The float network's value of a layer with the error that was found added."""
    shape = bench.flow.values[layer.population.name].shape
    value: FloatArray = np.maximum(alone.ideal + found - alone.wanted, 0.0)
    return value.reshape(shape)


@dataclass(frozen=True, eq=False)
class _Court:
    """A Program's layers, and what is known of all of them."""

    bench: Bench
    recording: Recording
    score: Score | None
    trained: Trained | None

    def whole(self) -> tuple[Losses, Scores | None]:
        """What the network as a whole loses."""
        flow, linear = self.bench.flow, self.linear
        rounded, last = flow.changed(self._rounded()), flow.graph.output.name
        program = answered(self.bench, self.recording.spikes)
        losses = Losses(
            whole=distance(program, flow.values[linear]),
            rounding=distance(rounded[linear], flow.values[linear]),
            spiking=distance(program, rounded[linear]),
        )
        if self.score is None:
            return losses, None
        scores = Scores(
            network=self.score(flow.values[last]),
            rounded=self.score(rounded[last]),
            program=self.score(self.recording.output),
        )
        known = all(map(math.isfinite, astuple(scores)))
        return losses, scores if known else None

    def layer(self, layer: Layer) -> LayerGuilt:
        """Of a population."""
        name, alone = layer.population.name, self.bench.tried(layer)
        fired = inserted(self.bench, layer, alone.fired, alone)
        lost, score = self.lost(name, fired)
        if self.trained is not None:
            lost, score = self.lost_trained(self.trained, name)
        rounded = inserted(self.bench, layer, alone.rounded, alone)
        rounding, _ = self.lost(name, rounded)
        return replace(
            self.spike_input(name),
            alone=likeness(alone.fired, alone.wanted),
            noise=noise_of(self.bench.program, layer, alone),
            margins=margins_of(self.overflows.get(name)),
            lost=lost,
            rounding=rounding,
            score=score,
        )

    def spike_input(self, name: str) -> LayerGuilt:
        """Of a spike input, whose spikes are the same by themselves."""
        recording, flow = self.recording, self.bench.flow
        value = self.bench.settled(name, recording.spikes[name])
        alike, counted = likeness(value, flow.values[name]), self.statistics[name]
        lost, score = self.lost(name, value)
        return LayerGuilt(
            name=name,
            neurons=counted.neurons,
            rates=rates_of(recording.counts[name] / (recording.steps * recording.dt)),
            silent=counted.silent,
            saturated=counted.saturated,
            together=alike,
            alone=alike,
            noise=Noise(),
            margins=None,
            lost=lost,
            rounding=0.0,
            score=score,
        )

    def lost(self, name: str, value: FloatArray) -> tuple[float, float | None]:
        """What is lost of answers and score where one node has such a value."""
        flow, last = self.bench.flow, self.bench.flow.graph.output.name
        found = flow.changed({name: value})
        lost = distance(found[self.linear], flow.values[self.linear])
        return lost, self._score_lost(flow.values[last], found[last])

    def lost_trained(self, truth: Trained, name: str) -> tuple[float, float | None]:
        """What is lost of answers and score where one layer is not as trained."""
        lost, answers = truth.lost(self.bench.program, name)
        return lost, self._score_lost(truth.answers[1], answers)

    def _score_lost(self, right: FloatArray, found: FloatArray) -> float | None:
        """None without labels, or where answers all alike leave it undefined."""
        if self.score is None:
            return None
        lost = self.score(right) - self.score(found)
        return lost if math.isfinite(lost) else None

    def _rounded(self) -> Mapping[str, FloatArray]:
        """Population → its value if its integers and those before were floats."""
        bench, found = self.bench, dict[str, FloatArray]()
        for p in bench.program.inputs:
            found[p.name] = bench.settled(p.name, bench.train(p.name))
        for layer in layers(bench.flow.graph):
            name = layer.population.name
            value = bench.flow.rates(name, bench.held(layer, found))
            found[name] = value
        return found

    @cached_property
    def linear(self) -> str:
        """The node of the answers before a softmax or the like."""
        (name,) = linear_part(self.bench.flow.graph).output.inputs
        return name

    @cached_property
    def statistics(self) -> Mapping[str, LayerStatistics]:
        """Population → what was counted of it."""
        found = layer_statistics(self.bench.program, self.recording)
        return {layer.name: layer for layer in found}

    @cached_property
    def overflows(self) -> Mapping[str, Overflow]:
        """Population → its largest sums."""
        found = find_overflow(self.bench.program, self.recording)
        return {each.population: each for each in found}
