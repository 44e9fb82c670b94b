"""Columns: the tables' arrays while they grow."""

from __future__ import annotations

import math

import numpy as np

from .runs import Ints

CACHE_LINE = 64  # bytes


class Column:
    """An array while it grows."""

    def __init__(self, kind: str | np.dtype[np.void], *width: int) -> None:
        self.parts: list[Ints] = [np.zeros((0, *width), kind)]
        self.size = 0

    def add(self, part: Ints) -> int:
        """Append; where it begins."""
        width = self.parts[0].shape[1:]
        self.parts.append(part.reshape(-1, *width).astype(self.parts[0].dtype))
        begin, self.size = self.size, self.size + len(self.parts[-1])
        return begin

    def array(self, spare: int = 0) -> Ints:
        """All of it, and the end of the column; vectors cross no start of a cache line.

        ``spare`` zeros follow in its memory; what is returned includes them.
        """
        kind, width = self.parts[0].dtype, self.parts[0].shape[1:]
        if spare:
            self.add(np.zeros(spare, kind))
        size = self.size * math.prod(width) * kind.itemsize
        memory = np.empty(size + CACHE_LINE, np.uint8)
        begin = -memory.ctypes.data % CACHE_LINE
        aligned = memory[begin : begin + size].view(kind).reshape(self.size, *width)
        parts, end = self.parts, self.size
        while parts:  # each goes as it is copied, so that nothing is there twice
            part = parts.pop()
            aligned[end - len(part) : end] = part
            end -= len(part)
        return aligned


class Columns:
    """What connections put into the tables; see ``tiles.Network``."""

    def __init__(self, index: dict[str, int]) -> None:
        """``index``: number of a population or spike input, by name."""
        self.index = index
        self.starts, self.edges = Column("i4"), Column("i4")
        self.runs, self.windows = Column("i4", 3), Column("i4", 3)
        self.weights, self.blocks = Column("i4"), Column("i1")
        self.synapses = Column("i4", 2)
