"""Widths: in how many bits each number of a Program is safe, proved by its worst case.

All bounds are of any spikes and, where samples set biases, of any that the core holds;
so that what is computed in fewer bits is what ``program.step`` says in 64.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...toolchain.program import arithmetic as core
from ...toolchain.program.arithmetic import IntArray
from ...toolchain.program.connections import Connection
from ...toolchain.program.program import Population

INT16, UINT32 = 1 << 15, 1 << 32
Q_LIMIT, U_LIMIT = 1 << core.Q_BITS, 1 << core.U_BITS
ONE = 4096  # of a decay's factor


def zeros_of(*arrays: IntArray | int) -> int:
    """Lowest bit that any of the numbers has; 0 where all are 0.

    >>> zeros_of(np.array([24, -8]), 16)
    3
    """
    bits = 0
    for array in arrays:
        bits |= int(np.bitwise_or.reduce(np.abs(np.asarray(array, np.int64)).ravel()))
    return (bits & -bits).bit_length() - 1 if bits else 0


@dataclass(frozen=True, eq=False)
class Link:
    """A connection, whose weights are ``table`` · 2^``shift``, table in 8 bits."""

    connection: Connection

    @cached_property
    def shift(self) -> int:
        """What all weights have as a factor, as an exponent of 2."""
        return zeros_of(self.connection.effective_weight)

    @cached_property
    def table(self) -> IntArray:
        """(as ``Connection.weight``) int8."""
        found: IntArray = (self.connection.effective_weight >> self.shift).astype("i1")
        return found

    @property
    def weighs(self) -> bool:
        """Whether any weight is not 0."""
        return bool(self.table.any())


@dataclass(frozen=True, eq=False)
class Layer:
    """A population, its incoming links, and the least widths for both.

    Attributes:
        fed: whether each sample sets its biases.
    """

    population: Population
    links: tuple[Link, ...]
    fed: bool

    @property
    def keep_u(self) -> int:
        """Of 4096; 0: the current is what arrives, and no state."""
        return 4095 - self.population.decay_u

    @property
    def keep_v(self) -> int:
        """Of 4096."""
        return ONE - self.population.decay_v

    @cached_property
    def unit(self) -> int:
        """A sum of weights is counted in units of 2^``unit``."""
        return min((x.shift for x in self.links if x.weighs), default=0)

    @cached_property
    def most_sum(self) -> int:
        """Largest |q| before it wraps."""
        worst = np.zeros(self.population.size, np.int64)
        for link in self.links:
            worst += link.connection.worst_q
        return int(worst.max(initial=0))

    @property
    def sum_bits(self) -> int:
        """16, or 32, of a sum of weights; 64: it wraps around even there."""
        most = self.most_sum >> self.unit
        return 16 if most < INT16 else 32 if most < UINT32 // 2 else 64

    @property
    def sum_wraps(self) -> bool:
        """Whether q can wrap around."""
        return self.most_sum >= Q_LIMIT

    @cached_property
    def _unwrapped_u(self) -> int:
        q = min(self.most_sum, Q_LIMIT)
        return -(-q * ONE // (ONE - self.keep_u)) if self.keep_u else q

    @property
    def u_wraps(self) -> bool:
        """Whether u can wrap around."""
        return self._unwrapped_u >= U_LIMIT

    @property
    def most_u(self) -> int:
        """Largest |u|."""
        return min(self._unwrapped_u, U_LIMIT)

    @cached_property
    def most_bias(self) -> int:
        """Largest |bias|."""
        if self.fed:
            return core.MAX_BIAS
        return int(np.abs(self.population.bias.astype(np.int64)).max(initial=0))

    @property
    def j_wraps(self) -> bool:
        """Whether u + bias can wrap around."""
        return self.most_u + self.most_bias >= U_LIMIT

    @property
    def most_j(self) -> int:
        """Largest |u + bias|."""
        return min(self.most_u + self.most_bias, U_LIMIT)

    @property
    def _unclipped_v(self) -> int | None:
        """Largest |v| without clipping; None: there is none, nothing decays."""
        lost = ONE - self.keep_v
        return -(-self.most_j * ONE // lost) if lost else None

    @property
    def clips_low(self) -> bool:
        """Whether v can come to v_min."""
        least = self._unclipped_v
        return least is None or -least < self.population.v_min

    @property
    def clips_high(self) -> bool:
        """Whether v_max changes anything: not where it is a spike in any case."""
        return self.population.v_max <= int(np.max(self.population.threshold))

    @cached_property
    def v_range(self) -> tuple[int, int]:
        """Least and largest v between steps."""
        p, most = self.population, self._unclipped_v
        low, high = p.v_min, min(int(np.max(p.threshold)), p.v_max)
        if most is not None:
            low, high = max(low, -most), min(high, most)
        return low, high

    @property
    def u_bits(self) -> int:
        """16 or 32; 0: there is no u."""
        return 0 if not self.keep_u else 16 if self.most_u < INT16 else 32

    @cached_property
    def grain(self) -> int:
        """v is counted in units of 2^``grain`` where that brings it into 16 bits."""
        p = self.population
        plain = not self.keep_u and self.keep_v == ONE and not self.fed
        if not plain or self._fits(0):
            return 0
        if self.sum_wraps or self.j_wraps or self.clips_high:
            return 0
        weights = [x.connection.effective_weight for x in self.links]
        common = zeros_of(*weights, p.bias, p.v_min)
        return common if self._fits(common) else 0

    def _fits(self, grain: int) -> bool:
        low, high = self.v_range
        return -INT16 <= low >> grain and high >> grain < INT16

    @property
    def v_bits(self) -> int:
        """16 or 32."""
        return 16 if self._fits(self.grain) else 32

    @property
    def u_splits(self) -> bool:
        """Whether |u| · keep needs more than 32 bits at once."""
        return self.most_u * self.keep_u >= UINT32

    @property
    def v_splits(self) -> bool:
        """Whether |v| · keep needs more than 32 bits at once."""
        return max(-self.v_range[0], self.v_range[1]) * self.keep_v >= UINT32
