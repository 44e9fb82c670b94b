"""Pass ``equalize``: the channels of a population fire at rates of like size."""

from __future__ import annotations

from dataclasses import replace

from ..calibration.equalize import equalize
from .compilation import Compilation


def run(now: Compilation) -> Compilation:
    """Reads the samples; does nothing where nothing is calibrated, or spikes as is."""
    if now.settings.calibrate == "none" or now.graph.is_spiking:
        return now
    return replace(now, graph=equalize(now.graph, now.still))
