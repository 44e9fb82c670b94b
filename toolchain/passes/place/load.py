"""Load: what every core of a tiling uses, resource by resource.

Boxes are counted by class: what differs by a shift alone is counted once. A tiling that
has no rows and columns (runs of pixels), and a kernel with many holes, is counted core
by core from ``fan_in``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from ...program.arithmetic import IntArray
from ...program.connections import (
    Connection,
    DenseConnection,
    SparseConnection,
    WindowConnection,
)
from ...program.program import Program
from .fan_in import BASES, atoms, axon_slots, fan_in
from .synapses import INDEX_BITS, synapse_memory, synapse_width, weight_format
from .tiling import Tiling
from .window_load import Part, WindowLoad
from .windows import Intervals, Line, windows

Tilings = Mapping[str, Tiling]


class Load:
    """Counts for a Program; what was counted once is kept."""

    def __init__(self, program: Program) -> None:
        self.incoming = {p.name: program.incoming(p.name) for p in program.members}
        self.outgoing = {p.name: program.outgoing(p.name) for p in program.members}
        alike: dict[object, WindowLoad] = {}
        self._windows = {
            id(c): alike.setdefault(windows(c).key, WindowLoad(windows(c)))
            for c in program.connections
            if isinstance(c, WindowConnection)
        }
        self._sums: dict[tuple[int, Tiling], IntArray] = {}
        self._counted: dict[tuple[int, Tiling], tuple[IntArray, ...]] = {}

    def usage(self, tiling: Tiling, tilings: Tilings) -> Iterator[tuple[str, IntArray]]:
        """Resource, and what each box uses of it, (parts along the three axes).

        The quickest to count comes first. Output axons to populations that are not in
        ``tilings`` count nothing yet.
        """
        name, zero = tiling.population, np.zeros(tiling.parts, np.int64)
        yield "compartments", tiling.sizes
        incoming = self.incoming[name]
        yield "input_axons", sum((self._axons(c, tiling) for c in incoming), zero)
        out = [
            self._output_axons(c, tiling, tilings[c.target])
            for c in self.outgoing[name]
            if c.target in tilings
        ]
        yield "output_axons", sum(out, zero)
        yield "synapse_bits", sum((self._bits(c, tiling) for c in incoming), zero)

    def _axons(self, c: Connection, tiling: Tiling) -> IntArray:
        if isinstance(c, DenseConnection):
            return np.full(tiling.parts, c.inputs // atoms(c))
        if not self._by_class(c, tiling):
            return self._together(c, tiling)[0]
        assert isinstance(c, WindowConnection)
        load = self._windows[id(c)]
        return _each(load.axons, *load.intervals(tiling))

    def _bits(self, c: Connection, tiling: Tiling) -> IntArray:
        if isinstance(c, DenseConnection):
            units, width = c.inputs // atoms(c), synapse_width(c, -1)
            return units * synapse_memory(tiling.sizes * atoms(c), width)
        if not self._by_class(c, tiling):
            return self._together(c, tiling)[1]
        assert isinstance(c, WindowConnection)
        load = self._windows[id(c)]
        return _each(load.bits, *load.intervals(tiling))

    def _by_class(self, c: Connection, tiling: Tiling) -> bool:
        return (
            isinstance(c, WindowConnection)
            and tiling.image == c.target_shape
            and self._windows[id(c)].separable
        )

    def _together(self, c: Connection, tiling: Tiling) -> tuple[IntArray, ...]:
        """Input axons, synapse memory and ``reach``."""
        key = (id(c), tiling)
        if key not in self._counted:
            if isinstance(c, SparseConnection):
                self._counted[key] = _sparse(c, tiling)
            else:
                self._counted[key] = _by_block(c, tiling)
        return self._counted[key]

    def reach(self, c: Connection, tiling: Tiling) -> IntArray:
        """Cores of the target that each source unit's spikes go to, (units,)."""
        if isinstance(c, DenseConnection):
            return np.full(c.inputs // atoms(c), tiling.cores, np.int64)
        if self._by_class(c, tiling):
            return self._windows[id(c)].reach(tiling)
        return self._together(c, tiling)[2]

    def _output_axons(self, c: Connection, tiling: Tiling, target: Tiling) -> IntArray:
        """Slots of the axons from each box to the target's cores."""
        slots, group = axon_slots(c), atoms(c)
        if tiling.cores == 1 or tiling.image[2] % group:
            reach = self.reach(c, target)
            used = [reach[np.unique(b.neurons // group)].sum() for b in tiling.blocks]
            return slots * np.array(used).reshape(tiling.parts)
        total = self._sum(c, tiling, target)
        rows, columns, channels = (np.array(e) for e in tiling.edges)
        for axis, low, high in (
            (0, rows[:-1], rows[1:]),
            (1, columns[:-1], columns[1:]),
            (2, channels[:-1] // group, -(-channels[1:] // group)),
        ):
            total = total.take(high, axis) - total.take(low, axis)
        return slots * total

    def _sum(self, c: Connection, tiling: Tiling, target: Tiling) -> IntArray:
        """Reach summed from the image's corner on, zeros at the near ends."""
        rows, columns, channels = tiling.image
        image = (rows, columns, channels // atoms(c))
        key = (id(c), Tiling("", image, target.edges))
        if key not in self._sums:
            total = self.reach(c, target).reshape(image)
            for axis in range(3):
                total = total.cumsum(axis)
            self._sums[key] = np.pad(total, ((1, 0), (1, 0), (1, 0)))
        return self._sums[key]


def _each(
    count: Callable[[Line, Line, Part], int],
    rows: Intervals[Line],
    columns: Intervals[Line],
    parts: Intervals[Part],
) -> IntArray:
    """The count of every box, asked once for boxes that are alike."""
    counts = [
        [[count(row, column, part) for part in parts.kinds] for column in columns.kinds]
        for row in rows.kinds
    ]
    every: IntArray = np.array(counts)[np.ix_(rows.kind, columns.kind, parts.kind)]
    return every


def _by_block(c: Connection, tiling: Tiling) -> tuple[IntArray, IntArray, IntArray]:
    """Input axons and memory of each box, and the boxes each source unit reaches."""
    reach = np.zeros(math.prod(c.source_shape) // atoms(c), np.int64)
    counted = []
    for block in tiling.blocks:
        fan = fan_in(c, block)
        reach[fan.source] += 1
        counted.append((len(fan.source), fan.synapse_bits))
    axons, bits = np.array(counted).T.reshape(2, *tiling.parts)
    return axons, bits, reach


def _sparse(c: SparseConnection, tiling: Tiling) -> tuple[IntArray, IntArray, IntArray]:
    """Input axons and memory of each box, and the boxes each source neuron reaches."""
    edges = [np.array(e) for e in tiling.edges]
    corner = np.array(np.unravel_index(c.receiver, tiling.image))
    start, stop = ([[e[end]] for e in edges] for end in (0, -1))
    inside = ((corner >= start) & (corner < stop)).all(axis=0)
    corner, sender = corner[:, inside], c.sender[inside]
    part = [np.searchsorted(e, x, "right") - 1 for e, x in zip(edges, corner)]
    box = np.ravel_multi_index(part, tiling.parts)
    row, column, channel = (x - e[p] for e, x, p in zip(edges, corner, part))
    rows, columns = (np.diff(e)[p] for e, p in zip(edges[:2], part[:2]))
    local = channel * (rows * columns) + row * columns + column
    order = np.lexsort((local, sender, box))
    box, sender, local = box[order], sender[order], local[order]
    first = np.flatnonzero(
        (np.diff(box, prepend=-1) != 0) | (np.diff(sender, prepend=-1) != 0)
    )
    synapses = np.diff(first, append=len(box))
    base, of = local[first] % BASES, box[first]
    largest = np.zeros(tiling.cores, np.int64)
    np.maximum.at(largest, of, local[first + synapses - 1] - base)
    needed = np.frexp(largest)[1]  # bits of a whole number
    at = np.minimum(np.searchsorted(INDEX_BITS, needed), len(INDEX_BITS) - 1)
    width = weight_format(c)[0] + np.array(INDEX_BITS)[at]  # a box may be of no core
    memory = synapse_memory(synapses, width[of])
    axons = np.bincount(of, minlength=tiling.cores).reshape(tiling.parts)
    bits = np.zeros(tiling.cores, np.int64)
    np.add.at(bits, of, memory)
    reach = np.bincount(sender[first], minlength=math.prod(c.shape))
    return axons, bits.reshape(tiling.parts), reach
