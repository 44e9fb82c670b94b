"""A Program as the tables that ``kernels`` reads: tiles, links, runs and windows.

A *tile* is a piece of a population whose state stays in a core's cache; a *link* is one
connection into one tile. A link holds its weights twice. For few spikes: *runs*, since
the neighbours that one spike reaches are neighbours in memory too, and with the kernel
laid out in the order in which it reaches them, a row of it is one addition of adjacent
weights to adjacent neurons. For many: *blocks*, the kernel as a matrix, and *windows*,
the pixels that each target pixel sees.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..toolchain.arithmetic import WEIGHT_SHIFT
from ..toolchain.connections import Connection
from ..toolchain.program import Population, Program
from .kernels import INPUTS, LANES, LINK, TILE

Ints = npt.NDArray[Any]
TILE_SIZE = 4096  # neurons; q, u, v and bias of a tile are 64 KiB
CACHE_LINE = 64  # bytes
# ns, fitted to timings of single links on an AMD EPYC (Zen 4); they choose between two
# ways to the same sum, never a result.
SPIKE_TIME, SYNAPSE_TIME = 8.0, 0.12  # few spikes: each, and each of its synapses
PIXEL_TIME, BLOCK_TIME = 10.0, 4.0  # many spikes: a target pixel, and a block of it


class Network(NamedTuple):
    """What ``kernels.simulate`` runs.

    ``groups[g]`` … ``groups[g + 1]`` are the tiles that are stepped together, all steps
    of a sample, before the next group begins: one tile, or all of a loop.
    """

    tiles: Ints  # (tiles,) TILE
    groups: Ints  # (groups + 1,) tile
    links: Ints  # (links,) LINK
    starts: Ints  # source pixel → its first run
    runs: Ints  # (runs, 3): first neuron of the tile, first weight, length
    weights: Ints  # int32, as they are added to q
    windows: Ints  # (target pixel, kernel position) → source pixel, −1 for none
    blocks: Ints  # int16, half mantissas; see ``kernels.multiply``
    room: Ints  # elements of state, active, wide and total in ``kernels.simulate``


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


def assemble(program: Program) -> Network:
    """The tables of a Program."""
    tables = _Tables(program)
    for group in flow(program):
        tables.add_group(group)
    return tables.network()


def flow(program: Program) -> list[list[Population]]:
    """Populations in order of flow, those that form a loop in one list."""
    index = {p.name: i for i, p in enumerate(program.populations)}
    reach = np.eye(len(index), dtype=bool)
    for c in program.connections:
        if c.source in index:
            reach[index[c.source], index[c.target]] = True
    for _ in range(len(index).bit_length()):
        reach = reach @ reach
    loop = (reach & reach.T).argmax(axis=1).tolist()
    ancestors = reach.sum(axis=0).tolist()  # grows along every path
    groups: dict[tuple[int, int], list[Population]] = {}
    for p in program.populations:
        key = (ancestors[index[p.name]], loop[index[p.name]])
        groups.setdefault(key, []).append(p)
    return [groups[key] for key in sorted(groups)]


class _Tables:
    """The tables while they grow."""

    def __init__(self, program: Program) -> None:
        self.program = program
        members = (*program.inputs, *program.populations)
        self.index = {p.name: i for i, p in enumerate(members)}
        self.tiles: list[tuple[int, ...]] = []
        self.groups = [0]
        self.links: list[tuple[int, ...]] = []
        self.starts, self.windows = _Column(np.int32), _Column(np.int32)
        self.runs = _Column(np.int32, 3)
        self.weights, self.blocks = _Column(np.int32), _Column(np.int16)
        self.state = 0

    def add_group(self, group: list[Population]) -> None:
        names = {p.name for p in group}
        looped = any(c.source in names for n in names for c in self.program.incoming(n))
        state = 0
        for p in group:
            for tile in self.tiles_of(p):
                self.tiles.append((*tile[:3], state, *tile[3:]))
                state += tile[2]
                self.state = max(self.state, state)
                if not looped:
                    self.groups.append(len(self.tiles))
                    state = 0
        if looped:
            self.groups.append(len(self.tiles))

    def tiles_of(self, p: Population) -> Iterator[tuple[int, ...]]:
        incoming = [_Laid(c, self) for c in self.program.incoming(p.name)]
        size = tile_size(p.size, [laid.connection for laid in incoming])
        pieces = [split(laid.runs, size, -(-p.size // size)) for laid in incoming]
        for k, first in enumerate(range(0, p.size, size)):
            before, neurons = len(self.links), min(size, p.size - first)
            for laid, parts in zip(incoming, pieces):
                if parts[k].source.size:
                    self.links.append(laid.link(parts[k], first, neurons))
            constants = (p.threshold, p.refractory - 1, p.v_min, p.v_max)
            yield (
                *(self.index[p.name], first, neurons),
                *(before, len(self.links) - before),
                *(4095 - p.decay_u, 4096 - p.decay_v, *constants),
            )

    def network(self) -> Network:
        links = np.array(self.links, LINK)
        padded = -(-links["channels"] // INPUTS) * INPUTS
        room = (
            self.state,
            (links["pixels"] * links["channels"]).max(initial=0) + 1,
            (links["pixels"] * padded).max(initial=0),
            links["outs"].max(initial=0) + LANES,
        )
        return Network(
            tiles=np.array(self.tiles, TILE),
            groups=np.array(self.groups),
            links=links,
            starts=self.starts.array(),
            runs=self.runs.array(),
            weights=self.weights.array(),
            windows=self.windows.array(),
            blocks=self.blocks.array(),
            room=np.array(room),
        )


class _Column:
    """An array while it grows."""

    def __init__(self, kind: type, *width: int) -> None:
        self.parts = [np.zeros((0, *width), kind)]
        self.size = 0

    def add(self, part: Ints) -> int:
        """Append; where it begins."""
        begin, self.size = self.size, self.size + len(part)
        self.parts.append(part.astype(self.parts[0].dtype))
        return begin

    def array(self) -> Ints:
        """All of it, from the start of a cache line on: vectors then cross none."""
        width = self.parts[0].shape[1:]
        kind = self.parts[0].dtype
        count = self.size * math.prod(width)
        spare = CACHE_LINE // kind.itemsize
        memory = np.empty(count + spare, kind)
        begin = -memory.ctypes.data % CACHE_LINE // kind.itemsize
        aligned = memory[begin : begin + count].reshape(self.size, *width)
        return np.concatenate(self.parts, out=aligned)


class _Laid:
    """A connection whose weights are in the tables."""

    def __init__(self, connection: Connection, tables: _Tables) -> None:
        self.connection, self.tables = connection, tables
        self.inputs, self.outputs = connection.weight.shape[-2:]
        self.target_pixels = math.prod(connection.target_shape) // self.outputs
        order = kernel_order(connection)
        self.runs = runs_of(connection, order)
        laid = connection.effective[order].transpose(1, 0, 2)
        self.weights = tables.weights.add(laid.ravel())
        self.all_windows = windows_of(connection)
        if self.target_pixels > 1:
            self.blocks = tables.blocks.add(blocks_of(connection, 0, self.outputs))

    def link(self, runs: Runs, first: int, neurons: int) -> tuple[int, ...]:
        """A link, LINK, of the runs into the ``neurons`` from ``first`` on."""
        c, tables = self.connection, self.tables
        outs, blocks = min(self.outputs, neurons), 0
        if self.target_pixels == 1:
            blocks = tables.blocks.add(blocks_of(c, first, neurons))
        else:
            blocks = self.blocks
        begin, end = int(runs.source[0]), int(runs.source[-1]) + 1
        pixel = first // self.outputs
        windows = self.all_windows[pixel : pixel + neurons // outs]
        spikes = dense_time(windows, self.inputs, outs) / (
            SPIKE_TIME + SYNAPSE_TIME * runs.length.sum() / (end - begin)
        )
        starts = np.searchsorted(runs.source, np.arange(begin, end + 1))
        local = np.stack([runs.target - first, runs.weight, runs.length], axis=1)
        return (
            *(tables.index[c.source], c.delay, begin * self.inputs, self.inputs),
            *(end - begin, tables.starts.add(tables.runs.add(local) + starts)),
            *(self.weights, c.weight.size // self.inputs, math.ceil(spikes)),
            *(outs, windows.shape[1]),
            tables.windows.add(np.where(windows < 0, -1, windows - begin).ravel()),
            *(blocks, 1 << (WEIGHT_SHIFT + 1 + c.exponent)),
        )


def dense_time(windows: Ints, inputs: int, outs: int) -> float:
    """Estimated ns of a step of a link that goes the dense way."""
    blocks = -(-inputs // INPUTS) * -(-outs // LANES) * np.count_nonzero(windows >= 0)
    return PIXEL_TIME * len(windows) + BLOCK_TIME * blocks


def tile_size(neurons: int, incoming: list[Connection]) -> int:
    """Neurons of a tile: about TILE_SIZE, and whole pixels of every connection."""
    channels = [c.weight.shape[-1] for c in incoming]
    grain = math.lcm(*(n for n in channels if n < neurons))
    return max(TILE_SIZE // grain, 1) * grain


def kernel_order(connection: Connection) -> Ints:
    """Kernel positions in an order in which those that reach adjacent pixels follow.

    Most frequent neighbours first; a position has one before and one after it.
    """
    taps, positions = connection.taps, math.prod(connection.weight.shape[:-2])
    joined = (np.diff(taps.source) == 0) & (np.diff(taps.target) == 1)
    pairs = taps.kernel[:-1][joined].astype(np.int64) * positions
    pairs, count = np.unique(pairs + taps.kernel[1:][joined], return_counts=True)
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
    taps, channels = connection.taps, connection.weight.shape[-1]
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    kernel = place[taps.kernel]
    joined = (
        (np.diff(taps.source) == 0)
        & (np.diff(taps.target) == 1)
        & (np.diff(kernel) == 1)
    )
    begin = np.flatnonzero(np.concatenate(([True], ~joined))[: taps.source.size])
    length = np.diff(np.append(begin, taps.source.size))
    target = taps.target[begin].astype(np.int64)
    return Runs(
        taps.source[begin],
        target * channels,
        kernel[begin] * channels,
        length * channels,
    )


def split(runs: Runs, size: int, tiles: int) -> list[Runs]:
    """The runs of each tile of ``size`` neurons, cut at the tiles' borders."""
    first = runs.target // size
    pieces = (runs.target + runs.length - 1) // size - first + 1
    which = np.repeat(np.arange(pieces.size), pieces)
    tile = first[which] + np.arange(which.size) - (np.cumsum(pieces) - pieces)[which]
    whole = runs[which]
    target = np.maximum(whole.target, tile * size)
    end = np.minimum(whole.target + whole.length, (tile + 1) * size)
    weight = whole.weight + target - whole.target
    cut = Runs(whole.source, target, weight, end - target)
    order = np.argsort(tile, kind="stable")
    edges = np.searchsorted(tile[order], np.arange(tiles + 1))
    return [cut[order[a:b]] for a, b in zip(edges[:-1], edges[1:])]


def windows_of(connection: Connection) -> Ints:
    """(target pixels, kernel positions) → source pixel, −1 for none."""
    outputs = connection.weight.shape[-1]
    pixels = math.prod(connection.target_shape) // outputs
    windows = np.full((pixels, math.prod(connection.weight.shape[:-2])), -1, np.int32)
    windows[connection.taps.target, connection.taps.kernel] = connection.taps.source
    return windows


def blocks_of(connection: Connection, first: int, outs: int) -> Ints:
    """Half mantissas of ``outs`` channels from ``first`` on; ``kernels.multiply``."""
    weight = connection.weight.reshape(-1, *connection.weight.shape[-2:])
    weight = weight[..., first : first + outs] // 2
    _, inputs, _ = weight.shape
    padding = ((0, 0), (0, -inputs % INPUTS), (0, -outs % LANES))
    padded = np.pad(weight, padding)
    positions, inputs, lanes = padded.shape
    pairs = padded.reshape(positions, -1, INPUTS // 2, 2, lanes // LANES, LANES)
    return pairs.transpose(0, 1, 4, 2, 5, 3).ravel()
