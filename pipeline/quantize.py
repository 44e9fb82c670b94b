"""Pass ``quantize``: the integers of a Program."""

from __future__ import annotations

from dataclasses import replace

from ..calibration.reset import spike_worth
from ..toolchain.passes.quantize.quantize import quantize
from ..toolchain.program.host import spike_encoder
from .compilation import DEFAULT_STEPS, Compilation


def run(now: Compilation) -> Compilation:
    """Reads all choices, the samples, and the scales of a fine-tuned network.

    Other networks' spikes are worth what makes up for the core's reset to 0.
    """
    chosen = now.settings
    worth = None if now.scales else spike_worth(now.graph, now.still, chosen.dt)
    program = quantize(
        now.graph,
        now.still,
        steps=chosen.steps or DEFAULT_STEPS,
        dt=chosen.dt,
        encoder=spike_encoder(chosen.encoder, now.graph.prepared.name, chosen.dt),
        weight_bits=chosen.weight_bits,
        scales=now.scales,
        worth=worth,
    )
    return replace(now, program=program)
