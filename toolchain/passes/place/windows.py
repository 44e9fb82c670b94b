"""Windows: a convolution's geometry as two axes, each along one side of the image.

Along an axis a source coordinate reaches target coordinates through the kernel's
positions. A pixel's taps are the pairs of its row's and its column's, as far as the
kernel holds a weight there. So what a box of targets needs follows from its interval of
rows and its interval of columns, and boxes whose intervals are alike, but for a shift,
need the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from ...program.arithmetic import IntArray
from ...program.connections import ConvConnection, WindowConnection
from .synapses import weight_format

BoolArray = npt.NDArray[np.bool_]


class Keyed(Protocol):
    """What is alike with what has the same key."""

    @property
    def key(self) -> object: ...


Interval = TypeVar("Interval", bound=Keyed)


@dataclass(frozen=True)
class Axis:
    """One side of a window connection's image; forward: a convolution."""

    source: int  # size
    target: int  # size
    kernel: int
    stride: int
    before: int  # padding
    dilation: int
    forward: bool

    def taps(self, target: IntArray) -> tuple[IntArray, BoolArray]:
        """Source coordinate of each target and position, and whether it is there.

        Both (targets, kernel).
        """
        position = np.arange(self.kernel) * self.dilation
        if self.forward:
            source = target[:, None] * self.stride + position - self.before
            return source, (source >= 0) & (source < self.source)
        source, rest = np.divmod(target[:, None] + self.before - position, self.stride)
        return source, (rest == 0) & (source >= 0) & (source < self.source)

    def line(self, start: int, stop: int) -> Line:
        """What an interval of targets needs."""
        return _line(self, start, stop)

    def lines(self, edges: tuple[int, ...]) -> Intervals[Line]:
        """What the intervals between edges need."""
        return _lines(self, edges)


@dataclass(frozen=True, eq=False)
class Line:
    """An interval of targets along an axis: the sources that reach it, by class.

    Sources of a class reach it through the same positions of the kernel.
    """

    length: int  # targets
    source: IntArray  # (sources,) coordinates
    kind: IntArray  # (sources,) class
    first: IntArray  # (sources,) nearest target, from the interval's start
    there: BoolArray  # (classes, kernel) positions it has
    offset: IntArray  # (classes, kernel) targets from the nearest one
    key: tuple[int, bytes, bytes, bytes]  # equal for intervals that are alike

    @property
    def count(self) -> IntArray:
        """Sources of each class."""
        return np.bincount(self.kind, minlength=len(self.there))


@dataclass(frozen=True, eq=False)
class Intervals(Generic[Interval]):
    """Intervals along an axis: one of each kind, and the kind of each."""

    kinds: tuple[Interval, ...]
    kind: IntArray  # (intervals,)

    @classmethod
    def of(cls, intervals: Iterable[Interval]) -> Intervals[Interval]:
        """Of a kind are those with equal keys."""
        kinds: dict[object, Interval] = {}
        number: dict[object, int] = {}
        kind = []
        for interval in intervals:
            kinds.setdefault(interval.key, interval)
            kind.append(number.setdefault(interval.key, len(number)))
        return cls(tuple(kinds.values()), np.array(kind))


@lru_cache(maxsize=1 << 12)
def _lines(axis: Axis, edges: tuple[int, ...]) -> Intervals[Line]:
    return Intervals.of([_line(axis, a, b) for a, b in pairwise(edges)])


@lru_cache(maxsize=1 << 14)
def _line(axis: Axis, start: int, stop: int) -> Line:
    source, inside = axis.taps(np.arange(start, stop))
    coordinates = np.unique(source[inside])
    reached = np.full((len(coordinates), axis.kernel), -1)  # target of each position
    target, position = np.nonzero(inside)
    reached[np.searchsorted(coordinates, source[inside]), position] = target
    far = np.where(reached < 0, stop, reached)
    first = far.min(axis=1, initial=stop)
    offset = np.where(reached < 0, -1, reached - first[:, None])
    kinds, kind = np.unique(offset, axis=0, return_inverse=True)
    kind = kind.reshape(-1)
    key = (stop - start, kind.tobytes(), first.tobytes(), kinds.tobytes())
    return Line(stop - start, coordinates, kind, first, kinds >= 0, kinds, key)


@dataclass(frozen=True, eq=False)
class Windows:
    """A window connection's axes, and which positions of its kernel hold weights."""

    connection: WindowConnection

    @cached_property
    def axes(self) -> tuple[Axis, Axis]:
        """Along rows and columns."""
        c = self.connection
        forward = isinstance(c, ConvConnection)
        rows, columns = (
            Axis(source, target, k, stride, before, dilation, forward)
            for source, target, k, stride, (before, _), dilation in zip(
                c.source_shape,
                c.target_shape,
                c.weight.shape,
                c.stride,
                c.padding,
                c.dilation,
            )
        )
        return rows, columns

    @cached_property
    def held(self) -> BoolArray:
        """Whether a group has a weight at a position; (rows, columns, groups)."""
        c = self.connection
        return c.held.reshape(*c.weight.shape[:2], c.groups)

    @cached_property
    def masks(self) -> tuple[BoolArray, IntArray]:
        """Kinds of groups (kinds, positions), and the kind of each group."""
        flat = self.held.reshape(-1, self.connection.groups).T
        masks, kind = np.unique(flat, axis=0, return_inverse=True)
        return masks, kind.reshape(-1)

    @cached_property
    def key(self) -> tuple[object, ...]:
        """Equal for connections whose boxes need the same."""
        c, (masks, kind) = self.connection, self.masks
        units = c.inputs, c.outputs, c.groups, weight_format(c)[0]
        return self.axes, units, masks.shape, masks.tobytes(), kind.tobytes()

    def taps(self, pixel: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """Taps into target pixels: index into ``pixel``, source pixel, position."""
        rows, columns = self.axes
        row, column = np.divmod(pixel, columns.target)
        (y, y_inside), (x, x_inside) = rows.taps(row), columns.taps(column)
        inside = y_inside[:, :, None] & x_inside[:, None, :]
        source = y[:, :, None] * columns.source + x[:, None, :]
        index, m, n = np.nonzero(inside)
        return index, source[inside], m * columns.kernel + n


@lru_cache(maxsize=16)
def windows(connection: WindowConnection) -> Windows:
    """The geometry of a connection; found once."""
    return Windows(connection)
