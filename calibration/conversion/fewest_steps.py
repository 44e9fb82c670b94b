"""Fewest steps: from which number of steps on a network answers as well as ever."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..choice import Choice

STEPS = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
WITHIN = 0.01  # of the limit, at these steps and any more
SHORT = 0.005  # of the mean at more steps, which few samples let err less than one
LAST = 3  # numbers of steps whose mean is the limit where the network's is not reached
BEYOND = 4  # times as many steps must not do better


def fewest_steps(
    score_at: Callable[[int], float], latency: int, limit: float
) -> tuple[int, Mapping[int, float]]:
    """The fewest steps from which the score stays within WITHIN of its limit.

    The limit is the float network's score or, where that is never reached, the mean
    score of the LAST numbers of steps. Steps SHORT of what more bring on average are
    not enough: a single score of few samples errs, and is the likelier to be chosen
    where it errs to the good. Nothing is tried beyond BEYOND times as many steps as
    were enough, nor steps that do not reach the last population and leave as many to
    it.

    >>> found, curve = fewest_steps(lambda steps: 1 - 1 / steps**2, 3, 1.0)
    >>> found, sorted(curve)
    (16, [8, 12, 16, 24, 32, 48, 64])

    Args:
        score_at: steps → score on calibration samples, higher is better.
        latency: steps until the last population is reached.
        limit: the float network's score.

    Returns:
        The steps, and steps → score of those that were tried.
    """
    curve: dict[int, float] = {}
    possible = [steps for steps in STEPS if steps >= 2 * latency] or [STEPS[-1]]
    for steps in possible:
        if 0 < BEYOND * _good_since(curve, limit) < steps:
            break
        curve[steps] = score_at(steps)
    found = _good_since(curve, limit)
    if not found:
        last = sorted(curve)[-LAST:]
        found = _good_since(curve, sum(map(curve.__getitem__, last)) / len(last))
    return found or max(curve), curve


def _good_since(curve: Mapping[int, float], limit: float) -> int:
    """The fewest steps from which all scores are near the limit; 0: none."""
    found, beyond = 0, list[float]()
    for steps in sorted(curve, reverse=True):
        score = curve[steps]
        if score < limit - WITHIN * abs(limit):
            break
        mean = sum(beyond) / len(beyond) if beyond else score
        if score >= mean - SHORT * abs(mean):
            found = steps
        beyond.append(score)
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
