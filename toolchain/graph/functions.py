"""Functions that no spiking population computes; the host can, of what is read.

A frontend keeps them as they are, so that a network's answers are its own, and
``legalize`` says what to do where one stands before a population.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from .nodes import FloatArray, Padding, Pair, Readout, Shape, conv_shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Elementwise(Readout):
    """y = function(x), one of ``FUNCTIONS``."""

    function: str

    def output_shape(self, *shapes: Shape) -> Shape:
        if self.function not in FUNCTIONS:
            raise self.error(
                f"function is {self.function!r}; allowed are {', '.join(FUNCTIONS)}"
            )
        return super().output_shape(*shapes)


_erf = np.vectorize(math.erf, otypes=[np.float64])
SELU, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
"""Klambauer et al. 2017 (arXiv 1706.02515), equation 2."""

FUNCTIONS: Mapping[str, Callable[[FloatArray], FloatArray]] = {
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "exponential": np.exp,
    "gelu": lambda x: 0.5 * x * (1 + _erf(x / math.sqrt(2))),
    "gelu_tanh": lambda x: (
        0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    ),
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hard_swish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "mish": lambda x: x * np.tanh(np.logaddexp(0, x)),
    "selu": lambda x: (
        SELU * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0)))
    ),
    "silu": lambda x: 0.5 * x * (1 + np.tanh(0.5 * x)),
    "softplus": lambda x: np.logaddexp(0, x),
    "softsign": lambda x: x / (1 + np.abs(x)),
}
"""Name → function. Sources: the papers that named them; Keras' activations.py."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LeakyReLU(Readout):
    """y = x where x > 0, else slope · x; slope (1,), (channels,) or x's shape."""

    slope: FloatArray

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = self._take(1, shapes)
        if np.broadcast_shapes(self.slope.shape, shape) != shape:
            raise self.error(f"slope is {self.slope.shape}, its input is {shape}")
        return shape


@dataclass(frozen=True, eq=False, kw_only=True)
class MaxPool2D(Readout):
    """y = largest x of windows of ``pool`` pixels; padding is left out."""

    pool: Pair
    stride: Pair
    padding: Padding = ((0, 0), (0, 0))
    dilation: Pair = (1, 1)

    def output_shape(self, *shapes: Shape) -> Shape:
        shape = self._image(shapes, None)
        how = self.pool, self.stride, self.padding, self.dilation
        return (*self._windows(*conv_shape(shape, *how)), shape[2])
