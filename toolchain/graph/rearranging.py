"""Nodes that move, leave out or surround values, and compute nothing."""

from __future__ import annotations

from dataclasses import dataclass

from .nodes import Node, Padding, Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Pad2D(Node):
    """y = x, (height, width, channels), with zeros around it."""

    padding: Padding

    def output_shape(self, *shapes: Shape) -> Shape:
        rows, columns, channels = self._image(shapes, None)
        (top, bottom), (left, right) = self.padding
        return (top + rows + bottom, left + columns + right, channels)


@dataclass(frozen=True, eq=False, kw_only=True)
class Slice(Node):
    """y = x[start[0]:stop[0], start[1]:stop[1], …]: a box of x, one pair an axis."""

    start: tuple[int, ...]
    stop: Shape

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = self._take(1, shapes)
        whole = len(self.start) == len(self.stop) == len(shape)
        if not whole or not all(
            0 <= a < b <= size for a, b, size in zip(self.start, self.stop, shape)
        ):
            raise self.error(f"takes {self.start} to {self.stop} of its input, {shape}")
        return tuple(b - a for a, b in zip(self.start, self.stop))


@dataclass(frozen=True, eq=False, kw_only=True)
class Permute(Node):
    """y's axis i is x's axis axes[i], samples not counted."""

    axes: tuple[int, ...]

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = self._take(1, shapes)
        if sorted(self.axes) != list(range(len(shape))):
            raise self.error(f"axes are {self.axes}, its input is {shape}")
        return tuple(shape[axis] for axis in self.axes)
