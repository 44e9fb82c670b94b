"""Overflow: what a run's spikes do to the 21 and 23 bits of a core's sums."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from ..toolchain.errors import DataError, DoesNotFit
from ..toolchain.graph.nodes import Conv2D, ConvTranspose2D, Dense, FloatArray
from ..toolchain.passes.legalize.compose import Weighted, apply
from ..toolchain.program import arithmetic as core
from ..toolchain.program.arithmetic import IntArray
from ..toolchain.program.connections import (
    Connection,
    ConvConnection,
    SparseConnection,
    WindowConnection,
)
from ..toolchain.program.host import BiasEncoder, BoolArray
from ..toolchain.program.program import Population, Program
from ..toolchain.program.recording import Recording

MAX_Q = (1 << core.Q_BITS) - 1
MAX_U = (1 << core.U_BITS) - 1
_CHUNK = 1 << 22  # elements of a convolution's windows held at a time


@dataclass(frozen=True, kw_only=True)
class Overflow:
    """A population's synaptic sums q and currents (u, and u + bias), before wrapping.

    A peak is the largest absolute value in a run, a bound that of any run.
    """

    population: str
    peak_q: int
    bound_q: int
    peak_u: int
    bound_u: int
    overflows: bool
    """Whether q or u wrapped around in the run."""

    @property
    def could_overflow(self) -> bool:
        """Whether q or u would wrap around in the worst case."""
        return self.bound_q > MAX_Q or self.bound_u > MAX_U


def find_overflow(program: Program, recording: Recording) -> tuple[Overflow, ...]:
    """Peaks and bounds of every population with connections, in order.

    q and u are computed again from the recorded spikes, exactly, as the core did,
    wrapping included.

    Raises:
        DataError: the recording holds no spikes (only counts), or another Program's.
    """
    missing = [
        c.source for c in program.connections if c.source not in recording.spikes
    ]
    if missing:
        raise DataError(
            f"recording: it holds no spikes of {missing[0]!r}; record spikes of this "
            'Program (record="spikes")'
        )
    return tuple(
        _overflow(program, population, recording)
        for population in program.populations
        if program.incoming(population.name)
    )


def check_overflow(program: Program, recording: Recording) -> tuple[Overflow, ...]:
    """``find_overflow``, refusing a run in which something wrapped around.

    Raises:
        DoesNotFit: q or u of a population overflowed.
        DataError: as find_overflow.
    """
    found = find_overflow(program, recording)
    for o in found:
        if o.overflows:
            what, peak, limit = "synaptic sum q", o.peak_q, MAX_Q
            if o.peak_q <= MAX_Q:
                what, peak, limit = "current u", o.peak_u, MAX_U
            raise DoesNotFit(
                f"Population {o.population!r}: its {what} reached {peak}, the core "
                f"holds {limit} and would wrap around; give fewer "
                "--weight-bits, or a lower --max-rate"
            )
    return found


def _overflow(
    program: Program, population: Population, recording: Recording
) -> Overflow:
    incoming = program.incoming(population.name)
    bias = np.abs(population.bias.astype(np.int64))
    host = program.encoder
    if isinstance(host, BiasEncoder) and host.population == population.name:
        bias = np.full(population.size, core.MAX_BIAS)
    worst = sum((c.worst_q for c in incoming), np.zeros(population.size, np.int64))
    bound_u = core.worst_current(worst, population.decay_u) + bias
    peak_q = peak_u = 0
    overflows = False
    for sample in range(recording.samples):
        q = np.zeros((recording.steps, population.size), np.int64)
        for c in incoming:
            q += synaptic_sums(c, recording.spikes[c.source][sample])
        held = core.wrap(q, core.Q_BITS)
        peak, wrapped = _currents(population, held)
        peak_q = max(peak_q, int(np.abs(q).max()))
        peak_u = max(peak_u, peak)
        overflows |= wrapped or not np.array_equal(held, q)
    return Overflow(
        population=population.name,
        peak_q=peak_q,
        bound_q=int(worst.max()),
        peak_u=peak_u,
        bound_u=math.ceil(bound_u.max()),
        overflows=overflows,
    )


def _currents(population: Population, q: IntArray) -> tuple[int, bool]:
    """Largest |u| or |u + bias| that q (steps, neurons) leads to; whether one wrapped.

    The bias is the population's own, 0 where the host sets it.
    """
    u = np.zeros(population.size, np.int64)
    bias = population.bias.astype(np.int64)
    peak, wrapped = 0, False
    for arriving in q:
        wide = core.decay(u, 4095 - population.decay_u) + arriving
        u = core.wrap(wide, core.U_BITS)
        for sums in (wide, u + bias):
            peak = max(peak, int(np.abs(sums).max()))
            wrapped |= not np.array_equal(core.wrap(sums, core.U_BITS), sums)
    return peak, wrapped


def synaptic_sums(connection: Connection, spikes: BoolArray) -> IntArray:
    """What arrives in each step: (steps, source neurons) → (steps, target neurons).

    Sums of integers below 2^53 are exact in float64, in any order.
    """
    steps = len(spikes)
    sums = np.zeros((steps, math.prod(connection.target_shape)), np.int64)
    arrive = summing(connection)
    visited = connection.taps.source.size * connection.inputs
    chunk = max(1, _CHUNK // max(1, visited))
    for start in range(0, steps - connection.delay, chunk):
        stop = min(start + chunk, steps - connection.delay)
        arrived = arrive(spikes[start:stop].astype(np.float64))
        sums[start + connection.delay : stop + connection.delay] = arrived.reshape(
            stop - start, -1
        )
    return sums


def summing(c: Connection) -> Callable[[FloatArray], FloatArray]:
    """(steps, source neurons) → what arrives, (steps, …) in the targets' order."""
    if isinstance(c, SparseConnection):
        source, target, _ = (index.ravel() for index in c.synapses())
        size = math.prod(c.source_shape), math.prod(c.target_shape)
        weight = c.effective_weight.astype(np.float64)
        matrix = csr_matrix((weight, (source, target)), size)
        return lambda sent: np.asarray(sent @ matrix)
    node = _as_node(c)
    shape = (-1,) if isinstance(node, Dense) else c.source_shape
    return lambda sent: apply(node, sent.reshape(len(sent), *shape))


def _as_node(c: Connection) -> Weighted:
    """The connection as a node of a Graph, its weights the integers added to q."""
    weight = c.effective_weight.astype(np.float64)
    bias = np.zeros(weight.shape[-1])
    if not isinstance(c, WindowConnection):
        return Dense("c", weight=weight, bias=bias)
    kind = Conv2D if isinstance(c, ConvConnection) else ConvTranspose2D
    return kind(
        "c",
        weight=weight,
        bias=bias,
        stride=c.stride,
        padding=c.padding,
        groups=c.groups,
        dilation=c.dilation,
    )
