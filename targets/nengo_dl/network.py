"""A legalised Graph as core Nengo objects, for any Nengo simulator.

Populations are ensembles with their bias, connections go from neurons to neurons with
the weights as transform and the synapse on the connection. The host's encoder and
decoder stay outside: the first population is handed its current.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace

import nengo
import numpy as np

from ...toolchain.errors import UnsupportedLayer
from ...toolchain.graph.graph import Graph
from ...toolchain.graph.nodes import LIF, Conv2D, ConvTranspose2D, Dense, Padding, Shape
from ...toolchain.passes.quantize.layers import Layer, Synapses, layers
from ...toolchain.program.connections import ConvConnection, ConvTransposeConnection


@dataclass(frozen=True, eq=False)
class NengoNetwork:
    """A network and where its input goes in and its spikes come out."""

    network: nengo.Network
    current: nengo.Node  # J of the first population, (neurons,)
    spikes: dict[str, nengo.Probe]  # population → amplitude / dt in a spike's step


def build_network(graph: Graph, seed: int = 0) -> NengoNetwork:
    """The populations and connections of a legalised Graph, in Nengo.

    Raises:
        ModelError: the Graph is not legalised.
    """
    parts = layers(graph)
    with nengo.Network(seed=seed) as network:
        ensembles = {part.population.name: _ensemble(part) for part in parts}
        first = next(part for part in parts if not part.synapses)
        current = nengo.Node(np.zeros(math.prod(first.shape)))
        target = ensembles[first.population.name].neurons
        nengo.Connection(current, target, synapse=None)
        for part in parts:
            for synapses in part.synapses:
                nengo.Connection(
                    ensembles[synapses.source].neurons,
                    ensembles[part.population.name].neurons,
                    transform=_transform(synapses),
                    synapse=nengo.Lowpass(synapses.tau_syn),
                )
        spikes = {name: nengo.Probe(e.neurons) for name, e in ensembles.items()}
    return NengoNetwork(network, current, spikes)


def _ensemble(layer: Layer) -> nengo.Ensemble:
    neurons = layer.bias.size
    with warnings.catch_warnings():  # rates of neurons below threshold are logs of 0
        warnings.simplefilter("ignore", RuntimeWarning)
        return nengo.Ensemble(
            neurons,
            1,
            gain=np.ones(neurons),
            bias=layer.bias,
            neuron_type=_neurons(layer),
            label=layer.population.name,
        )


def _neurons(layer: Layer) -> nengo.neurons.NeuronType:
    population = layer.population
    rest = {"voltage": nengo.dists.Choice([0])}
    if isinstance(population, LIF):
        if population.whole_steps:
            raise UnsupportedLayer(
                f"LIF {population.name!r}: a spike takes its step to the end, and "
                "Nengo's LIF neuron finds its time within the step; run it on an "
                "integer target"
            )
        return nengo.LIF(
            tau_rc=population.tau_rc,
            tau_ref=population.tau_ref,
            min_voltage=population.min_voltage,
            amplitude=population.amplitude,
            initial_state=rest,
        )
    if population.reset == "zero":
        raise UnsupportedLayer(
            f"IF {population.name!r}: a spike leaves nothing of its potential, and "
            "Nengo's spiking rectified linear neuron keeps what is beyond the "
            "threshold; run it on an integer target"
        )
    if population.min_voltage:
        raise UnsupportedLayer(
            f"IF {population.name!r}: min_voltage is {population.min_voltage}; Nengo's "
            "spiking rectified linear neuron has none; run it on an integer target"
        )
    return nengo.SpikingRectifiedLinear(
        amplitude=population.amplitude, initial_state=rest
    )


def _transform(synapses: Synapses) -> nengo.transforms.Transform:
    """The weights: dense, a convolution where Nengo has its padding, else sparse."""
    node, shape = synapses.node, synapses.shape
    if isinstance(node, Dense):
        return nengo.Dense(node.weight.T.shape, init=node.weight.T)
    padding = _named_padding(node, shape)
    if padding is None or node.groups > 1 or node.dilation != (1, 1):
        return _sparse(node, shape)
    shared = {
        "n_filters": node.weight.shape[3],
        "input_shape": shape,
        "kernel_size": node.weight.shape[:2],
        "strides": node.stride,
        "padding": padding,
        "init": node.weight,
    }
    if isinstance(node, Conv2D):
        return nengo.Convolution(**shared)
    return nengo.ConvolutionTranspose(output_shape=node.output_shape(shape), **shared)


def _named_padding(node: Conv2D | ConvTranspose2D, shape: Shape) -> str | None:
    """ "valid" or "same" as Nengo and TensorFlow mean it, None for any other."""
    output = node.output_shape(shape)
    large, small = (shape, output) if isinstance(node, Conv2D) else (output, shape)
    if node.padding == ((0, 0), (0, 0)):
        return "valid" if _valid(large, small, node) else None
    same: Padding = tuple(  # type: ignore[assignment]
        (total // 2, total - total // 2)
        for total in (
            max((math.ceil(size / pace) - 1) * pace + k - size, 0)
            for size, pace, k in zip(large, node.stride, node.weight.shape)
        )
    )
    fits = all(
        math.ceil(size / pace) == windows
        for size, pace, windows in zip(large, node.stride, small[:2])
    )
    return "same" if fits and node.padding == same else None


def _valid(large: Shape, small: Shape, node: Conv2D | ConvTranspose2D) -> bool:
    return all(
        (size - k) // pace + 1 == windows
        for size, k, pace, windows in zip(
            large, node.weight.shape, node.stride, small[:2]
        )
    )


def _sparse(node: Conv2D | ConvTranspose2D, shape: Shape) -> nengo.Sparse:
    """Every synapse by itself, (target neurons, source neurons)."""
    from scipy.sparse import coo_matrix

    kind = ConvConnection if isinstance(node, Conv2D) else ConvTransposeConnection
    there = kind(
        source="",
        target="",
        weight=(2 * (node.weight != 0)).astype(np.int16),
        shape=shape,
        stride=node.stride,
        padding=node.padding,
        groups=node.groups,
        dilation=node.dilation,
    )
    source, target, _ = there.synapses()
    weight = replace(there, weight=node.weight).kernels[there.taps.kernel]
    size = (math.prod(node.output_shape(shape)), math.prod(shape))
    matrix = coo_matrix((weight.ravel(), (target.ravel(), source.ravel())), size)
    return nengo.Sparse(size, init=matrix)
