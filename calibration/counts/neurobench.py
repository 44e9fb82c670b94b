"""NeuroBench's metrics of a run: their names, their definitions verbatim, our figures.

Definitions are the docstrings of neurobench 2.3.0, NeuroBench (Yik et al. 2025, Nature
Communications 16:1545; github.com/NeuroBench/neurobench, Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...toolchain.graph.graph import Graph
from ...toolchain.graph.nodes import FloatArray
from ...toolchain.program.connections import Connection, WindowConnection
from ...toolchain.program.host import BiasEncoder, parts_of
from ...toolchain.program.program import Program
from ...toolchain.program.recording import Recording
from ...toolchain.verdict.compare import FLOAT
from ..energy.mode import Mode
from ..statistics import HostStatistics, LayerStatistics
from .effective import WEIGHTED, effective_macs
from .footprint import Footprint
from .updates import Updates

DEFINITIONS = {
    "Footprint": "A metric that counts the memory footprint of a model.",
    "ConnectionSparsity": (
        "Sparsity of model connections between layers. Based on number of zeros in "
        "supported layers, other layers are not taken into account in the computation"
    ),
    "ActivationSparsity": (
        "Sparsity of model activations. Calculated as the number of zero activations "
        "over the total number of activations, over all layers, timesteps, samples in "
        "data."
    ),
    "Effective_MACs": "The average MACs per sample.",
    "Effective_ACs": "The average ACs per sample.",
    "Dense": "The average total synaptic operations per sample.",
    "MembraneUpdates": (
        "Number of membrane potential updates. This metric computes the number of "
        "membrane potential updates occurring during the forward pass of the model. "
        "The updates are tracked per neuron, per layer."
    ),
}


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One of NeuroBench's metrics."""

    name: str
    definition: str
    value: float | None
    mode: Mode
    source: str  # what of this run was counted, or why nothing is


def neurobench(
    program: Program,
    recording: Recording,
    layers: Sequence[LayerStatistics],
    host: HostStatistics,
    memory: Sequence[Footprint],
    samples: FloatArray | None,
    moved: Mapping[str, Updates] | None,
) -> tuple[Metric, ...]:
    """The metrics of a run.

    Args:
        program: what ran.
        recording: of it.
        layers: its statistics, spike inputs first.
        host: of its encoder and decoder.
        memory: of its populations.
        samples: some of those that ran, the first, for the encoder's zeros.
        moved: updates of each population, of those samples.
    """
    found = {
        "Footprint": _Figure(
            sum(each.bits for each in memory) / 8,
            "bytes of weights, state and axons on the cores, at their width there; the "
            "host's weights are not with it",
        ),
        "ConnectionSparsity": _Figure(
            _sparsity(program), "weights of the core, its host's encoder and decoder"
        ),
        "ActivationSparsity": _silence(program, recording),
        "Effective_MACs": _host_macs(program, recording, samples),
        "Effective_ACs": _Figure(
            sum(layer.effective_operations or 0.0 for layer in layers),
            "synaptic operations on the core through weights that are not 0",
        ),
        "Dense": _Figure(
            recording.steps * sum(map(_places, program.connections))
            + host.encoder_macs
            + host.decoder_macs,
            "every weight's every place in every step, weights of 0 too, and the "
            "host's multiply-accumulates once",
        ),
        "MembraneUpdates": _moved(moved),
    }
    return tuple(
        Metric(
            name=name,
            definition=DEFINITIONS[name],
            value=None if figure.value is None else float(figure.value),
            mode="unavailable" if figure.value is None else "counted",
            source=figure.source,
        )
        for name, figure in found.items()
    )


@dataclass(frozen=True)
class _Figure:
    value: float | None
    source: str


def _places(c: Connection) -> int:
    """Synapses, those at positions of a kernel that are 0 throughout with them."""
    if isinstance(c, WindowConnection):
        c = replace(c, weight=np.ones_like(c.weight))
    return int(c.fan_out.sum())


def _sparsity(program: Program) -> float | None:
    held = [c.weight for c in program.connections]
    graphs = [graph for graph, _ in _host_graphs(program)]
    nodes = [node for graph in graphs for node in graph.nodes]
    held += [node.weight for node in nodes if isinstance(node, WEIGHTED)]
    weights = sum(int(np.size(weight)) for weight in held)
    nonzero = sum(int(np.count_nonzero(weight)) for weight in held)
    return 1 - nonzero / weights if weights else None


def _host_graphs(program: Program) -> list[tuple[Graph, str]]:
    """Graphs of the encoders, and of the decoder; whose they are."""
    encoders = [
        (part.graph, "encoder")
        for part in parts_of(program.encoder)
        if isinstance(part, BiasEncoder)
    ]
    return [*encoders, (program.decoder.graph, "decoder")]


def _silence(program: Program, recording: Recording) -> _Figure:
    """Of the core's populations."""
    if recording.kind == FLOAT:
        return _Figure(None, "its neurons may spike several times in a step")
    places = recording.samples * recording.steps * program.neurons
    spikes = sum(int(recording.tally(p.name).sums.sum()) for p in program.populations)
    return _Figure(1 - spikes / places, "neurons and steps without a spike, the core's")


def _host_macs(
    program: Program, recording: Recording, samples: FloatArray | None
) -> _Figure:
    if samples is None:
        why = "the samples that ran are not known here, so their zeros are not"
        return _Figure(None, why)
    read = [recording.tally(name).first for name, _ in program.decoder.reads]
    rates = np.concatenate(read, axis=1)[: len(samples)].astype(np.float64)
    shape = program.decoder.graph.input.shape
    given = {"encoder": samples, "decoder": rates.reshape(-1, *shape)}
    total = sum(
        effective_macs(graph, given[whose]) for graph, whose in _host_graphs(program)
    )
    return _Figure(
        total,
        f"products of values and weights that are not 0, of {len(samples)} samples: "
        "the host's encoder and decoder; of the decoder, a neuron's rate is 0 where it "
        "sent no spike",
    )


def _moved(moved: Mapping[str, Updates] | None) -> _Figure:
    if moved is None:
        return _Figure(None, "no update was worked out step by step")
    total = sum(each.moved for each in moved.values())
    return _Figure(
        total,
        "updates after which a membrane potential is another, all in the first step",
    )
