"""Pass ``quantize``: the integers of a Program."""

from __future__ import annotations

from dataclasses import replace

from ..toolchain.passes.quantize.quantize import quantize
from ..toolchain.program.host import SpikeEncoder
from .compilation import DEFAULT_STEPS, Compilation


def run(now: Compilation) -> Compilation:
    """Reads all choices, the samples, and the scales of a fine-tuned network.

    An input sent as spikes sends one every step for a value of 1.
    """
    chosen, encoder = now.settings, None
    if chosen.encoder == "spikes":
        name = now.graph.input.name
        encoder = SpikeEncoder(population=name, max_rate=1 / chosen.dt)
    program = quantize(
        now.graph,
        now.samples,
        steps=chosen.steps or DEFAULT_STEPS,
        dt=chosen.dt,
        encoder=encoder,
        weight_bits=chosen.weight_bits,
        scales=now.scales,
    )
    return replace(now, program=program)
