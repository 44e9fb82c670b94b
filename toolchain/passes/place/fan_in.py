"""FanIn: one connection into one core, as the input axons and the weights they share.

An axon serves a *unit* of the source (``connections``): a pixel, or a group of its
channels; the unit's neurons are the axon's atoms, each with weights of its own. A
sparse connection, and a dense one, have one axon for each source neuron; a dense one of
more neurons than a core has axons serves as many by each as make them few enough: as a
convolution over the whole picture would, pixel by pixel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ...graph.nodes import Shape
from ...program.arithmetic import IntArray
from ...program.connections import (
    Connection,
    DenseConnection,
    SparseConnection,
    WindowConnection,
)
from .synapses import synapse_memory, synapse_width
from .windows import windows

INPUT_AXONS = 4096  # of a core; as in targets/loihi
BASES = 256  # an axon's first compartment is 0 … 255; nengo_loihi builder/validate.py

Corner = tuple[int, int, int]


@dataclass(frozen=True)
class Block:
    """The neurons of one population on one core: a box of its image.

    Compartment i of the core holds neuron ``neurons[i]``: channel after channel, of
    each its pixels. So the first compartment that a pixel's spikes reach is among the
    box's first channel, up to 256 pixels within an axon's base, and all pixels share
    one copy of the weights.
    """

    population: str
    image: Shape  # (height, width, channels) of the whole population, or a view of it
    start: Corner  # row, column, channel
    stop: Corner

    @property
    def shape(self) -> Corner:
        """Rows, columns and channels of the box."""
        rows, columns, channels = (b - a for a, b in zip(self.start, self.stop))
        return rows, columns, channels

    @property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)

    @property
    def pixels(self) -> int:
        """Compartments from a channel to the next."""
        return self.shape[0] * self.shape[1]

    @cached_property
    def neurons(self) -> npt.NDArray[np.int64]:
        """Indices into the population, (size,), in order of compartments."""
        row, column, channel = (np.arange(a, b) for a, b in zip(self.start, self.stop))
        pixel = (row[:, None] * self.image[1] + column).ravel()
        return (pixel * self.image[2] + channel[:, None]).ravel()


def atoms(connection: Connection) -> int:
    """Source neurons that share an input axon: source neuron = unit · atoms + atom."""
    if not isinstance(connection, DenseConnection):
        return connection.inputs
    size = connection.inputs
    if size <= INPUT_AXONS:
        return 1
    channels = connection.source_shape[-1]
    sizes = (
        n for n in range(1, size + 1) if size % n == 0 and size // n <= INPUT_AXONS
    )
    least = next(sizes)
    return channels if least < channels < size else least


def axon_slots(connection: Connection) -> int:
    """Output slots of an axon: 1 for a discrete one, 2 for a population axon (pop32).

    Source: nengo_loihi block.py, Axon.slots_per_axon.
    """
    return 1 if atoms(connection) == 1 else 2


@dataclass(frozen=True, eq=False, kw_only=True)
class FanIn:
    """Input axons of ``connection`` into ``block``.

    Axons whose weights reach the block in the same pattern share them, and differ in
    ``base``. A pattern is a list of taps: kernel position, and index of the first
    target channel relative to ``base``.
    """

    connection: Connection
    block: Block
    source: IntArray  # (axons,) source pixels, ascending
    base: IntArray  # (axons,) compartment that indices count from, 0 … 255
    pattern: IntArray  # (axons,)
    start: IntArray  # (patterns + 1,) where each pattern's taps start
    kernel: IntArray  # (taps of all patterns,)
    index: IntArray  # (taps of all patterns,)
    first: IntArray  # (taps of all patterns,) columns of the matrix that end here
    stop: IntArray  # (taps of all patterns,)

    @property
    def dense(self) -> bool:
        """Whether targets are compartments 0, 1, 2 …, so that no index is stored."""
        return isinstance(self.connection, DenseConnection)

    @property
    def pitch(self) -> int:
        """Compartments from a matrix's column to the next."""
        return 1 if self.dense else self.block.pixels

    @property
    def synapse_bits(self) -> int:
        """Synapse memory of all patterns, bits.

        Source: nengo_loihi block.py, SynapseConfig.bits_per_axon and Synapse.idx_bits.
        """
        largest = -1
        if self.index.size:
            columns = self.stop - self.first
            largest = int((self.index + (columns - 1) * self.pitch).max())
        width = synapse_width(self.connection, largest)
        each = np.diff(np.append(0, np.cumsum(self.stop - self.first))[self.start])
        return int(synapse_memory(each * atoms(self.connection), width).sum())

    def weights(self) -> Iterator[tuple[IntArray, IntArray]]:
        """For each pattern: weights (atoms, synapses), indices (synapses,); int32."""
        effective = self.connection.effective
        if self.dense:
            effective = effective[0][:, self.block.neurons]
            effective = effective.reshape(-1, atoms(self.connection), self.block.size)
        taps = list(zip(self.kernel, self.index, self.first, self.stop))
        for a, b in zip(self.start, self.start[1:]):
            weights = [effective[k, :, first:stop] for k, _, first, stop in taps[a:b]]
            indices = [
                index + np.arange(stop - first) * self.pitch
                for _, index, first, stop in taps[a:b]
            ]
            yield (
                np.concatenate(weights, axis=1),
                np.concatenate(indices).astype(np.int32),
            )


def fan_in(connection: Connection, block: Block) -> FanIn:
    """The axons and weights through which a connection reaches a block."""
    if isinstance(connection, DenseConnection):
        return _dense(connection, block)
    source, kernel, local, low, high = _taps_inside(connection, block)
    first = np.flatnonzero(np.diff(source, prepend=-1))
    count = np.diff(first, append=len(source))
    base = local[first] % BASES
    index = local - np.repeat(base, count)
    what = np.stack((kernel, index, low, high))
    example, pattern = _patterns(connection, first, count, what)
    start = np.concatenate(([0], np.cumsum(count[example])))
    taps = np.arange(start[-1]) + np.repeat(first[example] - start[:-1], count[example])
    return FanIn(
        connection=connection,
        block=block,
        source=source[first],
        base=base,
        pattern=pattern,
        start=start,
        kernel=kernel[taps],
        index=index[taps],
        first=low[taps],
        stop=high[taps],
    )


def _dense(connection: DenseConnection, block: Block) -> FanIn:
    units = np.arange(connection.inputs // atoms(connection))
    zero = np.zeros_like(units)
    return FanIn(
        connection=connection,
        block=block,
        source=units,
        base=zero,
        pattern=units,
        start=np.arange(len(units) + 1),
        kernel=units,
        index=zero,
        first=zero,
        stop=zero + block.size,
    )


def _patterns(
    connection: Connection,
    first: IntArray,
    count: IntArray,
    taps: IntArray,
) -> tuple[IntArray, IntArray]:
    """An axon of each pattern of ``taps`` (what, taps); the pattern of each axon."""
    if isinstance(connection, SparseConnection):  # no two synapses share a weight
        return np.arange(len(first)), np.arange(len(first))
    axon = np.repeat(np.arange(len(first)), count)
    position = np.arange(len(axon)) - first[axon]
    table = np.full((len(first), len(taps), count.max(initial=1)), -1)
    table[axon, :, position] = taps.T
    table = table.reshape(len(first), math.prod(table.shape[1:]))
    _, example, pattern = np.unique(
        table, axis=0, return_index=True, return_inverse=True
    )
    return example, pattern.reshape(-1)


def _taps_inside(
    connection: Connection, block: Block
) -> tuple[IntArray, IntArray, IntArray, IntArray, IntArray]:
    """Taps that end in a block: source unit, matrix, first compartment, and from which
    to which of the matrix's columns; sorted by source unit, then compartment."""
    if isinstance(connection, WindowConnection):
        source, kernel, local, low, high = _windows_inside(connection, block)
    else:
        assert isinstance(connection, SparseConnection)
        place = np.full(math.prod(block.image), -1)
        place[block.neurons] = np.arange(block.size)
        local = place[connection.receiver]
        kernel = np.flatnonzero(local >= 0)
        source, local = connection.sender[kernel], local[kernel]
        low, high = np.zeros_like(kernel), np.ones_like(kernel)
    order = np.lexsort((local, source))
    taps = (source, kernel, local, low, high)
    source, kernel, local, low, high = (values[order] for values in taps)
    return source, kernel, local, low, high


def _windows_inside(
    connection: WindowConnection, block: Block
) -> tuple[IntArray, IntArray, IntArray, IntArray, IntArray]:
    """The taps of a convolution into a block's units, a unit at a time."""
    outputs, groups = connection.outputs, connection.groups
    (r0, c0, k0), (r1, c1, k1) = block.start, block.stop
    pixel = (np.arange(r0, r1)[:, None] * block.image[1] + np.arange(c0, c1)).ravel()
    part = np.arange(k0 // outputs, -(-k1 // outputs))  # units of a pixel
    unit = pixel * (block.image[2] // outputs) + part[:, None]
    low = np.maximum(k0 - part * outputs, 0)
    high = np.minimum(k1 - part * outputs, outputs)
    local = (part * outputs + low - k0)[:, None] * block.pixels + np.arange(pixel.size)
    image_pixel, group = np.divmod(unit.ravel(), groups)
    geometry = windows(connection)
    index, source, position = geometry.taps(image_pixel)
    group = group[index]
    held = geometry.held.reshape(-1, groups)[position, group]
    index, source, position, group = (
        values[held] for values in (index, source, position, group)
    )
    part = index // pixel.size
    return (
        source * groups + group,
        position * groups + group,
        local.ravel()[index],
        low[part],
        high[part],
    )
