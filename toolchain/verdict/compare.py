"""Compare Recordings: integer targets spike for spike, float ones within tolerances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from ..program.host import BoolArray
from ..program.recording import Recording

FLOAT = "float simulation"
EQUALITY, TOLERANCE = "equality", "tolerance"
LEAST_RATE = 1.0  # Hz; the rate tolerance is never a share of less


@dataclass(frozen=True, kw_only=True)
class Tolerances:
    """How far a float simulation may be from the integers.

    On a LocNet of nine populations of LIF neurons, NengoDL, which integrates exactly,
    came to 9 % and 5 % in the worst of 30 comparisons (docs/compare.md).
    """

    rate: float = 0.15  # of the first target's mean rate (or of LEAST_RATE)
    output: float = 0.1  # of the first target's largest |output|


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
class PopulationVerdict:
    """One population of one target, beside the same of the first target."""

    target: str
    population: str
    spikes: int
    differing: int  # places (sample, step, neuron)
    rate: float  # Hz, mean over neurons and samples
    rate_difference: float  # Hz, from the first target's
    held_to: str  # EQUALITY or TOLERANCE
    agrees: bool


@dataclass(frozen=True, kw_only=True)
class OutputVerdict:
    """The outputs of one target, beside those of the first target."""

    target: str
    difference: float  # mean |difference|
    largest: float  # the first target's largest |output|
    held_to: str
    agrees: bool


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a comparison found; the others are held to ``targets[0]``."""

    targets: tuple[str, ...]
    kinds: tuple[str, ...]
    samples: int
    steps: int
    spikes: int  # of targets[0], over all populations
    compared: int  # (population, step, sample, neuron), times the other targets
    tolerances: Tolerances
    populations: tuple[PopulationVerdict, ...]  # target by target, in order of flow
    outputs: tuple[OutputVerdict, ...]  # target by target
    first: Difference | None  # of the targets that are held to equality

    @property
    def agrees(self) -> bool:
        """Whether no spike differs, and every float simulation is within tolerances."""
        return all(x.agrees for x in self.populations) and all(
            x.agrees for x in self.outputs
        )

    def differing(self, target: str) -> int:
        """Places at which a target's spikes differ from the first target's."""
        return sum(x.differing for x in self.populations if x.target == target)


def compare(
    recordings: Sequence[Recording],
    populations: Sequence[str],
    tolerances: Tolerances | None = None,
) -> Verdict:
    """Hold every Recording to the first, over every population, step and sample.

    Two integer targets are held to equality; where one of the two is a float
    simulation, mean rates and outputs are held to the tolerances.

    Args:
        recordings: of the same Program and samples, one of each target.
        populations: names in order of flow, spike inputs included.
        tolerances: for float simulations; the documented ones where None.

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
    tolerances = tolerances or Tolerances()
    differences = [
        first_difference(reference, other, populations)
        for other in others
        if _held_to(reference, other) == EQUALITY
    ]
    places = sum(reference.spikes[name].size for name in populations)
    return Verdict(
        targets=tuple(recording.target for recording in recordings),
        kinds=tuple(recording.kind for recording in recordings),
        samples=reference.samples,
        steps=reference.steps,
        spikes=sum(int(reference.counts[name].sum()) for name in populations),
        compared=places * len(others),
        tolerances=tolerances,
        populations=tuple(
            _population(reference, other, name, tolerances)
            for other in others
            for name in populations
        ),
        outputs=tuple(_output(reference, other, tolerances) for other in others),
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


def _held_to(a: Recording, b: Recording) -> str:
    return TOLERANCE if FLOAT in (a.kind, b.kind) else EQUALITY


def _population(
    a: Recording, b: Recording, name: str, tolerances: Tolerances
) -> PopulationVerdict:
    pairs = zip(a.spikes[name], b.spikes[name])
    differing = sum(int(np.count_nonzero(one != other)) for one, other in pairs)
    rates = [float(r.counts[name].mean() / (r.steps * r.dt)) for r in (a, b)]
    allowed = tolerances.rate * max(rates[0], LEAST_RATE)
    held_to = _held_to(a, b)
    near = abs(rates[1] - rates[0]) <= allowed
    return PopulationVerdict(
        target=b.target,
        population=name,
        spikes=int(b.counts[name].sum()),
        differing=differing,
        rate=rates[1],
        rate_difference=rates[1] - rates[0],
        held_to=held_to,
        agrees=near if held_to == TOLERANCE else differing == 0,
    )


def _output(a: Recording, b: Recording, tolerances: Tolerances) -> OutputVerdict:
    difference = float(np.abs(b.output - a.output).mean())
    largest = float(np.abs(a.output).max())
    held_to = _held_to(a, b)
    allowed = tolerances.output * largest if held_to == TOLERANCE else 0.0
    return OutputVerdict(
        target=b.target,
        difference=difference,
        largest=largest,
        held_to=held_to,
        agrees=difference <= allowed,
    )


def _demand_alike(a: Recording, b: Recording, populations: Sequence[str]) -> None:
    for name in populations:
        shapes = [r.spikes[name].shape if name in r.spikes else None for r in (a, b)]
        if shapes[0] is None or shapes[0] != shapes[1]:
            raise DataError(
                f"compare: spikes of population {name!r} are {shapes[0]} of "
                f"{a.target} and {shapes[1]} of {b.target}; record the spikes of the "
                "same samples and steps"
            )
