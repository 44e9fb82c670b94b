"""Loihi 1 as SANA-FE describes it, cut to the cores that a Placement uses.

The constants are those of SANA-FE's ``arch/loihi.yaml`` (SLAM-Lab/SANA-FE 8951ab0; the
same file is in the PyPI package 2.2.9), fitted to measurements of a Nahuku board: Boyle
et al., "SANA-FE", IEEE TCAD 2025, with errors of up to 11.7 % (energy) and 24.3 %
(latency). Only they are taken; the file's text is not.

**What differs.** Our neurons replay spikes, so that theirs are ours. SANA-FE's model of
such a neuron is never charged for an update, so here its access costs what access and
update together cost; every neuron is updated in every step, as in our own counts. One
such unit holds one spike train, so a core has as many as neurons. Only cores in use are
described, each tile at its own place of the mesh. Several chips lie side by side in one
mesh: what a spike costs between chips is not published. Spike inputs lie together
behind the last tile, and cost nothing but their messages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ...toolchain.passes.place.place import Placement
from ...toolchain.program.connections import (
    Connection,
    DenseConnection,
    SparseConnection,
)

SOURCE = "SANA-FE arch/loihi.yaml, fitted to a Nahuku board (Boyle et al., TCAD 2025)"
CORES_A_TILE = 4
ROWS, COLUMNS = 4, 8  # tiles of a chip
LINK_BUFFER = 16  # messages
BARRIER = {1: 0.6e-6, 2: 1.0e-6, 4: 1.4e-6, 29: 1.8e-6}  # tiles in use → s a step
HOP_ENERGY = {"north": 4.2e-12, "south": 4.2e-12, "east": 3.0e-12, "west": 3.0e-12}  # J
HOP_TIME = {"north": 6.5e-9, "south": 6.5e-9, "east": 4.1e-9, "west": 4.1e-9}  # s
MESSAGE_OUT = (111.0e-12, 5.1e-9)  # J and s, to each core that a spike goes to
MESSAGE_IN = (0.0, 16.0e-9)
ACCESS, UPDATE, SPIKE = (51.2e-12, 6.0e-9), (21.6e-12, 3.7e-9), (69.3e-12, 30.0e-9)
SYNAPSE = {
    "dense": (35.5e-12, 3.8e-9),
    "sparse": (33.6e-12, 4.7e-9),
    "conv": (24.0e-12, 3.1e-9),
}
"""Unit → J and s of a synaptic operation, the dearest first."""


def synapse_unit(incoming: list[Connection]) -> str:
    """The unit that does a population's synapses; of several kinds the dearest.

    A neuron of SANA-FE has one.
    """
    kinds = {
        {DenseConnection: "dense", SparseConnection: "sparse"}.get(type(c), "conv")
        for c in incoming
    }
    return next((unit for unit in SYNAPSE if unit in kinds), "dense")


def described(placement: Placement, inputs: int) -> str:
    """The architecture in YAML, as SANA-FE reads it.

    Core n of it is core n of the Placement; one more holds the inputs, if any.

    Args:
        placement: of the Program.
        inputs: neurons whose spikes come from outside.
    """
    loose: dict[int, list[dict[str, Any]]] = {}
    for n, core in enumerate(placement.cores):
        place = core.chip * ROWS * COLUMNS + core.number // CORES_A_TILE
        loose.setdefault(place, []).append(_core(n, core.block.size, "replay"))
    tiles = [loose.get(place, []) for place in range(max(loose) + 1)]
    if inputs:
        tiles.append([_core(len(placement.cores), inputs, "input")])
    columns = max(COLUMNS * placement.chips, -(-len(tiles) // ROWS))
    table = {
        "name": "loihi1",
        "attributes": {
            **{"topology": "mesh", "width": columns, "height": ROWS},
            **{"link_buffer_size": LINK_BUFFER, "sync_model": "table"},
            "latency_sync": {str(tiles): time for tiles, time in BARRIER.items()},
        },
        "tile": [_tile(n, cores) for n, cores in enumerate(tiles)],
    }
    text = json.dumps({"architecture": table}, indent=1)
    return re.sub(r'"(\w+)":', r"\1:", text)  # its reader wants plain keys


def _tile(number: int, cores: list[dict[str, Any]]) -> Mapping[str, Any]:
    energies = {f"energy_{way}_hop": energy for way, energy in HOP_ENERGY.items()}
    times = {f"latency_{way}_hop": time for way, time in HOP_TIME.items()}
    return {"name": f"tile{number}", "attributes": {**energies, **times}, "core": cores}


def _core(number: int, neurons: int, unit: str) -> dict[str, Any]:
    """A core of so many neurons that replay spikes; ``input`` ones cost nothing."""
    energy, time = (a + b for a, b in zip(ACCESS, UPDATE))
    costs = ((energy, time), SPIKE) if unit == "replay" else ((0.0, 0.0), (0.0, 0.0))
    soma = {
        "model": "input",
        **_cost("access_neuron", costs[0]),
        **_cost("update_neuron", (0.0, 0.0)),
        **_cost("spike_out", costs[1]),
    }
    synapses = [
        {
            "name": name,
            "attributes": {"model": "current_based", **_cost("process_spike", cost)},
        }
        for name, cost in SYNAPSE.items()
    ]
    dendrite = {"model": "accumulator", **_cost("update", (0.0, 0.0))}
    return {
        "name": f"core{number}",
        "attributes": {
            **{"buffer_position": "soma", "buffer_inside_unit": False},
            "max_neurons_supported": neurons,
        },
        "axon_in": [{"name": "in", "attributes": _cost("message_in", MESSAGE_IN)}],
        "synapse": synapses,
        "dendrite": [{"name": "dendrite", "attributes": dendrite}],
        "soma": [{"name": f"soma[0..{neurons - 1}]", "attributes": soma}],
        "axon_out": [{"name": "out", "attributes": _cost("message_out", MESSAGE_OUT)}],
    }


def _cost(event: str, cost: tuple[float, float]) -> dict[str, float]:
    return {f"energy_{event}": cost[0], f"latency_{event}": cost[1]}
