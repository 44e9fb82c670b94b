"""What the host does to a sample before anything else: nodes right behind the Input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .nodes import FloatArray, Node, Shape


@dataclass(frozen=True, eq=False)
class ChannelsLast(Node):
    """y[…, c] = x[c, …]: the first axis becomes the last."""

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = self._take(1, shapes)
        return (*shape[1:], *shape[:1])


@dataclass(frozen=True, eq=False, kw_only=True)
class Rescale(Node):
    """y = x · scale + offset; each of them (1,), (channels,) or of x's shape."""

    scale: FloatArray
    offset: FloatArray

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = self._take(1, shapes)
        for name in ("scale", "offset"):
            held = getattr(self, name)
            fits = held.shape in ((1,), shape[-1:], shape)
            if not fits or not np.isfinite(held).all():
                raise self.error(
                    f"its {name} is {held.shape[0] if held.ndim else 'one'} number(s), "
                    f"its input has {shape[-1] if shape else 'no'} channels; give one "
                    "finite number, or one a channel"
                )
        return shape
