"""The nodes of a Graph: frozen, channels last; a docstring is the equation.

Shapes leave out the sample and time axes. ``x`` is a node's input, ``y`` its output.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .neurons import IF as IF
from .neurons import LI as LI
from .neurons import LIF as LIF
from .neurons import RESETS as RESETS
from .neurons import Delay as Delay
from .neurons import Delayed as Delayed
from .neurons import Lowpass as Lowpass
from .neurons import Membrane as Membrane
from .neurons import Neurons as Neurons
from .neurons import ReLU as ReLU
from .neurons import SoftLIF as SoftLIF
from .neurons import Synapse as Synapse
from .neurons import Threshold as Threshold
from .node import Array as Array
from .node import FloatArray as FloatArray
from .node import Node as Node
from .node import Padding as Padding
from .node import Pair as Pair
from .node import Shape as Shape
from .node import conv_shape as conv_shape
from .node import transpose_shape as transpose_shape


@dataclass(frozen=True, eq=False)
class Input(Node):
    """Where a sample enters: y = sample, of ``shape``."""

    shape: Shape = ()

    def output_shape(self, *shapes: Shape) -> Shape:
        self._take(0, shapes)
        return self.shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Linear(Node):
    """y = a weighted sum of x + bias; weight (…, in, out), bias (out,) or as y."""

    weight: FloatArray
    bias: FloatArray

    def _demand_axes(self, axes: int) -> None:
        weight, bias = self.weight.shape, self.bias.shape
        if len(weight) != axes or bias[-1:] != weight[-1:] or 0 in weight:
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
        if self.bias.ndim != 1:
            raise self.error(f"bias is {self.bias.shape}; one axis is allowed")
        return self.weight.shape[1:]


@dataclass(frozen=True, eq=False, kw_only=True)
class Windowed(Linear):
    """A kernel that moves over an image; weight (rows, columns, in / groups, out).

    Of ``groups`` equal groups of channels, each output sees the inputs of its own:
    output o is of group ⌊o · groups / out⌋. With ``dilation`` d the kernel's positions
    are d pixels apart.
    """

    stride: Pair = (1, 1)
    padding: Padding = ((0, 0), (0, 0))
    groups: int = 1
    dilation: Pair = (1, 1)

    @property
    def kernel(self) -> Pair:
        """Rows and columns of the kernel, dilation not counted."""
        rows, columns = self.weight.shape[:2]
        return rows, columns

    def _size(self, image: Shape) -> Pair:
        raise NotImplementedError

    def output_shape(self, *shapes: Shape) -> Shape:
        self._demand_axes(4)
        *_, inputs, filters = self.weight.shape
        if filters % self.groups:
            raise self.error(f"{filters} filters are not of {self.groups} equal groups")
        image = self._image(shapes, inputs * self.groups)
        shape = (*self._windows(*self._size(image)), filters)
        if self.bias.shape not in (shape, shape[-1:]):
            raise self.error(f"bias is {self.bias.shape}, its output is {shape}")
        return shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Conv2D(Windowed):
    """y[i, j, o] = Σ x[i·s+m·d−top, j·s+n·d−left, c] · weight[m, n, c, o] + bias[o].

    Cross-correlation, as in Keras.
    """

    def _size(self, image: Shape) -> Pair:
        how = self.kernel, self.stride, self.padding, self.dilation
        return conv_shape(image, *how)


@dataclass(frozen=True, eq=False, kw_only=True)
class ConvTranspose2D(Windowed):
    """y[i·s+m·d−top, j·s+n·d−left, o] += x[i, j, c] · weight[m, n, c, o]; + bias[o].

    The adjoint of a convolution with this stride, padding and dilation.
    """

    def _size(self, image: Shape) -> Pair:
        how = self.kernel, self.stride, self.padding, self.dilation
        return transpose_shape(image, *how)


@dataclass(frozen=True, eq=False, kw_only=True)
class AvgPool2D(Node):
    """y = mean of x over windows of ``pool`` pixels.

    The padding counts as zeros in the mean, or is left out where ``inside`` is set.
    """

    pool: Pair
    stride: Pair
    padding: Padding = ((0, 0), (0, 0))
    inside: bool = False

    def output_shape(self, *shapes: Shape) -> Shape:
        shape = self._image(shapes, None)
        size = conv_shape(shape, self.pool, self.stride, self.padding)
        return (*self._windows(*size), shape[2])


@dataclass(frozen=True, eq=False, kw_only=True)
class Upsample2D(Node):
    """y[i, j] = x[⌊i / factor⌋, ⌊j / factor'⌋]: nearest neighbour."""

    factor: Pair

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
