"""Fewest steps: from which number of steps on a network answers as well as ever."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ...toolchain.graph.nodes import FloatArray
from ..choice import Choice

STEPS = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
WITHIN = 0.01  # of the limit, at these steps and any more
LAST = 3  # numbers of steps whose mean is the limit where the network's is not reached
BEYOND = 4  # times as many steps must not do better
PARTS = 16  # of the samples, left out one after the other


@dataclass(frozen=True, eq=False)
class Scored:
    """A score of samples, higher is better, and how sure it is.

    Attributes:
        value: of all samples.
        without: of those that are left where a part of them is taken out, (parts,).
    """

    value: float
    without: FloatArray

    @classmethod
    def of(
        cls, statistics: FloatArray, value: Callable[[FloatArray], FloatArray]
    ) -> Scored:
        """Of ``value`` of sums over samples, (…, numbers) → (…).

        Args:
            statistics: that are summed, (samples, numbers).
            value: sums → score, higher is better.
        """
        parts = np.array_split(statistics, min(PARTS, len(statistics)))
        sums = np.stack([part.sum(axis=0) for part in parts])
        whole = sums.sum(axis=0)
        return cls(float(value(whole)), value(whole - sums))

    def short_of(self, others: list[Scored]) -> float:
        """How far below the others' mean it is at most, as sure as one standard error.

        The error of the difference on these samples is the jackknife's: Efron & Stein,
        Annals of Statistics 9 (1981); that it is added is the rule of one standard
        error of Breiman et al., Classification and Regression Trees (1984), 3.4.3.
        """
        mean = np.mean([other.value for other in others])
        parts = np.mean([other.without for other in others], axis=0) - self.without
        spread = np.square(parts - parts.mean()).sum() if len(parts) else 0.0
        error = np.sqrt(spread * (len(parts) - 1) / max(len(parts), 1))
        return float(mean - self.value + error)


def fewest_steps(
    score_at: Callable[[int], Scored], latency: int, limit: float
) -> tuple[int, Mapping[int, float]]:
    """The fewest steps from which the score stays within WITHIN of its limit.

    The limit is the float network's score or, where that is never reached, the mean
    score of the LAST numbers of steps. Nor may steps be WITHIN short of what more bring
    on average, and one standard error of few samples is counted against them. Nothing
    is tried beyond BEYOND times as many steps as were enough, nor steps that do not
    reach the last population and leave as many to it.

    >>> sure = lambda steps: Scored(1 - 1 / steps**2, np.zeros(0))
    >>> found, curve = fewest_steps(sure, 3, 1.0)
    >>> found, sorted(curve)
    (12, [8, 12, 16, 24, 32, 48])

    Args:
        score_at: steps → score on calibration samples.
        latency: steps until the last population is reached.
        limit: the float network's score.

    Returns:
        The steps, and steps → score of those that were tried.
    """
    curve: dict[int, Scored] = {}
    possible = [steps for steps in STEPS if steps >= 2 * latency] or [STEPS[-1]]
    for steps in possible:
        if 0 < BEYOND * _good_since(curve, limit) < steps:
            break
        curve[steps] = score_at(steps)
    values = {steps: each.value for steps, each in curve.items()}
    found = _good_since(curve, limit)
    if not found:
        last = sorted(curve)[-LAST:]
        found = _good_since(curve, sum(map(values.__getitem__, last)) / len(last))
    return found or max(curve), values


def _good_since(curve: Mapping[int, Scored], limit: float) -> int:
    """The fewest steps from which all scores are near the limit; 0: none."""
    found, beyond = 0, list[Scored]()
    for steps in sorted(curve, reverse=True):
        here = curve[steps]
        allowed = WITHIN * abs(limit)
        if here.value < limit - allowed:
            break
        if beyond and here.short_of(beyond) > allowed:
            break
        found = steps
        beyond.append(here)
    return found


def choice_of(steps: int, curve: Mapping[int, float], limit: float) -> Choice:
    """The line of the report."""
    scores = ", ".join(f"{n}: {score:.3f}" for n, score in sorted(curve.items()))
    return Choice(
        name="steps",
        value=str(steps),
        basis=f"score within {WITHIN:.0%} of the float network's {limit:.3f}"
        if curve[steps] >= limit - WITHIN * abs(limit)
        else f"as good as most steps; the float network's is {limit:.3f}",
        instead=scores,
    )
