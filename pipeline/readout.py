"""Pass ``readout``: from which step on, and with which gain, spikes are read."""

from __future__ import annotations

from dataclasses import replace

from ..calibration.readout import fit_readout, wanted_of
from .compilation import Compilation


def run(now: Compilation) -> Compilation:
    """Reads the recording, and the float network's answers to the same samples.

    A spiking network is read as it says itself.
    """
    if now.graph.is_spiking:
        return now
    assert now.program is not None and now.recording is not None
    wanted = wanted_of(now.graph, now.still)
    dt = now.settings.dt
    found = fit_readout(now.program.decoder, now.recording.spikes, dt, wanted)
    return replace(now, program=replace(now.program, decoder=found.decoder))
