"""How a kernel lies in memory for the dense way: as a matrix of bytes, and windows.

A target unit sees a list of source units, each through a matrix of the kernel. Matrices
are laid out in the order in which neighbouring source units meet them, so that a row of
a 3×3 kernel is one stretch of words on both sides: a window of a convolution is three
stretches, of a dense layer one. Beyond padding there is no stretch, so that borders
need no zeros. See ``kernels_products`` for words and blocks.
"""

from __future__ import annotations

import math

import numpy as np

from ...toolchain.program.connections import (
    Connection,
    WindowConnection,
)
from .kernels_products import MOST_WORDS, WORD
from .runs import Ints, chained

WIDE, NARROW = 16, 8  # channels of a block


def is_shared(connection: Connection) -> bool:
    """Whether all target units meet the same matrices, so that they are a product."""
    if isinstance(connection, WindowConnection):
        return connection.groups == 1
    return True


def words_of(channels: int) -> int:
    """Words of a unit with so many channels."""
    return -(-channels // WORD)


def matrix_order(connection: Connection) -> Ints:
    """Matrices of the kernel in the order in which neighbouring sources meet them."""
    taps = connection.taps
    order = np.lexsort((taps.source, taps.target))
    source, target, kernel = (x[order] for x in (taps.source, taps.target, taps.kernel))
    joined = (np.diff(target) == 0) & (np.diff(source) == 1)
    return chained(kernel, joined, len(connection.kernels))


def windows_of(connection: Connection, order: Ints) -> tuple[Ints, Ints]:
    """(stretches, 3): first word of the source, of the kernel, and how many; and where
    those of each target unit begin, (units + 1,).

    None is longer than MOST_WORDS.
    """
    taps, words = connection.taps, words_of(connection.inputs)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    kernel = place[taps.kernel]
    by = np.lexsort((kernel, taps.target))
    source, target, kernel = (
        taps.source[by].astype(np.int64),
        taps.target[by],
        kernel[by],
    )
    joined = (np.diff(target) == 0) & (np.diff(source) == 1) & (np.diff(kernel) == 1)
    begin = np.flatnonzero(np.concatenate(([True], ~joined))[: source.size])
    length = np.diff(np.append(begin, source.size)) * words
    pieces = -(-length // MOST_WORDS)
    which = np.repeat(np.arange(begin.size), pieces)
    offset = np.arange(which.size) - (np.cumsum(pieces) - pieces)[which]
    offset *= MOST_WORDS
    stretches = np.stack(
        [
            source[begin][which] * words + offset,
            kernel[begin][which] * words + offset,
            np.minimum(length[which] - offset, MOST_WORDS),
        ],
        axis=1,
    )
    units = math.prod(connection.target_shape) // connection.outputs
    starts = np.searchsorted(target[begin][which], np.arange(units + 1))
    return stretches, starts


def blocks_of(connection: Connection, order: Ints, first: int, outs: int) -> Ints:
    """Half mantissas of ``outs`` channels from ``first`` on, int8.

    Of 16 channels after 16, (words, 16, WORD), of the last 8 or fewer (words, 8, WORD).
    """
    weight = (connection.kernels[order, :, first : first + outs] // 2).astype(np.int8)
    padded = np.pad(weight, ((0, 0), (0, -weight.shape[1] % WORD), (0, -outs % NARROW)))
    words = padded.reshape(-1, WORD, padded.shape[2]).transpose(0, 2, 1)
    ends = range(0, outs, WIDE)
    blocks = [words[:, k : k + WIDE] for k in ends]
    last = outs - ends[-1]
    if NARROW < last < WIDE:
        blocks[-1] = np.pad(
            blocks[-1], ((0, 0), (0, WIDE - blocks[-1].shape[1]), (0, 0))
        )
    return np.concatenate([block.ravel() for block in blocks])
