"""Node: what every operation of a Graph has, and the shapes of windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ModelError

Shape = tuple[int, ...]
FloatArray = npt.NDArray[np.float64]
Array = npt.NDArray[Any]
Pair = tuple[int, int]
"""Along height and width."""
Padding = tuple[Pair, Pair]
"""((top, bottom), (left, right)), zeros added to the input, in pixels; of fewer than
0, so many pixels are left out."""


def conv_shape(
    shape: Shape,
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair = (1, 1),
) -> Pair:
    """Height and width after a window slides over a padded (height, width, ...)."""
    rows, columns = (
        (size + sum(pad) - (k - 1) * spread - 1) // step + 1
        for size, pad, k, spread, step in zip(shape, padding, kernel, dilation, stride)
    )
    return rows, columns


def transpose_shape(
    shape: Shape,
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair = (1, 1),
) -> Pair:
    """Height and width of the input whose convolution has this (height, width, ...)."""
    rows, columns = (
        (size - 1) * step + (k - 1) * spread + 1 - sum(pad)
        for size, pad, k, spread, step in zip(shape, padding, kernel, dilation, stride)
    )
    return rows, columns


@dataclass(frozen=True, eq=False)
class Node:
    """A named operation on the outputs of the nodes in ``inputs``."""

    name: str
    inputs: tuple[str, ...] = ()

    def output_shape(self, *shapes: Shape) -> Shape:
        """Shape of y, from those of the inputs.

        Raises:
            ModelError: the inputs' number or shapes do not go with this node.
        """
        (shape,) = self._take(1, shapes)
        return shape

    def _take(self, count: int, shapes: tuple[Shape, ...]) -> tuple[Shape, ...]:
        if len(shapes) != count:
            raise self.error(f"takes {count} input(s) and has {len(shapes)}")
        return shapes

    def _image(self, shapes: tuple[Shape, ...], channels: int | None) -> Shape:
        (shape,) = self._take(1, shapes)
        if len(shape) != 3 or channels not in (None, shape[2]):
            wanted = "any" if channels is None else channels
            raise self.error(
                f"takes (height, width, channels={wanted}), its input is {shape}"
            )
        return shape

    def _windows(self, rows: int, columns: int) -> Pair:
        if rows < 1 or columns < 1:
            raise self.error("its window is larger than its padded input")
        return rows, columns

    def error(self, message: str) -> ModelError:
        """An error that names this node."""
        return ModelError(f"{type(self).__name__} {self.name!r}: {message}")
