"""Curve: score and spikes against steps, and where an early exit pays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ....toolchain.graph.nodes import FloatArray
from ....toolchain.program.host import BoolArray, Decoder, decode
from ....toolchain.program.recording import Recording

POINTS = 24
LOST = 0.01  # of the last step's score that an early exit may cost
SAVED = 0.1  # of the spikes, that it must save
LIKENESS = "agreement with the last step's answers"


@dataclass(frozen=True)
class Judge:
    """How the answers to a recording's samples are scored.

    Attributes:
        metric: its name, as in the report's scores.
        better: 1 where more is better, −1 where less is.
        of: answers (samples, …) → score.
    """

    metric: str
    better: int
    of: Callable[[FloatArray], float]


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """What the network answers after so many steps, and its spikes until then."""

    steps: int
    score: float
    spikes: float  # per inference


@dataclass(frozen=True, kw_only=True)
class Curve:
    """An anytime curve: the same run, read after fewer steps.

    The decoder's window ends earlier and begins where it does; so there is no point
    before the steps that it leaves out at the start.

    Attributes:
        metric: that ``score`` is of; ``LIKENESS`` where the samples have no labels:
            1 − mean squared difference from the last step's answers, of their variance.
        better: 1 where a larger score is better, −1 where a smaller one is.
        samples: that it is taken from.
        points: with growing steps; the last is the whole run.
        tolerance: share of the last point's score that an exit may cost.
        saving: share of the spikes that it must save, to pay.
        exit: index of the first point from which on no score is worse than that; None:
            none that saves so much.
    """

    metric: str
    better: int
    samples: int
    points: tuple[CurvePoint, ...]
    tolerance: float
    saving: float
    exit: int | None = None


def curve(recording: Recording, decoder: Decoder, judge: Judge | None) -> Curve | None:
    """The curve of a run.

    Args:
        recording: of some samples, with spikes.
        decoder: that read its answers.
        judge: of these samples' answers; None: they have no labels.

    Returns:
        None where the recording has only counts, or the decoder reads one step alone.
    """
    first = round(decoder.settle / recording.dt) + 1
    if not recording.spikes or first >= recording.steps:
        return None
    judge = judge or _likeness(recording.output)
    spent = np.sum([_spent(spikes) for spikes in recording.spikes.values()], axis=0)
    points = []
    for steps in np.unique(np.linspace(first, recording.steps, POINTS).astype(int)):
        cut = {name: recording.spikes[name][:, :steps] for name, _ in decoder.reads}
        score = judge.of(decode(decoder, cut, recording.dt))
        if np.isfinite(score):
            points.append(
                CurvePoint(
                    steps=int(steps),
                    score=float(score),
                    spikes=float(spent[steps - 1] / recording.samples),
                )
            )
    if len(points) < 2:
        return None
    return Curve(
        metric=judge.metric,
        better=judge.better,
        samples=recording.samples,
        points=tuple(points),
        tolerance=LOST,
        saving=SAVED,
        exit=early_exit(points, judge.better),
    )


def early_exit(points: Sequence[CurvePoint], better: int) -> int | None:
    """The first place from which on no score is ``LOST`` worse than the last.

    None where less than ``SAVED`` of the spikes are saved there.

    >>> def points(*scores):
    ...     found = enumerate(scores)
    ...     return [CurvePoint(steps=n, score=s, spikes=n) for n, s in found]
    >>> early_exit(points(0.1, 0.9, 0.5, 0.795, 0.8), better=1)
    3
    >>> early_exit(points(0.1, 0.9), better=1)
    >>> early_exit(points(2.0, 1.005, 1.0), better=-1)
    1
    """
    last = better * points[-1].score
    enough = last - LOST * abs(last)
    place = len(points) - 1
    while place and better * points[place - 1].score >= enough:
        place -= 1
    pays = points[place].spikes <= (1 - SAVED) * points[-1].spikes
    return place if pays else None


def _spent(spikes: BoolArray) -> FloatArray:
    """Spikes of all samples and neurons until the end of each step."""
    total: FloatArray = spikes.sum(axis=(0, 2), dtype=np.float64).cumsum()
    return total


def _likeness(last: FloatArray) -> Judge:
    spread = float(np.var(last)) or 1.0
    return Judge(LIKENESS, 1, lambda x: 1 - float(((x - last) ** 2).mean()) / spread)
