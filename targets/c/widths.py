"""Widths: in how many bits each number of a Program is safe, proved by its worst case.

All bounds are of any spikes and, where samples set biases, of any that the core holds;
so that what is computed in fewer bits is what ``program.step`` says in 64.

**Sums.** A weight acts as mantissa · 2^(6 + e). Mantissas are even, and with a negative
e multiples of 2^(1 − e), so that every weight is a multiple of 2^7, and an int8 in
units of its connection's. q, of 22 bits, has 15 or fewer in such units, and wraps
around with them: sums in 16 bits, which wrap around too, are exact whatever arrives.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...toolchain.program import arithmetic as core
from ...toolchain.program.arithmetic import IntArray
from ...toolchain.program.connections import Connection
from ...toolchain.program.program import Population

INT16, UINT16, UINT32 = 1 << 15, 1 << 16, 1 << 32
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
        """A sum of weights is counted in units of 2^``unit``; of no weights, in 2^7."""
        return min((x.shift for x in self.links if x.weighs), default=7)

    @cached_property
    def most_q(self) -> int:
        """Largest |q|."""
        worst = np.zeros(self.population.size, np.int64)
        for link in self.links:
            worst += link.connection.worst_q
        return min(int(worst.max(initial=0)), Q_LIMIT)

    @cached_property
    def _unwrapped_u(self) -> int:
        return -(-self.most_q * ONE // (ONE - self.keep_u))

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
    def has_u(self) -> bool:
        """Whether a current outlasts its step."""
        return bool(self.keep_u and self.most_q)

    @property
    def u_type(self) -> str:
        """Of C."""
        return "int16_t" if self.most_u < INT16 else "int32_t"

    @cached_property
    def grain(self) -> int:
        """v is counted in units of 2^``grain`` where that brings it into 16 bits."""
        p = self.population
        plain = not self.has_u and self.keep_v == ONE and not self.fed
        if not plain or self._type(0) != "int32_t" or self.j_wraps or self.clips_high:
            return 0
        weights = [x.connection.effective_weight for x in self.links]
        common = zeros_of(*weights, p.bias, p.v_min)
        return common if self._type(common) != "int32_t" else 0

    def _type(self, grain: int) -> str:
        low, high = (bound >> grain for bound in self.v_range)
        if low == 0 and high < UINT16:
            return "uint16_t"
        return "int16_t" if -INT16 <= low and high < INT16 else "int32_t"

    @property
    def v_type(self) -> str:
        """Of C."""
        return self._type(self.grain)

    @property
    def u_splits(self) -> bool:
        """Whether |u| · keep needs more than 32 bits at once."""
        return self.most_u * self.keep_u >= UINT32

    @property
    def v_splits(self) -> bool:
        """Whether |v| · keep needs more than 32 bits at once."""
        return max(-self.v_range[0], self.v_range[1]) * self.keep_v >= UINT32
