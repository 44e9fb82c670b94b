"""Overflow: what a run's spikes do to the 21 and 23 bits of a core's sums."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..toolchain.errors import DataError, DoesNotFit
from ..toolchain.graph.nodes import Array, Conv2D, ConvTranspose2D, Dense, FloatArray
from ..toolchain.graph.operations import apply
from ..toolchain.passes.legalize.compose import Weighted
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
THREADS = 2  # layers whose sums are worked out at a time
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
    receiving = [p for p in program.populations if program.incoming(p.name)]
    with ThreadPoolExecutor(THREADS) as pool:  # NumPy leaves Python's lock meanwhile
        found = pool.map(lambda p: _overflow(program, p, recording), receiving)
        return tuple(found)


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
    at_once = max(1, _CHUNK // (recording.steps * population.size))
    for start in range(0, recording.samples, at_once):
        chosen = slice(start, start + at_once)
        arrive = (
            synaptic_sums(c, recording.spikes[c.source][chosen]) for c in incoming
        )
        q = sum(arrive, next(arrive))
        held = q if _fits(q, core.Q_BITS) else core.wrap(q, core.Q_BITS)
        peak, wrapped = _currents(population, held)
        peak_q, peak_u = max(peak_q, _largest(q)), max(peak_u, peak)
        overflows |= wrapped or held is not q
    return Overflow(
        population=population.name,
        peak_q=peak_q,
        bound_q=int(worst.max()),
        peak_u=peak_u,
        bound_u=math.ceil(bound_u.max()),
        overflows=overflows,
    )


def _currents(population: Population, q: IntArray) -> tuple[int, bool]:
    """Largest |u| or |u + bias| that q leads to; whether one wrapped.

    The bias is the population's own, 0 where the host sets it.

    Args:
        population: whose.
        q: (samples, steps, neurons), within its bits.
    """
    bias, keep = population.bias.astype(np.int64), 4095 - population.decay_u
    if keep == 0:  # u is q, which is narrower
        sums = np.stack([q.min(axis=(0, 1)), q.max(axis=(0, 1))])
        added = sums + bias
        return max(_largest(sums), _largest(added)), not _fits(added, core.U_BITS)
    u = np.zeros((len(q), population.size))
    peak, wrapped = 0, False
    for arriving in q.swapaxes(0, 1):
        # as core.decay; products are below 2^36 and exact in float64
        wide = np.trunc(u * (keep / 4096)) + arriving
        u = wide if _fits(wide, core.U_BITS) else core.wrap(wide, core.U_BITS)
        added = u + bias if bias.any() else u
        peak = max(peak, _largest(wide), _largest(added))
        wrapped |= u is not wide or not _fits(added, core.U_BITS)
    return peak, wrapped


def _largest(x: IntArray) -> int:
    """The largest |x|."""
    return int(max(-x.min(), x.max()))


def _fits(x: IntArray, bits: int) -> bool:
    """Whether no x would wrap around."""
    return bool(-(1 << bits) <= x.min() and x.max() < 1 << bits)


def synaptic_sums(connection: Connection, spikes: BoolArray) -> IntArray:
    """What arrives in each step: (…, steps, source neurons) → (…, target neurons).

    Sums of integers below 2^53 are exact in float64, in any order, and those below 2^24
    in float32.
    """
    steps, size = spikes.shape[-2], math.prod(connection.target_shape)
    waiting = min(connection.delay, steps)
    sent = spikes[..., : steps - waiting, :]
    rows = sent.reshape(-1, spikes.shape[-1])
    narrow = connection.worst_q.max(initial=0) < 1 << 24
    arrive = summing(connection, np.float32 if narrow else np.float64)
    arrived = np.empty((len(rows), size), np.int32 if narrow else np.int64)
    visited = connection.taps.source.size * connection.inputs
    at_once = max(1, _CHUNK // max(1, visited))
    for start in range(0, len(rows), at_once):
        part = arrive(rows[start : start + at_once])
        arrived[start : start + at_once] = part.reshape(-1, size)
    sums = np.zeros((*spikes.shape[:-1], size), np.int64)
    sums[..., waiting:, :] = arrived.reshape(*sent.shape[:-1], size)
    return sums


def summing(
    c: Connection, kind: type[np.floating[Any]] = np.float64
) -> Callable[[Array], FloatArray]:
    """(steps, source neurons) → what arrives, (steps, …) in the targets' order.

    Args:
        c: the connection.
        kind: of numbers to add up with.
    """
    if isinstance(c, SparseConnection):
        from scipy.sparse import csr_matrix

        source, target, _ = (index.ravel() for index in c.synapses())
        size = math.prod(c.source_shape), math.prod(c.target_shape)
        weight = c.effective_weight.astype(kind)
        matrix = csr_matrix((weight, (source, target)), size)
        return lambda sent: np.asarray(sent.astype(kind) @ matrix)
    node = _as_node(c, kind)
    shape = (-1,) if isinstance(node, Dense) else c.source_shape
    return lambda sent: apply(node, sent.astype(kind).reshape(len(sent), *shape))


def _as_node(c: Connection, kind: type[np.floating[Any]]) -> Weighted:
    """The connection as a node of a Graph, its weights the integers added to q."""
    weight = c.effective_weight.astype(kind)
    bias = np.zeros(weight.shape[-1], kind)
    if not isinstance(c, WindowConnection):
        return Dense("c", weight=weight, bias=bias)
    node = Conv2D if isinstance(c, ConvConnection) else ConvTranspose2D
    return node(
        "c",
        weight=weight,
        bias=bias,
        stride=c.stride,
        padding=c.padding,
        groups=c.groups,
        dilation=c.dilation,
    )
