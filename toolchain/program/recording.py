"""Recording: what any target hands back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from ..graph.nodes import FloatArray
from .host import BoolArray
from .tally import Counts, Tally


@dataclass(frozen=True, eq=False, kw_only=True)
class Recording:
    """Spikes, counts and outputs of a batch of samples, and how they were obtained."""

    target: str
    kind: str  # "float simulation" | "integer emulation" | "hardware"
    dt: float  # s
    steps: int  # steps per sample
    counts: Mapping[str, Counts]
    """Spikes per neuron, population (spike inputs too) → (samples, neurons); empty
    where only tallies were asked."""
    spikes: Mapping[str, BoolArray]
    """Population → (samples, steps, neurons); empty where only counts were asked.

    bool; of a float simulation they may be spikes per step, uint8.
    """
    output: FloatArray  # (samples, …)
    wall_time: float  # s, of the run on the target
    tallies: Mapping[str, Tally] = field(default_factory=dict)
    """Of each population, where only these were asked."""

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.output)

    def tally(self, name: str) -> Tally:
        """How often a population's neurons spiked, however that was recorded."""
        if name in self.tallies:
            return self.tallies[name]
        return Tally.of(self.counts[name], self.steps)

    def tallied(self) -> Recording:
        """With tallies, and without what takes room for every sample."""
        tallies = {name: self.tally(name) for name in self.counts}
        return replace(self, counts={}, spikes={}, tallies=tallies)


def counted(spikes: npt.NDArray[np.bool_ | np.uint8]) -> Counts:
    """Spikes of each neuron: (samples, steps, neurons) → (samples, neurons)."""
    if spikes.dtype == np.bool_ and spikes.shape[1] < 256:  # a byte holds the sum
        narrow = spikes.view(np.uint8).sum(axis=1, dtype=np.uint8)
        counts: Counts = narrow.astype(np.int64)
        return counts
    wide: Counts = spikes.sum(axis=1, dtype=np.int64)
    return wide


def join(parts: Iterable[Recording]) -> Recording:
    """One Recording of several that follow each other; outputs, and counts or tallies.

    Args:
        parts: of one target and Program, with the same steps; tallies are added up as
            they come.
    """
    outputs, counts, wall_time = [], [], 0.0
    tallies: dict[str, Tally] = {}
    for part in parts:
        outputs.append(part.output)
        counts.append(part.counts)
        wall_time += part.wall_time
        for name, tally in part.tallies.items():
            tallies[name] = tallies[name].then(tally) if name in tallies else tally
    return replace(
        part,
        counts={
            name: np.concatenate([each[name] for each in counts]) for name in counts[0]
        },
        spikes={},
        output=np.concatenate(outputs),
        wall_time=wall_time,
        tallies=tallies,
    )
