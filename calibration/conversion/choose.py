"""Choose: the conversion whose answers are nearest, of a few that are tried (``fast``).

Synaptic time constant and highest rate, in turn, until neither has a better value. What
suits a network is not to be told beforehand: a depthwise one needs synapses that smooth
what few inputs bring, one of twenty convolutions has no time for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from ...toolchain.graph.graph import Graph
from ...toolchain.graph.nodes import Neurons
from ..choice import Choice
from ..readout import Wanted
from .candidate import MIN_POTENTIAL, Candidate, Trial, tried
from .descent import Descent, Fixed, descend, moves_of
from .layerwise import Presentation

RATES = (0.5, 0.7, 1.0, 0.35, 0.25)  # spikes a step, of the fastest neurons
TAUS = (2.0, 0.0, 5.0)  # synaptic time constants, steps
WORK = 1e9
"""Neuron updates that finding the best conversion may take, about: some four seconds on
one core. Larger networks are tried on fewer samples, the largest in fewer ways; no
clock has a say in it, so that the same network always becomes the same Program."""

RUNS = 5  # of each layer, for a conversion
WAYS = 10  # conversions that are usually tried
FEWEST = 4  # samples that tell conversions apart


def choose(
    graph: Graph,
    shown: Presentation,
    wanted: Callable[[Presentation], Wanted],
    fixed: Fixed,
) -> tuple[Trial, tuple[Choice, ...]]:
    """The best conversion on calibration samples, and why it is that.

    Args:
        graph: legalised.
        shown: the calibration samples.
        wanted: the float network's answers to those of a Presentation.
        fixed: what is not to be chosen.

    Raises:
        DoesNotFit, ModelError: it cannot be quantized.
    """
    count, ways = affordable(graph, shown)
    few = replace(shown, samples=shown.samples[:count], still=shown.still[:count])
    answers = wanted(few)
    dt = shown.dt
    moves = moves_of(
        fixed, taus=[n * dt for n in TAUS], rates=[rate / dt for rate in RATES]
    )
    found = descend(
        tried(first(fixed, dt), graph, few, answers),
        list(moves),
        lambda candidate: tried(candidate, graph, few, answers),
        gain=0.0,
        may_go_on=lambda trials: len(trials) < ways,
    )
    best = found.trial
    if count < len(shown.samples):
        best = tried(best.candidate, graph, shown, wanted(shown))
    return best, choices_of(found, count, fixed)


def first(fixed: Fixed, dt: float) -> Candidate:
    """Where the choice begins: what is fixed, and the first values of the others."""
    low = fixed.min_potential
    return Candidate(
        tau_syn=TAUS[0] * dt if fixed.tau_syn is None else fixed.tau_syn,
        max_rate=RATES[0] / dt if fixed.max_rate is None else fixed.max_rate,
        min_potential=MIN_POTENTIAL if low is None else low,
    )


def affordable(graph: Graph, shown: Presentation) -> tuple[int, int]:
    """How many samples, and how many ways to convert, ``WORK`` is enough for."""
    names = [node.name for node in graph.nodes if isinstance(node, Neurons)]
    neurons = sum(math.prod(graph.shapes[name]) for name in names)
    work = neurons * shown.steps * RUNS  # of a sample
    count = min(max(int(WORK / (work * WAYS)), FEWEST), len(shown.samples))
    enough = 2 * WAYS  # no network needs more
    return count, max(min(int(WORK / (work * count)), enough), 1)


def choices_of(found: Descent, count: int, fixed: Fixed) -> tuple[Choice, ...]:
    """A line for each thing that was chosen."""
    named = (
        ("synaptic time constant", "tau_syn", "{:g} ms", 1e3),
        ("highest rate", "max_rate", "{:g} Hz", 1.0),
    )
    ways = len(found.trials)
    basis = f"error {found.trial.error:.3f}, the least of {ways} ways"
    if ways == 1:
        basis = f"error {found.trial.error:.3f}, the only way tried"
    lines = []
    for name, field, form, scale in named:
        if getattr(fixed, field) is None:
            chosen = getattr(found.trial.candidate, field)
            others = _least(found.trials, field, chosen)
            lines.append(
                Choice(
                    name=name,
                    value=form.format(scale * chosen),
                    basis=f"{basis}, on {count} calibration samples",
                    instead=", ".join(
                        f"{form.format(scale * value)} ({error:.3f})"
                        for value, error in others
                    ),
                )
            )
    return tuple(lines)


def _least(
    trials: Sequence[Trial], field: str, chosen: float
) -> list[tuple[float, float]]:
    """The least error with each other value."""
    found: dict[float, float] = {}
    for trial in trials:
        value = getattr(trial.candidate, field)
        found[value] = min(trial.error, found.get(value, math.inf))
    found.pop(chosen)
    return sorted(found.items())
