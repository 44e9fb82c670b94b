"""Tables: numbers that stay in flash, each of the narrowest type that holds it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...toolchain.program import arithmetic as core
from ...toolchain.program.arithmetic import IntArray

WIDTH = 88  # characters of a line
TYPES = ("uint8", "int8", "uint16", "int16", "int32", "uint32")


@dataclass(frozen=True, eq=False)
class Table:
    """An array of C, ``static const``."""

    name: str
    array: IntArray
    kind: str = ""  # of NumPy; "": the narrowest

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Of an element."""
        return np.dtype(self.kind or narrowest(self.array))

    @property
    def bytes(self) -> int:
        """That it takes."""
        return self.array.size * self.dtype.itemsize

    @property
    def text(self) -> str:
        """Its definition.

        >>> print(Table("a", np.array([1, -2])).text)
        static const int8_t a[2] = {
            1, -2
        };
        """
        head = f"static const {self.dtype.name}_t {self.name}[{self.array.size}]"
        return f"{head} = {{\n{numbers(self.array)}\n}};"


def narrowest(array: IntArray) -> str:
    """Name of the first of ``TYPES`` that holds every number.

    >>> narrowest(np.array([200])), narrowest(np.array([-1, 200]))
    ('uint8', 'int16')
    """
    low, high = int(array.min(initial=0)), int(array.max(initial=0))
    for name in TYPES:
        limits = np.iinfo(name)
        if limits.min <= low and high <= limits.max:
            return name
    raise OverflowError(f"{low} … {high} is beyond {TYPES[-1]}")


def numbers(array: IntArray) -> str:
    """Numbers of an initialiser, as many a line as go.

    >>> print(numbers(np.array([1, -2])))
        1, -2
    """
    words = [str(number) for number in np.asarray(array).ravel().tolist()]
    longest = max(map(len, words)) + 2
    each = max((WIDTH - 4) // longest, 1)
    lines = [", ".join(words[k : k + each]) for k in range(0, len(words), each)]
    return "    " + ",\n    ".join(lines)


def held(bias: IntArray) -> IntArray:
    """Biases, mantissa · 2^exponent, as C holds them: (mantissa + 4096) · 8 + exponent.

    Of any shape, to uint16. The exponent is the smallest that there is.

    >>> held(np.array([0, -4095, 8190])).tolist()
    [32768, 8, 65529]
    """
    mantissa, exponent = bias.astype(np.int64), np.zeros(bias.shape, np.int64)
    for _ in range(core.MAX_BIAS_EXPONENT):
        large = np.abs(mantissa) > core.MAX_BIAS_MANTISSA
        mantissa, exponent = np.where(large, mantissa >> 1, mantissa), exponent + large
    packed: IntArray = (mantissa + 4096 << 3 | exponent).astype(np.uint16)
    return packed
