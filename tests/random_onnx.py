"""Random small ONNX models: a few operators one behind the other, and branches."""

from __future__ import annotations

import math
from itertools import count

import numpy as np
import onnx
from onnx import helper, numpy_helper

LARGEST = 3000  # values of a tensor
SHAPES = ((1, 9), (4, 9), (4, 9)), ((1, 6), (4, 11)), ((2, 12),)
"""Least and largest sizes: pictures (channels, height, width), sequences, vectors."""
ACTIVATIONS = (
    *("Relu", "Sigmoid", "Tanh", "Selu", "Softplus", "Softsign", "HardSwish", "Exp"),
    *("Neg", "Elu", "HardSigmoid", "LeakyRelu", "Celu"),
)


class Drawn:
    """A model as it grows; ``shape`` is its last tensor's, samples not counted."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        sizes = SHAPES[self.rng.integers(len(SHAPES))]
        self.start = self.shape = tuple(self.whole(a, b) for a, b in sizes)
        self.nodes, self.weights, self.last = [], [], "x"
        self.before = []  # (tensor, shape)
        self.names = map(str, count())

    def whole(self, least: int, most: int) -> int:
        return int(self.rng.integers(least, most + 1))

    def wholes(self, least: int, most: int, size: int) -> list[int]:
        return [self.whole(least, most) for _ in range(size)]

    def one_of(self, *values):
        return values[self.whole(0, len(values) - 1)]

    def normal(self, *shape: int) -> str:
        return self.constant(self.rng.normal(size=shape).astype(np.float32))

    def constant(self, values) -> str:
        name = f"c{next(self.names)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def sizes(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def op(self, kind: str, *inputs: str, **attributes) -> str:
        name = f"t{next(self.names)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    @property
    def space(self) -> int:
        return len(self.shape) - 1

    def model(self) -> onnx.ModelProto:
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes,
            "drawn",
            [value("x", 1, ("n", *self.start))],
            [value(self.last, 1, None)],
            self.weights,
        )
        opsets = [helper.make_opsetid("", 15)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def _padding(d: Drawn, most: list[int]) -> dict:
    if d.one_of(True, False, False):
        return {"auto_pad": d.one_of("SAME_UPPER", "SAME_LOWER", "VALID")}
    return {"pads": [d.whole(0, m) for m in (*most, *most)]}


def _divisor(d: Drawn, size: int) -> int:
    return d.one_of(*(g for g in range(1, size + 1) if size % g == 0))


def conv(d: Drawn) -> str:
    groups = _divisor(d, d.shape[0])
    filters = groups * d.whole(1, 3)
    kernel = [d.whole(1, min(3, size)) for size in d.shape[1:]]
    how = _padding(d, [1] * d.space)
    if "pads" in how:
        how["dilations"] = d.wholes(1, 2, d.space)
    weight = d.normal(filters, d.shape[0] // groups, *kernel)
    bias = [d.normal(filters)] if d.one_of(True, False) else []
    stride = d.wholes(1, 2, d.space)
    return d.op("Conv", d.last, weight, *bias, group=groups, strides=stride, **how)


def conv_transpose(d: Drawn) -> str:
    groups, each = _divisor(d, d.shape[0]), d.whole(1, 2)
    stride = d.wholes(1, 3, d.space)
    how = _padding(d, [1] * d.space)
    if "pads" in how:
        how["output_padding"] = [d.whole(0, s - 1) for s in stride]
    weight = d.normal(d.shape[0], each, *d.wholes(1, 3, d.space))
    bias = [d.normal(each * groups)] if d.one_of(True, False) else []
    given = (d.last, weight, *bias)
    return d.op("ConvTranspose", *given, group=groups, strides=stride, **how)


def pool(d: Drawn) -> str:
    kind = d.one_of("AveragePool", "MaxPool")
    kernel = [d.whole(1, min(4, size)) for size in d.shape[1:]]
    how = _padding(d, [k - 1 for k in kernel])
    how |= {"kernel_shape": kernel, "strides": d.wholes(1, 3, d.space)}
    if kind == "AveragePool":
        how["count_include_pad"] = d.whole(0, 1)
    return d.op(kind, d.last, ceil_mode=d.whole(0, 1), **how)


def resize(d: Drawn) -> str:
    scales = [1, 1, *(d.one_of(1, 2, 3, 0.5) for _ in range(d.space))]
    how = {
        "coordinate_transformation_mode": d.one_of("asymmetric", "half_pixel"),
        "nearest_mode": d.one_of("floor", "round_prefer_floor", "ceil"),
    }
    given = d.constant(np.array(scales, np.float32))
    return d.op("Resize", d.last, "", given, mode="nearest", **how)


def pad(d: Drawn) -> str:
    ends = [[0, 0, *d.wholes(-1, 2, d.space)] for _ in range(2)]
    value = [d.normal()] if d.one_of(True, False) else []
    return d.op("Pad", d.last, d.sizes(*ends[0], *ends[1]), *value)


def batch_norm(d: Drawn) -> str:
    variance = d.constant(d.rng.uniform(0.3, 2, d.shape[0]).astype(np.float32))
    given = [d.normal(d.shape[0]) for _ in range(3)]
    return d.op("BatchNormalization", d.last, *given, variance)


def blocks(d: Drawn) -> str:
    if d.shape[0] % 4 == 0:
        mode = d.one_of("DCR", "CRD")
        return d.op("DepthToSpace", d.last, blocksize=2, mode=mode)
    return d.op("SpaceToDepth", d.last, blocksize=2)


def activation(d: Drawn) -> str:
    kind = d.one_of(*ACTIVATIONS)
    how = {"alpha": d.one_of(1.0, 0.3, 1 / 6)} if kind in ACTIVATIONS[9:] else {}
    return d.op(kind, d.last, **how)


def prelu(d: Drawn) -> str:
    channels = (d.shape[0], *(1,) * d.space)
    return d.op("PRelu", d.last, d.normal(*d.one_of((1,), channels, d.shape)))


def clip(d: Drawn) -> str:
    low = d.one_of(0.0, float(d.rng.normal()))
    high = low + float(d.rng.uniform(0.1, 2))
    bounds = [d.constant(np.float32(bound)) for bound in (low, high)]
    return d.op("Clip", d.last, *d.one_of(bounds, bounds[:1], ["", bounds[1]]))


def with_constant(d: Drawn) -> str:
    kind = d.one_of("Add", "Sub", "Mul", "Div", "Max", "Min")
    some = tuple(d.one_of(size, 1) for size in d.shape)
    values = d.rng.normal(size=d.one_of(d.shape, (), (1,), some, (1, *some)))
    value = d.constant((values + 4 * (kind == "Div")).astype(np.float32))
    return d.op(kind, *d.one_of((d.last, value), (value, d.last)))


def joined(d: Drawn) -> str:
    other = d.one_of(*(name for name, shape in d.before if shape == d.shape))
    if d.one_of(True, False):
        return d.op("Concat", d.last, other, axis=d.whole(1, len(d.shape)))
    return d.op(d.one_of("Add", "Sub"), d.last, other)


def silu(d: Drawn) -> str:
    return d.op("Mul", d.last, d.op("Sigmoid", d.last))


def gelu(d: Drawn) -> str:
    root, one, half = (d.constant(np.float32(v)) for v in (2**0.5, 1, 0.5))
    inner = d.op("Add", d.op("Erf", d.op("Div", d.last, root)), one)
    return d.op("Mul", d.op("Mul", d.last, inner), half)


def gemm(d: Drawn) -> str:
    outputs, turned = d.whole(1, 6), d.whole(0, 1)
    sides = (outputs, d.shape[0]) if turned else (d.shape[0], outputs)
    bias = d.one_of([], [d.normal(outputs)], [d.normal(1, outputs)], [d.normal()])
    how = {"transB": turned, "alpha": d.one_of(1.0, 0.5), "beta": d.one_of(1.0, 2.0)}
    return d.op("Gemm", d.last, d.normal(*sides), *bias, **how)


def matmul(d: Drawn) -> str:
    outputs = d.whole(1, 6)
    product = d.op("MatMul", d.last, d.normal(d.shape[-1], outputs))
    return d.op("Add", product, d.normal(outputs))


def reduce(d: Drawn) -> str:
    kind = d.one_of("ReduceMean", "ReduceMax")
    axes = [axis for axis in range(1, len(d.shape) + 1) if d.one_of(True, False)]
    return d.op(kind, d.last, axes=axes or [1], keepdims=d.whole(0, 1))


def reshape(d: Drawn) -> str:
    size = math.prod(d.shape)
    rows = _divisor(d, size)
    return d.op("Reshape", d.last, d.sizes(d.one_of(0, -1), rows, size // rows))


def transpose(d: Drawn) -> str:
    order = [0, *(int(axis) + 1 for axis in d.rng.permutation(len(d.shape)))]
    return d.op("Transpose", d.last, perm=order)


def unsqueeze(d: Drawn) -> str:
    return d.op("Unsqueeze", d.last, d.sizes(d.whole(1, len(d.shape) + 1)))


def part(d: Drawn) -> str:
    axis = d.whole(0, d.space)
    start = d.whole(0, d.shape[axis] - 1)
    if d.space and d.one_of(True, False):
        index = d.one_of(d.constant(np.int64(start)), d.sizes(start))
        return d.op("Gather", d.last, index, axis=axis + 1)
    bounds = (start, d.whole(start + 1, d.shape[axis]), axis + 1, d.whole(1, 2))
    return d.op("Slice", d.last, *map(d.sizes, bounds))


def along(d: Drawn) -> str:
    kind = d.one_of("Softmax", "LogSoftmax")
    return d.op(kind, d.last, axis=d.whole(1, len(d.shape)))


ANY = (
    *(activation, activation, clip, prelu, with_constant, with_constant, joined),
    *(silu, gelu, matmul, reduce, reshape, transpose, part, along, batch_norm),
)
OF_SPACE = (conv, conv, conv_transpose, pool, pool, pad, resize)


def drawn(seed: int, run):
    """A model, a sample and what ``run(model, x)`` makes of it; None: no such model.

    ``run`` is a runtime of ONNX, which raises where it does not take a model.
    """
    d = Drawn(seed)
    x = d.rng.normal(size=(2, *d.start)).astype(np.float32)
    y = x
    for _ in range(d.whole(2, 7)):
        steps = ANY + (OF_SPACE if d.space else (gemm,))
        steps += (blocks,) if d.space == 2 else (unsqueeze,)
        d.before.append((d.last, d.shape))
        d.last = d.one_of(*steps)(d)
        try:
            y = run(d.model(), x)
        except Exception:  # a window larger than its picture and the like
            return None
        if y.ndim not in (2, 3, 4) or len(y) != len(x) or not 0 < y.size < LARGEST:
            return None
        d.shape = y.shape[1:]
    return d.model(), x, y
