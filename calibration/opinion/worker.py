"""The process in which SANA-FE runs: ``python -m …opinion.worker FOLDER``.

SANA-FE is under the GPL and ends its process where a thread of it fails, so it is never
imported in the user's own. This file knows nothing of a Program: in the folder it finds
``architecture.yaml``, ``network.json`` and ``network.npz``, and there it leaves
``result.json``.

``network.json`` lists *groups* (neurons whose spike trains are given) and *edges* (all
synapses from one group to another); their arrays are in ``network.npz``: ``spikesN``
(steps, neurons), ``coreN`` and ``unitN`` (neurons,) of group N, ``edgesN`` (synapses,
2), source and target neuron.
"""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import sanafe

CHUNK = 1 << 18  # synapses handed over at once, as Python objects
COUNTED = ("spikes", "synaptic_operations", "sent", "received")
TIMED = ("neuron_time", "message_time")


def main(folder: Path) -> None:
    """Run the network in a folder, and leave what it did there."""
    chip, cores, steps = built(folder)
    found = {name: [0.0] * cores for name in (*COUNTED, *TIMED)}
    perf: list[dict[str, Any]] = []
    for _ in range(steps):
        with redirect_stdout(io.StringIO()):  # it reports every step
            run = chip.sim(
                1, processing_threads=1, scheduler_threads=0, message_trace=True
            )
        (messages,) = run["message_trace"]
        note(messages, found)
        perf.append(
            {
                "time": run["sim_time"],
                "energy": run["energy"],
                "spikes": run["neurons_fired"],
                "synaptic_operations": run["spikes"],
                "hops": sum(m["hops"] for m in messages),
            }
        )
    result = {"version": version("sanafe"), "steps": perf, "cores": found}
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


def note(messages: list[dict[str, Any]], found: dict[str, list[float]]) -> None:
    """Add a step's messages to what each core did."""
    senders = set()
    for m in messages:
        source, target = m["src_core_id"], m["dest_core_id"]
        found["neuron_time"][source] += m["generation_delay"]
        if m["placeholder"]:  # the time after a core's last spike
            continue
        senders.add((m["src_neuron_group_id"], m["src_neuron_offset"], source))
        found["sent"][source] += 1
        found["received"][target] += 1
        found["synaptic_operations"][target] += m["spikes"]
        found["message_time"][target] += m["processing_delay"]
    for *_, source in senders:
        found["spikes"][source] += 1


def built(folder: Path) -> tuple[Any, int, int]:
    """The chip with its network, how many cores it has, and steps to run."""
    architecture = sanafe.load_arch(str(folder / "architecture.yaml"))
    cores = architecture.cores()
    network = sanafe.Network()
    table = json.loads((folder / "network.json").read_text(encoding="utf-8"))
    steps = 0
    with np.load(folder / "network.npz") as arrays:
        groups = []
        for n, told in enumerate(table["groups"]):
            spikes = arrays[f"spikes{n}"]
            steps = len(spikes)
            group = network.create_neuron_group(
                f"group{n}",
                spikes.shape[1],
                default_synapse_hw_name=told["synapse"],
                default_dendrite_hw_name="dendrite",
            )
            places = zip(group, spikes.T, arrays[f"core{n}"], arrays[f"unit{n}"])
            for neuron, train, core, unit in places:
                neuron.set_attributes(
                    soma_hw_name=f"soma[{unit}]",
                    model_attributes={"spikes": train.astype(int).tolist()},
                )
                neuron.map_to_core(cores[core])
            groups.append(group)
        for n, told in enumerate(table["edges"]):
            edges = arrays[f"edges{n}"]
            for start in range(0, len(edges), CHUNK):
                pairs = list(map(tuple, edges[start : start + CHUNK].tolist()))
                groups[told["source"]].connect_neurons_sparse(
                    groups[told["target"]], {"weight": [0.0] * len(pairs)}, pairs
                )
    chip = sanafe.SpikingChip(architecture)
    chip.load(network)
    return chip, len(cores), steps


if __name__ == "__main__":
    main(Path(sys.argv[1]))
