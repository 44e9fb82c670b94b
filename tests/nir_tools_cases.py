"""NIR files of other tools, how each is read, and how far its spikes are from theirs.

Files and spikes are of ``benchmarks/nir_tools.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from snn_deploy.toolchain.frontends.contract import Timing
from snn_deploy.toolchain.frontends.formats import read_network
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import interpret
from snn_deploy.toolchain.graph.nodes import Delayed, FloatArray

FOLDER = Path(__file__).parent / "nir_tools"


class Case(NamedTuple):
    """How a file is read, how many spikes of each population may differ, and why."""

    timing: Timing
    most: tuple[int, int] = (0, 0)
    why: str = ""


EULER = Timing(dt=1e-4, grid="euler")
SOFT = Timing(dt=1e-4, grid="euler", reset="subtract")
NORSE = Timing(dt=1e-6, grid="euler")  # it writes tau · dt, of its dt of 0.001 s
STEPS = Timing(dt=1.0)  # Sinabs writes time constants in steps
CASES = {
    "snntorch-dense": Case(EULER),
    "snntorch-image": Case(EULER),
    "snntorch-synaptic": Case(EULER),
    "snntorch-loop": Case(EULER),
    "snntorch-subtract": Case(
        SOFT, (3, 1), "above 2 thresholds snnTorch resets a step later"
    ),
    "snntorch-subtract-late": Case(
        SOFT,
        (173, 69),
        "its default takes the threshold a step later, when it has not decayed",
    ),
    "snntorch-loop-late": Case(
        Timing(dt=1e-4, grid="euler", tau_ref=1e-4),
        (239, 70),
        "its default reset to zero drops the input of the step after a spike",
    ),
    "norse-dense": Case(NORSE),
    "norse-image": Case(STEPS),
    "norse-cuba": Case(NORSE, (135, 5), "it writes w_in = 1 and does tau_syn / dt"),
    "sinabs-dense": Case(STEPS),
    "sinabs-image": Case(Timing(dt=1.0, reset="subtract")),
    "sinabs-image-once": Case(STEPS),
    "sinabs-subtract": Case(
        Timing(dt=1.0, reset="subtract"),
        (18, 68),
        "its default sends several spikes a step, a LIF here one",
    ),
    "spikingjelly-dense": Case(EULER),
    "spikingjelly-cuba": Case(EULER),
    "spikingjelly-image": Case(EULER),
}


def counted(
    name: str, timing: Timing, own: bool = False, path: Path | None = None
) -> dict[str, tuple[int, int, int]]:
    """Population → spikes that differ, the tool's spikes, neurons times steps.

    Args:
        name: of the network.
        timing: with which its file is read.
        own: whether each population is sent the tool's spikes of those before it.
        path: another file than the tool's.
    """
    held = np.load(FOLDER / f"{name}.npz")
    wanted = {key: held[key].astype(float) for key in held if key != "input"}
    graph = read_network(path or FOLDER / f"{name}.nir", None, timing).graph
    x = held["input"][None].astype(float)
    steps = x.shape[1]
    sent = {graph.input.name: x}
    late = {key: delay(graph, key) for key in wanted}
    if own:
        sent |= {k: shifted(np.moveaxis(s, 1, -1), late[k]) for k, s in wanted.items()}
    found = interpret(
        graph, x[:, 0], "spiking", steps=steps, record=[*wanted], sent=sent
    )
    result = {}
    for key, spikes in wanted.items():
        ours = np.moveaxis(found[key][0], -1, 1)[late[key] :]
        differ = np.abs(ours - spikes[: steps - late[key]]).sum()
        result[key] = int(differ), int(spikes.sum()), spikes.size
    return result


def delay(graph: Graph, name: str) -> int:
    """Steps on the way from the Input to a population, which no tool takes."""
    way = (graph[each] for each in graph.path(name, graph.input.name))
    return sum(node.delay for node in way if isinstance(node, Delayed))


def shifted(spikes: FloatArray, late: int) -> FloatArray:
    """Spikes (steps, …) so many steps later, of one sample, (1, steps, …)."""
    none = np.zeros_like(spikes[:late])
    return np.concatenate([none, spikes[: len(spikes) - late]])[None]
