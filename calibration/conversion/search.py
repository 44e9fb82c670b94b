"""Search: from the best of a few conversions on, one change at a time (``thorough``).

Synapses, highest rate and least potential of all layers first, then each layer's own
rate: a change stays where it makes the error on all calibration samples less by GAIN.
Rounds go on until none does, so the search ends never worse than it began, and the same
on every machine that ends it within its budget.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from ...toolchain.errors import SnnDeployError
from ...toolchain.graph.graph import Graph
from ...toolchain.graph.nodes import IF, LIF
from ..choice import Choice
from ..readout import Wanted
from .candidate import Candidate, Trial, tried
from .choose import Fixed
from .layerwise import Presentation

GAIN = 0.01  # of the error
TAUS = (0.0, 1.0, 2.0, 3.0, 5.0)  # steps
RATES = (0.25, 0.35, 0.5, 0.6, 0.7, 0.85, 1.0)  # spikes a step
POTENTIALS = (0.0, -0.5, -1.0, -2.0, -4.0)  # of the threshold
SHARES = (0.7, 1.4)  # of a layer's highest rate

Move = Callable[[Candidate], Candidate]


@dataclass(frozen=True, eq=False, kw_only=True)
class Search:
    """How far a search came."""

    trial: Trial
    tried: int
    whole: bool  # whether it ended by itself, not by its budget


def search(
    graph: Graph,
    shown: Presentation,
    wanted: Wanted,
    fixed: Fixed,
    start: Trial,
    *,
    budget: float,
    progress: Callable[[str], None] = lambda words: None,
) -> Search:
    """The best conversion that single changes lead to.

    Args:
        graph: legalised.
        shown: all calibration samples.
        wanted: the float network's answers to them.
        fixed: what is not to be chosen.
        start: where it begins.
        budget: s after which no other change is tried.
        progress: told how many were tried, and the least error.
    """
    end, best, count, better = time.monotonic() + budget, start, 0, True
    moves, known = list(_moves(graph, fixed, shown.dt)), {start.candidate}
    while better:
        better = False
        for move in moves:
            change = move(best.candidate)
            if change in known:
                continue
            if time.monotonic() > end:
                return Search(trial=best, tried=count, whole=False)
            known.add(change)
            count += 1
            trial = _tried(change, graph, shown, wanted)
            if trial is not None and trial.error < (1 - GAIN) * best.error:
                best, better = trial, True
            progress(f"{count} conversions tried, least error {best.error:.4f}")
    return Search(trial=best, tried=count, whole=True)


def choice_of(found: Search, start: Trial, budget: float) -> Choice:
    """The line of the report on a search."""
    ended = "until none was better" if found.whole else f"for its budget, {budget:g} s"
    own = ", ".join(
        f"{name} {share:.2g}" for name, share in found.trial.candidate.shares
    )
    return Choice(
        name="searched",
        value=f"error {found.trial.error:.4f}" + (f", own rates: {own}" if own else ""),
        basis=f"{found.tried} single changes, {ended}",
        instead=f"error {start.error:.4f} without",
    )


def _moves(graph: Graph, fixed: Fixed, dt: float) -> Iterator[Move]:
    """All single changes; those of one layer only where rates are free."""
    if fixed.tau_syn is None:
        for steps in TAUS:
            yield partial(replace, tau_syn=steps * dt)
    if fixed.max_rate is None:
        for rate in RATES:
            yield partial(replace, max_rate=rate / dt)
    populations = [node for node in graph.nodes if isinstance(node, LIF | IF)]
    if fixed.min_potential is None and any(isinstance(x, IF) for x in populations):
        for low in POTENTIALS:
            yield partial(replace, min_potential=low)
    if fixed.max_rate is None:
        for node in populations:
            for share in SHARES:
                yield partial(_shared, name=node.name, share=share)


def _shared(now: Candidate, *, name: str, share: float) -> Candidate:
    """With the layer's own rate so much higher or lower than it is."""
    shares = dict(now.shares)
    shares[name] = shares.get(name, 1.0) * share
    return replace(now, shares=tuple(sorted(shares.items())))


def _tried(
    change: Candidate, graph: Graph, shown: Presentation, wanted: Wanted
) -> Trial | None:
    """None where its integers are beyond what a core can hold."""
    try:
        return tried(change, graph, shown, wanted)
    except SnnDeployError:
        return None
