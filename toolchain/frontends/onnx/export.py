"""The rate network of a Graph → an ONNX model, which any runtime of ONNX computes.

The Graph holds pictures (height, width, channels) and ONNX (channels, height, width);
a tensor is turned from one to the other where a node needs it, once. Neurons of which
ONNX has no operator are functions that the model brings along (``formulas.py``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...errors import ModelError
from ...graph import nodes as n
from ...graph.functions import Elementwise, LeakyReLU, MaxPool2D
from ...graph.graph import Graph
from ...graph.nodes import Array, Padding, Pair, Shape
from ...graph.operations import apply
from ...graph.preparation import ChannelsLast, Rescale
from ...graph.rearranging import Pad2D, Permute, Slice
from .formulas import FORMULAS, VERSION
from .model import OWN, Operator
from .writing import written


def to_onnx(graph: Graph) -> bytes:
    """The file of an ONNX model that gives a Graph's outputs in rate mode.

    It takes any number of samples of 32 bits, in the Graph's own layout.

    Raises:
        ModelError: ``onnx`` is missing, it has more than 2 GB, or means its steps.
    """
    if graph.is_spiking:
        raise ModelError(
            "Graph: it is a spiking network, and an ONNX file holds rates; keep it as "
            "a .snn"
        )
    writer = Writer(graph)
    for node in graph.nodes:
        writer.add(node)
    return written(
        tuple(writer.operators),
        writer.arrays,
        (graph.input.name, graph.input.shape),
        (graph.output.name, graph.shapes[graph.output.name]),
    )


class Writer:
    """Operators of ONNX as they grow."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.operators: list[Operator] = []
        self.arrays: dict[str, Array] = {}
        self.names = {graph.input.name, graph.output.name}
        self.made = {(graph.input.name, False): graph.input.name}
        """Node, whether channels come first → tensor of ONNX."""

    def add(self, node: n.Node) -> None:
        """What computes a node."""
        if isinstance(node, n.Input):
            return
        if isinstance(node, ChannelsLast) and len(self.shape(node.name)) == 3:
            self.made[node.name, True] = self.tensor(node)
            return
        tensor, first = CONVERTERS[type(node)](self, node)
        self.made[node.name, first] = tensor

    def shape(self, name: str) -> Shape:
        """Of a node's output, (height, width, channels) for pictures."""
        return self.graph.shapes[name]

    def free(self, wanted: str) -> str:
        """A name that no tensor has yet."""
        name, count = wanted, 1
        while name in self.names:
            count += 1
            name = f"{wanted}_{count}"
        return name

    def op(
        self, kind: str, wanted: str, *inputs: str, domain: str = "", **attributes: Any
    ) -> str:
        """The tensor that a new operator makes; it has the operator's name."""
        return self.named(self.free(wanted), kind, *inputs, domain=domain, **attributes)

    def named(
        self, name: str, kind: str, *inputs: str, domain: str = "", **attributes: Any
    ) -> str:
        """The same, of exactly this name."""
        self.names.add(name)
        self.operators.append(
            Operator(
                kind=kind,
                domain=domain,
                name=name,
                inputs=inputs,
                outputs=(name,),
                attributes=attributes,
                version=VERSION,
            )
        )
        return name

    def constant(self, wanted: str, values: Any, dtype: str = "float32") -> str:
        """A tensor of constants."""
        name = self.free(wanted)
        self.names.add(name)
        self.arrays[name] = np.ascontiguousarray(values, dtype)
        return name

    def tensor(self, node: n.Node, first: bool = False, place: int = 0) -> str:
        """An input of a node, channels last or first."""
        source = node.inputs[place]
        if (source, first) not in self.made:
            perm = (0, 3, 1, 2) if first else (0, 2, 3, 1)
            name = f"{source}_{'first' if first else 'last'}"
            other = self.made[source, not first]
            self.made[source, first] = self.op("Transpose", name, other, perm=perm)
        return self.made[source, first]

    def is_first(self, node: n.Node) -> bool:
        """Whether all inputs are there with their channels first."""
        return all((source, True) in self.made for source in node.inputs)

    def per_value(self, node: n.Node, what: str, values: Array, first: bool) -> str:
        """Constants, one for all, one a channel or one a value, as the input lies."""
        if values.size == 1:
            values = values.reshape(())
        elif first:
            values = values.reshape((1,) * (3 - values.ndim) + values.shape)
            values = np.moveaxis(values, -1, 0)
        return self.constant(f"{node.name}_{what}", values)


Converted = tuple[str, bool]
"""The tensor that a node is, and whether its channels come first."""


def _pads(padding: Padding) -> tuple[int, ...]:
    (top, bottom), (left, right) = padding
    return top, left, bottom, right


def _surrounded(
    w: Writer, name: str, x: str, padding: Padding, fill: float = 0.0
) -> str:
    """A picture, channels first, with more around it, or less of it."""
    more = [max(pad, 0) for pad in _pads(padding)]
    less = [max(-pad, 0) for pad in _pads(padding)]
    if any(less):
        ends = [-pad or np.iinfo(np.int64).max for pad in less[2:]]
        parts = (less[:2], ends, (2, 3))
        given = [w.constant(f"{name}_box", part, "int64") for part in parts]
        x = w.op("Slice", f"{name}_cut", x, *given)
    if any(more):
        sizes = (0, 0, *more[:2], 0, 0, *more[2:])
        given = [w.constant(f"{name}_pads", sizes, "int64")]
        x = w.op("Pad", f"{name}_pad", x, *given, w.constant(f"{name}_fill", fill))
    return x


def _fits(padding: Padding, pool: Pair) -> bool:
    """Whether ONNX's pooling takes this padding: every window has pixels in it."""
    return all(0 <= min(a) and max(a) < k for a, k in zip(padding, pool))


def _biased(w: Writer, node: n.Linear, x: str) -> str:
    return w.op("Add", node.name, x, w.per_value(node, "bias", node.bias, True))


def _windowed(w: Writer, node: n.Windowed, kind: str, weight: Array) -> Converted:
    """A convolution; its padding is the operator's where it is none below 0."""
    x = w.tensor(node, True)
    how: dict[str, Any] = {
        "strides": node.stride,
        "dilations": node.dilation,
        "group": node.groups,
        "kernel_shape": node.kernel,
    }
    outside = min(_pads(node.padding)) < 0
    if not outside:
        how["pads"] = _pads(node.padding)
    elif kind == "Conv":
        x = _surrounded(w, node.name, x, node.padding)
    given = [x, w.constant(f"{node.name}_weight", weight)]
    cut = outside and kind == "ConvTranspose"
    if node.bias.ndim == 1 and not cut:
        given.append(w.constant(f"{node.name}_bias", node.bias))
        return w.op(kind, node.name, *given, **how), True
    x = w.op(kind, f"{node.name}_sum", *given, **how)
    if cut:
        (top, bottom), (left, right) = node.padding
        x = _surrounded(w, node.name, x, ((-top, -bottom), (-left, -right)))
    return _biased(w, node, x), True


def _conv(w: Writer, node: n.Conv2D) -> Converted:
    return _windowed(w, node, "Conv", node.weight.transpose(3, 2, 0, 1))


def _conv_transpose(w: Writer, node: n.ConvTranspose2D) -> Converted:
    rows, columns, inputs, filters = node.weight.shape
    each = filters // node.groups
    parts = node.weight.reshape(rows, columns, inputs, node.groups, each)
    turned = parts.transpose(3, 2, 4, 0, 1)
    weight = turned.reshape(node.groups * inputs, each, rows, columns)
    return _windowed(w, node, "ConvTranspose", weight)


def _dense(w: Writer, node: n.Dense) -> Converted:
    given = [
        w.constant(f"{node.name}_{what}", getattr(node, what))
        for what in ("weight", "bias")
    ]
    return w.op("Gemm", node.name, w.tensor(node), *given), False


def _average_pool(w: Writer, node: n.AvgPool2D) -> Converted:
    """Padding that ONNX allows of a window is the operator's own."""
    how: dict[str, Any] = {"kernel_shape": node.pool, "strides": node.stride}
    x = w.tensor(node, True)
    if _fits(node.padding, node.pool):
        whole = int(not node.inside)
        how |= {"pads": _pads(node.padding), "count_include_pad": whole}
        return w.op("AveragePool", node.name, x, **how), True
    x = _surrounded(w, node.name, x, node.padding)
    x = w.op("AveragePool", node.name, x, **how)
    if not node.inside:
        return x, True
    rows, columns, _ = w.shape(node.inputs[0])
    ones = np.ones((1, rows, columns, 1))
    counted = apply(replace(node, inside=False), ones)
    given = w.constant(f"{node.name}_share", (1 / counted[0]).transpose(2, 0, 1))
    return w.op("Mul", node.name, x, given), True


def _max_pool(w: Writer, node: MaxPool2D) -> Converted:
    how: dict[str, Any] = {"kernel_shape": node.pool, "strides": node.stride}
    x = w.tensor(node, True)
    if _fits(node.padding, node.pool):
        how["pads"] = _pads(node.padding)
    else:
        x = _surrounded(w, node.name, x, node.padding, -math.inf)
    return w.op("MaxPool", node.name, x, **how, dilations=node.dilation), True


def _upsample(w: Writer, node: n.Upsample2D) -> Converted:
    scales = w.constant(f"{node.name}_scales", (1, 1, *node.factor))
    how: dict[str, Any] = {"mode": "nearest", "nearest_mode": "floor"}
    how["coordinate_transformation_mode"] = "asymmetric"
    return w.op("Resize", node.name, w.tensor(node, True), "", scales, **how), True


def _pad(w: Writer, node: Pad2D) -> Converted:
    x = _surrounded(w, node.name, w.tensor(node, True), node.padding)
    return w.op("Identity", node.name, x), True


def _scaled(w: Writer, node: n.BatchNorm | n.Membrane | Rescale) -> Converted:
    first = w.is_first(node)
    x = w.tensor(node, first)
    scale = w.per_value(node, "scale", np.asarray(node.scale), first)
    offset = w.per_value(node, "offset", np.asarray(node.offset), first)
    x = w.op("Mul", f"{node.name}_scaled", x, scale)
    return w.op("Add", node.name, x, offset), first


def _flatten(w: Writer, node: n.Flatten | n.Reshape) -> Converted:
    shape = (-1, *w.shape(node.name))
    given = w.constant(f"{node.name}_shape", shape, "int64")
    return w.op("Reshape", node.name, w.tensor(node), given), False


def _transpose(axes: Callable[[Any, int], tuple[int, ...]]) -> Any:
    def convert(w: Writer, node: n.Node) -> Converted:
        order = axes(node, len(w.shape(node.name)))
        perm = (0, *(axis + 1 for axis in order))
        return w.op("Transpose", node.name, w.tensor(node), perm=perm), False

    return convert


def _slice(w: Writer, node: Slice) -> Converted:
    axes = tuple(range(1, len(node.start) + 1))
    parts = (node.start, node.stop, axes)
    given = [w.constant(f"{node.name}_box", part, "int64") for part in parts]
    return w.op("Slice", node.name, w.tensor(node), *given), False


def _together(w: Writer, node: n.Add | n.Concat) -> Converted:
    first = w.is_first(node)
    given = [w.tensor(node, first, place) for place in range(len(node.inputs))]
    if isinstance(node, n.Add):
        return w.op("Sum", node.name, *given), first
    axis = 1 if first else len(w.shape(node.name))
    return w.op("Concat", node.name, *given, axis=axis), first


def _same(w: Writer, node: n.Node) -> Converted:
    first = w.is_first(node)
    return w.tensor(node, first), first


def _rectified(w: Writer, node: n.ReLU | n.IF) -> Converted:
    first = w.is_first(node)
    x = w.tensor(node, first)
    if node.ceiling is None:
        x = w.op("Relu", node.name, x)
    else:
        bounds = (w.constant(f"{node.name}_bound", b) for b in (0.0, node.ceiling))
        x = w.op("Clip", node.name, x, *bounds)
    if node.amplitude != 1:
        given = w.constant(f"{node.name}_amplitude", node.amplitude)
        x = w.op("Mul", f"{node.name}_sent", x, given)
    return x, first


def _neurons(*fields: str) -> Any:
    def convert(w: Writer, node: n.Neurons) -> Converted:
        first = w.is_first(node)
        how = {name: float(getattr(node, name)) for name in ("amplitude", *fields)}
        kind, x = type(node).__name__, w.tensor(node, first)
        return w.op(kind, node.name, x, domain=OWN, **how), first

    return convert


def _leaky(w: Writer, node: LeakyReLU) -> Converted:
    first = w.is_first(node)
    slope = w.per_value(node, "slope", node.slope, first)
    return w.op("PRelu", node.name, w.tensor(node, first), slope), first


def _function(w: Writer, node: Elementwise) -> Converted:
    first = w.is_first(node)
    return FORMULAS[node.function](w, node.name, w.tensor(node, first)), first


def _plain(kind: str) -> Any:
    def convert(w: Writer, node: n.Node) -> Converted:
        first = w.is_first(node)
        return w.op(kind, node.name, w.tensor(node, first)), first

    return convert


def _over_channels(kind: str) -> Any:
    def convert(w: Writer, node: n.Node) -> Converted:
        return w.op(kind, node.name, w.tensor(node), axis=-1), False

    return convert


def _argmax(w: Writer, node: n.Argmax) -> Converted:
    where = w.op("ArgMax", f"{node.name}_index", w.tensor(node), axis=-1, keepdims=0)
    return w.op("Cast", node.name, where, to=1), False


def _output(w: Writer, node: n.Output) -> Converted:
    return w.named(node.name, "Identity", w.tensor(node)), False


CONVERTERS: Mapping[type[n.Node], Callable[..., Converted]] = {
    n.Conv2D: _conv,
    n.ConvTranspose2D: _conv_transpose,
    n.Dense: _dense,
    n.AvgPool2D: _average_pool,
    MaxPool2D: _max_pool,
    n.Upsample2D: _upsample,
    Pad2D: _pad,
    **dict.fromkeys((n.BatchNorm, n.Membrane, Rescale), _scaled),
    n.Flatten: _flatten,
    n.Reshape: _flatten,
    ChannelsLast: _transpose(lambda node, rank: (*range(1, rank), 0)),
    Permute: _transpose(lambda node, rank: node.axes),
    Slice: _slice,
    n.Add: _together,
    n.Concat: _together,
    **dict.fromkeys((n.Lowpass, n.Delay, n.LI), _same),
    n.ReLU: _rectified,
    n.IF: _rectified,
    n.LIF: _neurons("tau_rc", "tau_ref"),
    n.SoftLIF: _neurons("tau_rc", "tau_ref", "sigma"),
    LeakyReLU: _leaky,
    Elementwise: _function,
    n.Sigmoid: _plain("Sigmoid"),
    n.Tanh: _plain("Tanh"),
    n.Softmax: _over_channels("Softmax"),
    n.LogSoftmax: _over_channels("LogSoftmax"),
    n.Argmax: _argmax,
    n.Output: _output,
}
