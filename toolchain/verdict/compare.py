"""Compare Recordings: integer targets spike for spike, float ones by their neurons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from ..program.host import BoolArray
from ..program.recording import Recording
from .expected import Expected

FLOAT = "float simulation"
EQUALITY, TOLERANCE = "equality", "tolerance"
LEAST_RATE = 1.0  # Hz; the rate tolerance is never a share of less
STRAY, FEW = 0.002, 2  # share of a population's spikes that float32 moves, or spikes


@dataclass(frozen=True, kw_only=True)
class Tolerances:
    """How far a float simulation may be from the integers; None: as neurons make it.

    Rates: a population of a float simulation must fire as its neurons' equations say,
    on the spikes that it was sent (``expected``).

    Outputs: the share of the largest one is that of ``_output_tolerance``.
    """

    rate: float | None = None  # of the first target's mean rate (or of LEAST_RATE)
    output: float | None = None  # of the first target's largest |output|


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
    stray: float | None  # spikes of a float simulation beyond what its neurons allow
    held_to: str  # EQUALITY or TOLERANCE
    agrees: bool


@dataclass(frozen=True, kw_only=True)
class OutputVerdict:
    """The outputs of one target, beside those of the first target."""

    target: str
    difference: float  # mean |difference|
    largest: float  # the first target's largest |output|
    tolerance: float  # share of ``largest`` that the difference may be
    samples: int
    same_class: int | None  # of the samples, whose class is the same; None: no classes
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
    expected: Mapping[str, Expected] | None = None,
    *,
    classes: bool = False,
) -> Verdict:
    """Hold every Recording to the first, over every population, step and sample.

    Two integer targets are held to equality. Where one of the two is a float
    simulation, rates and outputs are held to the tolerances; answers that are classes
    agree as well where every sample is given the same class.

    Args:
        recordings: of the same Program and samples, one of each target.
        populations: names in order of flow, spike inputs included.
        tolerances: for float simulations; those of their neurons where None.
        expected: float simulation → how often its neurons must fire; needed where no
            tolerance of the rates is given.
        classes: whether the outputs say which class a sample is of.

    Raises:
        DataError: there are fewer than two Recordings, they do not go together, or it
            is not known how often neurons of a float simulation must fire.
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
            _population(reference, other, name, tolerances, expected or {})
            for other in others
            for name in populations
        ),
        outputs=tuple(
            _output(reference, other, populations, tolerances, classes)
            for other in others
        ),
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
    a: Recording,
    b: Recording,
    name: str,
    tolerances: Tolerances,
    expected: Mapping[str, Expected],
) -> PopulationVerdict:
    pairs = zip(a.spikes[name], b.spikes[name])
    differing = sum(int(np.count_nonzero(one != other)) for one, other in pairs)
    rates = [float(r.counts[name].mean() / (r.steps * r.dt)) for r in (a, b)]
    held_to, stray = _held_to(a, b), None
    agrees = differing == 0
    if held_to == TOLERANCE and tolerances.rate is not None:
        allowed = tolerances.rate * max(rates[0], LEAST_RATE)
        agrees = abs(rates[1] - rates[0]) <= allowed
    elif held_to == TOLERANCE:
        simulated = [r for r in (a, b) if r.kind == FLOAT]
        stray = sum(_stray(r, name, expected) for r in simulated)
        spikes = sum(int(r.counts[name].sum()) for r in simulated)
        agrees = stray <= max(STRAY * spikes, FEW)
    return PopulationVerdict(
        target=b.target,
        population=name,
        spikes=int(b.counts[name].sum()),
        differing=differing,
        rate=rates[1],
        rate_difference=rates[1] - rates[0],
        stray=stray,
        held_to=held_to,
        agrees=bool(agrees),
    )


def _stray(simulated: Recording, name: str, expected: Mapping[str, Expected]) -> float:
    """Spikes that neurons have more or fewer than they can by their equations."""
    if simulated.target not in expected:
        raise DataError(
            f"compare: it is not known how often neurons of {simulated.target!r} must "
            "fire; say how far rates may differ with --rate-tolerance"
        )
    range_, counts = expected[simulated.target], simulated.counts[name]
    beyond = np.maximum(range_.fewest[name] - counts, counts - range_.most[name])
    return round(float(np.maximum(beyond, 0).sum()), 6)


def _output(
    a: Recording,
    b: Recording,
    populations: Sequence[str],
    tolerances: Tolerances,
    classes: bool,
) -> OutputVerdict:
    difference = float(np.abs(b.output - a.output).mean())
    largest = float(np.abs(a.output).max())
    held_to, share, same = _held_to(a, b), 0.0, None
    if held_to == TOLERANCE:
        given = tolerances.output
        share = _output_tolerance(a, b, populations) if given is None else given
        if classes:
            chosen = (r.output.reshape(r.samples, -1).argmax(axis=1) for r in (a, b))
            same = int(np.equal(*chosen).sum())
    return OutputVerdict(
        target=b.target,
        difference=difference,
        largest=largest,
        tolerance=share,
        samples=a.samples,
        same_class=same,
        held_to=held_to,
        agrees=bool(difference <= share * largest or same == a.samples),
    )


def _output_tolerance(a: Recording, b: Recording, populations: Sequence[str]) -> float:
    """Share of the outputs by which neurons of two kinds may move them, at most 1.

    Σ x / (1 + x) over the populations + 1 / (c · √N) of the last one.

    A core's neuron fires in whole steps: of an interval of 1 / x steps it loses up to
    one, 1 / (1 / x + 1) of its rate, and what the populations lose one after the other
    adds up. x is the rate, in spikes a step, at which an average spike is fired,
    Σ count² / (Σ count · steps), of the faster of the two. And the last population's
    N neurons of c spikes each may all have one more or fewer in what is read, each by
    itself.
    """
    lost = 0.0
    for name in populations:
        counts = [r.counts[name].astype(np.float64) for r in (a, b)]
        x = max((c**2).sum() / max(c.sum() * a.steps, 1.0) for c in counts)
        lost += x / (1 + x)
    last = a.counts[populations[-1]]
    spikes = float(last.mean()) * math.sqrt(last.shape[1])
    return min(lost + 1 / spikes, 1.0) if spikes else 1.0


def _demand_alike(a: Recording, b: Recording, populations: Sequence[str]) -> None:
    for name in populations:
        shapes = [r.spikes[name].shape if name in r.spikes else None for r in (a, b)]
        if shapes[0] is None or shapes[0] != shapes[1]:
            raise DataError(
                f"compare: spikes of population {name!r} are {shapes[0]} of "
                f"{a.target} and {shapes[1]} of {b.target}; record the spikes of the "
                "same samples and steps"
            )
