"""Evidence: what a run showed, and what the float network makes of the same samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...toolchain.graph.graph import Graph
from ...toolchain.graph.interpret import Sliced, recorded
from ...toolchain.graph.nodes import FloatArray, Neurons
from ...toolchain.program.program import Program
from ...toolchain.program.recording import Recording
from ...toolchain.program.tally import KEPT, Tally

FEW = KEPT  # samples whose rates are held to the float network's


@dataclass(frozen=True, eq=False, kw_only=True)
class Float:
    """The float network on the samples of a run.

    Attributes:
        outputs: of all samples, (samples, …).
        rates: population → Hz of the first few samples, (samples, neurons).
    """

    outputs: FloatArray
    rates: Mapping[str, FloatArray]


@dataclass(frozen=True, eq=False, kw_only=True)
class Evidence:
    """A run of a Program; counts are enough.

    ``float``: None where there is no float network to hold it to, as of one that was
    fine-tuned: its rates are no answer of their own.
    """

    program: Program
    recording: Recording
    float: Float | None = None

    @classmethod
    def of(
        cls,
        program: Program,
        recording: Recording,
        samples: Sliced,
        outputs: FloatArray | None,
    ) -> Evidence:
        """A run, and the Program's float network on the same samples.

        Args:
            program: what ran.
            recording: of it.
            samples: as its float network takes them.
            outputs: of the float network; None: it is not held to that.
        """
        known = None
        if outputs is not None and program.graph is not None:
            known = _floats(program.graph, samples, recording.steps, outputs)
        return cls(program=program, recording=recording, float=known)

    def tally(self, name: str) -> Tally:
        """Spikes of a population, of the samples whose float rates are known."""
        tally = self.recording.tally(name)
        if self.float is None:
            return tally
        return Tally.of(tally.first[: self.known], self.recording.steps)

    def expected(self, name: str) -> FloatArray | None:
        """Spikes a presentation by the float network's rates, (samples, neurons)."""
        if self.float is None:
            return None
        return self.float.rates[name] * self.recording.steps * self.recording.dt

    @property
    def known(self) -> int:
        """Number of samples whose float rates are known."""
        assert self.float is not None
        return len(next(iter(self.float.rates.values())))


def _floats(graph: Graph, samples: Sliced, steps: int, outputs: FloatArray) -> Float:
    """A float network on the first of the samples, whose answers are known."""
    few = samples[:FEW]
    nodes = [node for node in graph.nodes if isinstance(node, Neurons)]
    values = recorded(graph, few, [node.name for node in nodes], steps)
    rates = {
        node.name: values[node.name].reshape(len(few), -1) / node.amplitude
        for node in nodes
    }
    return Float(outputs=outputs, rates=rates)
