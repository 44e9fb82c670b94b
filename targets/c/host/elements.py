"""One element of a node's value in C: what ``graph.operations`` computes of arrays.

Of each node, statements that return element ``i``; ``{x}`` reads an input's element.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ....toolchain.errors import UnsupportedLayer
from ....toolchain.graph import nodes as n
from ....toolchain.graph.functions import (
    SELU,
    SELU_ALPHA,
    Elementwise,
    LeakyReLU,
    MaxPool2D,
)
from ....toolchain.graph.nodes import FloatArray, Node, Shape
from ....toolchain.graph.preparation import ChannelsLast, Rescale
from ....toolchain.graph.rearranging import Pad2D, Permute, Slice
from .values import Double, Fixed

Numbers = Double | Fixed


@dataclass(frozen=True)
class Element:
    """Of a node.

    Attributes:
        body: statements, lines of C.
        tables: definitions that it needs.
        heavy: whether it takes more than a few operations.
        many: whether it reads an element of its input more than once, all in all.
        state: whether the value is kept from step to step.
    """

    body: str
    tables: str = ""
    heavy: bool = False
    many: bool = False
    state: bool = False


@dataclass(frozen=True)
class Place:
    """What a node's element is written with.

    Attributes:
        name: prefix of its tables.
        x: functions that read the inputs.
        given: the inputs' shapes.
        shape: its own.
    """

    name: str
    x: tuple[str, ...]
    given: tuple[Shape, ...]
    shape: Shape
    numbers: Numbers


def element(node: Node, place: Place) -> Element:
    """One element of a node's value.

    Raises:
        UnsupportedLayer: there is no C of it, or none in such numbers.
    """
    made = _ELEMENTS.get(type(node))
    if made is None:
        raise _refused(node, "a host in C has none; deploy from Python")
    return made(node, place)


def integrated(node: n.LI, at: Place, dt: float) -> Element:
    """One step of a leaky integrator."""
    if isinstance(at.numbers, Fixed):
        raise _refused(node, "it is not computed in fixed point; use --host float")
    v, x = f"h->kept_{at.name}[i]", f"{at.x[0]}(h, i)"
    body = f"return {v} - ({x} - {v}) * {math.expm1(-dt / node.tau_rc)!r};"
    return Element(body, heavy=True, state=True)


def _refused(node: Node, why: str) -> UnsupportedLayer:
    return UnsupportedLayer(f"{type(node).__name__} {node.name!r}: {why}")


def _same(node: Node, at: Place) -> Element:
    return Element(f"return {at.x[0]}(h, i);")


def _dense(node: n.Dense, at: Place) -> Element:
    tables, end = at.numbers.weights(at.name, node.weight, node.bias)
    inputs, outputs = node.weight.shape
    body = f"""{at.numbers.total} total = {at.name}_bias[i];
for (uint32_t k = 0; k < {inputs}u; k++)
    total += ({at.numbers.total}){at.x[0]}(h, k)
        * {at.name}_weights[{outputs}u * k + i];
return {end};"""
    return Element(body, tables, heavy=True, many=outputs > 1)


def _conv(node: n.Conv2D, at: Place) -> Element:
    tables, end = at.numbers.weights(at.name, node.weight, node.bias)
    body = _loops(node, at, "row * {s} + m * {d} - {p}", "column * {t} + l * {e} - {r}")
    return Element(body + f"\nreturn {end};", tables, heavy=True, many=True)


def _conv_transpose(node: n.ConvTranspose2D, at: Place) -> Element:
    tables, end = at.numbers.weights(at.name, node.weight, node.bias)
    (s, t), ((p, _), (r, _)), (d, e) = node.stride, node.padding, node.dilation
    body = _loops(
        node,
        at,
        f"(row + {p} - m * {d}) / {s}",
        f"(column + {r} - l * {e}) / {t}",
        f"row + {p} - m * {d} < 0 || (row + {p} - m * {d}) % {s} != 0",
        f"column + {r} - l * {e} < 0 || (column + {r} - l * {e}) % {t} != 0",
    )
    return Element(body + f"\nreturn {end};", tables, heavy=True, many=True)


def _loops(
    node: n.Windowed, at: Place, y: str, x: str, no_y: str = "", no_x: str = ""
) -> str:
    """The sum of a window at (row, column, filter), from places of the input."""
    (height, width, channels), (_, columns, filters) = at.given[0], at.shape
    rows, across, inputs, _ = node.weight.shape
    (s, t), ((p, _), (r, _)), (d, e) = node.stride, node.padding, node.dilation
    where = {"s": s, "t": t, "p": p, "r": r, "d": d, "e": e}
    first = f"filter / {filters // node.groups}u * {inputs}u + c"
    bias = "filter" if node.bias.ndim == 1 else "i"
    no_y, no_x = (f"{no} || " if no else "" for no in (no_y, no_x))
    return f"""const int32_t row = (int32_t)(i / {columns * filters}u);
const int32_t column = (int32_t)(i / {filters}u % {columns}u);
const uint32_t filter = i % {filters}u;
{at.numbers.total} total = {at.name}_bias[{bias}];
for (int32_t m = 0; m < {rows}; m++) {{
    const int32_t y = {y.format(**where)};
    if ({no_y}y < 0 || y >= {height})
        continue;
    for (int32_t l = 0; l < {across}; l++) {{
        const int32_t x = {x.format(**where)};
        if ({no_x}x < 0 || x >= {width})
            continue;
        const uint32_t pixel = (uint32_t)(y * {width} + x) * {channels}u;
        const uint32_t place = (uint32_t)(m * {across} + l) * {inputs}u;
        for (uint32_t c = 0; c < {inputs}u; c++)
            total += ({at.numbers.total}){at.x[0]}(h, pixel + {first})
                * {at.name}_weights[(place + c) * {filters}u + filter];
    }}
}}"""


def _pool(node: n.AvgPool2D | MaxPool2D, at: Place) -> Element:
    (height, width, channels), (_, columns, _) = at.given[0], at.shape
    (s, t), ((p, _), (r, _)) = node.stride, node.padding
    d, e = getattr(node, "dilation", (1, 1))
    kind, mean = at.numbers.total, isinstance(node, n.AvgPool2D)
    count = "seen" if mean and getattr(node, "inside", False) else math.prod(node.pool)
    seen = "total = seen == 0 || value > total ? value : total;"
    if mean:
        seen = "total += value;"
    end = "total"
    if mean:
        end = f"divided(total, {count})"
    elif isinstance(at.numbers, Fixed):
        end = "(int32_t)total"
    if mean and isinstance(at.numbers, Double):
        end = f"total / {count}"
    body = f"""const int32_t row = (int32_t)(i / {columns * channels}u);
const int32_t column = (int32_t)(i / {channels}u % {columns}u);
const uint32_t channel = i % {channels}u;
{kind} total = 0;
int32_t seen = 0;
for (int32_t m = 0; m < {node.pool[0]}; m++) {{
    const int32_t y = row * {s} + m * {d} - {p};
    if (y < 0 || y >= {height})
        continue;
    for (int32_t l = 0; l < {node.pool[1]}; l++) {{
        const int32_t x = column * {t} + l * {e} - {r};
        if (x < 0 || x >= {width})
            continue;
        const uint32_t pixel = (uint32_t)(y * {width} + x);
        const {kind} value = {at.x[0]}(h, {channels}u * pixel + channel);
        {seen}
        seen++;
    }}
}}
return {end};"""
    if mean and count != "seen":
        body = body.replace("int32_t seen = 0;\n", "").replace("        seen++;\n", "")
    return Element(body, heavy=True, many=True)


def _scaled(node: n.BatchNorm | n.Membrane | Rescale, at: Place) -> Element:
    return _affine(np.atleast_1d(node.scale), np.atleast_1d(node.offset), at)


def _affine(scale: FloatArray, offset: FloatArray, at: Place) -> Element:
    """scale · x + offset; each (1,), (channels,) or of x's shape."""
    tables, end = at.numbers.weights(at.name, scale, offset)
    a, b = (
        "0" if size == 1 else "i" if size == math.prod(at.shape) else f"i % {size}u"
        for size in (scale.size, offset.size)
    )
    kind = at.numbers.total
    body = f"""const {kind} total = ({kind}){at.x[0]}(h, i) * {at.name}_weights[{a}]
    + {at.name}_bias[{b}];
return {end};"""
    return Element(body, tables)


def _moved(at: Place, axes: tuple[int, ...], start: tuple[int, ...] = ()) -> Element:
    """y's axis k is x's axis axes[k], from start[k] on."""
    (given,), terms = at.given, []
    for k, axis in enumerate(axes):
        inner, outer = math.prod(at.shape[k + 1 :]), math.prod(given[axis + 1 :])
        place = f"i / {inner}u % {at.shape[k]}u"
        begin = f" + {start[k]}u" if start and start[k] else ""
        terms.append(f"({place}{begin}) * {outer}u")
    return Element(f"return {at.x[0]}(h, {' + '.join(terms) or '0u'});")


def _upsample(node: n.Upsample2D, at: Place) -> Element:
    _, width, channels = at.given[0]
    a, b = node.factor
    line = width * b * channels
    body = (
        f"return {at.x[0]}(h, (i / {line * a}u * {width}u + "
        f"i % {line}u / {channels * b}u) * {channels}u + i % {channels}u);"
    )
    return Element(body, many=True)


def _pad(node: Pad2D, at: Place) -> Element:
    (height, width, channels), (_, columns, _) = at.given[0], at.shape
    (top, _), (left, _) = node.padding
    body = f"""const int32_t y = (int32_t)(i / {columns * channels}u) - {top};
const int32_t x = (int32_t)(i / {channels}u % {columns}u) - {left};
if (y < 0 || y >= {height} || x < 0 || x >= {width})
    return 0;
return {at.x[0]}(h, (uint32_t)(y * {width} + x) * {channels}u + i % {channels}u);"""
    return Element(body)


def _add(node: n.Add, at: Place) -> Element:
    return Element(f"return {' + '.join(f'{x}(h, i)' for x in at.x)};")


def _concat(node: n.Concat, at: Place) -> Element:
    total, first, lines = at.shape[-1], 0, []
    for x, shape in zip(at.x, at.given):
        last = first + shape[-1]
        place = f"i / {total}u * {shape[-1]}u + i % {total}u - {first}u"
        test = f"if (i % {total}u < {last}u)\n    " if last < total else ""
        lines.append(f"{test}return {x}(h, {place});")
        first = last
    return Element("\n".join(lines))


def _rectified(node: n.IF | n.ReLU, at: Place) -> Element:
    top, value = node.ceiling, at.numbers.type
    found = [f"{value} x = {at.x[0]}(h, i);", "x = x < 0 ? 0 : x;"]
    if top is not None:
        most = at.numbers.number(top)
        found.append(f"x = x > {most} ? {most} : x;")
    tables, end = "", "x"
    if node.amplitude != 1:
        factor = np.full(1, node.amplitude)
        tables, end = at.numbers.weights(at.name, factor, np.zeros(1))
        kind = at.numbers.total
        found.append(
            f"const {kind} total = ({kind})x * {at.name}_weights[0]\n"
            f"    + {at.name}_bias[0];"
        )
    return Element("\n".join([*found, f"return {end};"]), tables)


def _leaky(node: LeakyReLU, at: Place) -> Element:
    slope = node.slope
    whole = (
        slope if slope.size in (1, at.shape[-1]) else np.broadcast_to(slope, at.shape)
    )
    made = _affine(whole, np.zeros(1), at)
    first = f"if ({at.x[0]}(h, i) > 0)\n    return {at.x[0]}(h, i);\n"
    return Element(first + made.body, made.tables, many=True)


def _argmax(node: n.Argmax, at: Place) -> Element:
    size = at.given[0][-1]
    one = at.numbers.number(1.0)
    body = f"""uint32_t best = 0;
for (uint32_t k = 1; k < {size}u; k++)
    if ({at.x[0]}(h, i * {size}u + k) > {at.x[0]}(h, i * {size}u + best))
        best = k;
return ({at.numbers.type})best * {one};"""
    return Element(body, heavy=True, many=True)


def _function(formula: str) -> Callable[[Node, Place], Element]:
    """Of x, in floating point alone."""

    def made(node: Node, at: Place) -> Element:
        if isinstance(at.numbers, Fixed):
            raise _refused(node, "it is not computed in fixed point; use --host float")
        return Element(
            f"const double x = {at.x[0]}(h, i);\nreturn {formula};", heavy=True
        )

    return made


def _log_softmax(ending: str) -> Callable[[Node, Place], Element]:
    def made(node: Node, at: Place) -> Element:
        if isinstance(at.numbers, Fixed):
            raise _refused(node, "it is not computed in fixed point; use --host float")
        size, x = at.shape[-1], at.x[0]
        body = f"""const uint32_t first = i - i % {size}u;
double most = {x}(h, first), total = 0;
for (uint32_t k = 1; k < {size}u; k++)
    most = fmax(most, {x}(h, first + k));
for (uint32_t k = 0; k < {size}u; k++)
    total += exp({x}(h, first + k) - most);
return {ending.format(x=f"{x}(h, i) - most - log(total)")};"""
        return Element(body, heavy=True, many=True)

    return made


SOFTPLUS = "(fmax(x, 0) + log1p(exp(-fabs(x))))"
FORMULAS: Mapping[str, str] = {
    "elu": "x > 0 ? x : expm1(x)",
    "exponential": "exp(x)",
    "gelu": "0.5 * x * (1 + erf(x / sqrt(2.0)))",
    "gelu_tanh": (
        "0.5 * x * (1 + tanh(0.7978845608028654 * x * (1 + 0.044715 * x * x)))"
    ),
    "hard_sigmoid": "fmin(fmax(x / 6 + 0.5, 0), 1)",
    "hard_swish": "x * fmin(fmax(x / 6 + 0.5, 0), 1)",
    "mish": f"x * tanh({SOFTPLUS})",
    "selu": f"{SELU!r} * (x > 0 ? x : {SELU_ALPHA!r} * expm1(x))",
    "silu": "0.5 * x * (1 + tanh(0.5 * x))",
    "softplus": SOFTPLUS,
    "softsign": "x / (1 + fabs(x))",
}
"""As ``graph.functions.FUNCTIONS``."""


def _elementwise(node: Elementwise, at: Place) -> Element:
    return _function(FORMULAS[node.function])(node, at)


def _channels_last(node: ChannelsLast, at: Place) -> Element:
    axes = len(at.shape)
    return _moved(at, (*range(1, axes), 0))


_ELEMENTS: Mapping[type[Node], Callable[..., Element]] = {
    n.Dense: _dense,
    n.Conv2D: _conv,
    n.ConvTranspose2D: _conv_transpose,
    n.AvgPool2D: _pool,
    MaxPool2D: _pool,
    n.Upsample2D: _upsample,
    n.BatchNorm: _scaled,
    n.Membrane: _scaled,
    Rescale: _scaled,
    ChannelsLast: _channels_last,
    Permute: lambda node, at: _moved(at, node.axes),
    Slice: lambda node, at: _moved(at, tuple(range(len(at.shape))), node.start),
    Pad2D: _pad,
    LeakyReLU: _leaky,
    Elementwise: _elementwise,
    n.Sigmoid: _function("0.5 * (1 + tanh(0.5 * x))"),
    n.Tanh: _function("tanh(x)"),
    n.Softmax: _log_softmax("exp({x})"),
    n.LogSoftmax: _log_softmax("{x}"),
    n.Argmax: _argmax,
    n.ReLU: _rectified,
    n.IF: _rectified,
    n.Add: _add,
    n.Concat: _concat,
    n.Flatten: _same,
    n.Reshape: _same,
    n.Lowpass: _same,
    n.Delay: _same,
    n.LI: _same,
    n.Output: _same,
}
