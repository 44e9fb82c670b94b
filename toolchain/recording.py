"""Recording: what any target hands back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .host import BoolArray
from .nodes import FloatArray


@dataclass(frozen=True, eq=False, kw_only=True)
class Recording:
    """Spikes, counts and outputs of a batch of samples, and how they were obtained."""

    target: str
    kind: str  # "float simulation" | "integer emulation" | "hardware"
    dt: float  # s
    steps: int  # steps per sample
    counts: Mapping[str, npt.NDArray[np.int64]]
    """Spikes per neuron, population (spike inputs too) → (samples, neurons)."""
    spikes: Mapping[str, BoolArray]
    """Population → (samples, steps, neurons); empty where only counts were asked."""
    output: FloatArray  # (samples, …)
    wall_time: float  # s, of the run on the target

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.output)
