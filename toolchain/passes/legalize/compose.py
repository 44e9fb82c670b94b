"""Linear nodes made into one: a kernel where one is exact, else a small matrix."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from ...errors import Obstacle, UnsupportedLayer
from ...graph.graph import Graph
from ...graph.interpret import interpret
from ...graph.nodes import (
    AvgPool2D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    FloatArray,
    Input,
    Node,
    Output,
    Padding,
    Shape,
    Upsample2D,
)
from ...graph.rearranging import Slice
from .convolutions import (
    Kernel,
    add_kernels,
    compose_kernels,
    to_conv,
    to_transpose,
    undilated,
    ungrouped,
)

Weighted = Dense | Conv2D | ConvTranspose2D
MAX_SYNAPSES = 4_000_000  # of a matrix that stands for other layers
_ROWS = 64  # of a unit matrix, sent through at a time


@dataclass(frozen=True, eq=False)
class LinearMap:
    """y = node(x in the shape ``shape``) in the shape ``output``, without bias.

    ``layers`` are the names of the layers it stands for.
    """

    node: Weighted
    shape: Shape
    output: Shape
    layers: tuple[str, ...] = ()

    @property
    def natural(self) -> Shape:
        """Shape that the node itself gives."""
        return self.node.output_shape(self.shape)

    @property
    def synapses(self) -> int:
        """Number of elements of its matrix."""
        return math.prod(self.shape) * math.prod(self.output)


def apply(node: Node, x: FloatArray) -> FloatArray:
    """node(x), bias included, for x (samples, …) in C order of the node's input."""
    alone = replace(node, inputs=("x",))
    graph = Graph((Input("x", shape=x.shape[1:]), alone, Output("y", (alone.name,))))
    return interpret(graph, x)["y"]


def unbiased(node: Weighted) -> Weighted:
    """The node with a bias of zero."""
    return replace(node, bias=np.zeros(node.bias.shape))


def pooling(node: AvgPool2D, channels: int) -> Conv2D:
    """The convolution that takes the same means, its padding counted as zeros."""
    weight = np.full((*node.pool, 1, channels), 1 / math.prod(node.pool))
    return _each(node, weight, stride=node.stride, padding=node.padding)


def upsampling(node: Upsample2D, channels: int) -> ConvTranspose2D:
    """The transposed convolution that repeats every pixel, channel by channel."""
    return ConvTranspose2D(
        node.name,
        weight=np.ones((*node.factor, 1, channels)),
        bias=np.zeros(channels),
        stride=node.factor,
        groups=channels,
    )


def surrounding(node: Node, padding: Padding, channels: int) -> Conv2D:
    """The convolution that adds or leaves out pixels around an image."""
    return _each(node, np.ones((1, 1, 1, channels)), padding=padding)


def _each(node: Node, weight: FloatArray, **how: Any) -> Conv2D:
    """A convolution channel by channel, weight (rows, columns, 1, channels)."""
    channels = weight.shape[3]
    bias = np.zeros(channels)
    return Conv2D(node.name, weight=weight, bias=bias, groups=channels, **how)


def identity(shape: Shape, name: str) -> LinearMap:
    """y = x: a 1×1 convolution channel by channel; of no image, neuron by neuron."""
    image = shape if len(shape) == 3 else (1, 1, math.prod(shape))
    conv = surrounding(Node(name), ((0, 0), (0, 0)), image[2])
    return LinearMap(conv, image, shape, (name,))


def scaled(linear: LinearMap, scale: FloatArray, layer: str) -> LinearMap:
    """scale · map(x), element by element; ``scale`` has the output's shape.

    Raises:
        UnsupportedLayer: it differs between pixels, and only a matrix of more than
            MAX_SYNAPSES would be exact.
    """
    if layer not in linear.layers:
        linear = replace(linear, layers=(*linear.layers, layer))
    filters = linear.node.weight.shape[-1]
    rows = scale.reshape(-1, filters)
    if not (rows == rows[0]).all():
        linear = as_dense(linear)
        rows = scale.reshape(1, -1)
    node = replace(linear.node, weight=linear.node.weight * rows[0])
    return replace(linear, node=node)


def permuted(linear: LinearMap, axes: tuple[int, ...], layer: str) -> LinearMap:
    """The output's axes in another order, as one matrix.

    Raises:
        UnsupportedLayer: it would have more than MAX_SYNAPSES.
    """
    linear = as_dense(replace(linear, layers=(*linear.layers, layer)))
    weight = linear.node.weight.reshape(-1, *linear.output)
    moved = weight.transpose(0, *(axis + 1 for axis in axes))
    output = moved.shape[1:]
    return _dense(linear, output, moved.reshape(len(moved), -1), linear.layers)


def sliced(linear: LinearMap, node: Slice) -> LinearMap:
    """A box of the output.

    Raises:
        UnsupportedLayer: only a matrix of more than MAX_SYNAPSES would be exact.
    """
    if linear.natural == linear.output and isinstance(linear.node, Kernel):
        padding = tuple(
            (-a, b - size) for a, b, size in zip(node.start, node.stop, linear.output)
        )[:2]
        cut = surrounding(node, cast(Padding, padding), linear.output[2])
        linear = compose(linear, cut)
        if linear.output[2] == node.stop[2] - node.start[2]:
            return linear
        if isinstance(linear.node, Kernel):
            whole = ungrouped(linear.node)
            weight = whole.weight[..., node.start[2] : node.stop[2]]
            fewer = unbiased(replace(whole, weight=weight, bias=weight[0, 0, 0]))
            output = (*linear.output[:2], weight.shape[3])
            return LinearMap(fewer, linear.shape, output, linear.layers)
        stop = (*linear.output[:2], node.stop[2])
        node = replace(node, start=(0, 0, node.start[2]), stop=stop)
    linear = as_dense(replace(linear, layers=(*linear.layers, node.name)))
    box = (slice(None), *(slice(a, b) for a, b in zip(node.start, node.stop)))
    held = linear.node.weight.reshape(-1, *linear.output)[box]
    return _dense(linear, held.shape[1:], held.reshape(len(held), -1), linear.layers)


def compose(first: LinearMap, second: Weighted) -> LinearMap:
    """second ∘ first.

    Raises:
        UnsupportedLayer: only a matrix of more than MAX_SYNAPSES would be exact.
    """
    layers = (*first.layers, second.name)
    second = unbiased(second)
    output = second.output_shape(first.output)
    a, b = first.node, second
    if not isinstance(a, Dense) and not isinstance(b, Dense):
        if first.natural == first.output:
            kernel = compose_kernels(a, b, first.shape)
            if kernel is not None:
                return LinearMap(kernel, first.shape, output, layers)
    inputs, outputs = math.prod(first.shape), math.prod(output)
    _refuse_large(layers, inputs, outputs)
    if isinstance(b, Dense) and not isinstance(a, Dense):
        columns = _transposed(a, first.shape, b.weight.T.reshape(-1, *first.natural))
        weight = columns.reshape(outputs, inputs).T
    else:
        weight = _rows(first, b)
    return _dense(first, output, weight, layers)


def add(one: LinearMap, other: LinearMap) -> LinearMap:
    """one + other, of the same source and output.

    Raises:
        UnsupportedLayer: only a matrix of more than MAX_SYNAPSES would be exact.
    """
    layers = (*one.layers, *(name for name in other.layers if name not in one.layers))
    a, b = one.node, other.node
    if isinstance(a, Conv2D) and isinstance(b, Conv2D):
        if one.shape == other.shape and one.natural == other.natural:
            kernel = add_kernels(a, b, one.shape)
            if kernel is not None:
                return LinearMap(kernel, one.shape, one.output, layers)
    return _dense(one, one.output, matrix(one) + matrix(other), layers)


def embed(part: LinearMap, before: int, after: int) -> LinearMap:
    """``part`` with zeros before and after its output's last axis: a Concat's part."""
    output = (*part.output[:-1], before + part.output[-1] + after)
    if part.natural == part.output:
        node, shape = part.node, part.natural
    else:
        node, shape = as_dense(part).node, part.output
    if not isinstance(node, Dense):
        node = ungrouped(node)
    weight = node.weight
    if isinstance(node, Dense):
        weight = weight.reshape(-1, *shape)
    weight = np.pad(weight, [(0, 0)] * (weight.ndim - 1) + [(before, after)])
    if isinstance(node, Dense):
        return _dense(part, output, weight.reshape(len(weight), -1), part.layers)
    bias = np.zeros(output[-1])
    wide = replace(node, weight=weight, bias=bias)
    return LinearMap(wide, part.shape, output, part.layers)


def as_dense(linear: LinearMap) -> LinearMap:
    """The same map as one Dense.

    Raises:
        UnsupportedLayer: its matrix has more than MAX_SYNAPSES.
    """
    return _dense(linear, linear.output, matrix(linear), linear.layers)


def matrix(linear: LinearMap) -> FloatArray:
    """(inputs, outputs) of a map; UnsupportedLayer beyond MAX_SYNAPSES."""
    if isinstance(linear.node, Dense):
        return linear.node.weight
    inputs, outputs = math.prod(linear.shape), math.prod(linear.output)
    _refuse_large(linear.layers, inputs, outputs)
    return _rows(linear)


def _rows(first: LinearMap, second: Weighted | None = None) -> FloatArray:
    """The matrix of first, or of second ∘ first, a few rows at a time."""
    inputs = math.prod(first.shape)
    rows = []
    for start in range(0, inputs, _ROWS):
        if isinstance(first.node, Dense):
            y = first.node.weight[start : start + _ROWS]
        else:
            unit = np.eye(min(_ROWS, inputs - start), inputs, start)
            y = apply(unbiased(first.node), unit.reshape(-1, *first.shape))
        if second is not None:
            y = apply(second, y.reshape(-1, *first.output))
        rows.append(y.reshape(len(y), -1))
    return np.concatenate(rows)


def _transposed(
    node: Conv2D | ConvTranspose2D, shape: Shape, y: FloatArray
) -> FloatArray:
    """The transpose of the node's matrix, applied to y (samples, …)."""
    if isinstance(node, ConvTranspose2D):
        return apply(to_conv(node), y)
    node = undilated(node)
    read = [  # input pixels up to the last window's end
        (windows - 1) * pace + k - before
        for windows, pace, k, (before, _) in zip(
            y.shape[1:], node.stride, node.weight.shape, node.padding
        )
    ]
    (top, _), (left, _) = node.padding
    bottom, right = (max(0, end - size) for end, size in zip(read, shape))
    x = apply(to_transpose(replace(node, padding=((top, bottom), (left, right)))), y)
    never_read = [(0, size - seen) for size, seen in zip(shape, x.shape[1:])]
    return np.pad(x, [(0, 0), *never_read])


def _dense(
    like: LinearMap, output: Shape, weight: FloatArray, layers: tuple[str, ...]
) -> LinearMap:
    dense = Dense(layers[-1], weight=weight, bias=np.zeros(weight.shape[1]))
    return LinearMap(dense, (math.prod(like.shape),), output, layers)


def _refuse_large(layers: tuple[str, ...], inputs: int, outputs: int) -> None:
    if inputs * outputs > MAX_SYNAPSES:
        found = Obstacle(
            id="large-matrix",
            layer=", ".join(layers),
            kind="Layers",
            why="together they are no convolution, but a matrix of "
            f"{inputs} × {outputs} synapses, and {MAX_SYNAPSES} are allowed",
            fix="put a ReLU between them, or choose sizes that the pooling divides and "
            "no padding, and train again",
        )
        raise UnsupportedLayer.of([found])
