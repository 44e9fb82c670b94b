"""Bayesian search: it learns, repeats nothing, and goes on from what is finished."""

from __future__ import annotations

import pytest
from sweep_cases import figures

from snn_deploy.sweeps.front import front
from snn_deploy.sweeps.point import Outcome, Point
from snn_deploy.sweeps.space import Range, Space
from snn_deploy.sweeps.study import Study

pytest.importorskip("optuna", reason="Optuna is not installed")
VARIED = {
    "steps": (64, 8, 16, 32),
    "calibrate": ("none", "fast"),
    "max-rate": ("default", 100),
}


def space(points: int, **other: object) -> Space:
    """A space of 16 points, unless another is given."""
    known = {"fixed": {}, "varied": VARIED, "search": "bayes"}
    return Space(**{**known, **other}, points=points)


def told(point: Point, failed: bool = False, **found: float) -> Outcome:
    """What became of a point."""
    what = None if failed else figures(**found)
    return Outcome.of(point, what, "it failed" if failed else "", 1.0)


def test_a_space_that_can_be_counted_ends_and_every_point_was_another():
    study, seen = Study(space(99), {}), []
    while (point := study.ask()) is not None:
        seen.append(tuple(point.options.items()))
        steps = float(point.options["steps"])
        study.tell(told(point, failed=steps == 8, score=steps, energy=steps))
    assert len(seen) == len(set(seen)) == 16


def test_workers_ask_before_others_have_told_and_get_other_points():
    study = Study(space(16), {})
    asked = [study.ask() for _ in range(16)]
    assert len({tuple(point.options.items()) for point in asked}) == 16
    for point in reversed(asked):
        study.tell(told(point))
    assert study.ask() is None


def test_it_goes_on_from_what_is_finished():
    varied = {**VARIED, "tau-syn": Range(low=0.001, high=0.01, log=True)}
    study, finished = Study(space(20, varied=varied), {}), {}
    for number in range(12):
        point = study.ask()
        outcome = told(point, failed=number == 5, score=float(number))
        study.tell(outcome)
        if number not in (3, 11):  # killed before these were finished
            finished[number] = outcome
    again = Study(space(20, varied=varied), finished)
    left = []
    while (point := again.ask()) is not None:
        left.append(point)
        again.tell(told(point))
    assert [point.number for point in left] == [3, 11, *range(12, 20)]
    every = [each.options for each in (*finished.values(), *left)]
    assert len({tuple(options.items()) for options in every}) == 20


def test_it_finds_what_is_best():
    """steps near 200 of 8 … 1000, for words and numbers alike, in 40 of 10 000 000."""
    varied = {
        "steps": tuple(range(8, 1001)),
        "calibrate": ("none", "fast", "thorough"),
        "max-rate": Range(low=10, high=1000, log=True),
    }
    objectives = ("score", "spikes")
    study = Study(space(60, varied=varied, objectives=objectives, seed=1), {})
    outcomes = []
    while (point := study.ask()) is not None:
        steps, rate = (float(point.options[name]) for name in ("steps", "max-rate"))
        lost = abs(steps - 200) / 1000 + (point.options["calibrate"] != "fast")
        outcomes.append(told(point, score=1 - lost, spikes=rate))
        study.tell(outcomes[-1])
    best = front(outcomes, objectives)
    first = abs(float(best[0].options["steps"]) - 200)
    assert best[0].options["calibrate"] == "fast" and first <= 30
    late = [each.options["calibrate"] for each in outcomes[30:]]
    assert late.count("fast") > len(late) / 2
