"""When to start reading: the settling time that suits a Program best."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..toolchain.graph.nodes import FloatArray
from ..toolchain.program.host import decode
from ..toolchain.program.program import Program
from ..toolchain.program.recording import Recording


def calibrate_readout(
    program: Program, recording: Recording, wanted: FloatArray
) -> Program:
    """The Program whose read-out leaves out the number of steps that suits it best.

    Numbers from 0 to half the presentation, a sixteenth of it or more apart, are tried
    on the calibration samples; the least mean squared error against ``wanted`` wins,
    the smallest number in a tie. Early steps hold the pipeline's latency and the
    neurons' first charging.

    Args:
        program: with a decoder.
        recording: of calibration samples, with spikes.
        wanted: the float network's outputs for them, (samples, …).
    """
    dt = program.timing.dt
    spikes = recording.spikes[program.decoder.population]
    decoders = [
        replace(program.decoder, settle=skipped * dt)
        for skipped in range(0, recording.steps // 2 + 1, -(-recording.steps // 16))
    ]
    errors = [np.mean((decode(d, spikes, dt) - wanted) ** 2) for d in decoders]
    return replace(program, decoder=decoders[int(np.argmin(errors))])
