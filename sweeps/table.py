"""Table: a sweep's points as words, on the terminal and for the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..calibration.report.numbers import energy, shorten
from ..toolchain.visible import visible
from .point import Figures, Outcome
from .space import DEFAULT, Space

MISSING = "–"
FIGURES = {  # objective → header; the score's is its name
    "score": "score",
    "spikes": "spikes",
    "synaptic-operations": "syn. ops.",
    "energy": "energy",
    "latency": "latency",
    "cores": "cores",
}


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a sweep found.

    Attributes:
        space: that was searched.
        outcomes: of all points that are finished, by number.
        front: of these, the Pareto front, best score first.
    """

    space: Space
    outcomes: tuple[Outcome, ...]
    front: tuple[Outcome, ...]

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """Points that came to nothing."""
        return tuple(each for each in self.outcomes if each.figures is None)

    def to_json(self) -> dict[str, Any]:
        """As docs/sweep.md says."""
        return {
            "sweep": self.space.noted(),
            "judged": self.judged,
            "front": [each.number for each in self.front],
            "points": [each.to_json() for each in self.outcomes],
        }

    @property
    def judged(self) -> str:
        """What points were judged on, in words."""
        found = (each.figures for each in self.outcomes if each.figures)
        figures = next(found, None)
        on = "nothing" if figures is None else _on(figures)
        return f"judged on {on}; test samples chose nothing"

    @property
    def headers(self) -> tuple[str, ...]:
        """Of ``cells``."""
        found = (each.figures.metric for each in self.outcomes if each.figures)
        score = next(found, "score")
        _, *figures = FIGURES.values()
        return ("point", *self.space.varied, score, *figures)

    def cells(self, outcome: Outcome) -> tuple[str, ...]:
        """A point's number, options that vary and figures; none where it failed."""
        options = (outcome.options.get(n, DEFAULT) for n in self.space.varied)
        found = outcome.figures
        figures = (MISSING,) * len(FIGURES) if found is None else _figures(found)
        return (str(outcome.number), *options, *figures)


def _on(figures: Figures) -> str:
    return f"{figures.samples} samples of the {figures.part}"


def _figures(figures: Figures) -> tuple[str, ...]:
    return (
        f"{figures.score:.3f}",
        shorten(figures.spikes),
        shorten(figures.synaptic_operations),
        MISSING if figures.energy is None else energy(figures.energy),
        f"{1e3 * figures.latency:g} ms",
        MISSING if figures.cores is None else str(figures.cores),
    )


def told(outcome: Outcome, space: Space) -> str:
    """A finished point in one line."""
    options = " ".join(
        f"--{name} {outcome.options[name]}"
        for name in space.varied
        if name in outcome.options
    )
    if outcome.figures is None:
        return f"{options}: failed: {outcome.error}"
    score, *rest = _figures(outcome.figures)
    words = zip(("spikes", "synaptic operations", "", "", "cores"), rest)
    figures = " · ".join(f"{value} {word}".strip() for word, value in words)
    return f"{options}: {outcome.figures.metric} {score} · {figures}"


def print_result(result: Result, console: Console) -> None:
    """Print the front, what failed and what the figures are."""
    objectives = ", ".join(result.space.objectives)
    count, front = len(result.outcomes), len(result.front)
    lines = [
        f"Pareto front of {objectives}: {front} of {count} points",
        f"{result.judged}; spikes, synaptic operations, latency (steps · dt) and cores "
        "are counted, energy is estimated (proxy)",
    ]
    if result.front:
        console.print(_table(result, result.front), crop=False, soft_wrap=True)
    for line in (*lines, *_failures(result.failed)):
        console.print(visible(line), highlight=False, markup=False, soft_wrap=True)


def _table(result: Result, outcomes: Iterable[Outcome]) -> Table:
    """Of the options that vary and the objectives; the page has all figures."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    asked = [name in result.space.objectives for name in FIGURES]
    kept = [True] * (len(result.headers) - len(asked)) + asked
    rows = [tuple(map(visible, compress(result.cells(p), kept))) for p in outcomes]
    for header, cells in zip(compress(result.headers, kept), zip(*rows)):
        width = max(map(len, (header, *cells)))
        table.add_column(Text(header), justify="right", no_wrap=True, min_width=width)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _failures(failed: Sequence[Outcome]) -> list[str]:
    """A line for each error, with the points that it stopped."""
    alike: dict[str, list[str]] = {}
    for each in failed:
        alike.setdefault(each.error, []).append(str(each.number))
    return [f"failed: {', '.join(numbers)}: {e}" for e, numbers in alike.items()]
