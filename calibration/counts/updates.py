"""Neuron updates step by step: which ones a chip driven by events would not make.

The core's arithmetic (``step``) is run again on the spikes that a target recorded. An
update is one that a chip driven by events alone skips where it has no reason to make
it, and would change nothing:

    no spike arrives (not even through a weight of 0),
    nothing drives the neuron: its current, once decayed, and its bias are 0,
    nothing leaks: its membrane potential is 0 or has no leak,
    and its refractory counter is 0.

Loihi 1 makes these updates too: every neuron of a core, every step (Davies et al. 2018:
"inactive").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ...toolchain.graph.nodes import FloatArray
from ...toolchain.program.arithmetic import IntArray, decay
from ...toolchain.program.connections import Connection, WindowConnection
from ...toolchain.program.host import BoolArray, encode
from ...toolchain.program.program import Population, Program
from ...toolchain.program.recording import Recording
from ...toolchain.program.step import step
from ..overflow import synaptic_sums


@dataclass(frozen=True, kw_only=True)
class Updates:
    """Of a population, an inference; means over the samples."""

    skipped: float
    """Updates that a chip driven by events would not make."""
    moved: float
    """Updates after which the membrane potential is another; in the first step all.
    NeuroBench counts these."""


def updates(
    program: Program, samples: FloatArray, recording: Recording
) -> Mapping[str, Updates]:
    """Population → its updates.

    Args:
        program: what ran.
        samples: that it was given, (samples, …).
        recording: of an integer target, with its spikes.

    Raises:
        DataError: the samples are not what the Program takes.
    """
    steps = recording.steps
    bias = encode(program.encoder, samples, steps, program.timing.dt).bias
    found = {}
    for population in program.populations:
        counted = [
            _replayed(
                program,
                population,
                {name: spikes[n] for name, spikes in recording.spikes.items()},
                bias[population.name][n]
                if population.name in bias
                else population.bias,
            )
            for n in range(len(samples))
        ]
        skipped, moved = np.mean(counted, axis=0)
        found[population.name] = Updates(skipped=float(skipped), moved=float(moved))
    return found


def _replayed(
    program: Program,
    population: Population,
    spikes: Mapping[str, BoolArray],
    bias: IntArray,
) -> tuple[int, int]:
    """Updates of one sample: skipped, and such that moved the membrane."""
    incoming = program.incoming(population.name)
    q = np.zeros((len(spikes[population.name]), population.size), np.int64)
    for c in incoming:
        q += synaptic_sums(c, spikes[c.source])
    still, moved = q == 0, population.size
    u, v, counter = (np.zeros(population.size, np.int64) for _ in range(3))
    for t in range(len(q)):
        driven = (decay(u, 4095 - population.decay_u) != 0) | (bias != 0)
        leaks = (v != 0) & (population.decay_v > 0)
        still[t] &= ~(driven | leaks | (counter > 0))
        old = v
        _, u, v, counter = step(population, q[t], bias, u, v, counter)
        moved += int((v != old).sum()) if t else 0
    for c in incoming if still.any() else ():  # spikes may add up to 0
        still &= synaptic_sums(_ones(c), spikes[c.source]) == 0
    return int(still.sum()), moved


def _ones(c: Connection) -> Connection:
    """A connection that counts the spikes that arrive; a weight of 0 counts too."""
    there: IntArray = np.ones(c.weight.shape, np.int16)
    if isinstance(c, WindowConnection):  # positions that are no tap
        rows, columns, _, filters = c.weight.shape
        held = c.held.reshape(rows, columns, 1, c.groups)
        there *= np.repeat(held, filters // c.groups, axis=3)
    return replace(c, weight=there, exponent=-6)
