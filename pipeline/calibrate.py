"""Pass ``calibrate``: synapses, rates and what the core's neurons are driven with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..calibration.balance import balance
from ..calibration.conversion.choose import Fixed, choose
from ..calibration.conversion.layerwise import Presentation
from ..calibration.readout import Wanted, wanted_of
from ..targets.contract import find_target
from ..toolchain.program.host import BoolArray, Stimulus, spike_encoder
from ..toolchain.program.program import Program
from .compilation import DEFAULT_STEPS, Compilation


def run(now: Compilation) -> Compilation:
    """Reads all choices and the samples; leaves the Graph as rated, and corrections."""
    chosen = now.settings
    if chosen.calibrate == "none":
        rated = balance(now.graph, now.still, dt=chosen.dt, max_rate=chosen.max_rate)
        return replace(now, graph=rated)
    shown = Presentation(
        samples=now.samples,
        still=now.still,
        steps=chosen.steps or DEFAULT_STEPS,
        dt=chosen.dt,
        encoder=spike_encoder(chosen.encoder, now.graph.prepared.name, chosen.dt),
        weight_bits=chosen.weight_bits,
        simulate=_simulated,
    )
    fixed = Fixed(
        tau_syn=chosen.tau_syn,
        max_rate=chosen.max_rate,
        min_potential=chosen.min_potential,
    )

    def wanted(these: Presentation) -> Wanted:
        return wanted_of(now.graph, these.still)

    found, choices = choose(now.graph, shown, wanted, fixed)
    return replace(
        now, graph=found.graph, corrections=found.corrections, choices=choices
    )


def _simulated(program: Program, stimulus: Stimulus) -> Mapping[str, BoolArray]:
    with find_target("reference").open(program) as session:
        return session.simulate(stimulus)
