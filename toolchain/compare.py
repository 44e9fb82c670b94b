"""Compare Recordings spike for spike; the verdict names the first that differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .errors import DataError
from .host import BoolArray
from .recording import Recording


@dataclass(frozen=True)
class Difference:
    """One place where one of two Recordings has a spike and the other has none."""

    spiking: str  # target that has the spike
    silent: str  # target that has none
    population: str
    step: int
    sample: int
    neuron: int

    def __str__(self) -> str:
        return (
            f"population {self.population!r}, step {self.step}, sample {self.sample}, "
            f"neuron {self.neuron}: {self.spiking} spikes, {self.silent} does not"
        )


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a comparison found; the others are held to ``targets[0]``."""

    targets: tuple[str, ...]
    samples: int
    steps: int
    spikes: int  # of targets[0], over all populations
    compared: int  # (population, step, sample, neuron), times the other targets
    differing: Mapping[str, Mapping[str, int]]
    """Other target → population → places (step, sample, neuron) that differ."""
    first: Difference | None

    @property
    def equal(self) -> bool:
        """Whether not one spike differs."""
        return self.first is None


def compare(recordings: Sequence[Recording], populations: Sequence[str]) -> Verdict:
    """Hold every Recording to the first, over every population, step and sample.

    Args:
        recordings: of the same Program and samples, one of each target.
        populations: names in order of flow, spike inputs included.

    Raises:
        DataError: there are fewer than two Recordings, or they do not go together.
    """
    if len(recordings) < 2:
        raise DataError(
            f"compare: it needs two targets and has {len(recordings)}; name another"
        )
    reference, *others = recordings
    for other in others:
        _demand_alike(reference, other, populations)
    differences = [first_difference(reference, other, populations) for other in others]
    places = sum(reference.spikes[name].size for name in populations)
    return Verdict(
        targets=tuple(recording.target for recording in recordings),
        samples=reference.samples,
        steps=reference.steps,
        spikes=sum(int(reference.spikes[name].sum()) for name in populations),
        compared=places * len(others),
        differing={
            other.target: {name: _count(reference, other, name) for name in populations}
            for other in others
        },
        first=min(
            (found for found in differences if found is not None),
            key=lambda found: _order(found, populations),
            default=None,
        ),
    )


def first_difference(
    a: Recording, b: Recording, populations: Sequence[str]
) -> Difference | None:
    """The earliest step that differs; in it the first population, sample, neuron.

    Args:
        a: one Recording, b: another of the same Program and samples.
        populations: names in order of flow.
    """
    found = []
    for name in populations:
        pairs = zip(a.spikes[name], b.spikes[name])
        for sample, (one, other) in enumerate(pairs):  # (steps, neurons) at a time
            place = _first(one, other)
            if place is not None:
                targets = (a.target, b.target) if one[place] else (b.target, a.target)
                step, neuron = place
                found.append(Difference(*targets, name, step, sample, neuron))
    return min(found, key=lambda place: _order(place, populations), default=None)


def _order(found: Difference, populations: Sequence[str]) -> tuple[int, ...]:
    return found.step, populations.index(found.population), found.sample, found.neuron


def _first(one: BoolArray, other: BoolArray) -> tuple[int, int] | None:
    """Step and neuron of the first difference of (steps, neurons)."""
    differs = one != other
    step, neuron = divmod(int(differs.argmax()), one.shape[1])
    return (step, neuron) if differs[step, neuron] else None


def _count(a: Recording, b: Recording, name: str) -> int:
    pairs = zip(a.spikes[name], b.spikes[name])
    return sum(int(np.count_nonzero(one != other)) for one, other in pairs)


def _demand_alike(a: Recording, b: Recording, populations: Sequence[str]) -> None:
    for name in populations:
        shapes = [r.spikes[name].shape if name in r.spikes else None for r in (a, b)]
        if shapes[0] is None or shapes[0] != shapes[1]:
            raise DataError(
                f"compare: spikes of population {name!r} are {shapes[0]} of "
                f"{a.target} and {shapes[1]} of {b.target}; record the spikes of the "
                "same samples and steps"
            )
