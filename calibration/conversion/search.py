"""Search: a better conversion than the one that was chosen (``thorough``).

Synapses, highest rate and least potential of all layers first, then each layer's own
rate, on all calibration samples. It ends where no single change brings GAIN, so never
worse than it began, and at the same conversion wherever its budget lets it end itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ...toolchain.graph.graph import Graph
from ..choice import Choice
from ..readout import Wanted
from .candidate import Trial, tried
from .descent import Descent, Fixed, descend, moves_of, shares_of
from .layerwise import Presentation

GAIN = 0.01  # of the error
TAUS = (0.0, 1.0, 2.0, 3.0, 5.0, 7.0)  # steps
RATES = (0.25, 0.35, 0.5, 0.6, 0.7, 0.85, 1.0)  # spikes a step
POTENTIALS = (0.0, -0.5, -1.0, -2.0, -4.0)  # of the threshold
SHARES = (0.7, 1.4)  # of a layer's highest rate


def search(
    graph: Graph,
    shown: Presentation,
    wanted: Wanted,
    fixed: Fixed,
    start: Trial,
    *,
    budget: float,
    progress: Callable[[str], None] = lambda words: None,
) -> Descent:
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
    end, dt = time.monotonic() + budget, shown.dt
    moves = list(
        moves_of(
            fixed,
            taus=[steps * dt for steps in TAUS],
            rates=[rate / dt for rate in RATES],
            potentials=POTENTIALS,
        )
    )
    if fixed.max_rate is None:
        moves += shares_of(graph, SHARES)

    def may_go_on(trials: Sequence[Trial]) -> bool:
        least = min(trial.error for trial in trials)
        progress(f"{len(trials)} conversions tried, least error {least:.4f}")
        return time.monotonic() < end

    return descend(
        start,
        moves,
        lambda candidate: tried(candidate, graph, shown, wanted),
        gain=GAIN,
        may_go_on=may_go_on,
    )


def choice_of(found: Descent, budget: float) -> Choice:
    """The line of the report on a search."""
    ended = "until none was better" if found.whole else f"for its budget, {budget:g} s"
    chosen = found.trial.candidate
    own = ", ".join(f"{name} × {share:.2g}" for name, share in chosen.shares)
    return Choice(
        name="search",
        value=f"error {found.trial.error:.4f} with {1e3 * chosen.tau_syn:g} ms, "
        f"{chosen.max_rate:g} Hz{f' ({own})' if own else ''}, least potential "
        f"{chosen.min_potential:g}",
        basis=f"{len(found.trials) - 1} single changes, {ended}",
        instead=f"{found.trials[0].error:.4f} before",
    )
