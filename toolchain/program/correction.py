"""Correction: what a population's neurons are driven with on the core, and why else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..graph.nodes import FloatArray


@dataclass(frozen=True, eq=False, kw_only=True)
class Correction:
    """J′ = gain · J + offset, with which the core's neurons fire at the float rates.

    The core looks at its threshold once a step and resets to 0, so that they would be
    too slow without (``calibration.conversion``). A float simulation, whose neurons
    lose nothing, is run without it.
    """

    gain: FloatArray  # (channels,), above 0
    offset: FloatArray  # (channels,), in units of J
    min_potential: float  # of the threshold, 0 or less

    def applied(self, current: FloatArray) -> FloatArray:
        """J′ of currents J (…, neurons), channels last."""
        gain, offset = across(self.gain, current), across(self.offset, current)
        return gain * current + offset

    def removed(self, current: FloatArray) -> FloatArray:
        """The J of currents J′ (…, neurons)."""
        gain, offset = across(self.gain, current), across(self.offset, current)
        j: FloatArray = (current - offset) / gain
        return j


def across(channels: FloatArray, values: FloatArray) -> FloatArray:
    """One number a channel → one for each on the last axis of ``values``."""
    return np.resize(channels, values.shape[-1])
