"""Pass ``quantize``: the integers of a Program."""

from __future__ import annotations

from dataclasses import replace

from ..toolchain.errors import ModelError
from ..toolchain.passes.quantize.quantize import quantize
from ..toolchain.passes.unroll import unrolled
from ..toolchain.program.host import spike_encoder
from .compilation import Compilation, Settings


def run(now: Compilation) -> Compilation:
    """Reads all choices, samples, corrections, and scales of a network with its own.

    Raises:
        ModelError: it has its scales, and other bits are asked for.
    """
    chosen = now.settings
    if now.scales and chosen.weight_bits != Settings.weight_bits:
        raise ModelError(
            f"Network: its integers are its own, and weights of {chosen.weight_bits} "
            "bits would be others; leave out --weight-bits"
        )
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
