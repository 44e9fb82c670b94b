"""A legalised Graph as a TensorFlow network: spikes forward, its ANN backward."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ...toolchain.errors import DataError, DoesNotFit
from ...toolchain.graph import nodes as n
from ...toolchain.graph.graph import Graph
from ...toolchain.graph.interpret import readout_weights
from ...toolchain.graph.preparation import Rescale
from ...toolchain.passes.quantize.layers import Layer, Synapses, layers
from ...toolchain.passes.quantize.rounding import (
    Scales,
    round_connection,
    round_population,
)
from ...toolchain.program.arithmetic import MAX_BIAS
from .host_layers import apply, linear

GRADIENTS = ("rate", "time")
IF_UNIT = 64.0  # Hz; a power of two, so that nothing is rounded
EXACT = 2**24  # float32 holds every whole number up to here


class HybridNetwork(tf.Module):
    """Weights that are trained on, and what rounds them as the core does.

    How it runs, is ``semantics.forward``'s to say.

    Args:
        graph: legalised (``toolchain.legalize``): the host sets the first population's
            bias, or, with input_spikes, samples are events, (steps, *input shape) of 0
            and 1, that are sent as they are; an input of 1 in every step is a value
            of 1.
        scales: population → scales, kept as they are (``quantize.scales_of``).
        dt: s.
        weight_bits: of the core's weights, with their sign.
        gradient: backward pass of loihi semantics; "rate": once through the rate twins
            at the mean input current, around a loop once; "time": through every step,
            each spike with a surrogate derivative (3 to 4 times the work).
        sigma: softness of the LIF's rate twin on the core, in units of J.
        sigma_if: softness of the IF's, Hz.
        compiled: whether XLA compiles the neurons' recursions.

    Raises:
        ModelError: the graph is not legalised.
        DataError: the gradient is unknown, or goes through no loop and there is one.
        DoesNotFit: a number is beyond the core, a neuron has so many synapses that
            float32 cannot sum their mantissas exactly, or potentials are read.
    """

    def __init__(
        self,
        graph: Graph,
        scales: Mapping[str, Scales],
        *,
        dt: float = 0.001,
        weight_bits: int = 8,
        gradient: str = "rate",
        sigma: float = 0.15,
        sigma_if: float = 20.0,
        compiled: bool = True,
    ) -> None:
        super().__init__()
        if gradient not in GRADIENTS:
            raise DataError(
                f"gradient {gradient!r} is unknown; there are: {', '.join(GRADIENTS)}"
            )
        if gradient == "time" and graph.loop:
            raise DataError(
                f"gradient {gradient!r}: it goes through no loop, and the network has "
                f"{' → '.join(graph.loop)} → {graph.loop[0]}; use 'rate'"
            )
        self.graph, self.scales, self.dt = graph, dict(scales), dt
        self.layers = layers(graph)
        self.limit = (1 << (weight_bits - 1)) - 1  # of half a mantissa
        _check(self.layers, self.limit)
        _check_end(graph)
        self.gradient = gradient
        self.sigma, self.sigma_if, self.compiled = sigma, sigma_if, compiled
        self.start = graph.prepared.name
        self.sends_events = not any(layer.host for layer in self.layers)
        self.reads = _reads(graph)
        self.amplitudes = {self.start: dt} | {
            layer.population.name: layer.population.amplitude for layer in self.layers
        }
        self.populations = {
            layer.population.name: round_population(
                layer, self.scales[layer.population.name], dt
            )
            for layer in self.layers
        }
        self.fan_out = _fan_out(self.layers, self.scales)
        self.delays = _delays(self.layers)
        self.units = _units(self.layers, graph)
        self.kernels, self.biases = {}, {}
        for node in graph.nodes:
            if isinstance(node, n.Linear):
                name, unit = node.name.replace("/", "_"), self.units[node.name]
                self.kernels[node.name] = tf.Variable(
                    node.weight / unit, dtype=tf.float32, name=f"{name}_kernel"
                )
                self.biases[node.name] = tf.Variable(
                    node.bias / unit, dtype=tf.float32, name=f"{name}_bias"
                )
        self.noise = tf.random.Generator.from_seed(0)  # of rate semantics
        self._made: dict[Hashable, Any] = {}

    @property
    def neurons(self) -> int:
        """Neurons on the core."""
        return sum(p.size for p in self.populations.values())

    def to_graph(self) -> Graph:
        """The legalised Graph with the weights as they are now."""
        nodes = (
            replace(
                node,
                weight=self.kernel(node.name).numpy().astype(np.float64),
                bias=self.bias_of(node.name).numpy().astype(np.float64),
            )
            if isinstance(node, n.Linear)
            else node
            for node in self.graph.nodes
        )
        return replace(self.graph, nodes=tuple(nodes))

    def constrain(self) -> None:
        """Bring weights and biases back to what the core's integers reach."""
        for layer in self.layers:
            scales = self.scales[layer.population.name]
            for s in layer.synapses:
                kernel, bias = self.kernels[s.node.name], self.biases[s.node.name]
                unit = self.units[s.node.name]
                size = s.node.weight.shape[-1]
                scale = scales.spread(scales.weights[s.source], size)
                most = tf.constant(2 * self.limit / scale / unit, tf.float32)
                kernel.assign(tf.clip_by_value(kernel, -most, most))
                scale = scales.spread(scales.current, size) * len(layer.synapses)
                most = tf.constant(MAX_BIAS / scale / unit, tf.float32)
                bias.assign(tf.clip_by_value(bias, -most, most))

    def kernel(self, name: str) -> tf.Tensor:
        """Weights of a linear node, float32."""
        return self.kernels[name] * self.units[name]

    def bias_of(self, name: str) -> tf.Tensor:
        """Bias of a linear node, float32."""
        return self.biases[name] * self.units[name]

    def bias(self, layer: Layer) -> tf.Tensor:
        """Bias of every neuron, in units of J, float64 (1, neurons)."""
        size = math.prod(layer.shape)
        total = tf.zeros((1, size), tf.float64)
        for s in layer.synapses:
            bias = tf.reshape(tf.cast(self.bias_of(s.node.name), tf.float64), [-1])
            total += tf.tile(bias, [size // s.node.bias.size])[None]
        return total

    def half_mantissas(self, layer: Layer, s: Synapses) -> tf.Tensor:
        """Half of the mantissas as ``round_connection`` rounds, straight through."""
        kernel = self.kernel(s.node.name)
        scales, size = self.scales[layer.population.name], s.node.weight.shape[-1]
        scale = scales.spread(scales.weights[s.source], size)
        exact = tf.cast(kernel, tf.float64) * (scale / 2)
        real, rounded = tf.cast(exact, tf.float32), tf.cast(tf.round(exact), tf.float32)
        return tf.stop_gradient(rounded) + (real - tf.stop_gradient(real))

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What ``make`` gives, made once: a compiled function."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def window(self, delay: int, steps: int) -> npt.NDArray[np.float64]:
        """Weight of each step in the mean of spikes that are read ``delay`` later."""
        output = self.graph.output
        read = readout_weights(output.settle, output.tau_syn, steps, self.dt)
        if delay >= steps or not read[delay:].any():
            raise DoesNotFit(
                f"{steps} steps are run and the network is {delay + 1} steps deep; "
                "run more"
            )
        shifted = np.concatenate([read[delay:], np.zeros(delay)])
        return shifted / shifted.sum()

    def host(
        self, name: str, values: Mapping[str, tf.Tensor], dtype: tf.DType
    ) -> tf.Tensor:
        """Value of a node that the host computes, from ``values`` on."""
        if name in values:
            return values[name]
        node = self.graph[name]
        inputs = [self.host(i, values, dtype) for i in node.inputs]
        if isinstance(node, n.Linear):
            kernel = tf.cast(self.kernel(name), dtype)
            return linear(node, inputs[0], kernel) + tf.cast(self.bias_of(name), dtype)
        return apply(node, inputs)


def _units(found: tuple[Layer, ...], graph: Graph) -> dict[str, float]:
    """Linear node → the unit its variables are kept in, of its population's J.

    Adam moves every variable equally far. J is in thresholds for a LIF neuron, but in
    Hz for an IF neuron, whose weights are as many times larger.
    """
    units = {node.name: 1.0 for node in graph.nodes if isinstance(node, n.Linear)}
    ends = n.Input | n.Neurons | n.Lowpass | n.BatchNorm | Rescale
    for layer in found:
        waiting = [graph[name] for name in layer.population.inputs]
        while waiting and isinstance(layer.population, n.IF):
            node = waiting.pop()
            if isinstance(node, n.Linear):
                units[node.name] = IF_UNIT
            elif not isinstance(node, ends):
                waiting += [graph[name] for name in node.inputs]
    return units


def _reads(graph: Graph) -> frozenset[str]:
    """Names of the populations that the host reads."""
    wanted, read = {graph.output.name}, set()
    for node in reversed(graph.nodes):
        if node.name in wanted and isinstance(node, n.Neurons):
            read.add(node.name)
        elif node.name in wanted:
            wanted |= set(node.inputs)
    return frozenset(read)


def _fan_out(
    found: tuple[Layer, ...], scales: Mapping[str, Scales]
) -> dict[str, npt.NDArray[np.int64]]:
    """Population → synapses that a spike of each of its neurons visits, (neurons,).

    An Input that sends events is among them.
    """
    total = {
        layer.population.name: np.zeros(math.prod(layer.shape), np.int64)
        for layer in found
    }
    for layer in found:
        for s in layer.synapses:
            connection = round_connection(layer, s, scales[layer.population.name])
            total[s.source] = total.get(s.source, 0) + connection.fan_out
    return total


def _delays(found: tuple[Layer, ...]) -> dict[str, int]:
    """Population → steps until its spikes reach a last one, on the longest way on.

    Ways back, to itself or to an earlier population, are not counted.
    """
    delays = {layer.population.name: 0 for layer in found}
    order = {name: place for place, name in enumerate(delays)}
    for layer in reversed(found):
        name = layer.population.name
        for s in layer.synapses:
            if order.get(s.source, -1) < order[name]:
                further = delays[name] + s.delay
                delays[s.source] = max(delays.get(s.source, 0), further)
    return delays


def _check_end(graph: Graph) -> None:
    for node in graph.nodes:
        if isinstance(node, n.LI):
            raise DoesNotFit(
                f"LI {node.name!r}: a hybrid network reads means over time, no "
                f"potentials; read with tau_syn = {node.tau_rc:g} s of Output "
                f"{graph.output.name!r} in its place"
            )


def _check(found: tuple[Layer, ...], limit: int) -> None:
    for layer in found:
        for s in layer.synapses:
            fan_in = math.prod(s.node.weight.shape[:-1])
            if fan_in * limit >= EXACT:
                raise DoesNotFit(
                    f"Connection {s.source!r} → {layer.population.name!r}: a neuron "
                    f"has {fan_in} synapses; float32 sums the mantissas of up to "
                    f"{(EXACT - 1) // limit} exactly; split the layer"
                )
