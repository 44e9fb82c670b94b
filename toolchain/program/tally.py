"""Tally: how often neurons spiked over any number of samples, in the room of a few."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
KEPT = 16  # samples whose counts are kept, neuron by neuron


@dataclass(frozen=True, eq=False, kw_only=True)
class Tally:
    """Spikes of some neurons; whole numbers, so that parts add up to the last bit.

    Attributes:
        sums: spikes of each neuron in all samples, (neurons,).
        most: in one sample at most, (neurons,).
        least: in one sample at least, (neurons,).
        spikes: of all neurons in each sample, (samples,).
        active: updates with a spike, of all neurons and samples.
        first: counts of the first ``KEPT`` samples, (those, neurons).
    """

    sums: Counts
    most: Counts
    least: Counts
    spikes: Counts
    active: int
    first: Counts

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.spikes)

    @property
    def neurons(self) -> int:
        """Number of neurons."""
        return len(self.sums)

    @classmethod
    def of(cls, counts: Counts, steps: int) -> Tally:
        """Of counts (samples, neurons) of so many steps; one sample at least."""
        return cls(
            sums=counts.sum(axis=0),
            most=counts.max(axis=0),
            least=counts.min(axis=0),
            spikes=counts.sum(axis=1),
            active=int(np.minimum(counts, steps).sum()),
            first=counts[:KEPT].copy(),
        )

    def then(self, more: Tally) -> Tally:
        """With the samples that follow."""
        room = KEPT - len(self.first)
        first = np.concatenate([self.first, more.first[:room]]) if room else self.first
        return Tally(
            sums=self.sums + more.sums,
            most=np.maximum(self.most, more.most),
            least=np.minimum(self.least, more.least),
            spikes=np.concatenate([self.spikes, more.spikes]),
            active=self.active + more.active,
            first=first,
        )


def beside(tallies: Sequence[Tally]) -> Tally:
    """Neurons of several populations as one, of the same samples."""
    return Tally(
        sums=np.concatenate([each.sums for each in tallies]),
        most=np.concatenate([each.most for each in tallies]),
        least=np.concatenate([each.least for each in tallies]),
        spikes=_added(each.spikes for each in tallies),
        active=sum(each.active for each in tallies),
        first=np.concatenate([each.first for each in tallies], axis=1),
    )


def _added(spikes: Iterable[Counts]) -> Counts:
    total, *others = spikes
    for each in others:
        total = total + each
    return total
