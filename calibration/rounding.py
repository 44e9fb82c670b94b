"""What rounding moves: a spiking network's integers held to its floats, each spike.

Of a network of rates the losses are told, layer by layer (``guilt``); one that was
written as spikes means each of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..toolchain.graph.interpret import entering, interpret
from ..toolchain.graph.nodes import Array
from ..toolchain.program.program import Program
from ..toolchain.program.recording import Recording


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A population's spikes, an inference, the mean over samples.

    Attributes:
        name: of the population.
        written: spikes of the float network, as it was written.
        fired: spikes of the integers.
        moved: spikes that one of both has, and the other has not in that step.
    """

    name: str
    written: float
    fired: float
    moved: float


def moved(program: Program, samples: Array, recording: Recording) -> tuple[Moved, ...]:
    """Of each population that spiked; nothing of a network of rates.

    Args:
        program: with its float network.
        samples: (samples, *input shape), events (samples, steps, *input shape).
        recording: of these, with spikes.
    """
    graph, spikes = program.graph, recording.spikes
    if graph is None or not graph.is_spiking:
        return ()
    names = [node.name for node in graph.nodes if node.name in spikes]
    still, sent = entering(graph, samples)
    steps = recording.steps
    meant = interpret(graph, still, "spiking", steps=steps, record=names, sent=sent)
    found = []
    for name in names:
        fired = spikes[name].reshape(len(samples), recording.steps, -1) > 0
        written = meant[name].reshape(fired.shape) > 0
        counts = (written, fired, written != fired)
        of = [float(each.sum()) / len(samples) for each in counts]
        found.append(Moved(name=name, written=of[0], fired=of[1], moved=of[2]))
    return tuple(found)
