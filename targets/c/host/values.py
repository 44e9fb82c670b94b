"""Kinds of numbers that the host computes in: double, or fixed point.

In fixed point a value x is the integer x · 2^fraction in 32 bits, and a weight w the
integer w · 2^shift likewise; a sum of products has 64 bits, where it fits if its value
does, and is rounded once, half up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ....toolchain.graph.nodes import FloatArray
from ....toolchain.program.arithmetic import IntArray
from ..tables import Table

WEIGHT_BITS = 30  # beside the sign


@dataclass(frozen=True)
class Bound:
    """Of all elements of a node's value: the largest |value|, and its error.

    The error is how far it may be from what exact numbers give.
    """

    size: float
    error: float = 0.0


class Double:
    """Floating point: what the Python host computes, up to the order of sums."""

    name, title = "float", "floating point"
    type, total = "double", "double"

    def table(self, name: str, array: FloatArray) -> str:
        """The definition of weights; float where that holds them exactly."""
        narrow = array.astype(np.float32)
        exact = np.array_equal(narrow.astype(np.float64), array)
        held, kind, end = (narrow, "float", "f") if exact else (array, "double", "")
        words = [f"{_decimal(x)}{end}" for x in held.ravel()]
        lines = [", ".join(words[k : k + 6]) for k in range(0, len(words), 6)]
        text = "    " + ",\n    ".join(lines)
        return f"static const {kind} {name}[{array.size}] = {{\n{text}\n}};"

    def number(self, value: float) -> str:
        """A constant value."""
        return _decimal(np.float64(value))

    def weights(
        self, name: str, weight: FloatArray, bias: FloatArray
    ) -> tuple[str, str]:
        """Tables NAME_weights and NAME_bias; how the sum's end is written."""
        made = [(f"{name}_weights", weight), (f"{name}_bias", bias)]
        tables = "\n\n".join(self.table(key, array) for key, array in made)
        return tables, "total"


class Fixed:
    """Fixed point, see the module; ``fraction``: bits behind the point."""

    name, title = "fixed", "fixed point"
    type, total = "int32_t", "int64_t"

    def __init__(self, fraction: int) -> None:
        self.fraction = fraction

    def table(self, name: str, array: FloatArray) -> str:
        """The definition of weights."""
        return Table(name, _whole(array), "int32").text

    def number(self, value: float) -> str:
        """A constant value."""
        return str(round(value * 2**self.fraction))

    def weights(
        self, name: str, weight: FloatArray, bias: FloatArray
    ) -> tuple[str, str]:
        """Tables NAME_weights and NAME_bias; how the sum's end is written."""
        shift = shift_of(weight)
        added = [
            round(b * 2.0 ** (shift + self.fraction)) for b in bias.ravel().tolist()
        ]
        text = ", ".join(f"INT64_C({b})" for b in added)
        tables = (
            self.table(f"{name}_weights", weight)
            + f"\n\nstatic const int64_t {name}_bias[{bias.size}] = {{\n    {text}\n}};"
        )
        return tables, f"rounded(total, {shift}u)"


def shift_of(weight: FloatArray) -> int:
    """Of weights in fixed point, so that the largest takes up to WEIGHT_BITS."""
    return WEIGHT_BITS - max(math.frexp(float(np.abs(weight).max(initial=0)))[1], 0)


def _whole(weight: FloatArray) -> IntArray:
    whole: IntArray = np.rint(weight * 2.0 ** shift_of(weight)).astype(np.int64)
    return whole


def _decimal(x: np.floating) -> str:
    text = str(x)
    return text if any(c in text for c in ".en") else f"{text}.0"
