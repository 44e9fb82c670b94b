"""Pass ``calibrate``: the read-out leaves out as many first steps as suit it best."""

from __future__ import annotations

from dataclasses import replace

from ..calibration.readout import calibrate_readout
from ..toolchain.graph.interpret import evaluate
from .compilation import Compilation


def run(now: Compilation) -> Compilation:
    """Reads the recording, and the float network's answers to the same samples."""
    assert now.program is not None and now.recording is not None
    wanted = evaluate(now.graph, now.still)
    return replace(now, program=calibrate_readout(now.program, now.recording, wanted))
