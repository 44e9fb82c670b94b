"""NeuroBench's metrics of a run: their names, their definitions verbatim, our figures.

Definitions are the docstrings of neurobench 2.3.0, NeuroBench (Yik et al. 2025, Nature
Communications 16:1545; github.com/NeuroBench/neurobench, Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...toolchain.graph.graph import Graph
from ...toolchain.graph.nodes import FloatArray
from ...toolchain.program.host import BiasEncoder, parts_of
from ...toolchain.program.program import Program
from ...toolchain.program.recording import Recording
from ..energy.mode import Mode
from ..statistics import HostStatistics, LayerStatistics
from .effective import effective_macs
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
        "ConnectionSparsity": _Figure(_sparsity(program), "weights of the core"),
        "ActivationSparsity": _Figure(
            _silence(program, recording), "places and steps without a spike, the core's"
        ),
        "Effective_MACs": _host_macs(program, recording, host, samples),
        "Effective_ACs": _Figure(
            sum(layer.effective_operations or 0.0 for layer in layers),
            "synaptic operations on the core through weights that are not 0",
        ),
        "Dense": _Figure(
            recording.steps * sum(layer.incoming_synapses for layer in layers)
            + host.encoder_macs
            + host.decoder_macs,
            "every synapse in every step, and the host's multiply-accumulates once",
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


def _sparsity(program: Program) -> float | None:
    weights = sum(c.weight.size for c in program.connections)
    zero = sum(int((c.weight == 0).sum()) for c in program.connections)
    return zero / weights if weights else None


def _silence(program: Program, recording: Recording) -> float:
    """Of the core's populations; a spike a step at most."""
    places = recording.samples * recording.steps * program.neurons
    spikes = sum(int(recording.counts[p.name].sum()) for p in program.populations)
    return 1 - spikes / places


def _host_macs(
    program: Program,
    recording: Recording,
    host: HostStatistics,
    samples: FloatArray | None,
) -> _Figure:
    if samples is None:
        why = "the samples that ran are not known here, so their zeros are not"
        return _Figure(None, why)
    graphs: list[tuple[Graph, FloatArray]] = [
        (part.graph, samples)
        for part in parts_of(program.encoder)
        if isinstance(part, BiasEncoder)
    ]
    read = [recording.counts[name] for name, _ in program.decoder.reads]
    decoder = program.decoder.graph
    rates = np.concatenate(read, axis=1).reshape(-1, *decoder.input.shape)
    graphs.append((decoder, rates[: len(samples)].astype(np.float64)))
    total = sum(effective_macs(graph, given) for graph, given in graphs)
    return _Figure(
        total,
        f"products of values and weights that are not 0, of {len(samples)} samples: "
        "the host's encoder and decoder; of the decoder, a neuron's rate is 0 where it "
        "sent no spike",
    )


def _moved(moved: Mapping[str, Updates] | None) -> _Figure:
    if moved is None:
        return _Figure(None, "the spikes' steps were not kept")
    total = sum(each.moved for each in moved.values())
    return _Figure(
        total,
        "updates after which a membrane potential is another, all in the first step",
    )
