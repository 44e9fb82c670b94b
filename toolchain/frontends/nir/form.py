"""How values of NIR, channels first, are held here, channels last."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...graph.nodes import Array, FloatArray, Shape
from .network import NirNode


@dataclass(frozen=True)
class Form:
    """A node's output: ``shape`` as NIR counts it, the axis of samples left out.

    NIR        here
    (C, H, W)  (H, W, C)
    (C, N)     (1, N, C)
    (N,)       (N,); of a flattened (C, H, W), the ``image``, in the order of (H, W, C)
    """

    shape: Shape
    image: Shape | None = None

    @property
    def held(self) -> Shape:
        """The shape here."""
        if len(self.shape) in (2, 3):
            return held(self.shape)
        return self.shape

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def order(self) -> Array | None:
        """Place in NIR of each value here; None: the same."""
        if self.image is None:
            return None
        return last(np.arange(self.size).reshape(self.image)).ravel()


def held(shape: Shape) -> Shape:
    """(H, W, C) of (C, H, W), (1, N, C) of (C, N)."""
    return (*shape[1:], shape[0]) if len(shape) == 3 else (1, shape[1], shape[0])


def last(array: Array) -> Array:
    """The same of an array: its first axis last; of two axes, as a row of pixels."""
    turned = np.moveaxis(array, 0, -1)
    return turned if array.ndim == 3 else turned[None]


def first(array: Array) -> Array:
    """The other way round, (C, H, W) of (H, W, C)."""
    return np.moveaxis(array, -1, 0)


def constant(node: NirNode, name: str, form: Form) -> FloatArray:
    """A field that is one number, or one for each value or channel, as held here.

    Raises:
        ModelError: it has another shape.
    """
    found = node.array(name)
    if not found.ndim:
        return found
    sides = zip(found.shape, form.shape)
    if found.ndim != len(form.shape) or any(a not in (1, b) for a, b in sides):
        raise node.error(
            f"its {name} is {found.shape}, its input {form.shape}; one number, or one "
            "for each value, is allowed"
        )
    if found.ndim > 1:
        if max(found.shape[1:]) > 1:
            found = np.broadcast_to(found, form.shape)
        return np.ascontiguousarray(last(found))
    order = form.order
    return found if order is None or found.size == 1 else found[order]
