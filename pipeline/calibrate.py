"""Pass ``calibrate``: synapses, rates and what the core's neurons are driven with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial

import numpy as np

from ..calibration.balance import balance
from ..calibration.choice import Choice
from ..calibration.conversion.choose import choose
from ..calibration.conversion.descent import Fixed
from ..calibration.conversion.fewest_steps import Scored, fewest_steps
from ..calibration.conversion.fewest_steps import choice_of as steps_choice
from ..calibration.conversion.layerwise import Layerwise, Presentation
from ..calibration.conversion.search import choice_of, search
from ..calibration.readout import Wanted, wanted_of
from ..targets.contract import Target, find_target
from ..toolchain.graph.interpret import evaluate
from ..toolchain.graph.nodes import FloatArray
from ..toolchain.program.host import BoolArray, Stimulus, spike_encoder
from ..toolchain.program.program import Program
from .compilation import Compilation, Settings


def run(now: Compilation) -> Compilation:
    """Reads all choices and the samples; leaves the Graph as rated, and corrections.

    A spiking network as somebody wrote it stays: its rates are what they are.
    """
    if now.graph.is_spiking:
        return now
    chosen = now.settings
    if chosen.calibrate == "none":
        rated = balance(now.graph, now.still, dt=chosen.dt, max_rate=chosen.max_rate)
        return replace(now, graph=rated)
    choices: tuple[Choice, ...] = ()
    if chosen.auto_steps:
        now, choices = _with_fewest_steps(now)
    found, made = choose(now.graph, _shown(now), partial(_wanted, now), _fixed(chosen))
    if chosen.calibrate == "thorough":
        shown = _shown(now)
        searched = search(
            now.graph,
            shown,
            _wanted(now, shown),
            _fixed(chosen),
            found,
            budget=chosen.budget,
            progress=now.announce,
        )
        made = (*made, choice_of(searched, chosen.budget))
        found = searched.trial
    return replace(
        now,
        graph=found.graph,
        corrections=found.corrections,
        choices=(*choices, *made),
    )


def _with_fewest_steps(now: Compilation) -> tuple[Compilation, tuple[Choice, ...]]:
    """With the number of steps that ``fewest_steps`` finds."""

    def score_at(steps: int) -> Scored:
        at = replace(now, settings=replace(now.settings, steps=steps))
        shown = _shown(at)
        trial, _ = choose(now.graph, shown, partial(_wanted, at), _fixed(at.settings))
        found, count = _score(now, trial.answers), len(shown.still)
        now.announce(f"{steps} steps: score {found.value:.3f} on {count} samples")
        return found

    limit = _score(now, evaluate(now.graph, now.still)).value
    latency = max(Layerwise(now.graph, _shown(now)).arrival.values(), default=0)
    steps, curve = fewest_steps(score_at, latency, limit)
    line = steps_choice(steps, curve, limit)
    return replace(now, settings=replace(now.settings, steps=steps)), (line,)


def _score(now: Compilation, answers: FloatArray) -> Scored:
    """Of answers; without labels how much of the float answers' variance they tell."""
    if now.score is not None:
        return now.score(answers)
    wanted = evaluate(now.graph, now.still)
    spread = float(np.square(wanted - wanted.mean(axis=0)).mean())
    errors = np.square(answers - wanted).reshape(len(wanted), -1).mean(axis=1)
    counted = np.column_stack([1 - errors / (spread or 1.0), np.ones(len(errors))])
    return Scored.of(counted, lambda sums: sums[..., 0] / sums[..., 1])


def _shown(now: Compilation) -> Presentation:
    chosen = now.settings
    return Presentation(
        samples=now.samples,
        still=now.still,
        steps=chosen.presentation,
        dt=chosen.dt,
        encoder=spike_encoder(chosen.encoder, now.graph.prepared.name, chosen.dt),
        weight_bits=chosen.weight_bits,
        simulate=simulated,
    )


def _wanted(now: Compilation, shown: Presentation) -> Wanted:
    return wanted_of(now.graph, shown.still)


def _fixed(chosen: Settings) -> Fixed:
    return Fixed(
        tau_syn=chosen.tau_syn,
        max_rate=chosen.max_rate,
        min_potential=chosen.min_potential,
    )


def simulated(program: Program, stimulus: Stimulus) -> Mapping[str, BoolArray]:
    """A Program's spikes on the reference."""
    with _reference().open(program) as session:
        session.demand_room(stimulus.samples, stimulus.steps)
        return session.simulate(stimulus)


@cache
def _reference() -> Target:
    """Looked up once: what is installed takes longer to read than a layer to run."""
    return find_target("reference")
