"""A figure with its band, and a published constant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

UNITS = {
    **{"pJ": ("energy", 1e-12), "nJ": ("energy", 1e-9), "uJ": ("energy", 1e-6)},
    **{"mJ": ("energy", 1e-3), "J": ("energy", 1.0)},
    **{"uW": ("power", 1e-6), "mW": ("power", 1e-3), "W": ("power", 1.0)},
    **{"ns": ("time", 1e-9), "us": ("time", 1e-6), "ms": ("time", 1e-3)},
}
"""Unit of a constant → what it is of, and how many J, W or s it is."""


@dataclass(frozen=True, kw_only=True)
class Band:
    """A figure that is known to lie in a range: J, W or s."""

    value: float
    low: float
    high: float

    def __add__(self, other: Band) -> Band:
        return Band(
            value=self.value + other.value,
            low=self.low + other.low,
            high=self.high + other.high,
        )

    def times(self, other: Band) -> Band:
        """The product; both are 0 or more."""
        return Band(
            value=self.value * other.value,
            low=self.low * other.low,
            high=self.high * other.high,
        )


def exactly(value: float) -> Band:
    """A figure without doubt, such as a count."""
    return Band(value=value, low=value, high=value)


def total(bands: Iterable[Band | None]) -> Band | None:
    """The sum of those there are; None where there is none."""
    known = [band for band in bands if band is not None]
    return sum(known, exactly(0.0)) if known else None


@dataclass(frozen=True, kw_only=True)
class Constant:
    """Energy or time of one event, or power of one chip, and how it is known."""

    value: float
    low: float
    high: float
    unit: str  # one of UNITS
    tag: str  # one of profile.TAGS
    basis: str  # "incremental", or "average" of an operating point
    source: str
    date: str = ""  # of the publication, "2018" or "2018-01"

    @property
    def band(self) -> Band:
        """In J, W or s."""
        _, scale = UNITS[self.unit]
        return Band(
            value=self.value * scale, low=self.low * scale, high=self.high * scale
        )

    def times(self, events: float | None) -> Band | None:
        """Of so many events; None where their number is not known."""
        return None if events is None else self.band.times(exactly(events))

    def __str__(self) -> str:
        """As a report prints it: 23.6 pJ [23.6–35.5, SIM]."""
        return f"{self.value:g} {self.unit} [{self.low:g}–{self.high:g}, {self.tag}]"
