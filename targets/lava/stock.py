"""What Lava's stock LIF does not do; a Program that needs it is refused on Loihi 2.

Neurons of ours are Python, which runs on no neuro-core. What a neuro-core would run is
Lava's ``LIF``, whose public fixed-point model (lava/proc/lif/models.py,
``PyLifModelBitAcc``) is meant to be the chip's bit by bit. Where it agrees with
``program.step``, the Program is given to ``LIF``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...toolchain.program import arithmetic as core
from ...toolchain.program.host import BiasEncoder, parts_of
from ...toolchain.program.program import Population, Program

LIF = "Lava's LIF"


def stock_problems(program: Program) -> Iterator[str]:
    """Registers with which stock LIF might not give the Program's spikes."""
    fed = {
        part.population
        for part in parts_of(program.encoder)
        if isinstance(part, BiasEncoder)
    }
    for population in program.populations:
        for problem in _lacks(program, population, population.name in fed):
            yield (
                f"population {population.name!r} {problem}; run it on an integer "
                "emulation"
            )


def _lacks(program: Program, p: Population, fed: bool) -> Iterator[str]:
    if p.refractory != 1:
        yield f"has a refractory counter of {p.refractory}; {LIF} has none (1)"
    if p.v_min != -core.V_LIMIT:
        yield f"has v_min {p.v_min}; {LIF} has {-core.V_LIMIT} alone"
    if p.v_max != core.V_LIMIT:
        yield f"has v_max {p.v_max}; {LIF} has {core.V_LIMIT} alone"
    thresholds = np.unique(p.threshold)
    if thresholds.size > 1:
        yield f"has {thresholds.size} different thresholds; {LIF} has one for all"
    q = sum((c.worst_q for c in program.incoming(p.name)), np.zeros(p.size, np.int64))
    if q.max() >= 1 << core.Q_BITS:
        yield (
            f"may be sent {q.max()} in one step, where the core's sum wraps beyond "
            f"{(1 << core.Q_BITS) - 1}; {LIF} does not wrap there"
        )
    bias = np.full(p.size, core.MAX_BIAS) if fed else np.abs(p.bias.astype(np.int64))
    j = core.worst_current(q, p.decay_u) + bias
    if j.max() > core.V_LIMIT:
        yield (
            f"may reach a current of {j.max():.0f}, bias included, where the core's "
            f"wraps beyond {core.V_LIMIT}; {LIF} does not wrap there"
        )
