"""Pass ``legalize``: one linear node for each source between spiking populations."""

from __future__ import annotations

from dataclasses import replace

from ..toolchain.passes.legalize.legalize import legalize
from .compilation import Compilation


def run(now: Compilation) -> Compilation:
    """Reads ``tau_syn``, and whether the input is sent as spikes."""
    chosen = now.settings
    graph = legalize(now.graph, chosen.tau_syn, input_spikes=chosen.input_spikes)
    return replace(now, graph=graph)
