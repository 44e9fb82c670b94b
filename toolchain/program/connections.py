"""Integer connections between populations: mantissas, one exponent, and a geometry.

Every geometry is the same thing underneath, its *taps*: source pixel → target pixel
through one position of the kernel, a (channels in, channels out) matrix. A dense
connection has one pixel on each side and one tap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..graph.nodes import Padding, Shape, conv_shape, transpose_shape
from ..graph.text import array_text, field_text, kernel_text
from ..memory import demand_memory
from .arithmetic import WEIGHT_SHIFT, IntArray

TAP_BYTES = 40  # while they are sorted


@dataclass(frozen=True)
class Taps:
    """Which source pixel reaches which target pixel through which kernel position.

    Three (taps,) arrays, sorted by source pixel, then target pixel.
    """

    source: npt.NDArray[np.int32]
    target: npt.NDArray[np.int32]
    kernel: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False, kw_only=True)
class Connection:
    """Σ weight · 2^(6 + exponent) · s(t − delay) into the target's accumulator q.

    ``weight`` holds signed mantissas (…, channels in, channels out), int16.
    """

    source: str
    target: str
    weight: IntArray
    exponent: int = 0
    delay: int = 1  # steps

    def __str__(self) -> str:
        """One line: ends, kernel, bits of the mantissas, and the rest."""
        largest = int(np.abs(self.weight.astype(np.int64)).max(initial=0))
        bits = (largest // 2).bit_length() + 1  # mantissas are even
        words = [f"{self.source} → {self.target}: {type(self).__name__}"]
        words += [kernel_text(self.weight), f"weight {array_text(self.weight)}"]
        words += [f"{bits} bits exponent {self.exponent} delay {self.delay}"]
        for name in ("stride", "padding"):
            words += field_text(name, getattr(self, name, ()))
        return " ".join(words)

    @property
    def source_shape(self) -> Shape:
        """Shape of the source population."""
        raise NotImplementedError

    @property
    def target_shape(self) -> Shape:
        """Shape of the target population."""
        raise NotImplementedError

    @property
    def taps(self) -> Taps:
        """The geometry."""
        raise NotImplementedError

    @cached_property
    def effective(self) -> npt.NDArray[np.int32]:
        """What a spike adds to q, (kernel positions, channels in, channels out)."""
        shift = WEIGHT_SHIFT + self.exponent
        mantissa = self.weight.astype(np.int32).reshape(-1, *self.weight.shape[-2:])
        return mantissa << shift if shift >= 0 else mantissa >> -shift

    @cached_property
    def fan_out(self) -> npt.NDArray[np.int64]:
        """Synapses that one spike of each source neuron visits, (source neurons,).

        Padding and stride are counted as they are; a synapse of weight 0 is stored,
        visited and counted.
        """
        channels_in, channels_out = self.weight.shape[-2:]
        pixels = math.prod(self.source_shape) // channels_in
        taps = np.bincount(self.taps.source, minlength=pixels)
        return np.repeat(taps * channels_out, channels_in).astype(np.int64)

    @cached_property
    def nonzero(self) -> int:
        """Synapses whose weight is not 0."""
        held = np.count_nonzero(self.effective, axis=(1, 2))
        return int(held[self.taps.kernel].sum())

    @cached_property
    def worst_q(self) -> npt.NDArray[np.int64]:
        """Largest |q| that any spikes could cause, (target neurons,)."""
        pixels = math.prod(self.target_shape) // self.weight.shape[-1]
        worst = np.zeros((2, pixels, self.weight.shape[-1]), np.int64)
        for sign, total in zip((1, -1), worst):
            summed = np.maximum(sign * self.effective, 0).sum(axis=1, dtype=np.int64)
            np.add.at(total, self.taps.target, summed[self.taps.kernel])
        flat: npt.NDArray[np.int64] = worst.max(axis=0).reshape(-1)
        return flat


@dataclass(frozen=True, eq=False, kw_only=True)
class DenseConnection(Connection):
    """All to all; weight (source neurons, target neurons).

    ``shape`` is the source population's where that is not flat.
    """

    shape: Shape = ()

    @property
    def source_shape(self) -> Shape:
        return self.shape or self.weight.shape[:1]

    @property
    def target_shape(self) -> Shape:
        return self.weight.shape[1:]

    @property
    def taps(self) -> Taps:
        zero = np.zeros(1, np.int32)
        return Taps(zero, zero, zero)


@dataclass(frozen=True, eq=False, kw_only=True)
class WindowConnection(Connection):
    """A kernel that moves over an image; weight (rows, columns, in, out)."""

    shape: Shape  # of the source, (height, width, channels)
    stride: tuple[int, int] = (1, 1)
    padding: Padding = ((0, 0), (0, 0))

    @property
    def source_shape(self) -> Shape:
        return self.shape

    def _taps(self, large: Shape, small: Shape) -> Taps:
        return _windows(large, small, self.weight.shape, self.stride, self.padding)


@dataclass(frozen=True, eq=False, kw_only=True)
class ConvConnection(WindowConnection):
    """A convolution (cross-correlation)."""

    @property
    def target_shape(self) -> Shape:
        rows, columns, _, filters = self.weight.shape
        size = conv_shape(self.shape, (rows, columns), self.stride, self.padding)
        return (*size, filters)

    @cached_property
    def taps(self) -> Taps:
        return self._taps(self.shape, self.target_shape)


@dataclass(frozen=True, eq=False, kw_only=True)
class ConvTransposeConnection(WindowConnection):
    """The adjoint of a convolution's geometry."""

    @property
    def target_shape(self) -> Shape:
        rows, columns, _, filters = self.weight.shape
        size = transpose_shape(self.shape, (rows, columns), self.stride, self.padding)
        return (*size, filters)

    @cached_property
    def taps(self) -> Taps:
        adjoint = self._taps(self.target_shape, self.shape)
        order = np.lexsort((adjoint.source, adjoint.target))
        return Taps(adjoint.target[order], adjoint.source[order], adjoint.kernel[order])


def _windows(
    large: Shape,
    small: Shape,
    kernel: Shape,
    stride: tuple[int, int],
    padding: Padding,
) -> Taps:
    """Taps from ``large``'s pixels to the windows over them, ``small``'s pixels."""
    count = math.prod(small[:2]) * math.prod(kernel[:2])
    demand_memory(
        f"Connection of a {kernel[:2]} kernel at {small[:2]} places",
        TAP_BYTES * count,
        "use a smaller picture or kernel",
    )
    axes = []
    for size, windows, k, pace, (before, _) in zip(
        large, small, kernel, stride, padding
    ):
        window, position = np.divmod(np.arange(windows * k), k)
        pixel = window * pace + position - before
        inside = (pixel >= 0) & (pixel < size)
        axes.append((pixel[inside], window[inside], position[inside]))
    (row, window_row, m), (column, window_column, n) = axes
    source = row[:, None] * large[1] + column
    target = window_row[:, None] * small[1] + window_column
    position = m[:, None] * kernel[1] + n
    order = np.lexsort((target.ravel(), source.ravel()))
    return Taps(
        *(a.ravel()[order].astype(np.int32) for a in (source, target, position))
    )
