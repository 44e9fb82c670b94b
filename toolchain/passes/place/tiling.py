"""Tiling: an image cut along rows, columns and channels, a box for each core."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...graph.nodes import Shape
from ...program.arithmetic import IntArray
from .fan_in import Block, Corner

Edges = tuple[int, ...]
"""Where parts begin, and the last one's end."""


@dataclass(frozen=True)
class Tiling:
    """Boxes between edges; those at the far ends of an axis may be smaller.

    ``image`` is the population's (height, width, channels), or a view of it:
    (1, height · width, channels) is cut into runs of pixels, (1, 1, neurons) into
    neurons in order.
    """

    population: str
    image: Shape
    edges: tuple[Edges, Edges, Edges]

    @classmethod
    def of(cls, population: str, image: Shape, shape: Corner) -> Tiling:
        """Boxes of one shape."""
        rows, columns, channels = (
            (*range(0, size, step), size) for size, step in zip(image, shape)
        )
        return cls(population, image, (rows, columns, channels))

    @property
    def parts(self) -> Corner:
        """Number of parts along each axis."""
        rows, columns, channels = (len(e) - 1 for e in self.edges)
        return rows, columns, channels

    @property
    def cores(self) -> int:
        """Number of boxes."""
        return math.prod(self.parts)

    @property
    def middle(self) -> Tiling:
        """One box of it: one that has neighbours on all sides, where there is one."""
        rows, columns, channels = (
            e[(n - 1) // 2 : (n - 1) // 2 + 2] for e, n in zip(self.edges, self.parts)
        )
        return Tiling(self.population, self.image, (rows, columns, channels))

    @cached_property
    def sizes(self) -> IntArray:
        """Neurons of each box, (parts along rows, columns, channels)."""
        rows, columns, channels = (np.diff(e) for e in self.edges)
        sizes: IntArray = rows[:, None, None] * columns[:, None] * channels
        return sizes

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The boxes, row by row, column by column, channel by channel."""
        return tuple(
            Block(self.population, self.image, (r0, c0, k0), (r1, c1, k1))
            for (r0, r1), (c0, c1), (k0, k1) in itertools.product(
                *(itertools.pairwise(e) for e in self.edges)
            )
        )


def box_shapes(image: Shape, compartments: int) -> Iterator[list[Corner]]:
    """Box shapes of at most so many neurons, grouped by how many cover the image.

    Of the sizes that cut an axis into as many parts the smallest stands for all.
    """
    rows, columns, channels = (
        {math.ceil(size / parts): parts for parts in range(size, 0, -1)}
        for size in image
    )
    candidates = sorted(
        (rows[r] * columns[c] * channels[k], (r, c, k))
        for r, c, k in itertools.product(rows, columns, channels)
        if r * c * k <= compartments
    )
    for _, group in itertools.groupby(candidates, key=lambda candidate: candidate[0]):
        yield [shape for _, shape in group]


def runs(population: str, image: Shape, cores: int) -> Iterator[Tiling]:
    """So many runs of pixels, and of neurons, in order."""
    for view in ((1, image[0] * image[1], image[2]), (1, 1, math.prod(image))):
        axis = 1 if view[1] > 1 else 2
        if cores <= view[axis] and view != image:
            shape = list(view)
            shape[axis] = math.ceil(view[axis] / cores)
            yield Tiling.of(population, view, (shape[0], shape[1], shape[2]))
