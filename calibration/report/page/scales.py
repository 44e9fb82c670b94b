"""Scale: numbers to places along an axis, and the axis's ticks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..numbers import energy, shorten
from .fields import value_of

TICKS = 5  # about so many on an axis
STEPS = (1, 2, 5, 10)


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    at: float
    label: str


@dataclass(frozen=True)
class Scale:
    """A linear axis, or a logarithmic one.

    Attributes:
        low: value at ``start``.
        high: value at ``end``.
        start: place, in units of the picture.
        end: likewise.
        log: logarithmic; both values are above 0 then.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: Any) -> float:
        """The place of a number, or of a Field that holds one.

        >>> Scale(0, 10, 100, 200)(5), Scale(1, 100, 0, 10, log=True)(10)
        (150.0, 5.0)
        """
        low, high, x = self.low, self.high, float(value_of(value))
        if self.log:
            low, high, x = math.log(low), math.log(high), math.log(max(x, self.low))
        share = (x - low) / (high - low) if high > low else 0.0
        return round(self.start + share * (self.end - self.start), 2)

    def length(self, value: Any) -> float:
        """How long a bar from the axis's start is."""
        return round(abs(self(value) - self.start), 2)

    @property
    def ticks(self) -> list[Tick]:
        """At numbers that are easily read.

        >>> [tick.label for tick in Scale(0, 34, 0, 1).ticks]
        ['0', '10', '20', '30']
        >>> [tick.label for tick in Scale(0.21, 0.8, 0, 1).ticks]
        ['0.4', '0.6', '0.8']
        >>> [tick.label for tick in Scale(5e-7, 2e-4, 0, 1, log=True).ticks]
        ['1 µJ', '10 µJ', '100 µJ']
        """
        if self.log:
            powers = range(
                math.ceil(math.log10(self.low) - 1e-9),
                math.floor(math.log10(self.high) + 1e-9) + 1,
            )
            every = max(1, len(powers) // TICKS)
            return [Tick(self(10.0**p), _joules(10.0**p)) for p in powers[::every]]
        step = _step((self.high - self.low) / TICKS)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [
            Tick(self(i * step), _label(i * step, step)) for i in range(first, last + 1)
        ]


def _step(least: float) -> float:
    if least <= 0:
        return 1.0
    size = 10.0 ** math.floor(math.log10(least))
    return size * next(s for s in STEPS if s * size >= least * (1 - 1e-9))


def _label(value: float, step: float) -> str:
    if abs(value) >= 1000:
        return shorten(value).replace(".00", "")
    return f"{value:.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"


def _joules(value: float) -> str:
    return energy(value * (1 + 1e-9)).replace(".00", "").replace(".0 ", " ")
