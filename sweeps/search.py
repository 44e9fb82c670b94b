"""Search: which point is tried next. One that is finished is never tried again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np

from .point import Outcome, Point
from .reading import MOST
from .space import Range, Space, Value

Chosen = Mapping[str, Value]
"""Option that varies → its value."""


class Search(Protocol):
    """Asked for points, told what became of them."""

    def ask(self) -> Point | None:
        """The next point; None: there is none left."""

    def tell(self, outcome: Outcome) -> None:
        """What became of a point that was asked for."""


class Listed:
    """Points in an order that nothing changes: a grid's, or drawn at random."""

    def __init__(self, space: Space, finished: Mapping[int, Outcome]) -> None:
        self._left = (
            Point(number=number, options=space.options(chosen))
            for number, chosen in enumerate(listed(space))
            if number not in finished
        )

    def ask(self) -> Point | None:
        """The next one of the list."""
        return next(self._left, None)

    def tell(self, outcome: Outcome) -> None:
        """It changes nothing."""


def listed(space: Space) -> Iterator[Chosen]:
    """All points of a grid, the last option the quickest; else as many as are asked
    for of ``drawn``."""
    if space.search == "grid":
        lists = [values for values in space.values if not isinstance(values, Range)]
        return (dict(zip(space.varied, each)) for each in itertools.product(*lists))
    return itertools.islice(drawn(space), space.count)


def drawn(space: Space) -> Iterator[Chosen]:
    """Points at random, no two the same: all of them, where they can be counted."""
    rng = np.random.default_rng(space.seed)
    if space.size <= MOST:
        sizes = [len(v) for v in space.values if not isinstance(v, Range)]
        for flat in rng.permutation(int(space.size)):
            at = np.unravel_index(flat, sizes)
            yield {
                name: values[i]
                for i, (name, values) in zip(at, space.varied.items())
                if not isinstance(values, Range)
            }
        return
    seen = set()
    while True:
        chosen = {
            name: values.at(rng.random())
            if isinstance(values, Range)
            else values[rng.integers(len(values))]
            for name, values in space.varied.items()
        }
        if (key := tuple(chosen.values())) not in seen:
            seen.add(key)
            yield chosen
