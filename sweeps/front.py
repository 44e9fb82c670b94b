"""Front: of all points those that no other one beats in everything at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from .point import Figures, Outcome

OBJECTIVES: Mapping[str, str] = {  # name → what it is, in words
    "score": "on samples held out from the test",
    "spikes": "an inference, counted",
    "synaptic-operations": "an inference, counted",
    "energy": "an inference, J, estimated (proxy)",
    "latency": "s, steps · dt, counted",
    "cores": "of Loihi 1, counted by placement",
}


def costs(figures: Figures, objectives: Iterable[str]) -> tuple[float, ...] | None:
    """What is to be as low as can be, one for each objective; None: one is missing.

    Args:
        figures: of a point.
        objectives: of ``OBJECTIVES``.
    """
    found = [figures.of(name) for name in objectives]
    if any(value is None for value in found):
        return None
    return tuple(
        -figures.better * value if name == "score" else value
        for name, value in zip(objectives, found)
        if value is not None
    )


def front(
    outcomes: Iterable[Outcome], objectives: tuple[str, ...]
) -> tuple[Outcome, ...]:
    """The Pareto front: the best score first.

    A point is on it where no other one is as good in every objective and better in
    one; points that are equal in all are on it together. What answers no better than a
    constant is on none: nothing is as cheap as a network that does not fire.

    Args:
        outcomes: of points; those that failed, or lack an objective, are on no front.
        objectives: of ``OBJECTIVES``.
    """
    known = [
        (outcome, cost)
        for outcome in outcomes
        if outcome.figures
        and not outcome.figures.trivially
        and (cost := costs(outcome.figures, objectives))
    ]
    if not known:
        return ()
    table = np.array([cost for _, cost in known])  # (points, objectives)
    kept = [
        (outcome, cost)
        for (outcome, cost), mine in zip(known, table)
        if not ((table <= mine).all(1) & (table < mine).any(1)).any()
    ]
    kept.sort(key=lambda pair: (*pair[1], pair[0].number))
    return tuple(outcome for outcome, _ in kept)
