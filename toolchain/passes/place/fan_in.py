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
from ...program.connections import Connection, DenseConnection, SparseConnection

INPUT_AXONS = 4096  # of a core; as in targets/loihi
BASES = 256  # an axon's first compartment is 0 … 255; nengo_loihi builder/validate.py
WEIGHT_BITS = 8
INDEX_BITS = (0, 6, 7, 8, 9, 10, 11, 12)  # nengo_loihi block.py, INDEX_BITS_MAP
WORD_BITS = 64  # synapse memory is allotted in words
WORD_HEADER_BITS = 10  # of each group of synapses: its index and its count
GROUP_SYNAPSES = 64

Corner = tuple[int, int, int]


@dataclass(frozen=True)
class Block:
    """The neurons of one population on one core: a box of its image.

    Compartment i of the core holds neuron ``neurons[i]``.
    """

    population: str
    image: Shape  # (height, width, channels) of the whole population
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

    @cached_property
    def neurons(self) -> npt.NDArray[np.int64]:
        """Indices into the population, (size,), ascending."""
        box = tuple(slice(a, b) for a, b in zip(self.start, self.stop))
        return np.arange(math.prod(self.image)).reshape(self.image)[box].ravel()


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
    first: IntArray  # (patterns,) columns of the matrices that end in this block
    stop: IntArray  # (patterns,)

    @property
    def dense(self) -> bool:
        """Whether targets are compartments 0, 1, 2 …, so that no index is stored."""
        return isinstance(self.connection, DenseConnection)

    @property
    def synapse_bits(self) -> int:
        """Synapse memory of all patterns, bits.

        Source: nengo_loihi block.py, SynapseConfig.bits_per_axon and Synapse.idx_bits.
        """
        width = WEIGHT_BITS
        if not self.dense and self.index.size:
            widths = np.repeat(self.stop - self.first, np.diff(self.start))
            needed = (int((self.index + widths).max()) - 1).bit_length()
            width += next(bits for bits in INDEX_BITS if bits >= needed)
        each = np.diff(self.start) * (self.stop - self.first)
        synapses = each * atoms(self.connection)
        groups, rest = np.divmod(synapses, GROUP_SYNAPSES)
        bits = groups * _words(GROUP_SYNAPSES * width) + (rest > 0) * _words(
            rest * width
        )
        return int(bits.sum())

    def weights(self) -> Iterator[tuple[IntArray, IntArray]]:
        """For each pattern: weights (atoms, synapses), indices (synapses,); int32."""
        effective = self.connection.effective
        if self.dense:
            effective = effective[0][:, self.block.neurons]
            effective = effective.reshape(-1, atoms(self.connection), self.block.size)
        for a, b, first, stop in zip(
            self.start[:-1], self.start[1:], self.first, self.stop
        ):
            chosen = effective[self.kernel[a:b], :, first:stop]
            weights = chosen.transpose(1, 0, 2).reshape(effective.shape[1], -1)
            indices = (self.index[a:b, None] + np.arange(stop - first)).ravel()
            yield weights, indices.astype(np.int32)


def _words(bits: IntArray | int) -> IntArray | int:
    """Bits of the whole words that hold a group of synapses of so many bits."""
    return -(-(bits + WORD_HEADER_BITS) // WORD_BITS) * WORD_BITS


def fan_in(connection: Connection, block: Block) -> FanIn:
    """The axons and weights through which a connection reaches a block."""
    if isinstance(connection, DenseConnection):
        return _dense(connection, block)
    source, kernel, local, low, high = _taps_inside(connection, block)
    first = np.flatnonzero(np.diff(source, prepend=-1))
    count = np.diff(first, append=len(source))
    base = local[first] % BASES
    index = local - np.repeat(base, count)
    example, pattern = _patterns(connection, first, count, kernel, index)
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
        first=low[first[example]],
        stop=high[first[example]],
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
    kernel: IntArray,
    index: IntArray,
) -> tuple[IntArray, IntArray]:
    """An axon of each pattern of (kernel, index), and the pattern of each axon."""
    if isinstance(connection, SparseConnection):  # no two synapses share a weight
        return np.arange(len(first)), np.arange(len(first))
    most = count.max(initial=1)
    table = np.full((len(first), 2 * most), -1)
    axon = np.repeat(np.arange(len(first)), count)
    position = np.arange(len(kernel)) - first[axon]
    table[axon, position] = kernel
    table[axon, most + position] = index
    _, example, pattern = np.unique(
        table, axis=0, return_index=True, return_inverse=True
    )
    return example, pattern.reshape(-1)


def _taps_inside(
    connection: Connection, block: Block
) -> tuple[IntArray, IntArray, IntArray, IntArray, IntArray]:
    """Taps that end in a block: source unit, matrix, first compartment, and from which
    to which of the matrix's columns."""
    taps, outputs = connection.taps, connection.outputs
    pixel, channel = np.divmod(taps.target.astype(np.int64) * outputs, block.image[2])
    row, column = np.divmod(pixel, block.image[1])
    row, column = row - block.start[0], column - block.start[1]
    low = np.maximum(block.start[2] - channel, 0)
    high = np.minimum(block.stop[2] - channel, outputs)
    rows, columns, channels = block.shape
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    inside &= low < high
    local = (row * columns + column) * channels + channel + low - block.start[2]
    return tuple(
        values[inside] for values in (taps.source, taps.kernel, local, low, high)
    )  # type: ignore[return-value]
