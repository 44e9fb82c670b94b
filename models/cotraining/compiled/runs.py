"""Where the weights of a spike go: runs, as many and as long for all of a connection.

A convolution of stride s takes input pixel i to outputs q − m, q = ⌊(i + p) / s⌋, by
kernel row ((i + p) mod s) + s · m: ⌈rows / s⌉ outputs for every i, some of them by a
weight of 0 that no kernel has, some of them outside of the picture. So sums have room
around the picture, and a spike is a few runs at fixed distances. A transposed one takes
i to outputs s · i − p + k, a dense layer to all outputs at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ....toolchain.graph import nodes as n
from ....toolchain.passes.quantize.layers import Layer, Synapses
from .kernels import LANES

Ints = npt.NDArray[np.int64]
Room = tuple[int, int, int]
"""Rows above and below a picture, and columns beside it."""


@dataclass(frozen=True)
class Axis:
    """How inputs reach outputs along one axis.

    Attributes:
        base: input → the first output that it reaches, perhaps outside.
        phase: input → which of the kernel's rows it uses.
        taps: (phases, outputs reached) → row of the kernel, −1 where there is none.
    """

    base: Ints
    phase: Ints
    taps: Ints

    def room(self, outputs: int) -> tuple[int, int]:
        """How far it reaches before and behind the outputs."""
        last = int(self.base.max()) + self.taps.shape[1] - outputs
        return max(0, -int(self.base.min())), max(0, last)


def axis_of(node: n.Windowed, along: int, size: int) -> Axis:
    """The axis of a convolution or its transpose, for ``size`` inputs."""
    kernel, stride = node.kernel[along], node.stride[along]
    before = node.padding[along][0]
    inputs = np.arange(size)
    if isinstance(node, n.ConvTranspose2D):
        base, phase = inputs * stride - before, np.zeros(size, np.int64)
        return Axis(base, phase, np.arange(kernel)[None])
    reached = -(-kernel // stride)
    at = inputs + before
    steps = stride * np.arange(reached)[::-1]
    taps = np.arange(stride)[:, None] + steps
    taps[taps >= kernel] = -1
    return Axis(at // stride - reached + 1, at % stride, taps)


@dataclass(frozen=True)
class Places:
    """Where a population's neurons lie in its sums: row by row, channels padded."""

    rows: int
    columns: int
    channels: int
    room: Room = (0, 0, 0)

    @property
    def lanes(self) -> int:
        """Channels and what pads them."""
        return -(-self.channels // LANES) * LANES

    @property
    def width(self) -> int:
        """Numbers from row to row; the room beside a row is behind it."""
        return (self.columns + self.room[2]) * self.lanes

    @property
    def size(self) -> int:
        """Numbers from the first neuron's on."""
        return self.rows * self.width

    @property
    def begin(self) -> int:
        """Numbers before the first neuron's."""
        return self.room[0] * self.width + self.room[2] * self.lanes

    @property
    def whole(self) -> int:
        """Numbers in all."""
        above, below, beside = self.room
        return self.begin + self.size + below * self.width + beside * self.lanes

    def of_neurons(self) -> Ints:
        """Neuron → its place."""
        rows = np.arange(self.rows)[:, None, None] * self.width
        columns = np.arange(self.columns)[:, None] * self.lanes
        return (rows + columns + np.arange(self.channels)).ravel()


@dataclass(frozen=True, eq=False)
class Runs:
    """A connection's runs.

    Attributes:
        at: neuron of the source → its first run's place in the sums, (neurons,).
        weights: neuron of the source → where its weights begin in ``picks``.
        picks: number of each weight in the kernel, in C order; −1 for 0.
        rows: runs of a spike.
        length: of a run.
        stride: from run to run in the sums.
    """

    at: Ints
    weights: Ints
    picks: Ints
    rows: int
    length: int
    stride: int


def supported(layer: Layer) -> bool:
    """Whether the layer's connections have runs: one geometry, kernels undivided."""
    for s in layer.synapses:
        whole = getattr(s.node, "groups", 1) == 1
        if not whole or getattr(s.node, "dilation", (1, 1)) != (1, 1):
            return False
    return len({picture(s) for s in layer.synapses}) < 2


def picture(s: Synapses) -> tuple[int, int, int]:
    """Rows, columns and channels of what the connection gives."""
    shape = s.node.output_shape(s.shape)
    rows, columns, channels = (1, 1, *shape)[-3:]
    return rows, columns, channels


def places_of(layer: Layer) -> Places:
    """With room for all of its connections."""
    if not layer.synapses:
        return Places(1, 1, math.prod(layer.shape))
    rows, columns, channels = picture(layer.synapses[0])
    above = below = beside = 0
    for s in layer.synapses:
        if isinstance(s.node, n.Windowed):
            top, bottom = axis_of(s.node, 0, s.shape[0]).room(rows)
            above, below = max(above, top), max(below, bottom)
            sides = axis_of(s.node, 1, s.shape[1]).room(columns)
            beside = max(beside, *sides)
    return Places(rows, columns, channels, (above, below, beside))


def runs_of(s: Synapses, places: Places) -> Runs:
    """Of a connection to a population that lies so."""
    lanes = places.lanes
    inputs, outputs = s.node.weight.shape[-2:]
    numbers = np.full((*s.node.weight.shape[:-1], lanes), -1)
    numbers[..., :outputs] = np.arange(s.node.weight.size).reshape(s.node.weight.shape)
    if not isinstance(s.node, n.Windowed):
        at = np.full(inputs, places.begin)
        return Runs(at, np.arange(inputs) * lanes, numbers.ravel(), 1, lanes, 0)
    down, across = (axis_of(s.node, k, s.shape[k]) for k in (0, 1))
    rows, columns = down.taps.shape[1], across.taps.shape[1]
    taps = numbers[down.taps[:, :, None, None], across.taps]  # −1 takes the last row
    none = (down.taps[:, :, None, None] < 0) | (across.taps < 0)
    taps = np.where(none[..., None, None], -1, taps)  # phases, rows, phases, columns …
    picks = taps.transpose(0, 2, 4, 1, 3, 5)  # phases, phases, inputs, rows, columns …
    each = rows * columns * lanes
    phase = down.phase[:, None] * len(across.taps) + across.phase
    weights = (phase[..., None] * inputs + np.arange(inputs)) * each
    base = down.base[:, None] * places.width + across.base * lanes + places.begin
    at = np.broadcast_to(base[..., None], weights.shape)
    length = columns * lanes
    return Runs(at.ravel(), weights.ravel(), picks.ravel(), rows, length, places.width)
