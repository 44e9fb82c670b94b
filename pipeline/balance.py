"""Pass ``balance``: rectified linear populations fire at up to ``max_rate``."""

from __future__ import annotations

from dataclasses import replace

from ..calibration.balance import balance
from .compilation import Compilation


def run(now: Compilation) -> Compilation:
    """Reads the samples, ``dt`` and ``max_rate``; leaves a spiking network as it is."""
    if now.graph.is_spiking:
        return now
    dt, max_rate = now.settings.dt, now.settings.max_rate
    return replace(now, graph=balance(now.graph, now.still, dt=dt, max_rate=max_rate))
