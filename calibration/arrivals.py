"""Where a Program's work falls: spikes sent and synaptic operations done, by core.

``statistics`` counts a synaptic operation at the neuron that sends the spike; the time
a core takes is decided where the operation is done, at the neuron that receives it.
Both sums are the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..toolchain.passes.place.place import Placement
from ..toolchain.program.connections import Connection
from ..toolchain.program.program import Program

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Counts = npt.NDArray[np.int64]
ROWS_BYTES = 64 << 20  # of sums that are held at once


@dataclass(frozen=True, eq=False, kw_only=True)
class CoreWork:
    """What each core of a Placement did in each of several times, (times, cores)."""

    spikes: Counts  # that its neurons sent
    operations: Counts  # synaptic ones, that its synapses did


def core_work(
    program: Program,
    spikes: Mapping[str, npt.NDArray[np.generic]],
    placement: Placement,
) -> CoreWork:
    """What each core did.

    Args:
        program: what ran.
        spikes: population, spike inputs too → (times, neurons), how often each neuron
            spiked in that time: a step, a presentation or all of them.
        placement: of the Program.
    """
    cores = len(placement.cores)
    home = {p.name: np.zeros(p.size, np.int64) for p in program.populations}
    times = len(next(iter(spikes.values())))
    sent, done = (np.zeros((times, cores), np.int64) for _ in range(2))
    for number, core in enumerate(placement.cores):
        name, neurons = core.block.population, core.block.neurons
        home[name][neurons] = number
        sent[:, number] = spikes[name][:, neurons].sum(axis=1, dtype=np.int64)
    for c in program.connections:
        reached = reach(c, home[c.target], cores)
        units = spikes[c.source].reshape(times, -1, c.inputs)
        rows = max(1, ROWS_BYTES // (8 * units.shape[1]))
        for start in range(0, times, rows):
            some = units[start : start + rows].sum(axis=2, dtype=np.int64)
            done[start : start + rows] += some @ reached
    return CoreWork(spikes=sent, operations=done)


def reach(connection: Connection, home: Counts, cores: int) -> csr_array:
    """Synapses that a spike of each source unit visits on each core, (units, cores).

    >>> from snn_deploy.toolchain.program.connections import DenseConnection
    >>> two = DenseConnection(source="a", target="b", weight=np.ones((1, 3), np.int16))
    >>> reach(two, np.array([0, 1, 1]), cores=2).toarray()
    array([[1, 2]])

    Args:
        connection: whose synapses they are.
        home: core of each target neuron, (target neurons,).
        cores: how many there are.
    """
    from scipy.sparse import csr_array

    outputs, taps = connection.outputs, connection.taps
    targets = math.prod(connection.target_shape) // outputs
    sources = math.prod(connection.source_shape) // connection.inputs
    unit = np.arange(home.size) // outputs
    held = csr_array((np.ones_like(home), (unit, home)), (targets, cores))
    one = np.ones(taps.source.size, np.int64)
    tapped = csr_array((one, (taps.source, taps.target)), (sources, targets))
    return tapped @ held
