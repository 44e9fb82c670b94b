"""The layers of a legalised Graph: each population with the weights that feed it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ...errors import ModelError
from ...graph.graph import Graph
from ...graph.nodes import (
    IF,
    LIF,
    Add,
    Flatten,
    FloatArray,
    Input,
    Neurons,
    Node,
    Reshape,
    Shape,
    Synapse,
)
from ...program.correction import Correction, across
from ..legalize.compose import Weighted


@dataclass(frozen=True, eq=False, kw_only=True)
class Synapses:
    """Weights from one source population (or the Input), behind its synapse."""

    source: str
    source_shape: Shape
    node: Weighted
    shape: Shape  # in which the node takes the source
    tau_syn: float  # s
    delay: int  # steps


@dataclass(frozen=True, eq=False, kw_only=True)
class Layer:
    """A population and what feeds it; ``host`` is the node that the host adds to it."""

    population: LIF | IF
    shape: Shape
    synapses: tuple[Synapses, ...]
    bias: FloatArray  # (neurons,), in units of J
    host: str | None = None
    correction: Correction | None = None
    """With which weights and bias have been driven, the host's part yet to be."""

    @property
    def last_axis(self) -> int:
        """Its length; the axis is that of the population's channels."""
        return self.shape[-1] if self.shape else 1

    @property
    def channels(self) -> int:
        """How many neurons in a row may have scales and corrections of their own.

        Neuron n has those of n mod channels: fewer than the last axis has where neurons
        of several share their weights, behind a convolution that is flattened.
        """
        return math.gcd(
            self.last_axis, *(s.node.weight.shape[-1] for s in self.synapses)
        )

    @property
    def tau_syn(self) -> float:
        """The time constant (s) that all of its synapses share; 0 without synapses.

        Raises:
            ModelError: they have several; a population has one current, of one decay.
        """
        found = sorted({synapses.tau_syn for synapses in self.synapses})
        if len(found) > 1:
            raise ModelError(
                f"Population {self.population.name!r}: its synapses have time "
                f"constants {found} s; one is allowed, give its sources the same"
            )
        return found[0] if found else 0.0


def layers(graph: Graph) -> tuple[Layer, ...]:
    """The populations of a legalised Graph, in order of flow.

    Raises:
        ModelError: the Graph is not legalised.
    """
    return tuple(_layer(graph, x) for x in graph.nodes if isinstance(x, Neurons))


def corrected_layers(
    graph: Graph, corrections: Mapping[str, Correction] | None
) -> tuple[Layer, ...]:
    """``layers``, each with its weights and bias as its correction says."""
    corrections = corrections or {}
    return tuple(
        corrected(layer, corrections.get(layer.population.name))
        for layer in layers(graph)
    )


def corrected(layer: Layer, correction: Correction | None) -> Layer:
    """The layer with J′ = gain · J + offset, and the correction's least potential."""
    if correction is None:
        return layer
    low = correction.min_potential
    synapses = []
    for each in layer.synapses:
        node = each.node
        gain = across(correction.gain, node.weight)
        synapses.append(replace(each, node=replace(node, weight=node.weight * gain)))
    return replace(
        layer,
        population=replace(layer.population, min_voltage=low),
        synapses=tuple(synapses),
        bias=correction.applied(layer.bias),
        correction=correction,
    )


def _layer(graph: Graph, population: Neurons) -> Layer:
    if not isinstance(population, LIF | IF):
        raise _not_legal(population, "a rate neuron")
    shape = graph.shapes[population.name]
    bias = np.zeros(math.prod(shape))
    current = graph[population.inputs[0]]
    parts = [current]
    if isinstance(current, Add) and not _is_host(graph, current):
        parts = [graph[name] for name in current.inputs]
    found: list[Synapses] = []
    host = None
    for part in parts:
        if _is_host(graph, part):
            host = part.name
        if not _is_host(graph, part):
            synapses = _synapses(graph, part)
            natural = graph.shapes[synapses.node.name]
            bias = bias + np.broadcast_to(synapses.node.bias, natural).ravel()
            found.append(synapses)
    if len({(synapses.source, synapses.delay) for synapses in found}) < len(found):
        raise _not_legal(population, "fed twice by one source with the same delay")
    return Layer(
        population=population,
        shape=shape,
        synapses=tuple(found),
        bias=bias,
        host=host,
    )


def _is_host(graph: Graph, node: Node) -> bool:
    """Whether the node is computed from the Input, without a synapse between."""
    if isinstance(node, Input):
        return True
    if isinstance(node, Synapse | Neurons):
        return False
    return all(_is_host(graph, graph[name]) for name in node.inputs)


def _synapses(graph: Graph, node: Node) -> Synapses:
    """The weights behind ``node``, which may be reshaped on either side."""
    node = _unshaped(graph, node)
    if not isinstance(node, Weighted):
        raise _not_legal(node, "before a population, where only weights may stand")
    synapse = _unshaped(graph, graph[node.inputs[0]])
    if not isinstance(synapse, Synapse):
        raise _not_legal(node, f"behind {synapse.name!r}, without a Lowpass between")
    source = synapse.inputs[0]
    return Synapses(
        source=source,
        source_shape=graph.shapes[source],
        node=node,
        shape=graph.shapes[node.inputs[0]],
        tau_syn=synapse.tau_syn,
        delay=synapse.delay,
    )


def _unshaped(graph: Graph, node: Node) -> Node:
    while isinstance(node, Flatten | Reshape):
        node = graph[node.inputs[0]]
    return node


def _not_legal(node: Node, what: str) -> ModelError:
    return ModelError(
        f"{type(node).__name__} {node.name!r}: it is {what}; call legalize first"
    )
