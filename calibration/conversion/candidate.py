"""Candidate: a way to convert a network, tried on calibration samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...toolchain.graph.graph import Graph
from ...toolchain.graph.nodes import IF, LIF, FloatArray, Lowpass, Node, Synapse
from ...toolchain.passes.quantize.quantize import decoder_of
from ...toolchain.program.correction import Correction
from ..balance import balance
from ..membrane import quicken
from ..readout import Wanted, fit_readout
from .correct import correct
from .layerwise import Layerwise, Presentation

MIN_POTENTIAL = -1.0
"""Of the threshold. At 0 what excites before what inhibits arrives fires for nothing;
without a floor what inhibits first holds a neuron back for the rest of the sample."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Choices of a conversion."""

    tau_syn: float  # s, of every connection
    max_rate: float  # Hz, of the 99.9th percentile
    min_potential: float = MIN_POTENTIAL  # of the threshold, of IF neurons
    shares: tuple[tuple[str, float], ...] = ()
    """Population → its own highest rate, of that; 1 where it is not named."""

    def applied(self, graph: Graph, shown: Presentation) -> Graph:
        """The same network with these synapses and rates."""
        rates = {
            node.name: min(self.max_rate * dict(self.shares).get(node.name, 1.0), most)
            for node in graph.nodes
            if isinstance(node, LIF | IF)
            for most in [1 / shown.dt]
        }
        rated = balance(graph, shown.still, dt=shown.dt, max_rate=rates)
        rated = quicken(rated, shown.still, dt=shown.dt, max_rate=rates)
        return Graph(tuple(map(self._filtered, rated.nodes)))

    def _filtered(self, node: Node) -> Node:
        """A synapse with the candidate's time constant; another node as it is."""
        if not isinstance(node, Synapse):
            return node
        return Lowpass(
            node.name,
            node.inputs,
            delay=node.delay,
            shape=node.shape,
            tau_syn=self.tau_syn,
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Trial:
    """What became of a candidate."""

    candidate: Candidate
    graph: Graph  # with its synapses and rates
    corrections: Mapping[str, Correction]
    error: float
    """``ReadOut.error``"""
    answers: FloatArray  # (samples, …)


def tried(
    candidate: Candidate, graph: Graph, shown: Presentation, wanted: Wanted
) -> Trial:
    """A legalised Graph converted so, and how far its answers are from the wanted."""
    rated = candidate.applied(graph, shown)
    network = Layerwise(rated, shown)
    corrections = correct(network, candidate.min_potential)
    found = fit_readout(decoder_of(rated), network.spikes, shown.dt, wanted)
    return Trial(
        candidate=candidate,
        graph=rated,
        corrections=corrections,
        error=found.error,
        answers=found.answers,
    )
