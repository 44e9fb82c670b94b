"""Text of a network: a line a node, for people and for golden tests.

    conv: Conv2D(x) 3×3×1→4 weight -0.5…0.7 #3f2a91 bias 0 stride 2×2 → 4×4×4

name: Type(inputs), the kernel, every field, → shape of the output. A number that is 0,
a stride, dilation, group or delay of 1 and the usual reset are left out; times are in
s, delays in steps, rates in Hz. Up to four numbers of an array are shown, and equal
ones once; of more, the least, the largest, and a checksum of them all as float32, which
a sum in another order seldom changes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import fields

import numpy as np

from .nodes import Array, Linear, Node, Shape

SHOWN = 4  # numbers of an array
UNSAID = {
    "stride": (1, 1),
    "dilation": (1, 1),
    "groups": 1,
    "delay": 1,
}  # beside 0 and None


def node_text(node: Node, shape: Shape | None) -> str:
    """One line of a node; ``shape`` is its output's, None where shapes do not meet."""
    words = [f"{node.name}: {type(node).__name__}({', '.join(node.inputs)})"]
    if isinstance(node, Linear):
        words.append(kernel_text(node.weight))
    for field in fields(node):
        value = getattr(node, field.name)
        usual = field.name == "reset" and value == field.default
        if field.name not in ("name", "inputs", "shape") and not usual:
            words += field_text(field.name, value)
    return " ".join([*words, "→", "?" if shape is None else shape_text(shape)])


def graph_text(nodes: Iterable[Node], shapes: Mapping[str, Shape]) -> str:
    """A line a node, in order of flow."""
    return "\n".join(node_text(node, shapes.get(node.name)) for node in nodes)


def field_text(name: str, value: object) -> list[str]:
    """The field's name and value; nothing where it is left out.

    >>> field_text("padding", ((1, 2), (0, 0))), field_text("stride", (1, 1))
    (['padding 1+2×0+0'], [])
    """
    if isinstance(value, np.ndarray):
        return [f"{name} {array_text(value)}"]
    if isinstance(value, tuple):
        pairs = [v if isinstance(v, tuple) else (v,) for v in value]
        if UNSAID.get(name) == value or not np.any(value):
            return []
        return [f"{name} {'×'.join('+'.join(map(str, pair)) for pair in pairs)}"]
    return (
        [f"{name} {number_text(value)}"] if value and UNSAID.get(name) != value else []
    )


def array_text(array: Array | float) -> str:
    """The numbers of an array, in brackets where they differ.

    >>> array_text(np.zeros(9)), array_text(np.array([1, 2.5]))
    ('0', '[1 2.5]')
    >>> array_text(np.arange(9.0))
    '0…8 #3bd34c'
    """
    flat = np.ravel(array)
    if not flat.size:
        return "none"
    if (flat == flat[0]).all():
        return number_text(flat[0])
    if flat.size <= SHOWN:
        return f"[{' '.join(map(number_text, flat))}]"
    held = np.ascontiguousarray(flat + 0.0, "<f4").tobytes()  # + 0.0: of −0 makes 0
    digest = f"{zlib.crc32(held):08x}"[:6]
    return f"{number_text(flat.min())}…{number_text(flat.max())} #{digest}"


def number_text(value: object) -> str:
    """Four digits of a float, all of a whole number."""
    if isinstance(value, float | np.floating):
        return f"{value + 0.0:.4g}"
    return str(value)


def shape_text(shape: Shape) -> str:
    """8×8×3; of a single number, 1."""
    return "×".join(map(str, shape)) or "1"


def kernel_text(weight: Array) -> str:
    """3×3×1→4: window, channels in and out; of a matrix inputs and outputs."""
    return f"{shape_text(weight.shape[:-1])}→{weight.shape[-1]}"
