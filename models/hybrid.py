"""A legalised Graph as a TensorFlow network that spikes forward and trains as its ANN."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ..toolchain import nodes as n
from ..toolchain.arithmetic import MAX_BIAS, WEIGHT_SHIFT
from ..toolchain.errors import DoesNotFit, UnsupportedLayer
from ..toolchain.graph import Graph
from ..toolchain.interpret import readout_weights
from ..toolchain.layers import Layer, Synapses, layers
from ..toolchain.rounding import Scales, round_connection, round_population
from . import hybrid_neurons as neurons
from .host_layers import apply, linear

SEMANTICS = ("loihi", "float", "rate")
EXACT = 2**24  # float32 holds every whole number up to here
FLOAT_SIGMA = 0.005  # of the float neurons' soft LIF twin (arXiv 2303.12738, 3.1)


@dataclass(frozen=True)
class Activity:
    """What a forward pass gives.

    Attributes:
        output: the read-out, (samples, …).
        rates: population → Hz over the whole presentation, (samples, neurons), with the
            gradient of the rate twins.
        spikes: population → (steps, samples, neurons), 1 for a spike; float semantics
            may give more than 1.
    """

    output: tf.Tensor
    rates: Mapping[str, tf.Tensor]
    spikes: Mapping[str, tf.Tensor]


class HybridNetwork(tf.Module):
    """A network whose forward pass is the spiking simulation over time.

    Layer by layer over time: a connection is applied to all samples × steps at once,
    and only the neurons' recursion runs through the steps. The backward pass goes
    through the rate twin of each population. Two semantics:

    loihi: the core's own integers (``toolchain.arithmetic``), spike for spike what
        every target gives after ``quantize(to_graph(), …, scales=scales)``. Backward:
        connections are linear and each population is read through its mean over time,
        so one pass through the rate twins at the mean input current is all there is,
        ȳ = mean spikes + f(J̄) − stop_gradient(f(J̄)); rounding is passed straight
        through. The mean leaves out the spikes that reach no read step any more.
    float: Nengo's neurons (``toolchain.interpret``) in float32; backward through the
        rate twin at every step, and through the synapses, as the paper trains.

    Args:
        graph: legalised (``toolchain.legalize``), the host setting the first
            population's bias.
        scales: population → scales, kept as they are (``toolchain.quantize.scales_of``).
        dt: s.
        weight_bits: of the core's weights, with their sign.
        sigma: softness of the LIF's rate twin in loihi semantics, in units of J.
        sigma_if: softness of the IF's, Hz.
        compiled: whether XLA compiles the neurons' recursions.

    Raises:
        ModelError: the graph is not legalised.
        UnsupportedLayer: the input is sent as spikes.
        DoesNotFit: a number is beyond the core, or a neuron has so many synapses that
            float32 cannot sum their mantissas exactly.
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
        self.graph, self.scales, self.dt = graph, dict(scales), dt
        self.layers = layers(graph)
        self.limit = (1 << (weight_bits - 1)) - 1  # of half a mantissa
        self.gradient = gradient
        self.sigma, self.sigma_if, self.compiled = sigma, sigma_if, compiled
        self.populations = {
            layer.population.name: round_population(layer, self._scales(layer), dt)
            for layer in self.layers
        }
        self.fan_out = _fan_out(self.layers, self.scales)
        self.delays = _delays(self.layers)
        _check(self.layers, self.limit)
        self.kernels, self.biases = {}, {}
        for node in graph.nodes:
            if isinstance(node, n.Linear):
                variable = node.name.replace("/", "_")
                self.kernels[node.name] = tf.Variable(
                    node.weight, dtype=tf.float32, name=f"{variable}_kernel"
                )
                self.biases[node.name] = tf.Variable(
                    node.bias, dtype=tf.float32, name=f"{variable}_bias"
                )
        self._compiled: dict[Any, Any] = {}

    @property
    def neurons(self) -> int:
        """Neurons on the core."""
        return sum(p.size for p in self.populations.values())

    def to_graph(self) -> Graph:
        """The legalised Graph with the weights as they are now."""
        return Graph(
            tuple(
                replace(
                    node,
                    weight=self.kernels[node.name].numpy().astype(np.float64),
                    bias=self.biases[node.name].numpy().astype(np.float64),
                )
                if isinstance(node, n.Linear)
                else node
                for node in self.graph.nodes
            )
        )

    def constrain(self) -> None:
        """Bring weights and biases back to what the core's integers reach."""
        for layer in self.layers:
            scales = self._scales(layer)
            for s in layer.synapses:
                kernel, bias = self.kernels[s.node.name], self.biases[s.node.name]
                most = 2 * self.limit / scales.weights[s.source]
                kernel.assign(tf.clip_by_value(kernel, -most, most))
                most = MAX_BIAS / scales.current / len(layer.synapses)
                bias.assign(tf.clip_by_value(bias, -most, most))

    def forward(
        self,
        x: tf.Tensor,
        steps: int,
        semantics: str = "loihi",
        *,
        record: bool = False,
    ) -> Activity:
        """Present samples for ``steps`` steps.

        Args:
            x: (samples, *input shape).
            steps: at least as many as reach the read-out.
            semantics: "loihi" or "float".
            record: whether to give the spikes.

        Raises:
            DataError: the read-out leaves no step to read.
        """
        if semantics not in SEMANTICS:
            raise UnsupportedLayer(
                f"semantics {semantics!r} is unknown; {' or '.join(SEMANTICS)}"
            )
        run = {"loihi": self._loihi, "float": self._float, "rate": self._rate}[
            semantics
        ]
        value, rates, spikes = run(x, steps)
        output = self._host(self.graph.output.name, value, tf.float32)
        return Activity(output, rates, spikes if record else {})

    def _rate(self, x: tf.Tensor, steps: int) -> _Run:
        values: dict[str, tf.Tensor] = {}
        rates: dict[str, tf.Tensor] = {}
        for layer in self.layers:
            name = layer.population.name
            current = tf.cast(self._constant(layer, x), tf.float32)
            rates[name] = self._twin(layer)(self._mean_current(layer, current, values))
            value = layer.population.amplitude * rates[name]
            values[name] = tf.reshape(value, (-1, *layer.shape))
        return {name: values[name]}, rates, {}

    def _loihi(self, x: tf.Tensor, steps: int) -> _Run:
        values: dict[str, tf.Tensor] = {}
        rates: dict[str, tf.Tensor] = {}
        trains: dict[str, tf.Tensor] = {}
        for layer in self.layers:
            name = layer.population.name
            current, bias, sums = self._currents(layer, x, trains)
            window = tf.constant(self._window(name, steps), tf.float32)
            if self.gradient == "time":
                run = self._trained(layer, steps)
                trains[name] = run(current * self._scales(layer).current, bias, *sums)
                mean = tf.tensordot(window, trains[name], 1) / self.dt
                rate = tf.reduce_mean(trains[name], axis=0) / self.dt
            else:
                spikes = self._recursion(layer, steps)(bias, window, *sums)
                trains[name] = spikes.train
                twin = self._twin(layer)(self._mean_current(layer, current, values))
                soft = twin - tf.stop_gradient(twin)
                mean = tf.stop_gradient(spikes.mean) / self.dt + soft
                rate = tf.stop_gradient(spikes.count) / (steps * self.dt) + soft
            shape = (-1, *layer.shape)
            values[name] = layer.population.amplitude * tf.reshape(mean, shape)
            rates[name] = rate
        return {name: values[name]}, rates, trains

    def _currents(
        self, layer: Layer, x: tf.Tensor, trains: Mapping[str, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        """Constant part of J, the same as integer bias, each source's sums over time."""
        current, sums = self._constant(layer, x), []
        for s in layer.synapses:
            train, half = trains[s.source][:-1], self._half(layer, s)
            sums.append(self._through_time(s, train, half, current.shape[1]))
        bias = tf.stop_gradient(current) * self._scales(layer).current
        if self.gradient == "rate":
            sums = [tf.stop_gradient(total) for total in sums]
        return tf.cast(current, tf.float32), neurons.round_bias(bias), sums

    def _constant(self, layer: Layer, x: tf.Tensor) -> tf.Tensor:
        """Constant part of J in float64, (samples or 1, neurons)."""
        if layer.synapses:
            return self._bias(layer, tf.float64)
        start = {self.graph.input.name: tf.cast(x, tf.float64)}
        host = self._host(layer.population.inputs[0], start, tf.float64)
        return tf.reshape(host, (-1, math.prod(layer.shape)))

    def _half(self, layer: Layer, s: Synapses) -> tf.Tensor:
        """Half of the mantissas, rounded as ``round_connection`` does, straight through."""
        kernel = self.kernels[s.node.name]
        exact = tf.cast(kernel, tf.float64) * (
            self._scales(layer).weights[s.source] / 2
        )
        real, rounded = tf.cast(exact, tf.float32), tf.cast(tf.round(exact), tf.float32)
        return tf.stop_gradient(rounded) + (real - tf.stop_gradient(real))

    def _mean_current(
        self, layer: Layer, constant: tf.Tensor, values: Mapping[str, tf.Tensor]
    ) -> tf.Tensor:
        """J̄, (samples, neurons), of the sources' mean values."""
        mean = constant
        for s in layer.synapses:
            unit = 2 / self._scales(layer).weights[s.source]
            seen = tf.reshape(values[s.source], (-1, *s.shape))
            sums = linear(s.node, seen, self._half(layer, s) * unit)
            mean += tf.reshape(sums, (-1, constant.shape[1]))
        return mean

    def _twin(self, layer: Layer) -> neurons.Rate:
        rest = self.populations[layer.population.name].refractory - 1
        return neurons.core_rate(
            layer.population, rest, self.dt, self.sigma, self.sigma_if
        )

    def _through_time(
        self, s: Synapses, train: tf.Tensor, kernel: tf.Tensor, size: int
    ) -> tf.Tensor:
        """Weighted sums of (steps, samples, neurons), all steps at once."""
        steps = train.shape[0]
        flat = tf.reshape(train, (-1, *s.shape))
        return tf.reshape(linear(s.node, flat, kernel), (steps, -1, size))

    def _bias(self, layer: Layer, dtype: tf.DType) -> tf.Tensor:
        """Bias of every neuron, in units of J, (1, neurons)."""
        size = math.prod(layer.shape)
        total = tf.zeros((1, size), dtype)
        for s in layer.synapses:
            bias = tf.cast(self.biases[s.node.name], dtype)
            total += tf.tile(bias, [size // s.node.bias.size])[None]
        return total

    def _float(self, x: tf.Tensor, steps: int) -> _Run:
        rates: dict[str, tf.Tensor] = {}
        trains: dict[str, tf.Tensor] = {}
        for layer in self.layers:
            name, size = layer.population.name, math.prod(layer.shape)
            if layer.synapses:
                current = self._bias(layer, tf.float32)[None]
                for s in layer.synapses:
                    seen = neurons.filtered(trains[s.source], s.tau_syn, self.dt)
                    seen *= self.graph[s.source].amplitude
                    kernel = self.kernels[s.node.name]
                    current += self._through_time(s, seen, kernel, size)
            else:
                start = {self.graph.input.name: tf.cast(x, tf.float32)}
                host = self._host(layer.population.inputs[0], start, tf.float32)
                current = tf.reshape(host, (1, -1, size))
            trains[name] = self._recursion_float(layer, steps)(current)  # Hz
            rates[name] = tf.reduce_mean(trains[name], axis=0)
        weights = tf.constant(self._window(name, steps), tf.float32)
        read = tf.tensordot(weights, trains[name], 1) * layer.population.amplitude
        spikes = {name: train * self.dt for name, train in trains.items()}
        return {name: tf.reshape(read, (-1, *layer.shape))}, rates, spikes

    def _recursion(self, layer: Layer, steps: int) -> Any:
        key = layer.population.name, steps
        if key not in self._compiled:
            exponents = self._scales(layer).exponents
            bits = [WEIGHT_SHIFT + 1 + exponents[s.source] for s in layer.synapses]
            population = self.populations[layer.population.name]
            self._compiled[key] = tf.function(
                partial(neurons.core_spikes, population, bits, steps, False),
                jit_compile=self.compiled,
                autograph=False,
            )
        return self._compiled[key]

    def _trained(self, layer: Layer, steps: int) -> Any:
        key = layer.population.name, steps, "time"
        if key not in self._compiled:
            exponents = self._scales(layer).exponents
            bits = [WEIGHT_SHIFT + 1 + exponents[s.source] for s in layer.synapses]
            self._compiled[key] = neurons.trained_spikes(
                self.populations[layer.population.name], bits, steps, self.compiled
            )
        return self._compiled[key]

    def _recursion_float(self, layer: Layer, steps: int) -> Any:
        key = layer.population.name, steps, "float"
        if key not in self._compiled:
            twin = neurons.float_rate(layer.population, FLOAT_SIGMA)
            self._compiled[key] = neurons.float_spikes(
                layer.population, twin, steps, self.dt, self.compiled
            )
        return self._compiled[key]

    def _window(self, name: str, steps: int) -> npt.NDArray[np.float64]:
        """Weight of each step in the mean of a population: as its spikes are read."""
        output = self.graph.output
        read = readout_weights(output.settle, output.tau_syn, steps, self.dt)
        delay = self.delays[name]
        if delay >= steps or not read[delay:].any():
            raise DoesNotFit(
                f"{steps} steps are run and the network is {delay + 1} layers deep, one "
                "step each; run more steps"
            )
        shifted = np.concatenate([read[delay:], np.zeros(delay)])
        return shifted / shifted.sum()

    def _host(
        self, name: str, values: Mapping[str, tf.Tensor], dtype: tf.DType
    ) -> tf.Tensor:
        """Value of a node that the host computes, from ``values`` on."""
        if name in values:
            return values[name]
        node = self.graph[name]
        inputs = [self._host(i, values, dtype) for i in node.inputs]
        if isinstance(node, n.Linear):
            kernel = tf.cast(self.kernels[name], dtype)
            return linear(node, inputs[0], kernel) + tf.cast(self.biases[name], dtype)
        return apply(node, inputs)

    def _scales(self, layer: Layer) -> Scales:
        return self.scales[layer.population.name]


_Run = tuple[dict[str, tf.Tensor], dict[str, tf.Tensor], dict[str, tf.Tensor]]
"""The read population's value, rates and spikes."""


def _fan_out(
    found: tuple[Layer, ...], scales: Mapping[str, Scales]
) -> dict[str, npt.NDArray[np.int64]]:
    """Population → synapses that a spike of each of its neurons visits, (neurons,)."""
    total = {
        layer.population.name: np.zeros(math.prod(layer.shape), np.int64)
        for layer in found
    }
    for layer in found:
        for s in layer.synapses:
            connection = round_connection(layer, s, scales[layer.population.name])
            total[s.source] += connection.fan_out
    return total


def _delays(found: tuple[Layer, ...]) -> dict[str, int]:
    """Population → steps until its spikes reach the last one, on the longest way."""
    delays = {layer.population.name: 0 for layer in found}
    for layer in reversed(found):
        for s in layer.synapses:
            further = delays[layer.population.name] + 1
            delays[s.source] = max(delays[s.source], further)
    return delays


def _check(found: tuple[Layer, ...], limit: int) -> None:
    if sum(not layer.synapses for layer in found) != 1 or found[0].synapses:
        raise UnsupportedLayer(
            "HybridNetwork: the host sets the bias of one population, the first; "
            "legalize without input_spikes"
        )
    for layer in found:
        for s in layer.synapses:
            fan_in = math.prod(s.node.weight.shape[:-1])
            if fan_in * limit >= EXACT:
                raise DoesNotFit(
                    f"Connection {s.source!r} → {layer.population.name!r}: a neuron has "
                    f"{fan_in} synapses; float32 sums the mantissas of up to "
                    f"{(EXACT - 1) // limit} exactly; split the layer"
                )
