"""Page: a sweep as one HTML file that needs no network: a scatter plot and a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

import jinja2

from ..calibration.report.numbers import energy, shorten
from .point import Outcome
from .table import FIGURES, Result

WIDTH, HEIGHT, MARGIN = 640, 360, 72  # of the plot; left of and below its frame
REST = 32  # right of it and above
COSTS: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "energy": ("energy an inference, estimated (proxy)", energy),
    "spikes": ("spikes an inference, counted", shorten),
    "synaptic-operations": ("synaptic operations an inference, counted", shorten),
    "latency": ("latency, s, steps · dt", "{:.3g}".format),
    "cores": ("cores, counted by placement", "{:.3g}".format),
}
"""Objective → label of the axis, and how its numbers are written."""


@dataclass(frozen=True)
class Mark:
    """A point of the plot, in pixels."""

    x: float
    y: float
    number: int
    label: str
    front: bool


@dataclass(frozen=True)
class Tick:
    """A number on an axis, and where it stands, in pixels."""

    at: float
    label: str


@dataclass(frozen=True)
class Axis:
    """Values → pixels."""

    low: float
    high: float
    first: float  # pixel of ``low``
    last: float
    log: bool = False

    @classmethod
    def of(
        cls, values: Sequence[float], first: float, last: float, log: bool = False
    ) -> Axis:
        """An axis with room for these, logarithmic only where all are above 0."""
        log = log and min(values) > 0
        ends = [math.log10(v) if log else v for v in (min(values), max(values))]
        alone = 0.5 if log else abs(ends[1]) or 1.0
        room = 0.06 * (ends[1] - ends[0]) or alone
        return cls(ends[0] - room, ends[1] + room, first, last, log)

    def at(self, value: float) -> float:
        """The pixel of a value, to a tenth."""
        value = math.log10(value) if self.log else value
        share = (value - self.low) / (self.high - self.low)
        return round(self.first + share * (self.last - self.first), 1)

    def ticks(self, written: Callable[[float], str]) -> list[Tick]:
        """Five of them."""
        values = [self.low + i / 4 * (self.high - self.low) for i in range(5)]
        shown = [10**v if self.log else v for v in values]
        return [Tick(self.at(v), written(v)) for v in shown]


def page(result: Result, title: str) -> bytes:
    """The page; what it says is in the outcomes' files too."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    text = (files(__package__) / "page.html").read_text(encoding="utf-8")
    on_front = {outcome.number for outcome in result.front}
    others = [each for each in result.outcomes if each.number not in on_front]
    return (
        environment.from_string(text)
        .render(
            title=title,
            result=result,
            rows=[
                (each, result.cells(each), each.number in on_front)
                for each in (*result.front, *others)
            ],
            plot=_plot(result, on_front),
            figures=len(FIGURES),
            size=(WIDTH, HEIGHT, MARGIN, REST),
        )
        .encode()
    )


def _plot(result: Result, on_front: set[int]) -> dict[str, object] | None:
    """Score over the first cost that is an objective; None: there are no points."""
    objectives = result.space.objectives
    cost = next((name for name in objectives if name in COSTS), "energy")
    known = [
        (each, x, each.figures.score)
        for each in result.outcomes
        if each.figures and (x := each.figures.of(cost)) is not None
    ]
    if not known:
        return None
    across = Axis.of([x for _, x, _ in known], MARGIN, WIDTH - REST, log=True)
    up = Axis.of([y for _, _, y in known], HEIGHT - MARGIN, REST)
    marks = [
        Mark(across.at(x), up.at(y), each.number, _label(result, each), front)
        for each, x, y in known
        for front in [each.number in on_front]
    ]
    return {
        "marks": sorted(marks, key=lambda mark: mark.front),
        "across": across.ticks(COSTS[cost][1]),
        "up": up.ticks("{:.3g}".format),
        "x": COSTS[cost][0],
        "y": result.headers[1 + len(result.space.varied)],
    }


def _label(result: Result, outcome: Outcome) -> str:
    cells = zip(result.headers, result.cells(outcome))
    return ", ".join(f"{header} {cell}" for header, cell in cells)
