"""Descent: from one conversion to a better one, one change at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ...toolchain.errors import SnnDeployError
from ...toolchain.graph.graph import Graph
from ...toolchain.graph.nodes import IF, LIF
from .candidate import Candidate, Trial

Move = Callable[[Candidate], Candidate]
Try = Callable[[Candidate], Trial]


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """What the user has chosen already; None: calibration does."""

    tau_syn: float | None = None  # s
    max_rate: float | None = None  # Hz
    min_potential: float | None = None  # of the threshold


@dataclass(frozen=True, eq=False, kw_only=True)
class Descent:
    """Where a descent ended."""

    trial: Trial  # the best
    trials: tuple[Trial, ...]  # all, the start first
    whole: bool  # whether no single change was left that is better


def descend(
    start: Trial,
    moves: Sequence[Move],
    attempt: Try,
    *,
    gain: float,
    may_go_on: Callable[[Sequence[Trial]], bool],
) -> Descent:
    """Try every move on the best conversion there is, until none makes it better.

    Args:
        start: where it begins.
        moves: candidate → one that differs in one thing.
        attempt: candidate → what becomes of it.
        gain: share of the error by which a better one is better.
        may_go_on: told what was tried, whether another may be.

    Raises:
        what ``attempt`` raises, unless it is that a core cannot hold the integers.
    """
    best, trials, known, better = start, [start], {start.candidate}, True
    while better:
        better = False
        for move in moves:
            change = move(best.candidate)
            if change in known:
                continue
            if not may_go_on(trials):
                return Descent(trial=best, trials=tuple(trials), whole=False)
            known.add(change)
            try:
                trials.append(attempt(change))
            except SnnDeployError:  # a core cannot hold its integers
                continue
            if trials[-1].error < (1 - gain) * best.error:
                best, better = trials[-1], True
    return Descent(trial=best, trials=tuple(trials), whole=True)


def moves_of(
    fixed: Fixed,
    *,
    taus: Sequence[float] = (),
    rates: Sequence[float] = (),
    potentials: Sequence[float] = (),
) -> Iterator[Move]:
    """To each of these values (s, Hz, thresholds) that is not fixed."""
    for name, values in (
        ("tau_syn", taus),
        ("max_rate", rates),
        ("min_potential", potentials),
    ):
        if getattr(fixed, name) is None:
            for value in values:
                yield partial(replace, **{name: value})


def shares_of(graph: Graph, shares: Sequence[float]) -> Iterator[Move]:
    """Each layer's own highest rate so much higher or lower."""
    for node in graph.nodes:
        if isinstance(node, LIF | IF):
            for share in shares:
                yield partial(_shared, name=node.name, share=share)


def _shared(now: Candidate, *, name: str, share: float) -> Candidate:
    shares = dict(now.shares)
    shares[name] = shares.get(name, 1.0) * share
    return replace(now, shares=tuple(sorted(shares.items())))
