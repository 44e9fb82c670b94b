"""What boxes of a convolution's targets need, counted from rows, columns and channels.

Equal to ``fan_in``'s counts (tests/test_load.py), without a tap being listed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from ...program.arithmetic import IntArray
from .fan_in import BASES
from .synapses import synapse_memory, synapse_width
from .tiling import Edges, Tiling
from .windows import BoolArray, Intervals, Line, Windows

MOST_POSITIONS = 62  # of a kernel with holes, whose positions are bits of an int64


@dataclass(frozen=True, eq=False)
class TapSets:
    """What the pixels of a class of rows and a class of columns have for taps.

    All (kinds of groups, classes of rows, classes of columns).
    """

    count: IntArray  # taps
    same: IntArray  # equal where the taps are
    first: IntArray  # nearest target pixel, from that of a kernel without holes
    last: IntArray  # farthest


class WindowLoad:
    """Counts for connections of one geometry, kept for intervals that come again."""

    def __init__(self, geometry: Windows) -> None:
        self.connection = geometry.connection
        self.axes = geometry.axes
        self.masks, self.kind = geometry.masks
        self._parts: dict[Edges, Intervals[Part]] = {}
        self._alike: dict[object, Part] = {}
        self._sets: dict[tuple[object, object], TapSets] = {}
        self._axons: dict[object, int] = {}
        self._bits: dict[object, int] = {}
        self._reach: dict[tuple[object, ...], IntArray] = {}

    @cached_property
    def separable(self) -> bool:
        """Whether the kernel is without holes, or small enough to count them."""
        return bool(self.masks.all()) or self.masks.shape[1] <= MOST_POSITIONS

    def intervals(
        self, tiling: Tiling
    ) -> tuple[Intervals[Line], Intervals[Line], Intervals[Part]]:
        """Of a tiling, along its three axes."""
        rows, columns, channels = tiling.edges
        if channels not in self._parts:
            self._parts[channels] = Intervals.of(
                self._part(a, b) for a, b in pairwise(channels)
            )
        return (
            self.axes[0].lines(rows),
            self.axes[1].lines(columns),
            self._parts[channels],
        )

    def axons(self, rows: Line, columns: Line, part: Part) -> int:
        """Input axons of a box."""
        key = (rows.key, columns.key, part.key)
        if key not in self._axons:
            there = self._tap_sets(rows, columns).count > 0
            pixels = (there * rows.count[:, None] * columns.count).sum(axis=(1, 2))
            self._axons[key] = int(pixels[part.kind].sum())
        return self._axons[key]

    def bits(self, rows: Line, columns: Line, part: Part) -> int:
        """Synapse memory of a box; see ``FanIn.synapse_bits``."""
        key = (rows.key, columns.key, part.key)
        if key not in self._bits:
            self._bits[key] = self._count_bits(rows, columns, part)
        return self._bits[key]

    def _count_bits(self, rows: Line, columns: Line, part: Part) -> int:
        sets = self._tap_sets(rows, columns)
        chosen = np.ix_(part.kind, rows.kind, columns.kind)
        there = sets.count[chosen] > 0
        if not there.any():
            return 0
        pixels = rows.length * columns.length
        first = (rows.first[:, None] * columns.length + columns.first)[None]
        first = first + (part.offset * pixels)[:, None, None] + sets.first[chosen]
        beyond = first // BASES
        span = (sets.last - sets.first)[chosen] + ((part.width - 1) * pixels)[
            :, None, None
        ]
        largest = int((beyond * BASES + span)[there].max())
        same = sets.same[chosen]
        steps, kinds = int(beyond.max()) + 1, int(sets.same.max()) + 1
        group = np.arange(len(part.kind))[:, None, None]
        key = ((group * kinds + same) * steps + beyond)[there]
        patterns = np.flatnonzero(np.bincount(key, minlength=1)) // steps
        taps = np.zeros(kinds, np.int64)
        taps[sets.same.ravel()] = sets.count.ravel()
        synapses = taps[patterns % kinds] * part.width[patterns // kinds]
        width = synapse_width(self.connection, largest)
        return int(synapse_memory(synapses * self.connection.inputs, width).sum())

    def _tap_sets(self, rows: Line, columns: Line) -> TapSets:
        key = (rows.key, columns.key)
        if key not in self._sets:
            self._sets[key] = _tap_sets(self.masks, rows, columns)
        return self._sets[key]

    def _part(self, start: int, stop: int) -> Part:
        size, outputs = stop - start, self.connection.outputs
        kind = self.kind[start // outputs : -(-stop // outputs)]
        head = min(size, outputs - start % outputs)  # channels of the first group
        key = size, head, kind.tobytes()
        if key not in self._alike:
            ends = np.minimum(head + np.arange(len(kind)) * outputs, size)
            offset = np.append(0, ends[:-1])
            self._alike[key] = Part(kind, offset, ends - offset, key)
        return self._alike[key]

    def reach(self, tiling: Tiling) -> IntArray:
        """Cores that each source unit's spikes go to, (units,)."""
        key = (tiling.edges,)
        if key not in self._reach:
            rows, columns = (
                _pairs(axis.source, [axis.line(a, b) for a, b in zip(e, e[1:])])
                for axis, e in zip(self.axes, tiling.edges)
            )
            outputs, edges = self.connection.outputs, tiling.edges[2]
            first = np.arange(self.connection.groups) * outputs
            parts = np.searchsorted(edges, first + outputs, "left")
            parts = parts - np.searchsorted(edges, first, "right") + 1
            kinds = [self._pixels(mask, rows, columns) for mask in self.masks]
            reach = np.stack(kinds, -1)[:, :, self.kind] * parts
            self._reach[key] = np.ascontiguousarray(reach).reshape(-1)
        return self._reach[key]

    def _pixels(self, mask: BoolArray, rows: Pairs, columns: Pairs) -> IntArray:
        """Boxes of pixels that each source pixel reaches through held positions."""
        held = mask.reshape(self.axes[0].kernel, self.axes[1].kernel).astype(np.int64)
        hits = (rows.there.astype(np.int64) @ held @ columns.there.T > 0).astype(int)
        by_row = np.zeros((self.axes[0].source, hits.shape[1]), np.int64)
        np.add.at(by_row, rows.source, hits)
        both = np.zeros((self.axes[1].source, self.axes[0].source), np.int64)
        np.add.at(both, columns.source, by_row.T)
        return both.T


@dataclass(frozen=True, eq=False)
class Part:
    """An interval of channels, as the groups in it; (groups,) each."""

    kind: IntArray  # of the group's kernel
    offset: IntArray  # first channel, from the interval's start
    width: IntArray  # channels
    key: tuple[int, int, bytes]  # equal for intervals that are alike


@dataclass(frozen=True, eq=False)
class Pairs:
    """Source coordinates and the intervals they reach, (pairs,), through positions."""

    source: IntArray
    there: BoolArray  # (pairs, kernel)


def _pairs(size: int, lines: list[Line]) -> Pairs:
    return Pairs(
        np.concatenate([line.source for line in lines]),
        np.concatenate([line.there[line.kind] for line in lines]),
    )


def _tap_sets(masks: BoolArray, rows: Line, columns: Line) -> TapSets:
    """Taps are where a row's and a column's positions meet and the kernel is held."""
    a, b = rows.there, columns.there
    if masks.all():  # pixels of other classes have other taps
        count = a.sum(axis=1)[:, None] * b.sum(axis=1)
        shape = (len(masks), *count.shape)
        last = rows.offset.max(axis=1, initial=-1)[:, None] * columns.length
        last = last + columns.offset.max(axis=1, initial=-1)
        same = np.arange(count.size).reshape(count.shape)
        zero = np.zeros(shape, np.int64)
        return TapSets(count + zero, same + zero, zero, last + zero)
    shape = (len(a), len(b), masks.shape[1])
    meet = (a[:, None, :, None] & b[None, :, None, :]).reshape(shape)
    target = rows.offset[:, None, :, None] * columns.length
    target = (target + columns.offset[None, :, None, :]).reshape(shape)
    bit = 1 << np.arange(masks.shape[1])
    code = (meet @ bit) & (masks @ bit)[:, None, None]
    there = (code[..., None] & bit) > 0
    first = np.where(there, target, target.max(initial=0)).min(axis=-1)
    last = np.where(there, target, 0).max(axis=-1)
    _, same = np.unique(code, return_inverse=True)
    return TapSets(there.sum(axis=-1), same.reshape(code.shape), first, last)
