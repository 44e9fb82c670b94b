"""What was counted: firing rates, spikes, synapses, synaptic operations.

Everything comes from spike counts, so a Recording of counts alone is enough. Figures
"per inference" are means over the recorded samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..toolchain.errors import DataError
from ..toolchain.program.connections import Connection
from ..toolchain.program.host import BiasEncoder, parts_of
from ..toolchain.program.program import Population, Program, SpikeInput
from ..toolchain.program.recording import Recording
from ..toolchain.program.tally import Counts, Tally, beside
from .operations import macs

SATURATED = 0.95
"""Share of the spikes it could fire from which a neuron counts as saturated.

A neuron of the core fires at 1/r, 1/(r + 1), … spikes a step, so the next lower rate
is r/(r + 1) of the highest; the 5 % leave room for the onset.
"""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A firing rate, in both of the field's units."""

    hz: float
    per_step: float


@dataclass(frozen=True, kw_only=True)
class LayerStatistics:
    """What the neurons of one population did, per inference where not a rate."""

    name: str
    neurons: int
    mean_rate: Rate
    """Over the neurons, each averaged over samples; so the next two."""
    median_rate: Rate
    p99_rate: Rate
    silent: float
    """Share of the neurons without a spike in any sample, 0 … 1."""
    saturated: float
    """Share of the neurons that in some sample fire at their highest rate, 0 … 1:
    at least ``SATURATED`` of one spike in r steps (r = refractory counter), from the
    step on at which the sample first reaches the population."""
    spikes: float
    spikes_std: float
    """Standard deviation over samples (of the recorded ones, no correction)."""
    synapses: int
    """Outgoing."""
    synaptic_operations: float
    """Every spike sent times the synapses it visits: Σ spikes · fan-out over the
    outgoing connections. Padding and stride count as they are, synapses of weight 0
    too; so do the spikes of the last steps, which arrive after the presentation."""
    spikes_per_synapse: float | None
    """synaptic_operations / synapses; None without outgoing synapses."""
    incoming_operations: float | None = None
    """Synaptic operations in this layer: every spike sent to it times the synapses
    that it visits here. Beside ``incoming_synapses`` and ``macs``, which are of the
    same weights. None in reports before schema 4; so the next two."""
    effective_operations: float | None = None
    """Of these, the ones through a weight that is not 0: NeuroBench's
    Effective_ACs."""
    incoming_synapses: int
    """Into this layer, those of weight 0 too."""
    nonzero_synapses: int | None
    """Of these, the ones whose weight is not 0; None in reports of schema 1."""
    macs: int | None
    """Multiply-accumulates of the conventional network that the incoming synapses take
    the place of (``Population.macs``); None where they are not known. The encoder's
    and decoder's are ``HostStatistics``."""
    neuron_updates: int
    """Neurons · steps; 0 for a spike input, which is not on the core."""
    active_updates: float
    """Updates that end in a spike."""
    inactive_updates: float
    """The other updates."""
    skipped_updates: float | None = None
    """Of these, the ones that a chip driven by events alone would not make: no spike
    arrives, nothing drives the neuron and nothing leaks (``counts.updates``). None
    where the steps of the spikes, or the samples, are not known."""


@dataclass(frozen=True, kw_only=True)
class HostStatistics:
    """What the host computes, once an inference."""

    encoder_macs: int
    """Multiply-accumulates, dense; so the decoder's."""
    decoder_macs: int
    encoder_values: int | None = None
    """Numbers that the encoder gives: bias currents, or places of a spike input."""
    decoder_values: int | None = None
    """Numbers that the decoder gives: the answer's."""


def layer_statistics(
    program: Program, recording: Recording
) -> tuple[LayerStatistics, ...]:
    """Statistics of every population, spike inputs first, in the Program's order.

    Raises:
        DataError: the recording is empty or not one of this Program.
    """
    latency = _latency(program)
    return tuple(_layer(program, recording, p, latency) for p in program.members)


def total_statistics(program: Program, recording: Recording) -> LayerStatistics:
    """The whole core as one layer, "total".

    Neurons, rates, spikes and updates are those of the core's populations; synapses
    and synaptic operations include those of the spike inputs.

    Raises:
        DataError: the recording is empty or not one of this Program.
    """
    layers = layer_statistics(program, recording)
    latency = _latency(program)
    tallies = [_tally(recording, p) for p in program.populations]
    most = [_most_spikes(p, recording.steps, latency) for p in program.populations]
    known = [p.macs for p in program.populations]
    received = [layer.incoming_operations or 0.0 for layer in layers]
    effective = [layer.effective_operations or 0.0 for layer in layers]
    return _row(
        "total",
        beside(tallies),
        np.repeat(most, [p.size for p in program.populations]),
        recording,
        synapses=sum(layer.synapses for layer in layers),
        synaptic_operations=sum(layer.synaptic_operations for layer in layers),
        incoming_operations=sum(received),
        effective_operations=sum(effective),
        incoming_synapses=sum(layer.incoming_synapses for layer in layers),
        nonzero_synapses=sum(layer.nonzero_synapses or 0 for layer in layers),
        macs=None if None in known else sum(m for m in known if m is not None),
        neuron_updates=sum(layer.neuron_updates for layer in layers),
        active_updates=sum(layer.active_updates for layer in layers),
    )


def host_statistics(program: Program) -> HostStatistics:
    """What the Program's encoder and decoder compute."""
    parts = parts_of(program.encoder)
    graphs = [part.graph for part in parts if isinstance(part, BiasEncoder)]
    decoder = program.decoder.graph
    return HostStatistics(
        encoder_macs=sum(sum(macs(graph).values()) for graph in graphs),
        decoder_macs=sum(macs(decoder).values()),
        encoder_values=sum(program[part.population].size for part in parts),
        decoder_values=math.prod(decoder.shapes[decoder.output.name]),
    )


def _layer(
    program: Program,
    recording: Recording,
    population: Population | SpikeInput,
    latency: dict[str, int],
) -> LayerStatistics:
    tally = _tally(recording, population)
    incoming = program.incoming(population.name)
    outgoing = program.outgoing(population.name)
    steps = recording.steps if isinstance(population, Population) else 0  # on the core
    return _row(
        population.name,
        tally,
        _most_spikes(population, recording.steps, latency),
        recording,
        synapses=sum(_synapses(c) for c in outgoing),
        synaptic_operations=_operations(tally, outgoing),
        incoming_operations=_arriving(program, recording, incoming, "fan_out"),
        effective_operations=_arriving(program, recording, incoming, "nonzero_fan_out"),
        incoming_synapses=sum(_synapses(c) for c in incoming),
        nonzero_synapses=sum(c.nonzero for c in incoming),
        macs=population.macs if isinstance(population, Population) else 0,
        neuron_updates=population.size * steps,
        active_updates=tally.active / tally.samples if steps else 0.0,
    )


def _row(
    name: str,
    tally: Tally,
    most_spikes: int | Counts,
    recording: Recording,
    *,
    synapses: int,
    synaptic_operations: float,
    incoming_operations: float,
    effective_operations: float,
    incoming_synapses: int,
    nonzero_synapses: int,
    macs: int | None,
    neuron_updates: int,
    active_updates: float,
) -> LayerStatistics:
    per_step = tally.sums / tally.samples / recording.steps

    def rate(value: np.floating[Any]) -> Rate:
        return Rate(hz=float(value / recording.dt), per_step=float(value))

    return LayerStatistics(
        name=name,
        neurons=tally.neurons,
        mean_rate=rate(per_step.mean()),
        median_rate=rate(np.median(per_step)),
        p99_rate=rate(np.percentile(per_step, 99)),
        silent=float((tally.most == 0).mean()),
        saturated=float((tally.most >= SATURATED * most_spikes).mean()),
        spikes=float(tally.spikes.mean()),
        spikes_std=float(tally.spikes.std()),
        synapses=synapses,
        synaptic_operations=synaptic_operations,
        spikes_per_synapse=synaptic_operations / synapses if synapses else None,
        incoming_operations=incoming_operations,
        effective_operations=effective_operations,
        incoming_synapses=incoming_synapses,
        nonzero_synapses=nonzero_synapses,
        macs=macs,
        neuron_updates=neuron_updates,
        active_updates=active_updates,
        inactive_updates=neuron_updates - active_updates,
    )


def _tally(recording: Recording, population: Population | SpikeInput) -> Tally:
    if population.name in recording.tallies:
        return recording.tallies[population.name]
    counts = recording.counts.get(population.name)
    if counts is None or counts.ndim != 2 or counts.shape[1] != population.size:
        found = "none" if counts is None else f"an array {counts.shape}"
        raise DataError(
            f"Recording of {recording.target!r}: counts of {population.name!r} are "
            f"{found}, the Program has (samples, {population.size}); record this "
            "Program again"
        )
    if not len(counts) or recording.steps < 1:
        raise DataError(
            f"Recording of {recording.target!r}: {len(counts)} samples of "
            f"{recording.steps} steps; at least one of each is needed"
        )
    return Tally.of(counts, recording.steps)


def _synapses(connection: Connection) -> int:
    return int(connection.fan_out.sum())


def _operations(tally: Tally, outgoing: list[Connection]) -> float:
    return sum(int(tally.sums @ c.fan_out) for c in outgoing) / tally.samples


def _arriving(
    program: Program, recording: Recording, incoming: list[Connection], fan_out: str
) -> float:
    """Σ spikes · fan-out over connections into a population, an inference."""
    total = 0
    for c in incoming:
        sums = _tally(recording, program[c.source]).sums
        total += int(sums @ getattr(c, fan_out))
    return total / recording.samples


def saturating(program: Program, name: str, steps: int) -> float:
    """Spikes of a presentation from which on a population's neuron is saturated."""
    return SATURATED * _most_spikes(program[name], steps, _latency(program))


def _latency(program: Program) -> dict[str, int]:
    """Steps until the sample first reaches a population, by the fastest way."""
    latency = {part.population: 0 for part in parts_of(program.encoder)}
    for _ in program.populations:
        for c in program.connections:
            if c.source in latency:
                steps = latency[c.source] + c.delay
                latency[c.target] = min(steps, latency.get(c.target, steps))
    return latency


def _most_spikes(
    population: Population | SpikeInput, steps: int, latency: dict[str, int]
) -> int:
    period = population.refractory if isinstance(population, Population) else 1
    return max((steps - latency.get(population.name, 0)) // period, 1)
