"""Likeness: how far what was found is from what was wanted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...toolchain.graph.nodes import FloatArray

MOST_DB = 120.0  # dB, of what is exact; likewise below 0


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """Of found values with wanted ones, over samples and neurons."""

    correlation: float
    """0 where one of them is the same everywhere."""
    error: float
    """Σ (found − wanted)² / Σ wanted²."""


def likeness(found: FloatArray, wanted: FloatArray) -> Likeness:
    """Of arrays of one shape.

    >>> likeness(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))
    Likeness(correlation=1.0, error=0.25)
    """
    x, y = (a.ravel() - a.mean() for a in (found, wanted))
    spread = math.sqrt(float(x @ x) * float(y @ y))
    related = round(float(x @ y) / spread, 12) if spread else 0.0
    return Likeness(correlation=related, error=_ratio(found, wanted))


def decibels(found: FloatArray, wanted: FloatArray) -> float:
    """Signal-to-noise ratio, 10 · log10(Σ wanted² / Σ (found − wanted)²).

    >>> round(decibels(np.array([1.0, 0.9]), np.array([1.0, 1.0])), 1)
    23.0
    """
    ratio = _ratio(found, wanted)
    if ratio <= 0:
        return MOST_DB
    return float(np.clip(-10 * math.log10(ratio), -MOST_DB, MOST_DB))


def _ratio(found: FloatArray, wanted: FloatArray) -> float:
    power = float(np.square(wanted).sum())
    return float(np.square(found - wanted).sum()) / (power or 1.0)
