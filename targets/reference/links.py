"""Connections as tables, and their links into tiles.

A connection's weights are *laid* out once for all tiles, as runs and as blocks, or its
synapses are *listed* by tile, each with its target and what it adds, 8 bytes: with a
run each they would take twice as many, and there is nothing to add side by side.
"""

from __future__ import annotations

import math

import numpy as np

from ...toolchain.program.arithmetic import WEIGHT_SHIFT
from ...toolchain.program.connections import Connection, SparseConnection
from .columns import Columns
from .layouts import NARROW, blocks_of, is_shared, matrix_order, windows_of, words_of
from .records import LINK
from .runs import Ints, kernel_order, runs_of, split

# ns, fitted to timings of single links on an AMD EPYC (Zen 3, AVX2); they choose
# between two ways to the same sum, never a result.
SPIKE_TIME, RUN_TIME, SYNAPSE_TIME = (
    8.0,
    5.0,
    0.1,
)  # few spikes: each, its runs, synapses
NEVER = 1 << 48  # spikes
# Many spikes, ROWS steps: a target pixel, a word of it with NARROW channels, and a word
# of a panel.
PIXEL_TIME, WORD_TIME, FILL_TIME = 25.0, 1.8, 1.2


class Listed:
    """A connection whose synapses are listed by tile."""

    def __init__(self, connection: SparseConnection, columns: Columns) -> None:
        self.connection, self.columns = connection, columns

    def link(self, first: int, neurons: int) -> Ints | None:
        """The link, LINK, into the ``neurons`` from ``first`` on, if there is any."""
        c, columns = self.connection, self.columns
        met = (c.receiver >= first) & (c.receiver < first + neurons)
        sender = c.sender[met]
        if not sender.size:
            return None
        added = c.added(c.weight[met])
        synapses = np.stack([c.receiver[met] - first, added], axis=1)
        begin, end = int(sender[0]), int(sender[-1]) + 1
        starts = np.searchsorted(sender, np.arange(begin, end + 1, dtype=sender.dtype))
        return record(
            LINK,
            source=columns.index[c.source],
            delay=c.delay,
            first=begin,
            channels=1,
            pixels=end - begin,
            row=columns.starts.add(columns.synapses.add(synapses) + starts),
            busy=NEVER,
            work=sender.size // 4,
            outs=1,
        )


class Laid:
    """A connection whose weights are in the tables, once for all tiles."""

    def __init__(self, connection: Connection, columns: Columns, tile: int) -> None:
        """``tile``: neurons of each."""
        self.connection, self.columns = connection, columns
        self.inputs, self.outputs = connection.inputs, connection.outputs
        order = kernel_order(connection)
        tiles = -(-math.prod(connection.target_shape) // tile)
        self.tile, self.runs = tile, split(runs_of(connection, order), tile, tiles)
        laid = connection.effective[order].transpose(1, 0, 2)
        self.weights = columns.weights.add(laid.ravel())
        self.matrix = 0  # words of the kernel, where the dense way can be taken
        self.target = self.shared = -1  # where stretches, and all tiles' blocks, begin
        if is_shared(connection):
            self.order = matrix_order(connection)
            windows, starts = windows_of(connection, self.order)
            self.target = columns.edges.add(columns.windows.add(windows) + starts)
            self.matrix = len(self.order) * words_of(self.inputs)
            self.windows, self.starts = windows, starts
            if len(starts) > 2:
                blocks = blocks_of(connection, self.order, 0, self.outputs)
                self.shared = columns.blocks.add(blocks)

    def link(self, first: int, neurons: int) -> Ints | None:
        """The link, LINK, into the ``neurons`` from ``first`` on, if there is any."""
        c, columns, blocks = self.connection, self.columns, self.shared
        runs = self.runs[first // self.tile]
        if not runs.source.size:
            return None
        outs = min(self.outputs, neurons)
        if blocks < 0 and self.matrix:
            blocks = columns.blocks.add(blocks_of(c, self.order, first, outs))
        begin, end = int(runs.source[0]), int(runs.source[-1]) + 1
        pixel = first // self.outputs
        synapses = runs.length.sum() / (end - begin)  # of a source neuron
        busy, work = NEVER, int(runs.length.sum()) * self.inputs // 4
        if self.matrix:
            part = slice(self.starts[pixel], self.starts[pixel + neurons // outs])
            words = int(self.windows[part, 2].sum())
            many = dense_time(words, neurons // outs, outs)
            many += FILL_TIME * (end - begin) * words_of(self.inputs)
            pieces = runs.source.size / (end - begin)  # of a source neuron
            few = SPIKE_TIME + RUN_TIME * pieces + SYNAPSE_TIME * synapses
            busy = math.ceil(many / few)
        local = np.stack([runs.target - first, runs.weight, runs.length], axis=1)
        starts = np.searchsorted(runs.source, np.arange(begin, end + 1))
        return record(
            LINK,
            source=columns.index[c.source],
            delay=c.delay,
            first=begin * self.inputs,
            channels=self.inputs,
            pixels=end - begin,
            row=columns.starts.add(columns.runs.add(local) + starts),
            weights=self.weights,
            fan=c.weight.size // self.inputs,
            busy=busy,
            work=work,
            outs=outs,
            words=words_of(self.inputs),
            skipped=begin * words_of(self.inputs),
            target=self.target + pixel,
            matrix=self.matrix,
            blocks=blocks,
            shift=WEIGHT_SHIFT + 1 + c.exponent,
        )


def dense_time(words: int, pixels: int, outs: int) -> float:
    """Estimated ns of ROWS steps of a link that goes the dense way."""
    return PIXEL_TIME * pixels + WORD_TIME * words * -(-outs // NARROW)


def record(kind: np.dtype[np.void], **fields: int) -> Ints:
    """One record, (1,) of ``kind``; what is not named is 0."""
    return np.array([tuple(fields.get(name, 0) for name in kind.names or ())], kind)
