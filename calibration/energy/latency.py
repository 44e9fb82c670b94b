"""How long an inference takes, and how that is known."""

from __future__ import annotations

from dataclasses import dataclass

from .band import Band, exactly
from .mode import Mode


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Time from a sample to its answer."""

    seconds: Band
    mode: Mode
    source: str


def real_time(dt: float, steps: int) -> Latency:
    """A step on the chip takes dt (s), as it does in the world."""
    return Latency(
        seconds=exactly(dt * steps),
        mode="estimated",
        source=f"assumed real time: {steps} steps of {1e3 * dt:g} ms",
    )
