"""Pass ``quantize``: the integers of a Program."""

from __future__ import annotations

from dataclasses import replace

from ..toolchain.passes.quantize.quantize import quantize
from ..toolchain.passes.unroll import unrolled
from ..toolchain.program.host import spike_encoder
from .compilation import Compilation


def run(now: Compilation) -> Compilation:
    """Reads all choices, samples, corrections, and scales of a fine-tuned network."""
    chosen = now.settings
    program = quantize(
        now.graph,
        now.still,
        steps=chosen.presentation,
        dt=now.dt,
        encoder=spike_encoder(chosen.encoder, now.graph.prepared.name, now.dt),
        weight_bits=chosen.weight_bits,
        scales=now.scales,
        corrections=now.corrections,
    )
    if chosen.unroll_delays:
        program = unrolled(program)
    return replace(now, program=program)
