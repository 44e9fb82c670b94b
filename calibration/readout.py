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

    >>> from ..toolchain.graph.graph import Graph
    >>> from ..toolchain.graph.nodes import IF, Input, Output
    >>> from ..toolchain.passes.quantize.quantize import quantize
    >>> graph = Graph.chain(Input("x", shape=(1,)), IF("a"), Output("y"))
    >>> program = quantize(graph, np.ones((1, 1)), steps=8)
    >>> print(program.decoder)
    a → Decoder: amplitude 1
        a: Input() → 1
        y: Output(a) → 1
    >>> spikes = {"a": np.array([0, 0, 0, 1, 1, 1, 1, 1], bool).reshape(1, 8, 1)}
    >>> recording = Recording(
    ...     target="drawn by hand",
    ...     kind="integer emulation",
    ...     dt=0.001,
    ...     steps=8,
    ...     counts={},
    ...     spikes=spikes,
    ...     output=np.zeros((1, 1)),
    ...     wall_time=0.0,
    ... )
    >>> wanted = np.full((1, 1), 1000.0)
    >>> print(calibrate_readout(program, recording, wanted).decoder)
    a → Decoder: amplitude 1 settle 0.003
        a: Input() → 1
        y: Output(a) → 1

    Args:
        program: with a decoder.
        recording: of calibration samples, with spikes.
        wanted: the float network's outputs for them, (samples, …).
    """
    dt = program.timing.dt
    decoders = [
        replace(program.decoder, settle=skipped * dt)
        for skipped in range(0, recording.steps // 2 + 1, -(-recording.steps // 16))
    ]
    found = [decode(decoder, recording.spikes, dt) for decoder in decoders]
    errors = [np.mean((output - wanted) ** 2) for output in found]
    return replace(program, decoder=decoders[int(np.argmin(errors))])
