"""Synapse memory of a core: bits of a weight, of an index, and the words of an axon."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ...program.arithmetic import MAX_EXPONENT, IntArray
from ...program.connections import Connection, DenseConnection

WEIGHT_BITS = (1, 2, 3, 4, 5, 6, 8)  # nengo_loihi block.py, WEIGHT_BITS_MAP
INDEX_BITS = (0, 6, 7, 8, 9, 10, 11, 12)  # nengo_loihi block.py, INDEX_BITS_MAP
WORD_BITS = 64  # synapse memory is allotted in words
WORD_HEADER_BITS = 10  # of each group of synapses: its index and its count
GROUP_SYNAPSES = 64


@lru_cache(maxsize=16)
def weight_format(connection: Connection) -> tuple[int, int]:
    """Bits that the core stores of a weight, its sign included, and its exponent.

    It drops the last bits of a mantissa; so one that is small is shifted up, as far as
    exponents go; those that are all 0 take one bit. Source: nengo_loihi block.py,
    SynapseConfig.shift_bits.
    """
    used = int(np.bitwise_or.reduce(np.abs(connection.weight), axis=None)) >> 1
    if not used:
        return WEIGHT_BITS[0], 0
    up = WEIGHT_BITS[-1] - 1 - used.bit_length()
    up = min(up, connection.exponent + MAX_EXPONENT)
    lowest = (used & -used).bit_length()
    needed = WEIGHT_BITS[-1] - up - (lowest - 1)
    return next(b for b in WEIGHT_BITS if b >= needed), connection.exponent - up


def synapse_width(connection: Connection, largest: int) -> int:
    """Bits of a synapse, where ``largest`` is the highest index on its core."""
    bits, _ = weight_format(connection)
    if isinstance(connection, DenseConnection):
        return bits
    needed = largest.bit_length() if largest >= 0 else 0
    return bits + next(index for index in INDEX_BITS if index >= needed)


def synapse_memory(synapses: IntArray, width: IntArray | int) -> IntArray:
    """Bits of the words that hold so many synapses of an axon each.

    Source: nengo_loihi block.py, SynapseConfig.bits_per_axon.
    """
    groups, rest = np.divmod(synapses, GROUP_SYNAPSES)
    full, part = (
        -(-(count * width + WORD_HEADER_BITS) // WORD_BITS) * WORD_BITS
        for count in (GROUP_SYNAPSES, rest)
    )
    bits: IntArray = groups * full + (rest > 0) * part
    return bits
