"""Where a Program's work falls: spikes sent and synaptic operations received, by core.

``statistics`` counts a synaptic operation at the neuron that sends the spike; the time
a core takes is decided where the operation is done, at the neuron that receives it.
Both sums are the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..toolchain.passes.place.place import Placement
from ..toolchain.program.connections import Connection
from ..toolchain.program.program import Program

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class CoreWork:
    """What one core did in a time: an inference, a step, or a whole run."""

    population: str
    chip: int
    number: int  # of the chip's cores
    neurons: int
    spikes: float  # that its neurons sent
    synaptic_operations: float  # that its synapses did


def arriving(connection: Connection, counts: Counts) -> Counts:
    """Synaptic operations done at each target neuron, (target neurons,).

    Every spike of a source unit visits all outputs of the units that its taps lead to.

    >>> from snn_deploy.toolchain.program.connections import DenseConnection
    >>> two = DenseConnection(source="a", target="b", weight=np.ones((3, 2), np.int16))
    >>> arriving(two, np.array([1, 0, 4]))
    array([5, 5])

    Args:
        connection: whose synapses they are.
        counts: spikes of each source neuron, (source neurons,).
    """
    units = math.prod(connection.target_shape) // connection.outputs
    sent = counts.reshape(-1, connection.inputs).sum(axis=1)
    taps = connection.taps
    received = np.zeros(units, np.int64)
    np.add.at(received, taps.target, sent[taps.source])
    return np.repeat(received, connection.outputs)


def core_work(
    program: Program, counts: Mapping[str, Counts], placement: Placement
) -> tuple[CoreWork, ...]:
    """What each core did, in the Placement's order.

    Args:
        program: what ran.
        counts: population, spike inputs too → spikes of each neuron, (neurons,).
        placement: of the Program.
    """
    received = {p.name: np.zeros(p.size, np.int64) for p in program.populations}
    for connection in program.connections:
        received[connection.target] += arriving(connection, counts[connection.source])
    return tuple(
        CoreWork(
            population=core.block.population,
            chip=core.chip,
            number=core.number,
            neurons=core.block.size,
            spikes=int(counts[core.block.population][core.block.neurons].sum()),
            synaptic_operations=int(
                received[core.block.population][core.block.neurons].sum()
            ),
        )
        for core in placement.cores
    )
