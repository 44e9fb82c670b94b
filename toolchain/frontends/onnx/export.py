"""Graph → ONNX: the network of rates, for any runtime that reads ONNX."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from ...errors import ModelError
from ...graph import nodes as n
from ...graph.functions import Elementwise, LeakyReLU, MaxPool2D
from ...graph.graph import Graph
from ...graph.nodes import FloatArray, Node, Padding
from ...graph.preparation import ChannelsLast, Rescale
from ...graph.rearranging import Pad2D, Permute, Slice
from .formulas import FORMULAS, lif, rectified, soft_lif
from .writing import IR_VERSION, OPSET, Writer


def to_onnx(graph: Graph) -> bytes:
    """An ONNX model of the Graph in rate mode, in floats of 32 bits.

    Its one input has the Graph's input's name and shape behind an open axis of samples;
    its output, the Output node's name, is what ``interpret`` gives in rate mode.

    Raises:
        ModelError: ``onnx`` is not installed, or the network does not fit in a file.
    """
    try:
        from onnx import TensorProto, helper
    except ImportError as error:
        raise ModelError(
            f"Export to ONNX needs the package onnx, which cannot be imported ({error})"
            "; pip install 'snn-deploy[onnx]'"
        ) from error
    graph.check()
    source, result = graph.input, graph.output
    writer = Writer((source.name, result.name))
    writer.shapes.update(graph.shapes)
    for node in graph.nodes:
        before = len(writer.operators)
        WRITERS[type(node)](writer, node)
        if len(writer.operators) > before:
            writer.operators[-1].name = node.name
    indices = any(isinstance(node, n.Argmax) for node in graph.nodes)
    kinds = TensorProto.FLOAT, TensorProto.INT64 if indices else TensorProto.FLOAT
    ports = [
        helper.make_tensor_value_info(node.name, kind, ["samples", *shape])
        for node, kind, shape in (
            (source, kinds[0], source.shape),
            (result, kinds[1], graph.shapes[result.name]),
        )
    ]
    made = helper.make_graph(
        writer.operators, "snn-deploy", ports[:1], ports[1:], writer.stored
    )
    model = helper.make_model(
        made,
        ir_version=IR_VERSION,
        producer_name="snn-deploy",
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    serialized: bytes = model.SerializeToString()
    return serialized


def _input(w: Writer, node: n.Input) -> None:
    w.last[node.name] = node.name


def _channels_last(w: Writer, node: ChannelsLast) -> None:
    (source,) = node.inputs
    rank = len(w.shapes[source])
    taken = w.channels_last(source)
    if rank == 3:
        w.first[node.name] = taken
    else:
        order = (0, *range(2, rank + 1), 1)
        w.last[node.name] = w.add("Transpose", taken, perm=order)


def _affine(w: Writer, node: Node, scale: FloatArray, offset: FloatArray) -> None:
    (source,) = node.inputs
    tensor, first = w.either(source)
    rank = len(w.shapes[source])
    for kind, values, rest in (("Mul", scale, 1), ("Add", offset, 0)):
        if (values != rest).any():
            tensor = w.add(kind, tensor, w.numbers(w.along(values, rank, first)))
    w.put(node.name, tensor, first)


def _rescale(w: Writer, node: Rescale) -> None:
    _affine(w, node, node.scale, node.offset)


def _batch_norm(w: Writer, node: n.BatchNorm) -> None:
    _affine(w, node, node.scale, node.offset)


def _dense(w: Writer, node: n.Dense) -> None:
    constants = w.numbers(node.weight), w.numbers(node.bias)
    w.last[node.name] = w.add("Gemm", w.channels_last(node.inputs[0]), *constants)


def _biased(w: Writer, node: n.Windowed, kind: str, weight: FloatArray) -> None:
    """A convolution, with a bias a filter in it or one a neuron behind it."""
    (top, bottom), (left, right) = node.padding
    given = [w.channels_first(node.inputs[0]), w.numbers(weight)]
    if node.bias.ndim == 1:
        given.append(w.numbers(node.bias))
    made = w.add(
        kind,
        *given,
        strides=node.stride,
        pads=(top, left, bottom, right),
        dilations=node.dilation,
        group=node.groups,
    )
    if node.bias.ndim > 1:
        made = w.add("Add", made, w.numbers(w.along(node.bias, 3, True)))
    w.first[node.name] = made


def _conv(w: Writer, node: n.Conv2D) -> None:
    _biased(w, node, "Conv", node.weight.transpose(3, 2, 0, 1))


def _conv_transpose(w: Writer, node: n.ConvTranspose2D) -> None:
    rows, columns, inputs, filters = node.weight.shape
    groups, each = node.groups, filters // node.groups
    parts = node.weight.reshape(rows, columns, inputs, groups, each)
    turned = parts.transpose(3, 2, 4, 0, 1)
    weight = turned.reshape(groups * inputs, each, rows, columns)
    _biased(w, node, "ConvTranspose", weight)


def _near(padding: Padding, reach: tuple[int, ...]) -> bool:
    """Whether every window sees a pixel, which runtimes ask for."""
    return all(max(pads) < size for pads, size in zip(padding, reach))


def _average(w: Writer, node: n.AvgPool2D) -> None:
    tensor = w.channels_first(node.inputs[0])
    (top, bottom), (left, right) = node.padding
    if _near(node.padding, node.pool):
        w.first[node.name] = w.add(
            "AveragePool",
            tensor,
            kernel_shape=node.pool,
            strides=node.stride,
            pads=(top, left, bottom, right),
            count_include_pad=int(not node.inside),
        )
        return
    if node.inside:
        raise node.error(
            f"its padding {node.padding} is not smaller than its window {node.pool}, "
            "which ONNX does not have; use a smaller padding"
        )
    padded = w.pads(tensor, node.padding, 0.0)
    w.first[node.name] = w.add(
        "AveragePool", padded, kernel_shape=node.pool, strides=node.stride
    )


def _largest(w: Writer, node: MaxPool2D) -> None:
    tensor = w.channels_first(node.inputs[0])
    reach = tuple((k - 1) * d + 1 for k, d in zip(node.pool, node.dilation))
    (top, bottom), (left, right) = node.padding
    pads = (top, left, bottom, right)
    if not _near(node.padding, reach):
        tensor, pads = w.pads(tensor, node.padding, -math.inf), (0, 0, 0, 0)
    w.first[node.name] = w.add(
        "MaxPool",
        tensor,
        kernel_shape=node.pool,
        strides=node.stride,
        pads=pads,
        dilations=node.dilation,
    )


def _upsample(w: Writer, node: n.Upsample2D) -> None:
    w.first[node.name] = w.add(
        "Resize",
        w.channels_first(node.inputs[0]),
        "",
        w.numbers(np.array((1.0, 1.0, *node.factor))),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


def _pad(w: Writer, node: Pad2D) -> None:
    tensor = w.channels_first(node.inputs[0])
    w.first[node.name] = w.pads(tensor, node.padding, 0.0)


def _slice(w: Writer, node: Slice) -> None:
    taken = w.channels_last(node.inputs[0])
    bounds = (node.start, node.stop, range(1, len(node.start) + 1))
    lists = (w.whole(tuple(values)) for values in bounds)
    w.last[node.name] = w.add("Slice", taken, *lists)


def _permute(w: Writer, node: Permute) -> None:
    order = (0, *(axis + 1 for axis in node.axes))
    taken = w.channels_last(node.inputs[0])
    w.last[node.name] = w.add("Transpose", taken, perm=order)


def _reshape(w: Writer, node: n.Reshape | n.Flatten) -> None:
    shape = w.whole((-1, *w.shapes[node.name]))
    w.last[node.name] = w.add("Reshape", w.channels_last(node.inputs[0]), shape)


def _together(w: Writer, node: Node) -> tuple[list[str], bool]:
    """All inputs in one layout: channels first where one of them lies so."""
    first = any(w.either(name)[1] for name in node.inputs)
    take = w.channels_first if first else w.channels_last
    return [take(name) for name in node.inputs], first


def _add(w: Writer, node: n.Add) -> None:
    tensors, first = _together(w, node)
    w.put(node.name, w.add("Sum", *tensors), first)


def _concat(w: Writer, node: n.Concat) -> None:
    tensors, first = _together(w, node)
    axis = 1 if first else len(w.shapes[node.name])
    w.put(node.name, w.add("Concat", *tensors, axis=axis), first)


def _leaky(w: Writer, node: LeakyReLU) -> None:
    (source,) = node.inputs
    tensor, first = w.either(source)
    slope = w.along(node.slope, len(w.shapes[source]), first)
    below = w.add("Mul", w.add("Min", tensor, w.numbers(0.0)), w.numbers(slope))
    w.put(node.name, w.add("Add", w.add("Relu", tensor), below), first)


def _pointwise(write: Callable[..., str]) -> Callable[[Writer, Node], None]:
    """Of a function of single numbers: the layout stays."""

    def put(w: Writer, node: Node) -> None:
        tensor, first = w.either(node.inputs[0])
        w.put(node.name, write(node, w, tensor), first)

    return put


def _along_channels(kind: str) -> Callable[[Writer, Node], None]:
    def put(w: Writer, node: Node) -> None:
        tensor, first = w.either(node.inputs[0])
        axis = 1 if first else len(w.shapes[node.inputs[0]])
        w.put(node.name, w.add(kind, tensor, axis=axis), first)

    return put


def _argmax(w: Writer, node: n.Argmax) -> None:
    tensor, first = w.either(node.inputs[0])
    axis = 1 if first else len(w.shapes[node.inputs[0]])
    w.last[node.name] = w.add("ArgMax", tensor, axis=axis, keepdims=0)


def _output(w: Writer, node: n.Output) -> None:
    w.add("Identity", w.channels_last(node.inputs[0]), name=node.name)


def _same(w: Writer, node: Node) -> None:
    w.put(node.name, *w.either(node.inputs[0]))


WRITERS: Mapping[type[Node], Callable[..., None]] = {
    n.Input: _input,
    ChannelsLast: _channels_last,
    Rescale: _rescale,
    n.BatchNorm: _batch_norm,
    n.Dense: _dense,
    n.Conv2D: _conv,
    n.ConvTranspose2D: _conv_transpose,
    n.AvgPool2D: _average,
    MaxPool2D: _largest,
    n.Upsample2D: _upsample,
    Pad2D: _pad,
    Slice: _slice,
    Permute: _permute,
    n.Flatten: _reshape,
    n.Reshape: _reshape,
    n.Add: _add,
    n.Concat: _concat,
    LeakyReLU: _leaky,
    n.LIF: _pointwise(lif),
    n.SoftLIF: _pointwise(soft_lif),
    n.IF: _pointwise(rectified),
    n.ReLU: _pointwise(rectified),
    Elementwise: _pointwise(lambda node, w, x: FORMULAS[node.function](w, x)),
    n.Sigmoid: _pointwise(lambda node, w, x: w.add("Sigmoid", x)),
    n.Tanh: _pointwise(lambda node, w, x: w.add("Tanh", x)),
    n.Softmax: _along_channels("Softmax"),
    n.LogSoftmax: _along_channels("LogSoftmax"),
    n.Argmax: _argmax,
    n.Lowpass: _same,
    n.Output: _output,
}
