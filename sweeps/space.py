"""Space: which builds a sweep tries. All of them are options of one build."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

Value = bool | int | float | str
SEARCHES = ("grid", "random", "bayes")
DEFAULT = "default"  # the value that leaves an option out
POINTS = 48  # of a search that is no grid
SAMPLES = 256  # that a point is judged on, at most
DIGITS = 4  # of a number drawn from a range, so that it can be typed again


@dataclass(frozen=True, kw_only=True)
class Range:
    """Numbers from ``low`` to ``high``, any of them."""

    low: float
    high: float
    log: bool = False  # equal ratios are equally likely

    def at(self, share: float) -> float:
        """The number at a share of the way.

        >>> Range(low=100, high=900).at(0.5), Range(low=100, high=900, log=True).at(0.5)
        (500.0, 300.0)
        """
        low, high = self.low, self.high
        way = low * (high / low) ** share if self.log else low + share * (high - low)
        return self.rounded(way)

    def rounded(self, number: float) -> float:
        """The number to ``DIGITS`` digits, and within the range."""
        return min(max(float(f"{number:.{DIGITS}g}"), self.low), self.high)


@dataclass(frozen=True, kw_only=True)
class Space:
    """What a sweep tries, and how it chooses.

    Attributes:
        fixed: option → its value in every point.
        varied: option → its values, or the range that they are drawn from.
        search: of ``SEARCHES``.
        points: how many are tried at most; of a grid all are.
        samples: that a point is judged on, at most.
        seed: of what is drawn.
        objectives: of ``front.OBJECTIVES``, what the front is made by.
    """

    fixed: Mapping[str, Value]
    varied: Mapping[str, tuple[Value, ...] | Range]
    search: str = "grid"
    points: int = POINTS
    samples: int = SAMPLES
    seed: int = 0
    objectives: tuple[str, ...] = ("score", "energy", "latency", "cores")

    @property
    def size(self) -> float:
        """Number of different points; infinite where one is drawn from a range."""
        sizes = (math.inf if isinstance(v, Range) else len(v) for v in self.values)
        return math.prod(sizes)

    @property
    def count(self) -> int:
        """Number of points that are tried."""
        return int(self.size if self.search == "grid" else min(self.points, self.size))

    @property
    def values(self) -> tuple[tuple[Value, ...] | Range, ...]:
        """What each option that varies may be."""
        return tuple(self.varied.values())

    def options(self, chosen: Mapping[str, Value]) -> dict[str, str]:
        """A point's options as one types them; those left out are as a build has them.

        Args:
            chosen: option that varies → its value.
        """
        every = {**self.fixed, **chosen}
        return {name: typed(value) for name, value in every.items() if value != DEFAULT}

    def noted(self) -> dict[str, object]:
        """What makes it this sweep and no other, as JSON; more points are the same."""
        return {
            "fixed": self.options({}),
            "varied": {name: _noted(values) for name, values in self.varied.items()},
            "search": self.search,
            "samples": self.samples,
            "seed": self.seed,
            "objectives": list(self.objectives),
        }


def _noted(values: tuple[Value, ...] | Range) -> object:
    if isinstance(values, Range):
        return {"low": values.low, "high": values.high, "log": values.log}
    return [typed(value) for value in values]


def typed(value: Value) -> str:
    """A value as one types it.

    >>> typed(100.0), typed(0.005), typed("auto"), typed(True)
    ('100', '0.005', 'auto', 'True')
    """
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e15
    return str(int(value) if whole else value)
