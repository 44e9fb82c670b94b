"""Networks to time: random weights, scaled so that a chosen share of neurons fires."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import interpret
from snn_deploy.toolchain.graph.nodes import (
    LIF,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Flatten,
    FloatArray,
    Input,
    Linear,
    Node,
    Output,
    Padding,
    Shape,
    SoftLIF,
)
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.quantize.quantize import quantize
from snn_deploy.toolchain.program.host import Stimulus, encode
from snn_deploy.toolchain.program.program import Program

DT = 0.001  # s
ACTIVITY = 0.09  # aimed at in the long run; in the first 64 steps it is about 0.075
SAME, VALID = ((1, 1), (1, 1)), ((0, 0), (0, 0))
CALIBRATION = 2  # samples


@dataclass(frozen=True, kw_only=True)
class Layer:
    """3×3 convolution, its transpose, or (kind "dense") all to all."""

    filters: int
    stride: int = 1
    padding: Padding = SAME
    kind: str = "conv"


@dataclass(frozen=True, eq=False)
class Case:
    """A Program, and samples for it."""

    name: str
    program: Program
    samples: FloatArray

    def stimulus(self, samples: int, steps: int) -> Stimulus:
        """``samples`` of the samples, over and over where there are fewer."""
        chosen = np.resize(self.samples, (samples, *self.samples.shape[1:]))
        return encode(self.program.encoder, chosen, steps, self.program.timing.dt)


def locnet_like(activity: float = ACTIVITY) -> Case:
    """The network of earlier timings: 48 × 32, tau_ref 0, synapses of 5 ms."""
    shape, layers = (48, 32, 1), locnet_layers((8, 16, 32), VALID)
    layers.append(Layer(filters=4, kind="dense"))
    return random_case("LocNet-like 48×32", shape, layers, activity, tau_syn=0.005)


def large_locnet(activity: float = 0.07) -> Case:
    """LocNet as it is trained by default, for pictures of 64 × 96 in colour."""
    same = ((0, 1), (0, 1))  # Keras's "same" for stride 2 and even sizes
    layers = locnet_layers((8, 16, 32), same)
    return random_case("LocNet 64×96", (64, 96, 3), layers, activity, tau_ref=0.002)


def locnet_layers(channels: Sequence[int], padding: Padding) -> list[Layer]:
    """Two convolutions a stage, the second of stride 2; three dense layers."""
    layers = []
    for filters in channels:
        layers.append(Layer(filters=filters))
        layers.append(Layer(filters=filters, stride=2, padding=padding))
    return layers + [Layer(filters=width, kind="dense") for width in (128, 64, 32)]


def autoencoder(activity: float = ACTIVITY) -> Case:
    """Ten layers: five convolutions down to 7 × 11, five up again."""
    down = dict(stride=2, padding=VALID)
    layers = [
        Layer(filters=8),
        Layer(filters=8, **down),
        Layer(filters=16),
        Layer(filters=16, **down),
        Layer(filters=32),
        Layer(filters=16, kind="transpose", **down),
        Layer(filters=16),
        Layer(filters=8, kind="transpose", **down),
        Layer(filters=8),
        Layer(filters=1),
    ]
    return random_case("autoencoder 32×48", (32, 48, 1), layers, activity)


def stack(neurons: int, activity: float) -> Case:
    """About so many neurons: four populations of 8 channels, 3×3 convolutions."""
    side = max(round(math.sqrt(neurons / 32)), 3)
    layers = [Layer(filters=8)] * 4
    return random_case(f"stack {32 * side**2}", (side, side, 1), layers, activity)


def random_case(
    name: str,
    shape: Shape,
    layers: Sequence[Layer],
    activity: float,
    *,
    tau_ref: float = 0.0,
    tau_syn: float = 0.0,
    min_voltage: float = 0.0,
) -> Case:
    """Random weights, with which every layer fires at ``activity`` spikes a step.

    ``min_voltage``: in thresholds, of every neuron.
    """
    samples = np.random.default_rng(0).random((4, *shape))
    drawn = draw(shape, layers, samples[:CALIBRATION], activity, tau_ref)
    nodes = tuple(
        replace(node, min_voltage=min_voltage) if isinstance(node, LIF) else node
        for node in drawn
    )
    graph = Graph((*nodes, Output("out", (nodes[-1].name,))))
    legal = legalize(graph, tau_syn)
    return Case(name, quantize(legal, samples, steps=64, dt=DT), samples)


def draw(
    shape: Shape,
    layers: Sequence[Layer],
    x: FloatArray,
    activity: float,
    tau_ref: float,
) -> Iterator[Node]:
    """The nodes one by one; ``x`` is what the samples are at the last of them."""
    rng = np.random.default_rng(1)
    yield Input("image", shape=shape)
    last = "image"
    for number, layer in enumerate(layers, 1):
        if layer.kind == "dense" and x.ndim > 2:
            yield Flatten("flatten", (last,))
            last, x = "flatten", x.reshape(len(x), -1)
        linear = weights(rng, layer, f"layer{number}", last, x.shape[-1])
        linear, x = scaled(linear, x, activity, tau_ref)
        last = f"neurons{number}"
        yield linear
        yield LIF(last, (linear.name,), tau_ref=tau_ref)


def weights(
    rng: np.random.Generator, layer: Layer, name: str, source: str, channels: int
) -> Linear:
    """A node with normally distributed weights and no bias."""
    filters = layer.filters
    if layer.kind == "dense":
        weight = rng.standard_normal((channels, filters))
        return Dense(name, (source,), weight=weight, bias=np.zeros(filters))
    kind = ConvTranspose2D if layer.kind == "transpose" else Conv2D
    return kind(
        name,
        (source,),
        weight=rng.standard_normal((3, 3, channels, filters)),
        bias=np.zeros(filters),
        stride=(layer.stride, layer.stride),
        padding=layer.padding,
    )


def scaled(
    linear: Linear, x: FloatArray, activity: float, tau_ref: float
) -> tuple[Linear, FloatArray]:
    """The node with the mean and deviation of J that fire at ``activity``; the rates.

    Mean and standard deviation are kept equal; a neuron fires at most once a step.
    """
    j = interpreted(linear, x)
    j /= j.std()
    low, high = 0.0, 100.0
    for _ in range(30):
        gain = (low + high) / 2
        rates = firing_rates(gain * (j - j.mean() + 1), tau_ref)
        low, high = (gain, high) if rates.mean() * DT < activity else (low, gain)
    spread = interpreted(linear, x)
    factor = gain / spread.std()
    bias = np.full(linear.bias.shape, gain - factor * spread.mean())
    return replace(linear, weight=linear.weight * factor, bias=bias), rates


def firing_rates(j: FloatArray, tau_ref: float) -> FloatArray:
    """Hz, of LIF neurons with these currents."""
    rates = interpreted(SoftLIF("rates", ("x",), tau_ref=tau_ref), j)
    return np.minimum(rates, 1 / DT)


def interpreted(node: Node, x: FloatArray) -> FloatArray:
    """What the node makes of samples x."""
    node = replace(node, inputs=("x",))
    graph = Graph((Input("x", shape=x.shape[1:]), node, Output("y", (node.name,))))
    return interpret(graph, x)["y"]
