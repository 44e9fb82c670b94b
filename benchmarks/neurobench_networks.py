"""Spiking networks that neurobench and snn-deploy count the operations of; NumPy alone.

Weights are even whole numbers, drawn from a frozen generator, so that both tools are
handed the same integers: (rows, columns, inputs / groups, outputs), or (inputs,
outputs). Neurons integrate, fire once beyond a threshold and start again at 0; what
they send arrives a step later. The input is spikes, or, of ``graded`` networks, numbers
that set a constant current through the first layer. A decoder, where there is one,
takes the mean of the last layer's spikes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
SAMPLES, STEPS, RATE = 2, 12, 0.3


@dataclass(frozen=True)
class Conv:
    """A convolution, padded alike on both sides."""

    filters: int
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    groups: int = 1
    dilation: tuple[int, int] = (1, 1)

    def weight_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Of its kernel, for an input of this shape."""
        return (*self.kernel, shape[-1] // self.groups, self.filters)

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Height, width, channels."""
        size = (
            (side + 2 * pad - spread * (k - 1) - 1) // pace + 1
            for side, pad, spread, k, pace in zip(
                shape, self.padding, self.dilation, self.kernel, self.stride
            )
        )
        return (*size, self.filters)


@dataclass(frozen=True)
class Dense:
    """All to all, of the flat input, channels last."""

    units: int

    def weight_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Of its matrix, for an input of this shape."""
        return (math.prod(shape), self.units)

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Flat."""
        return (self.units,)


@dataclass(frozen=True)
class Network:
    """A network, its input and how many of its weights are 0."""

    name: str
    shape: tuple[int, ...]
    layers: tuple[Conv | Dense, ...]
    graded: bool = False
    decoder: int = 0  # outputs; 0: there is none
    zeros: float = 0.1  # share of the weights
    threshold: int = 12  # of a layer of weights up to 8

    @property
    def parts(self) -> tuple[Conv | Dense, ...]:
        """The layers, and the decoder."""
        return (*self.layers, Dense(self.decoder)) if self.decoder else self.layers

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of the input, and of what each part gives."""
        shapes = [self.shape]
        for part in self.parts:
            shapes.append(part.output_shape(shapes[-1]))
        return shapes

    def weights(self) -> list[Array]:
        """Of each part: even numbers from −8 to 8."""
        rng = np.random.RandomState(len(self.name))  # noqa: NPY002  a frozen stream
        found = []
        for part, shape in zip(self.parts, self.shapes):
            size = part.weight_shape(shape)
            weight = 2.0 * rng.randint(-3, 5, size)
            found.append(np.where(rng.random_sample(size) < self.zeros, 0.0, weight))
        return found

    def samples(self) -> Array:
        """Events (samples, steps, …), or numbers (samples, …), some of them 0."""
        rng = np.random.RandomState(1)  # noqa: NPY002
        if self.graded:
            return rng.randint(0, 4, (SAMPLES, *self.shape)).astype(float)
        return (rng.random_sample((SAMPLES, STEPS, *self.shape)) < RATE).astype(float)


NETWORKS = (
    Network("dense", (20,), (Dense(16), Dense(8))),
    Network("same padding", (8, 8, 2), (Conv(4, padding=(1, 1)),)),
    Network("valid, stride 2", (9, 9, 2), (Conv(4, stride=(2, 2)), Conv(3))),
    Network(
        "5 by 5, padding 2, stride 2",
        (10, 10, 1),
        (Conv(4, (5, 5), (2, 2), (2, 2)), Conv(6, (5, 5), (2, 2), (2, 2))),
    ),
    Network(
        "flat kernel, uneven stride",
        (6, 12, 2),
        (Conv(3, (1, 5), (1, 2), (0, 2)), Conv(3, (3, 1), (2, 1), (1, 0))),
    ),
    Network(
        "depthwise and pointwise",
        (8, 8, 4),
        (Conv(4, padding=(1, 1), groups=4), Conv(6, (1, 1))),
    ),
    Network("groups", (7, 7, 4), (Conv(6, (3, 3), (2, 2), (1, 1), groups=2),)),
    Network(
        "dilation",
        (11, 11, 1),
        (Conv(3, padding=(2, 2), dilation=(2, 2)), Conv(2, dilation=(3, 3))),
    ),
    Network(
        "padding larger than the kernel needs", (5, 5, 2), (Conv(3, padding=(3, 3)),)
    ),
    Network(
        "stride that leaves pixels out", (9, 9, 2), (Conv(3, (2, 2), (3, 3)), Dense(5))
    ),
    Network(
        "most weights 0", (8, 8, 3), (Conv(5, padding=(1, 1)), Dense(6)), zeros=0.7
    ),
    Network(
        "deep",
        (16, 16, 1),
        (
            Conv(4, stride=(2, 2), padding=(1, 1)),
            Conv(6, padding=(1, 1)),
            Conv(6, stride=(2, 2)),
            Dense(10),
        ),
        decoder=4,
    ),
    Network(
        "graded input, convolution",
        (8, 8, 2),
        (Conv(4, stride=(2, 2), padding=(1, 1)), Conv(4, padding=(1, 1)), Dense(8)),
        graded=True,
        decoder=3,
    ),
    Network(
        "graded input, dense", (24,), (Dense(16), Dense(12)), graded=True, decoder=2
    ),
)
