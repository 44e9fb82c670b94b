"""Quantize: a trained network of rates and samples → its ANN in 8 bits.

Ranges are the least and largest values of the samples, 0 among them, as TFLite's
post-training quantisation takes them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import cast

import numpy as np

from ....toolchain.errors import ModelError, UnsupportedLayer
from ....toolchain.graph.graph import Graph
from ....toolchain.graph.interpret import recorded
from ....toolchain.graph.nodes import (
    IF,
    LIF,
    Array,
    Conv2D,
    ConvTranspose2D,
    Delay,
    Dense,
    Flatten,
    FloatArray,
    Input,
    Linear,
    Lowpass,
    Node,
    Output,
    Readout,
    ReLU,
    Reshape,
    Shape,
    SoftLIF,
)
from ....toolchain.graph.operations import apply
from ....toolchain.passes.fold import fold
from .network import Coding, Layer, Network
from .requantize import CODES, multiplier_of

MOST_WEIGHT = 127
MOST_SUM = 1 << 31
RECTIFIED = (ReLU, IF)
PASSED = (Flatten, Reshape, Lowpass, Delay)
STAY = "leave it out, or read the int8 ANN's figures elsewhere"


def quantized(graph: Graph, samples: Array) -> Network:
    """The network in 8 bits.

    Args:
        graph: a chain of convolutions (transposed ones too) and dense layers, each
            with a ReLU, an LIF neuron's rate or nothing behind it.
        samples: (samples, *input shape), of the training part.

    Raises:
        UnsupportedLayer: it holds something else.
        ModelError: weights and samples that 8 bits are too coarse for.
    """
    graph, last = _divided(fold(graph))
    steps = _steps(graph)
    names = [graph.input.name, *(node.name for step in steps for node in step)]
    values = recorded(graph, samples, names)
    shapes, coding = graph.shapes, _coding(values[graph.input.name])
    given, layers = coding, []
    for sums, *after in steps:
        shape = _image(shapes[sums.inputs[0]])
        layer, coding = _layer(cast(Linear, sums), after, shape, coding, values)
        layers.append(layer)
    return Network(
        given=given,
        layers=tuple(layers),
        answered=coding,
        shape=shapes[graph.output.name],
        last=last,
    )


def _divided(graph: Graph) -> tuple[Graph, Graph | None]:
    """The network up to its read-outs, and these alone, if there are any."""
    output = graph.output
    kept, last = [*graph.nodes[:-1]], list[Node]()
    while kept and isinstance(kept[-1], Readout):
        last.insert(0, kept.pop())
    if not last:
        return graph, None
    before = replace(output, inputs=last[0].inputs, settle=0.0)
    shape = graph.shapes[last[0].inputs[0]]
    first = replace(last[0], inputs=())
    alone = Graph.chain(Input("linear", shape=shape), first, *last[1:], Output("y"))
    return Graph((*kept, before)), alone


def _steps(graph: Graph) -> list[list[Node]]:
    """Weighted sums, each with the neurons behind it, if any."""
    found: list[list[Node]] = []
    for before, node in pairwise(graph.nodes):
        plain = isinstance(node, Conv2D | ConvTranspose2D | Dense)
        active = isinstance(node, (*RECTIFIED, LIF, SoftLIF))
        if node.inputs != (before.name,) or graph.loop:
            raise UnsupportedLayer(
                f"int8 ANN: layer {node.name!r} takes {', '.join(node.inputs)}; only "
                f"chains, each layer behind the one before, are written; {STAY}"
            )
        if plain:
            _demand_plain(cast(Linear, node))
            found.append([node])
        elif active and isinstance(before, Linear):
            found[-1].append(node)
        elif not isinstance(node, (*PASSED, Output)):
            raise UnsupportedLayer(
                f"int8 ANN: layer {node.name!r} is a {type(node).__name__}; "
                "convolutions, transposed ones and dense layers with ReLU or LIF rates "
                f"are written; {STAY}"
            )
    return found


def _demand_plain(node: Linear) -> None:
    groups, dilation = getattr(node, "groups", 1), getattr(node, "dilation", (1, 1))
    if groups != 1 or dilation != (1, 1) or node.bias.ndim != 1:
        raise UnsupportedLayer(
            f"int8 ANN: layer {node.name!r} has groups, a dilation or biases for each "
            f"pixel; plain (transposed) convolutions are written; {STAY}"
        )


def _image(shape: Shape) -> Shape:
    return shape if len(shape) == 3 else (1, 1, math.prod(shape))


def _coding(values: FloatArray) -> Coding:
    """Of the least to the largest value and 0; zero is exact."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    scale = (high - low) / (CODES - 1) or 1.0
    return Coding(scale=scale, zero=round(-low / scale))


def _layer(
    sums: Linear,
    after: Sequence[Node],
    shape: Shape,
    coming: Coding,
    values: dict[str, FloatArray],
) -> tuple[Layer, Coding]:
    """A sum with its neurons, and what its codes are."""
    active = after[0] if after else None
    leaving = _coding(values[(active or sums).name])
    weight, bias = sums.weight, sums.bias
    between, table = leaving, None
    if isinstance(active, RECTIFIED):
        weight, bias = weight * active.amplitude, bias * active.amplitude
        leaving = between = replace(leaving, zero=0)
    elif active is not None:
        low, between = _above(active, values[sums.name], leaving)
        bias = bias - low
        reached = between.scale * np.arange(CODES) + low
        table = leaving.coded(apply(active, reached))
    if isinstance(sums, Dense):
        weight = weight[None, None]
    whole, scale = _whole(sums, weight, bias, coming.scale, between.scale)
    factors = [multiplier_of(f) for f in coming.scale * scale / between.scale]
    layer = Layer(
        node=whole,
        shape=shape,
        zero_in=coming.zero,
        multiplier=np.array([m for m, _ in factors]),
        shift=np.array([s for _, s in factors]),
        zero_out=between.zero,
        table=table,
    )
    return layer, leaving


def _above(node: Node, currents: FloatArray, rates: Coding) -> tuple[float, Coding]:
    """The current from which on neurons answer more than nothing, and codes above it.

    By bisection: half of the rates' step is the least that counts.
    """
    low, high = float(currents.min()), float(currents.max())
    found = low
    if apply(node, np.array([low]))[0] < rates.scale / 2:
        top = high
        for _ in range(60):
            middle = (found + top) / 2
            silent = apply(node, np.array([middle]))[0] < rates.scale / 2
            found, top = (middle, top) if silent else (found, middle)
    scale = (high - found) / (CODES - 1)
    return found, Coding(scale=scale if scale > 0 else 1.0, zero=0)


def _whole(
    sums: Linear, weight: FloatArray, bias: FloatArray, before: float, after: float
) -> tuple[Conv2D | ConvTranspose2D, FloatArray]:
    """The sum in whole numbers, and the scale of each channel's weights."""
    axes = tuple(range(weight.ndim - 1))
    scale = np.abs(weight).max(axis=axes) / MOST_WEIGHT
    scale = np.maximum(scale, np.abs(bias) / (before * (MOST_SUM >> 2)))
    scale = np.maximum(scale, after / before / (1 << 24))  # where all weights are 0
    products = weight.size // weight.shape[-1] * MOST_WEIGHT * (CODES - 1)
    if products >= MOST_SUM >> 1 or np.any(before * scale >= after):
        raise ModelError(
            f"int8 ANN: layer {sums.name!r} has sums that 32 bits do not hold, or "
            "weights of which one step moves its answer by more than one; train it "
            "with smaller weights"
        )
    whole, start = np.rint(weight / scale), np.rint(bias / (before * scale))
    if isinstance(sums, Conv2D | ConvTranspose2D):
        return replace(sums, weight=whole, bias=start), scale
    return Conv2D(sums.name, sums.inputs, weight=whole, bias=start), scale
