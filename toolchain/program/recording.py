"""Recording: what any target hands back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..graph.nodes import FloatArray
from .host import BoolArray


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
    """Population → (samples, steps, neurons); empty where only counts were asked.

    bool; of a float simulation they may be spikes per step, uint8.
    """
    output: FloatArray  # (samples, …)
    wall_time: float  # s, of the run on the target

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.output)


def join(parts: Sequence[Recording]) -> Recording:
    """One Recording of several that follow each other; counts and outputs, no spikes.

    Args:
        parts: of one target and Program, with the same steps.
    """
    first = parts[0]
    return replace(
        first,
        counts={
            name: np.concatenate([part.counts[name] for part in parts])
            for name in first.counts
        },
        spikes={},
        output=np.concatenate([part.output for part in parts]),
        wall_time=sum(part.wall_time for part in parts),
    )
