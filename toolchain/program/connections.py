"""Integer connections between populations: mantissas, one exponent, and a geometry.

Every geometry is the same thing underneath, its *taps*: source unit → target unit
through one of the kernel's matrices, (inputs, outputs). A unit is what lies side by
side and shares its taps: a pixel's channels, with groups a pixel's channels of one
group. Neuron ``unit · inputs + i`` is the unit's i-th. A dense connection has one unit
on each side and one tap, a sparse one a tap for each synapse. What is not there, beyond
padding, between groups or a position of the kernel that is 0 throughout, is no tap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..graph.node import Padding, Pair, Shape, conv_shape, transpose_shape
from ..graph.text import array_text, field_text, kernel_text
from ..memory import demand_memory
from .arithmetic import WEIGHT_SHIFT, IntArray

TAP_BYTES = 40  # while they are sorted


@dataclass(frozen=True)
class Taps:
    """Which source unit reaches which target unit through which matrix of the kernel.

    Three (taps,) arrays, sorted by source unit, then target unit.
    """

    source: npt.NDArray[np.int32]
    target: npt.NDArray[np.int32]
    kernel: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False, kw_only=True)
class Connection:
    """Σ weight · 2^(6 + exponent) · s(t − delay) into the target's accumulator q.

    ``weight`` holds signed mantissas (…, inputs, outputs), int16.
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
        for name in ("stride", "padding", "groups", "dilation"):
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

    @property
    def kernels(self) -> IntArray:
        """Mantissas of each matrix of the kernel, (matrices, inputs, outputs)."""
        return self.weight.reshape(-1, *self.weight.shape[-2:])

    @property
    def inputs(self) -> int:
        """Neurons of a source unit."""
        return self.kernels.shape[1]

    @property
    def outputs(self) -> int:
        """Neurons of a target unit."""
        return self.kernels.shape[2]

    @property
    def effective_weight(self) -> npt.NDArray[np.int32]:
        """What a spike adds to q, in the form of ``weight``."""
        return self.added(self.weight)

    def added(self, weight: IntArray) -> npt.NDArray[np.int32]:
        """What a spike adds to q, of these mantissas."""
        shift = WEIGHT_SHIFT + self.exponent
        mantissa = weight.astype(np.int32)
        return mantissa << shift if shift >= 0 else mantissa >> -shift

    @cached_property
    def effective(self) -> npt.NDArray[np.int32]:
        """What a spike adds to q, in the form of ``kernels``."""
        return replace(self, weight=self.effective_weight).kernels

    def synapses(self) -> tuple[IntArray, IntArray, IntArray]:
        """Source and target neuron, mantissa of each; (taps, inputs, outputs)."""
        taps, weight = self.taps, self.kernels[self.taps.kernel]
        inputs, outputs = np.arange(self.inputs), np.arange(self.outputs)
        source = taps.source[:, None, None] * self.inputs + inputs[:, None]
        target = taps.target[:, None, None] * self.outputs + outputs
        source, target = np.broadcast_arrays(source, target)
        return source, target, weight

    @cached_property
    def fan_out(self) -> npt.NDArray[np.int64]:
        """Synapses that one spike of each source neuron visits, (source neurons,).

        Padding and stride are counted as they are; a synapse of weight 0 within a tap
        is stored, visited and counted.
        """
        units = math.prod(self.source_shape) // self.inputs
        taps = np.bincount(self.taps.source, minlength=units)
        return np.repeat(taps * self.outputs, self.inputs).astype(np.int64)

    @cached_property
    def nonzero_fan_out(self) -> npt.NDArray[np.int64]:
        """Of these, the synapses whose weight is not 0, (source neurons,)."""
        units = math.prod(self.source_shape) // self.inputs
        held = np.count_nonzero(self.kernels, axis=2)  # (matrices, inputs)
        of_input = [
            np.bincount(self.taps.source, held[self.taps.kernel, i], minlength=units)
            for i in range(self.inputs)
        ]
        return np.stack(of_input, axis=1).reshape(-1).astype(np.int64)

    @cached_property
    def nonzero(self) -> int:
        """Synapses whose weight is not 0."""
        nonzero = np.count_nonzero(self.kernels, axis=(1, 2))
        return int(nonzero[self.taps.kernel].sum())

    @cached_property
    def held(self) -> npt.NDArray[np.bool_]:
        """Whether a matrix of the kernel has a weight that is not 0, (matrices,)."""
        held: npt.NDArray[np.bool_] = self.kernels.any(axis=(1, 2))
        return held

    @cached_property
    def worst_q(self) -> npt.NDArray[np.int64]:
        """Largest |q| that any spikes could cause, (target neurons,)."""
        units = math.prod(self.target_shape) // self.outputs
        worst = np.zeros((2, units, self.outputs), np.int64)
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
class SparseConnection(Connection):
    """One synapse a tap; weight (synapses,), from ``sender`` to ``receiver``.

    Sorted by sender, then receiver, no pair twice. ``shape`` is the source's, and
    ``into`` the target's.
    """

    sender: IntArray  # (synapses,) source neurons, int32
    receiver: IntArray  # (synapses,) target neurons, int32
    shape: Shape
    into: Shape

    @property
    def source_shape(self) -> Shape:
        return self.shape

    @property
    def target_shape(self) -> Shape:
        return self.into

    @property
    def kernels(self) -> IntArray:
        return self.weight.reshape(-1, 1, 1)

    @property
    def taps(self) -> Taps:
        every = np.arange(self.sender.size, dtype=np.int32)
        return Taps(self.sender, self.receiver, every)


@dataclass(frozen=True, eq=False, kw_only=True)
class WindowConnection(Connection):
    """A kernel that moves over an image; weight (rows, columns, in / groups, out).

    The same as ``graph.nodes.Windowed``.
    """

    shape: Shape  # of the source, (height, width, channels)
    stride: Pair = (1, 1)
    padding: Padding = ((0, 0), (0, 0))
    groups: int = 1
    dilation: Pair = (1, 1)

    @property
    def source_shape(self) -> Shape:
        return self.shape

    @property
    def target_shape(self) -> Shape:
        rows, columns, _, filters = self.weight.shape
        how = (rows, columns), self.stride, self.padding, self.dilation
        return (*self._size(*how), filters)

    def _size(
        self, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
    ) -> Pair:
        raise NotImplementedError

    @property
    def kernels(self) -> IntArray:
        """Position by position, in it group by group."""
        *_, inputs, filters = self.weight.shape
        split = self.weight.reshape(-1, inputs, self.groups, filters // self.groups)
        return split.transpose(0, 2, 1, 3).reshape(-1, inputs, filters // self.groups)

    @cached_property
    def worst_q(self) -> npt.NDArray[np.int64]:
        """As of any connection: which places of the kernel see each target pixel, times
        what they bring at most; sums of whole numbers below 2^53, exact in float64."""
        *size, _ = self.target_shape
        forward = isinstance(self, ConvConnection)
        ends = (self.shape, self.target_shape)
        pixel, window, position = _windows(self, *(ends if forward else ends[::-1]))
        seen = np.zeros((math.prod(size), math.prod(self.weight.shape[:2])))
        seen[window if forward else pixel, position] = 1
        brought = [
            np.maximum(sign * self.effective, 0).sum(axis=1, dtype=np.int64)
            for sign in (1, -1)
        ]
        worst = [seen @ sums.reshape(seen.shape[1], -1) for sums in brought]
        flat: npt.NDArray[np.int64] = np.maximum(*worst).reshape(-1).astype(np.int64)
        return flat

    def _taps(self, large: Shape, small: Shape, forward: bool) -> Taps:
        """Between ``large``'s pixels and the windows over them, ``small``'s pixels."""
        pixel, window, position = _windows(self, large, small)
        groups = np.arange(self.groups)
        there = self.held.reshape(-1, self.groups)[position]  # (taps, groups)
        pixel, window, position = (
            (index[:, None] * self.groups + groups)[there].astype(np.int32)
            for index in (pixel, window, position)
        )
        source, target = (pixel, window) if forward else (window, pixel)
        order = np.lexsort((target, source))
        return Taps(source[order], target[order], position[order])


@dataclass(frozen=True, eq=False, kw_only=True)
class ConvConnection(WindowConnection):
    """A convolution (cross-correlation)."""

    def _size(
        self, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
    ) -> Pair:
        return conv_shape(self.shape, kernel, stride, padding, dilation)

    @cached_property
    def taps(self) -> Taps:
        return self._taps(self.shape, self.target_shape, forward=True)


@dataclass(frozen=True, eq=False, kw_only=True)
class ConvTransposeConnection(WindowConnection):
    """The adjoint of a convolution's geometry."""

    def _size(
        self, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
    ) -> Pair:
        return transpose_shape(self.shape, kernel, stride, padding, dilation)

    @cached_property
    def taps(self) -> Taps:
        return self._taps(self.target_shape, self.shape, forward=False)


def _windows(
    c: WindowConnection, large: Shape, small: Shape
) -> tuple[IntArray, IntArray, IntArray]:
    """Pixels of ``large``, windows over them, and positions in these; (taps,) each."""
    kernel = c.weight.shape[:2]
    count = math.prod(small[:2]) * math.prod(kernel)
    demand_memory(
        f"Connection of a {kernel} kernel at {small[:2]} places",
        TAP_BYTES * count * c.groups,
        "use a smaller picture or kernel",
    )
    axes = []
    for size, windows, k, pace, (before, _), spread in zip(
        large, small, kernel, c.stride, c.padding, c.dilation
    ):
        window, position = np.divmod(np.arange(windows * k), k)
        pixel = window * pace + position * spread - before
        inside = (pixel >= 0) & (pixel < size)
        axes.append((pixel[inside], window[inside], position[inside]))
    (row, window_row, m), (column, window_column, n) = axes
    pixel = row[:, None] * large[1] + column
    window = window_row[:, None] * small[1] + window_column
    position = m[:, None] * kernel[1] + n
    return pixel.ravel(), window.ravel(), position.ravel()
