"""Pass ``legalize``: one linear node for each source between spiking populations."""

from __future__ import annotations

from dataclasses import replace

from ..toolchain.passes.legalize.legalize import legalize
from .compilation import PLAIN_TAU_SYN, Compilation


def run(now: Compilation) -> Compilation:
    """Reads ``tau_syn``, and whether the input is sent as spikes."""
    chosen = now.settings
    tau_syn = chosen.tau_syn
    if tau_syn is None:  # calibration chooses it later, but of no spiking network
        plain = chosen.calibrate == "none" and not now.graph.is_spiking
        tau_syn = PLAIN_TAU_SYN if plain else 0.0
    graph = legalize(now.graph, tau_syn, input_spikes=chosen.input_spikes)
    return replace(now, graph=graph)
