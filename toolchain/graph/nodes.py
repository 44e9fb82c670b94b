"""The nodes of a Graph: frozen, channels last; a docstring is the equation.

Shapes leave out the sample and time axes. ``x`` is a node's input, ``y`` its output.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ModelError

Shape = tuple[int, ...]
FloatArray = npt.NDArray[np.float64]
Array = npt.NDArray[Any]
Padding = tuple[tuple[int, int], tuple[int, int]]
"""((top, bottom), (left, right)), zeros added to the input, in pixels."""


def conv_shape(
    shape: Shape, kernel: tuple[int, int], stride: tuple[int, int], padding: Padding
) -> tuple[int, int]:
    """Height and width after a window slides over a padded (height, width, ...)."""
    rows, columns = (
        (size + sum(pad) - k) // step + 1
        for size, pad, k, step in zip(shape, padding, kernel, stride)
    )
    return rows, columns


def transpose_shape(
    shape: Shape, kernel: tuple[int, int], stride: tuple[int, int], padding: Padding
) -> tuple[int, int]:
    """Height and width of the input whose convolution has this (height, width, ...)."""
    rows, columns = (
        (size - 1) * step + k - sum(pad)
        for size, pad, k, step in zip(shape, padding, kernel, stride)
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

    def _windows(self, rows: int, columns: int) -> tuple[int, int]:
        if rows < 1 or columns < 1:
            raise self.error("its window is larger than its padded input")
        return rows, columns

    def error(self, message: str) -> ModelError:
        """An error that names this node."""
        return ModelError(f"{type(self).__name__} {self.name!r}: {message}")


@dataclass(frozen=True, eq=False)
class Input(Node):
    """Where a sample enters: y = sample, of ``shape``."""

    shape: Shape = ()

    def output_shape(self, *shapes: Shape) -> Shape:
        self._take(0, shapes)
        return self.shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Linear(Node):
    """y = a weighted sum of x + bias; weight (..., in, out), bias (out,)."""

    weight: FloatArray
    bias: FloatArray

    def _demand_axes(self, axes: int) -> None:
        weight, bias = self.weight.shape, self.bias.shape
        if len(weight) != axes or bias != weight[-1:] or 0 in weight:
            raise self.error(
                f"weight is {weight} and bias {bias}; weight has {axes} axes, the last "
                "as long as bias"
            )


@dataclass(frozen=True, eq=False, kw_only=True)
class Dense(Linear):
    """y = x · weight + bias; weight (inputs, outputs), bias (outputs,)."""

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = self._take(1, shapes)
        self._demand_axes(2)
        if shape != self.weight.shape[:1]:
            raise self.error(f"takes ({self.weight.shape[0]},), its input is {shape}")
        return self.weight.shape[1:]


@dataclass(frozen=True, eq=False, kw_only=True)
class Conv2D(Linear):
    """y[i, j, o] = Σ x[i·s+m−top, j·s+n−left, c] · weight[m, n, c, o] + bias[o].

    Cross-correlation, as in Keras. weight (rows, columns, in, out), bias (out,).
    """

    stride: tuple[int, int] = (1, 1)
    padding: Padding = ((0, 0), (0, 0))

    def output_shape(self, *shapes: Shape) -> Shape:
        self._demand_axes(4)
        rows, columns, channels, filters = self.weight.shape
        shape = self._image(shapes, channels)
        size = conv_shape(shape, (rows, columns), self.stride, self.padding)
        return (*self._windows(*size), filters)


@dataclass(frozen=True, eq=False, kw_only=True)
class ConvTranspose2D(Linear):
    """y[i·s+m−top, j·s+n−left, o] += x[i, j, c] · weight[m, n, c, o]; then + bias[o].

    The adjoint of a convolution with this stride and padding.
    weight (rows, columns, in, out), bias (out,).
    """

    stride: tuple[int, int] = (1, 1)
    padding: Padding = ((0, 0), (0, 0))

    def output_shape(self, *shapes: Shape) -> Shape:
        self._demand_axes(4)
        rows, columns, channels, filters = self.weight.shape
        shape = self._image(shapes, channels)
        size = transpose_shape(shape, (rows, columns), self.stride, self.padding)
        return (*self._windows(*size), filters)


@dataclass(frozen=True, eq=False, kw_only=True)
class AvgPool2D(Node):
    """y = mean of x over windows of ``pool`` pixels; no padding."""

    pool: tuple[int, int]
    stride: tuple[int, int]

    def output_shape(self, *shapes: Shape) -> Shape:
        shape = self._image(shapes, None)
        size = conv_shape(shape, self.pool, self.stride, ((0, 0), (0, 0)))
        return (*self._windows(*size), shape[2])


@dataclass(frozen=True, eq=False, kw_only=True)
class Upsample2D(Node):
    """y[i, j] = x[⌊i / factor⌋, ⌊j / factor'⌋]: nearest neighbour."""

    factor: tuple[int, int]

    def output_shape(self, *shapes: Shape) -> Shape:
        rows, columns, channels = self._image(shapes, None)
        return (rows * self.factor[0], columns * self.factor[1], channels)


@dataclass(frozen=True, eq=False, kw_only=True)
class BatchNorm(Node):
    """y = gamma · (x − mean) / √(variance + epsilon) + beta, on the last axis."""

    gamma: FloatArray
    beta: FloatArray
    mean: FloatArray
    variance: FloatArray
    epsilon: float

    @property
    def scale(self) -> FloatArray:
        """The factor of x, (channels,)."""
        scale: FloatArray = self.gamma / np.sqrt(self.variance + self.epsilon)
        return scale

    @property
    def offset(self) -> FloatArray:
        """What is added to scale · x, (channels,)."""
        return self.beta - self.mean * self.scale

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = self._take(1, shapes)
        for name in ("gamma", "beta", "mean", "variance"):
            if shape[-1:] != getattr(self, name).shape:
                raise self.error(
                    f"{name} is {getattr(self, name).shape}, its input is {shape}"
                )
        return shape


@dataclass(frozen=True, eq=False)
class Flatten(Node):
    """y = x in C order, (size,)."""

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = self._take(1, shapes)
        return (math.prod(shape),)


@dataclass(frozen=True, eq=False, kw_only=True)
class Reshape(Node):
    """y = x in C order, as ``shape``."""

    shape: Shape

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = self._take(1, shapes)
        if math.prod(shape) != math.prod(self.shape):
            raise self.error(f"cannot make {self.shape} of {shape}")
        return self.shape


@dataclass(frozen=True, eq=False)
class Add(Node):
    """y = Σ of the inputs, all of one shape."""

    def output_shape(self, *shapes: Shape) -> Shape:
        if not shapes or any(shape != shapes[0] for shape in shapes):
            raise self.error(f"takes inputs of one shape, they are {shapes}")
        return shapes[0]


@dataclass(frozen=True, eq=False)
class Concat(Node):
    """y = the inputs one after the other along the last axis."""

    def output_shape(self, *shapes: Shape) -> Shape:
        if not shapes or any(shape[:-1] != shapes[0][:-1] for shape in shapes):
            raise self.error(f"inputs differ before their last axis: {shapes}")
        return (*shapes[0][:-1], sum(shape[-1] for shape in shapes))


@dataclass(frozen=True, eq=False, kw_only=True)
class Lowpass(Node):
    """Synaptic filter with one step of delay: y[t] = a · y[t−1] + (1 − a) · x[t−1].

    a = e^(−dt / tau_syn), 0 where tau_syn = 0: then a pure delay of one step.
    rate mode: y = x. Source: nengo.synapses.Lowpass with its default discretisation,
    whose output acts on the next step.
    """

    tau_syn: float  # s


@dataclass(frozen=True, eq=False, kw_only=True)
class Neurons(Node):
    """A population: one neuron for each element of its input current J (dimensionless).

    ``amplitude`` is the output of one spike, integrated over time: a spike is worth
    amplitude / dt in its step, a rate r (Hz) is worth amplitude · r.
    """

    amplitude: float = 1.0


@dataclass(frozen=True, eq=False, kw_only=True)
class LIF(Neurons):
    """Leaky integrate and fire: tau_rc · dv/dt = J − v; spike where v > 1, then v = 0.

    v stays 0 for tau_ref after a spike, and never falls below min_voltage.
    rate: r = 1 / (tau_ref + tau_rc · ln(1 + 1 / (J − 1))) for J > 1, else 0.
    Source: nengo.neurons.LIF (spike times within the step).
    """

    tau_rc: float = 0.02  # s, membrane time constant
    tau_ref: float = 0.002  # s, refractory period
    min_voltage: float = 0.0


@dataclass(frozen=True, eq=False, kw_only=True)
class IF(Neurons):
    """Spiking rectified linear: dv/dt = max(J, 0); ⌊v⌋ spikes, then v −= ⌊v⌋.

    With a min_voltage below 0, dv/dt = J and v never falls below it: currents of both
    signs, as spikes bring them, then cancel each other before they are rectified.
    rate: r = max(J, 0). Source: nengo.neurons.SpikingRectifiedLinear (min_voltage = 0).
    """

    min_voltage: float = 0.0  # of 1, the threshold


@dataclass(frozen=True, eq=False, kw_only=True)
class SoftLIF(Neurons):
    """The rate of a LIF neuron, smoothed so that it has a gradient everywhere.

    r = 1 / (tau_ref + tau_rc · ln(1 + 1 / j)), j = sigma · ln(1 + e^((J − 1) / sigma)).
    Source: Hunsberger & Eliasmith 2015 (arXiv 1510.08829), equations 4 and 5;
    nengo_dl.neurons.SoftLIFRate. It sends its rate, not spikes, in spiking mode too.
    """

    tau_rc: float = 0.02  # s
    tau_ref: float = 0.002  # s
    sigma: float = 0.005  # smoothing, in units of J


@dataclass(frozen=True, eq=False, kw_only=True)
class ReLU(Neurons):
    """The rate of an IF neuron, r = max(J, 0); sends its rate in spiking mode too."""


@dataclass(frozen=True, eq=False)
class Readout(Node):
    """A function that the host applies to what an Output reads, never a chip.

    In spiking mode its x is the mean that the Output takes, not the value of a step.
    """


@dataclass(frozen=True, eq=False)
class Sigmoid(Readout):
    """y = 1 / (1 + e^−x)."""


@dataclass(frozen=True, eq=False)
class Tanh(Readout):
    """y = (e^x − e^−x) / (e^x + e^−x)."""


@dataclass(frozen=True, eq=False)
class Softmax(Readout):
    """y = e^x / Σ e^x, the sum along the last axis."""


@dataclass(frozen=True, eq=False)
class LogSoftmax(Readout):
    """y = x − ln Σ e^x, the sum along the last axis."""


@dataclass(frozen=True, eq=False)
class Argmax(Readout):
    """y = index of the largest x along the last axis, of equal ones the first."""

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = self._take(1, shapes)
        if not shape:
            raise self.error("takes at least one axis, its input is one number")
        return shape[:-1]


@dataclass(frozen=True, eq=False, kw_only=True)
class Output(Node):
    """What is read: the mean of x over the presentation after ``settle`` seconds.

    With tau_syn > 0 the mean is weighted by e^(−age / tau_syn), age counted from the
    last step. What stands behind the last population is computed from its mean, so
    that a Readout is a function of what is read. rate mode: y = x.
    """

    settle: float = 0.0  # s
    tau_syn: float = 0.0  # s
