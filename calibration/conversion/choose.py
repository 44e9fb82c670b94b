"""Choose: the conversion whose answers are nearest, of a few that are tried."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ...toolchain.graph.graph import Graph
from ...toolchain.graph.nodes import Neurons
from ..choice import Choice
from ..readout import Wanted
from .candidate import MIN_POTENTIAL, RATES, SYNAPSES, Candidate, Trial, tried
from .layerwise import Presentation

WORK = 1e9
"""Neuron updates that finding the best candidate may take, about: some four seconds on
one core. Larger networks are tried on fewer samples, the largest with fewer candidates;
no clock has a say in it, so that the same network always becomes the same Program."""

RUNS = 5  # of each layer, for a candidate
FEWEST = 4  # samples that tell candidates apart


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """What the user has chosen already; None: calibration does."""

    tau_syn: float | None = None  # s
    max_rate: float | None = None  # Hz
    min_potential: float | None = None  # of the threshold


def candidates(fixed: Fixed, dt: float) -> tuple[Candidate, ...]:
    """All that may be tried, the most promising first."""
    rates, taus = [rate / dt for rate in RATES], [steps * dt for steps in SYNAPSES]
    low = MIN_POTENTIAL if fixed.min_potential is None else fixed.min_potential
    return tuple(
        Candidate(tau_syn=tau, max_rate=rate, min_potential=low)
        for rate in (rates if fixed.max_rate is None else [fixed.max_rate])
        for tau in (taus if fixed.tau_syn is None else [fixed.tau_syn])
    )


def choose(
    graph: Graph,
    shown: Presentation,
    wanted: Callable[[Presentation], Wanted],
    fixed: Fixed,
) -> tuple[Trial, tuple[Choice, ...]]:
    """The candidate with the least error on calibration samples, and why it is that.

    Args:
        graph: legalised.
        shown: the calibration samples.
        wanted: the float network's answers to those of a Presentation.
        fixed: what is not to be chosen.

    Raises:
        DoesNotFit, ModelError: no candidate can be quantized.
    """
    rivals = candidates(fixed, shown.dt)
    count, number = _affordable(graph, shown, len(rivals))
    rivals = rivals[:number]
    few = _first(shown, count)
    trials = [tried(rival, graph, few, wanted(few)) for rival in rivals]
    found = min(trials, key=lambda trial: trial.error)
    if count < len(shown.samples):
        found = tried(found.candidate, graph, shown, wanted(shown))
    return found, _choices(found, trials, count, fixed, shown.dt)


def _affordable(graph: Graph, shown: Presentation, rivals: int) -> tuple[int, int]:
    """How many samples, and how many candidates, ``WORK`` is enough for."""
    names = [node.name for node in graph.nodes if isinstance(node, Neurons)]
    neurons = sum(math.prod(graph.shapes[name]) for name in names)
    sample = neurons * shown.steps * RUNS
    count = int(WORK / (sample * rivals))
    samples = min(max(count, FEWEST), len(shown.samples))
    return samples, max(min(rivals, int(WORK / (sample * samples))), 1)


def _first(shown: Presentation, count: int) -> Presentation:
    return replace(shown, samples=shown.samples[:count], still=shown.still[:count])


def _choices(
    found: Trial, trials: Sequence[Trial], count: int, fixed: Fixed, dt: float
) -> tuple[Choice, ...]:
    """A line for each thing that was chosen."""
    basis = f"least error of {len(trials)} ways on {count} samples"
    if len(trials) == 1:
        basis = "the only way tried"
    chosen = found.candidate
    lines = []
    if fixed.tau_syn is None:
        others = sorted({t.candidate.tau_syn for t in trials} - {chosen.tau_syn})
        lines.append(
            Choice(
                name="synaptic time constant",
                value=f"{1e3 * chosen.tau_syn:g} ms",
                basis=basis,
                instead=", ".join(
                    f"{1e3 * tau:g} ms ({_least(trials, tau_syn=tau):.3f})"
                    for tau in others
                ),
            )
        )
    if fixed.max_rate is None:
        others = sorted({t.candidate.max_rate for t in trials} - {chosen.max_rate})
        lines.append(
            Choice(
                name="highest rate",
                value=f"{chosen.max_rate:g} Hz",
                basis=basis,
                instead=", ".join(
                    f"{rate:g} Hz ({_least(trials, max_rate=rate):.3f})"
                    for rate in others
                ),
            )
        )
    return tuple(lines)


def _least(trials: Sequence[Trial], **same: float) -> float:
    return min(
        trial.error
        for trial in trials
        if all(getattr(trial.candidate, key) == value for key, value in same.items())
    )
