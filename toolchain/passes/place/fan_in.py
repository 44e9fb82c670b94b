"""FanIn: one connection into one core, as the input axons and the weights they share.

An axon serves a *pixel* of the source; the pixel's channels are the axon's atoms, each
with weights of its own. A dense connection has one axon for each source neuron.
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
from ...program.connections import Connection, DenseConnection

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
    """Source neurons that share an input axon: source neuron = pixel · atoms + atom."""
    if isinstance(connection, DenseConnection):
        return 1
    return int(connection.weight.shape[-2])


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

    @cached_property
    def channels(self) -> npt.NDArray[np.int64]:
        """Columns of the connection's weights that end in this block."""
        if isinstance(self.connection, DenseConnection):
            return self.block.neurons
        return np.arange(self.block.start[2], self.block.stop[2])

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
            needed = (int(self.index.max()) + len(self.channels) - 1).bit_length()
            width += next(bits for bits in INDEX_BITS if bits >= needed)
        synapses = np.diff(self.start) * atoms(self.connection) * len(self.channels)
        groups, rest = np.divmod(synapses, GROUP_SYNAPSES)
        bits = groups * _words(GROUP_SYNAPSES * width) + (rest > 0) * _words(
            rest * width
        )
        return int(bits.sum())

    def weights(self) -> Iterator[tuple[IntArray, IntArray]]:
        """For each pattern: weights (atoms, synapses), indices (synapses,); int32."""
        effective = self.connection.effective
        if self.dense:
            effective = effective.reshape(-1, 1, effective.shape[-1])
        spread = np.arange(len(self.channels))
        for a, b in zip(self.start[:-1], self.start[1:]):
            chosen = effective[self.kernel[a:b]][:, :, self.channels]
            weights = chosen.transpose(1, 0, 2).reshape(effective.shape[1], -1)
            indices = (self.index[a:b, None] + spread).ravel()
            yield weights, indices.astype(np.int32)


def _words(bits: IntArray | int) -> IntArray | int:
    """Bits of the whole words that hold a group of synapses of so many bits."""
    return -(-(bits + WORD_HEADER_BITS) // WORD_BITS) * WORD_BITS


def fan_in(connection: Connection, block: Block) -> FanIn:
    """The axons and weights through which a connection reaches a block."""
    if isinstance(connection, DenseConnection):
        inputs = np.arange(connection.weight.shape[0])
        zero = np.zeros_like(inputs)
        return FanIn(
            connection=connection,
            block=block,
            source=inputs,
            base=zero,
            pattern=inputs,
            start=np.arange(len(inputs) + 1),
            kernel=inputs,
            index=zero,
        )
    source, kernel, local = _taps_inside(connection, block)
    first = np.flatnonzero(np.diff(source, prepend=-1))
    count = np.diff(first, append=len(source))
    base = local[first] % BASES
    index = local - np.repeat(base, count)
    most = count.max(initial=1)
    table = np.full((len(first), 2 * most), -1)
    axon = np.repeat(np.arange(len(first)), count)
    position = np.arange(len(source)) - first[axon]
    table[axon, position] = kernel
    table[axon, most + position] = index
    _, example, pattern = np.unique(
        table, axis=0, return_index=True, return_inverse=True
    )
    start = np.concatenate(([0], np.cumsum(count[example])))
    taps = np.arange(start[-1]) + np.repeat(first[example] - start[:-1], count[example])
    return FanIn(
        connection=connection,
        block=block,
        source=source[first],
        base=base,
        pattern=pattern.reshape(-1),
        start=start,
        kernel=kernel[taps],
        index=index[taps],
    )


def _taps_inside(
    connection: Connection, block: Block
) -> tuple[IntArray, IntArray, IntArray]:
    """Taps that end in a block: source pixel, kernel position, first compartment."""
    taps = connection.taps
    row, column = np.divmod(taps.target, block.image[1])
    row, column = row - block.start[0], column - block.start[1]
    rows, columns, channels = block.shape
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    local = (row * columns + column) * channels
    return taps.source[inside], taps.kernel[inside], local[inside]
