"""How a tensor of ONNX lies in a node of the Graph, as factors of its axes.

ONNX's pictures are (channels, height, width) and the Graph's (height, width, channels),
so each tensor is followed by two patterns over the same factors, as in einops: its axes
as ONNX counts them, and as the node holds them. Transposing, flattening, splitting and
squeezing change the first pattern alone; a node that needs its input in a certain
order has it rearranged, once.

    Conv         axes c h w     held h w c
    Flatten      axes (c h w)   held h w c
    Gemm         takes its input as held (h w c): its weight's rows are reordered
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ....graph.nodes import Array, Shape

Axis = tuple[int, ...]
"""Indices of the factors that an axis is made of, the slowest first; () has size 1."""
Axes = tuple[Axis, ...]


def joined(axes: Iterable[Axis]) -> Axis:
    """The factors of all axes, one after the other."""
    return tuple(factor for axis in axes for factor in axis)


@dataclass(frozen=True, eq=False, kw_only=True)
class Tensor:
    """A tensor that depends on the sample, without its sample axis."""

    node: str  # of the Graph, which holds it
    sizes: tuple[int, ...]  # of the factors, each above 1
    axes: Axes  # as ONNX counts them
    held: Axes  # as the node does
    whole: bool = False  # whole numbers
    quantized: bool = False  # floats here, whole numbers in the model

    @classmethod
    def plain(cls, node: str, shape: Shape, whole: bool = False) -> Tensor:
        """A tensor that the node holds as ONNX does.

        >>> Tensor.plain("x", (3, 1, 4)).held
        ((0,), (), (1,))
        """
        return cls.ordered(node, shape, range(len(shape)), whole)

    @classmethod
    def ordered(
        cls, node: str, shape: Shape, order: Iterable[int | None], whole: bool = False
    ) -> Tensor:
        """Of this shape in ONNX; the node's axis i is ONNX's order[i], None: size 1."""
        sizes = tuple(size for size in shape if size != 1)
        count = iter(range(len(sizes)))
        axes: Axes = tuple(() if size == 1 else (next(count),) for size in shape)
        held = tuple(() if axis is None else axes[axis] for axis in order)
        return cls(node=node, sizes=sizes, axes=axes, held=held, whole=whole)

    @property
    def shape(self) -> Shape:
        """As ONNX counts it, samples not counted."""
        return self.shape_of(self.axes)

    def shape_of(self, axes: Axes) -> Shape:
        """Sizes of axes made of this tensor's factors."""
        return tuple(math.prod(self.sizes[f] for f in axis) for axis in axes)

    @property
    def order(self) -> tuple[int | None, ...] | None:
        """Which axis of ONNX each of the node's is; None where some is none of them."""
        places = {axis: i for i, axis in enumerate(self.axes) if axis}
        if all(axis in places for axis in self.held if axis):
            return tuple(places.get(axis) for axis in self.held)
        return None

    def reshaped(self, shape: Shape) -> Tensor | None:
        """The same numbers in another shape of ONNX; None where factors do not divide.

        >>> flat = Tensor.ordered("x", (4, 2, 3), (1, 2, 0)).reshaped((24,))
        >>> flat.axes, flat.held
        (((0, 1, 2),), ((1,), (2,), (0,)))
        """
        sizes, held = list(self.sizes), self.held
        queue = list(joined(self.axes))
        axes = []
        for size in shape:
            axis: list[int] = []
            while size > 1:
                if not queue:
                    return None
                factor = queue.pop(0)
                if size % sizes[factor] == 0:
                    size //= sizes[factor]
                elif sizes[factor] % size == 0:
                    rest = len(sizes)
                    sizes.append(sizes[factor] // size)
                    sizes[factor], size = size, 1
                    held = _split(held, factor, rest)
                    queue.insert(0, rest)
                else:
                    return None
                axis.append(factor)
            axes.append(tuple(axis))
        if queue:
            return None
        return replace(self, sizes=tuple(sizes), axes=tuple(axes), held=held)

    def laid_out(self, array: Array, held: Axes) -> Array:
        """An array of ONNX's shape in the order of ``held``; a view where possible."""
        before, after = joined(self.axes), joined(held)
        parts = array.reshape(tuple(self.sizes[f] for f in before))
        turned = parts.transpose(tuple(before.index(f) for f in after))
        return turned.reshape(self.shape_of(held))

    def runs(self, held: Axes) -> list[Axis]:
        """The node's axes where ``held`` takes each as it is, else what it can take."""
        after = joined(held)
        follows = dict(zip(after, after[1:]))
        whole = [axis for axis in self.held if _is_run(axis, follows)]
        if len(whole) == len(self.held):
            return whole
        runs: list[Axis] = []
        for factor in joined(self.held):
            if runs and follows.get(runs[-1][-1]) == factor:
                runs[-1] = (*runs[-1], factor)
            else:
                runs.append((factor,))
        return runs


def _is_run(axis: Axis, follows: Mapping[int, int]) -> bool:
    return bool(axis) and all(follows.get(a) == b for a, b in zip(axis, axis[1:]))


def _split(held: Axes, factor: int, rest: int) -> Axes:
    """``factor`` followed by ``rest`` wherever it stands."""
    return tuple(
        joined((f, rest) if f == factor else (f,) for f in axis) for axis in held
    )


def permutation(before: Sequence[Axis], after: Axis) -> tuple[int, ...]:
    """axes of a Permute that brings these runs into the order of ``after``."""
    starts = np.argsort([after.index(run[0]) for run in before])
    return tuple(int(i) for i in starts)
