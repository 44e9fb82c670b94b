"""An ANN in 8 bits, and what it computes: the definition that its C is held to.

Activations are codes 0 … 255 for scale · (code − zero); weights are −127 … 127 with a
scale for each channel, biases and sums have 32 bits. TFLite says code − 128, int8, for
the same code; here what is never negative has zero = 0, so that no product needs an
offset. Source: Jacob et al. 2018 (arXiv 1712.05877), equations 1 to 8; a scale for
each channel: Krishnamoorthi 2018 (arXiv 1806.08342), section 2.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ....toolchain.graph.graph import Graph
from ....toolchain.graph.interpret import evaluate
from ....toolchain.graph.nodes import Conv2D, ConvTranspose2D, FloatArray, Shape
from ....toolchain.graph.operations import apply
from ....toolchain.program.arithmetic import IntArray
from .requantize import CODES, requantized


@dataclass(frozen=True, kw_only=True)
class Coding:
    """Numbers as codes: x = scale · (code − zero)."""

    scale: float
    zero: int

    def coded(self, x: FloatArray) -> IntArray:
        """The nearest codes."""
        codes: IntArray = np.rint(x / self.scale).astype(np.int64) + self.zero
        return codes.clip(0, CODES - 1)

    def decoded(self, codes: IntArray) -> FloatArray:
        """What they stand for."""
        return self.scale * (codes - float(self.zero))


@dataclass(frozen=True, eq=False, kw_only=True)
class Layer:
    """A weighted sum, requantised; then a table, where its activation is no ReLU.

    Attributes:
        node: the sum; whole numbers are its weights and biases. A dense layer is a
            convolution of a picture of one pixel.
        shape: of its input, (rows, columns, channels).
        zero_in: code of 0 that comes in.
        multiplier, shift: (filters,) of the factor from a sum to a code.
        zero_out: what is added to that.
        table: (256,) code → code; None: it stays.
    """

    node: Conv2D | ConvTranspose2D
    shape: Shape
    zero_in: int
    multiplier: IntArray
    shift: IntArray
    zero_out: int
    table: IntArray | None = None

    @property
    def size_in(self) -> int:
        """Codes that come in."""
        return math.prod(self.shape)

    @property
    def shape_out(self) -> Shape:
        """(rows, columns, filters)."""
        return self.node.output_shape(self.shape)

    @property
    def size_out(self) -> int:
        """Codes that it makes."""
        return math.prod(self.shape_out)

    def run(self, codes: IntArray) -> IntArray:
        """Codes (samples, ``size_in``) → codes (samples, ``size_out``).

        Sums are of float64, which holds whole numbers below 2^53 exactly.
        """
        x = codes.reshape(-1, *self.shape) - float(self.zero_in)
        sums = apply(self.node, x).astype(np.int64)
        found = requantized(sums, self.multiplier, self.shift) + self.zero_out
        found = found.clip(0, CODES - 1)
        held = found if self.table is None else self.table[found]
        return held.reshape(len(codes), -1)


@dataclass(frozen=True, eq=False, kw_only=True)
class Network:
    """Layers in a chain.

    Attributes:
        given, answered: what the first layer takes and the last one makes.
        shape: of the answer.
        last: what of it stays in float: softmax and its like; None: nothing.
    """

    given: Coding
    layers: tuple[Layer, ...]
    answered: Coding
    shape: Shape
    last: Graph | None

    def codes(self, x: FloatArray) -> IntArray:
        """Samples (samples, …) as codes (samples, inputs)."""
        return self.given.coded(x.reshape(len(x), -1))

    def run(self, x: FloatArray) -> list[IntArray]:
        """The codes (samples, values) of each layer."""
        found, codes = [], self.codes(x)
        for layer in self.layers:
            codes = layer.run(codes)
            found.append(codes)
        return found

    def answers(self, codes: IntArray) -> FloatArray:
        """The last layer's codes (samples, values) as the network's answers."""
        y = self.answered.decoded(codes).reshape(-1, *self.shape)
        return y if self.last is None else evaluate(self.last, y)

    @property
    def macs(self) -> int:
        """Products of a sample, those with padding among them."""
        return sum(_macs(layer) for layer in self.layers)


def _macs(layer: Layer) -> int:
    pixels = layer.shape_out if isinstance(layer.node, Conv2D) else layer.shape
    return layer.node.weight.size * pixels[0] * pixels[1]
