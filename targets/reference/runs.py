"""How a connection's weights lie in memory, so that many are added at a time.

For few spikes as *runs*: neighbours that one spike reaches are neighbours in memory,
and with the kernel laid out in the order in which it reaches them, a row of it is one
addition of adjacent weights to adjacent neurons. For many see ``layouts``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...toolchain.program.connections import Connection

Ints = npt.NDArray[Any]


@dataclass(frozen=True)
class Runs:
    """Pieces of a connection, (runs,) each, sorted by source pixel."""

    source: Ints  # pixel
    target: Ints  # first neuron
    weight: Ints  # first weight, from that of the source's channel
    length: Ints

    def __getitem__(self, index: Ints) -> Runs:
        return Runs(
            self.source[index],
            self.target[index],
            self.weight[index],
            self.length[index],
        )


def kernel_order(connection: Connection) -> Ints:
    """Kernel positions in an order in which those that reach adjacent pixels follow.

    Most frequent neighbours first; a position has one before and one after it.
    """
    taps = connection.taps
    joined = (np.diff(taps.source) == 0) & (np.diff(taps.target) == 1)
    return chained(taps.kernel, joined, len(connection.kernels))


def chained(kernel: Ints, joined: Ints, positions: int) -> Ints:
    """Kernel positions in an order in which those that follow each other are adjacent.

    Args:
        kernel: of each tap, (taps,).
        joined: whether the next tap follows this one, (taps − 1,).
        positions: of the kernel.
    """
    pairs = kernel[:-1][joined].astype(np.int64) * positions
    pairs, count = np.unique(pairs + kernel[1:][joined], return_counts=True)
    chain = {k: [k] for k in range(positions)}  # its members, by each of its ends
    for pair in pairs[np.argsort(-count, kind="stable")].tolist():
        a, b = divmod(pair, positions)
        left, right = chain.get(a), chain.get(b)
        if left and right and left is not right and left[-1] == a and right[0] == b:
            for end in (a, b):
                chain.pop(end)
            left = left + right
            chain[left[0]] = chain[left[-1]] = left
    return np.array([k for end, c in sorted(chain.items()) if end == c[0] for k in c])


def runs_of(connection: Connection, order: Ints) -> Runs:
    """All runs, with the kernel laid out in this order."""
    taps, channels = connection.taps, connection.outputs
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    kernel = place[taps.kernel]
    joined = (
        (np.diff(taps.source) == 0)
        & (np.diff(taps.target) == 1)
        & (np.diff(kernel) == 1)
    )
    begin = np.flatnonzero(np.concatenate(([True], ~joined))[: taps.source.size])
    length = np.diff(np.append(begin, taps.source.size)).astype(np.int32)
    return Runs(
        taps.source[begin],
        taps.target[begin] * channels,
        kernel[begin] * channels,
        length * channels,
    )


def split(runs: Runs, size: int, tiles: int) -> list[Runs]:
    """The runs of each tile of ``size`` neurons, cut at the tiles' borders."""
    tile, last = ((runs.target + end) // size for end in (0, runs.length - 1))
    if not np.array_equal(tile, last):
        runs, tile = cut(runs, size, tile, last)
    order = np.argsort(tile, kind="stable")
    edges = np.searchsorted(tile[order], np.arange(tiles + 1))
    return [runs[order[a:b]] for a, b in zip(edges[:-1], edges[1:])]


def cut(runs: Runs, size: int, first: Ints, last: Ints) -> tuple[Runs, Ints]:
    """Runs cut at the borders of tiles, and the tile of each.

    Args:
        runs: as they are.
        size: neurons of a tile.
        first, last: tiles that each of them touches.
    """
    pieces = last - first + 1
    which = np.repeat(np.arange(pieces.size), pieces)
    tile = first[which] + np.arange(which.size) - (np.cumsum(pieces) - pieces)[which]
    whole = runs[which]
    target = np.maximum(whole.target, tile * size)
    end = np.minimum(whole.target + whole.length, (tile + 1) * size)
    weight = whole.weight + target - whole.target
    return Runs(whole.source, target, weight, end - target), tile
