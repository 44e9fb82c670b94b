"""A Program as the tables that ``kernels`` reads.

A *tile* is a piece of a population whose state stays in a core's cache; a *link* is one
connection into one tile. Tiles run one after the other, each over all steps of a
sample; only those of populations that form a loop take their steps together.

**What was known.** A step reads and writes 35 bytes of every neuron (q, u, v, counter,
bias, threshold, spike) and does little with them. Step by step through the whole
network, a state larger than the cache goes through memory at every step. But a neuron
needs of others nothing but their spikes, one step late or more: where there is no loop,
a tile can run through *all* steps once its sources have, and its state is read once a
sample. Spikes are a byte each, of all steps, and the only thing that is kept.

**Why these tables.** Compiled code reads flat arrays of records; the objects of a
Program would be Python's. Weights are stored twice: as *runs*, in the order in which
one source neuron meets target neurons, for few spikes; as *blocks* of bytes, for the
matrix product. A convolution's are shared by all pixels in both, so that the tables
grow with the kernel and not with the picture. ``runs`` and ``layouts`` explain how they
lie.

**How it is cut.** Tiles hold whole pixels of every connection (``tile_size``), since
the dense way adds up pixel by pixel; they are cut into chunks of about CHUNK neurons
whose sums fit the nearest cache. Populations come in order of flow, and those that form
a loop are one group (``flow``). Which way a link goes is decided every few steps, by
the spikes that were counted: a layer's activity rises from rest. From how many spikes
on the dense way is faster, ``busy``, follows from six constants in ns, which were
fitted to timings of single links.

**What is doubtful.** Those constants, on any processor but the one they were fitted on
(AMD EPYC, Zen 3): a wrong one makes it slower and changes no spike. TILE_SIZE and CHUNK
suit its caches likewise. Slow by nature are fewer than 16 small samples, where starting
threads takes as long as they save. Figures: benchmarks/README.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from ...toolchain.program.arithmetic import WEIGHT_SHIFT
from ...toolchain.program.connections import Connection, SparseConnection
from ...toolchain.program.program import Population, Program, SpikeInput
from .kernels import chosen_way, sort_of
from .kernels_neurons import LANES
from .kernels_products import ROWS, WORD
from .layouts import NARROW, blocks_of, is_shared, matrix_order, windows_of, words_of
from .records import LINK, TILE
from .runs import Ints, Runs, kernel_order, runs_of, split

TILE_SIZE = 8192  # neurons; q, u, v, bias and threshold of a tile are 160 KiB
MOST_OF_TILE = 1 << 17  # neurons, if each of its sources has few synapses
CACHE_LINE = 64  # bytes
PANEL_GRAIN = ROWS * ROWS * WORD  # bytes that are written to it at a time
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
CHUNK = 512  # neurons


class Room(NamedTuple):
    """Elements of what ``kernels.simulate`` works in."""

    q: int
    state: int
    active: int
    stage: int
    panel: int
    links: int  # of a tile
    chunk: int  # neurons


class Network(NamedTuple):
    """What ``kernels.simulate`` runs.

    ``groups[g]`` … ``groups[g + 1]`` are the tiles that take their steps together.
    """

    tiles: Ints  # (tiles,) TILE
    groups: Ints  # (groups + 1,) tile
    thresholds: Ints  # int32, of every neuron
    links: Ints  # (links,) LINK
    starts: Ints  # source pixel → its first run
    runs: Ints  # (runs, 3): first neuron of the tile, first weight, length
    weights: Ints  # int32, as they are added to q
    edges: Ints  # target pixel → its first stretch
    windows: Ints  # (stretches, 3), see ``layouts.windows_of``
    blocks: Ints  # int8, half mantissas; see ``layouts.blocks_of``
    rows: Ints  # steps that each group takes at a time
    room: Room
    way: int  # of ``kernels.WAYS``


def members(program: Program) -> tuple[SpikeInput | Population, ...]:
    """Spike inputs, then populations: a population's number in the tables."""
    return (*program.inputs, *program.populations)


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


def assemble(program: Program) -> Network:
    """The tables of a Program."""
    tables = _Tables(program)
    for group in flow(program):
        names = {p.name for p in group}
        looped = any(c.source in names for n in names for c in program.incoming(n))
        for p in group:
            tables.add(p, together=looped)
        if looped:
            inner = [
                c.delay for n in names for c in program.incoming(n) if c.source in names
            ]
            tables.end_group(min(ROWS, *inner))
    return tables.network()


def tile_size(neurons: int, incoming: list[Connection]) -> int:
    """Neurons of a tile: about TILE_SIZE, and whole pixels of every connection.

    Where few synapses come from many neurons, more, up to MOST_OF_TILE: a source looks
    up its runs in each tile, and has room for one there, met or not.
    """
    channels = [c.outputs for c in incoming]
    grain = math.lcm(*(n for n in channels if n < neurons))
    met = max((neurons / fan_out(c) for c in incoming), default=0)  # one synapse each
    size = max(TILE_SIZE, min(int(met), MOST_OF_TILE))
    return max(size // grain, 1) * grain


def fan_out(connection: Connection) -> float:
    """Synapses of a source neuron, on average, where they are listed one by one."""
    if not isinstance(connection, SparseConnection):
        return math.inf
    return connection.weight.size / math.prod(connection.shape)


def chunk_size(tile: int, outs: Iterable[int]) -> int:
    """Neurons of a chunk: about CHUNK, whole pixels, and whole vectors of neurons."""
    grain = math.lcm(LANES, *outs)
    return min(-(-CHUNK // grain) * grain, tile)


class _Tables:
    """The tables while they grow."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.index = {p.name: i for i, p in enumerate(members(program))}
        self.tiles, self.links = _Column(TILE), _Column(LINK)
        self.thresholds, self.groups = _Column("i4"), [0]
        self.rows: list[int] = []
        self.state = self.most_state = 0  # neurons of the group, of the largest one
        self.starts, self.edges = _Column("i4"), _Column("i4")
        self.runs, self.windows = _Column("i4", 3), _Column("i4", 3)
        self.weights, self.blocks = _Column("i4"), _Column("i1")

    def add(self, p: Population, together: bool) -> None:
        """The tiles of a population, in one group or each in its own."""
        incoming = [_Layout(c, self) for c in self.program.incoming(p.name)]
        size = tile_size(p.size, [layout.connection for layout in incoming])
        thresholds = self.thresholds.add(p.thresholds)
        bounded = bool(p.v_max <= p.thresholds.max())
        pieces = [split(layout.runs, size, -(-p.size // size)) for layout in incoming]
        for k, first in enumerate(range(0, p.size, size)):
            tile, link = min(size, p.size - first), self.links.size
            links = [
                layout.link(parts[k], first, tile)
                for layout, parts in zip(incoming, pieces)
                if parts[k].source.size
            ]
            panel = 0
            for one in links:
                one["panel"], panel = panel, panel + panel_size(one)
                self.links.add(one)
            self.tiles.add(
                record(
                    TILE,
                    population=self.index[p.name],
                    first=first,
                    size=tile,
                    state=self.state,
                    link=link,
                    links=len(links),
                    keep_u=4095 - p.decay_u,
                    keep_v=4096 - p.decay_v,
                    threshold=thresholds + first,
                    work=16 * tile + sum(int(one["work"][0]) for one in links),
                    chunk=chunk_size(tile, (int(one["outs"][0]) for one in links)),
                    sort=sort_of(p.decay_u, p.decay_v, p.refractory, bounded),
                    rest=p.refractory - 1,
                    v_min=p.v_min,
                    v_max=p.v_max,
                )
            )
            self.state += -(-tile // LANES) * LANES
            if not together:
                self.end_group(ROWS)

    def end_group(self, rows: int) -> None:
        """What comes next takes its steps, ``rows`` at a time, after all there is."""
        self.groups.append(self.tiles.size)
        self.rows.append(rows)
        self.most_state = max(self.most_state, self.state)
        self.state = 0

    def network(self) -> Network:
        """The tables as they are."""
        tiles, links = self.tiles.array(), self.links.array()
        ends = links["panel"] + panel_size(links)
        room = Room(
            q=ROWS * (int(tiles["size"].max()) + LANES) + LANES,
            state=self.most_state,
            active=int((links["pixels"] * links["channels"]).max(initial=0)) + 1,
            stage=int(panel_size(links).max(initial=0)),
            panel=int(ends.max(initial=0)),
            links=int(tiles["links"].max()),
            chunk=int(tiles["chunk"].max()),
        )
        return Network(
            tiles=tiles,
            groups=np.array(self.groups, np.int64),
            thresholds=self.thresholds.array(LANES),
            links=links,
            starts=self.starts.array(),
            runs=self.runs.array(),
            weights=self.weights.array(),
            edges=self.edges.array(),
            windows=self.windows.array(),
            blocks=self.blocks.array(),
            rows=np.array(self.rows, np.int64),
            room=room,
            way=chosen_way(),
        )


def panel_size(links: Ints) -> Any:
    """Bytes of the panels of these links, and a vector more."""
    size = links["pixels"] * links["words"] * WORD * ROWS
    return -(-size // PANEL_GRAIN) * PANEL_GRAIN + PANEL_GRAIN


class _Layout:
    """A connection whose weights are in the tables."""

    def __init__(self, connection: Connection, tables: _Tables) -> None:
        self.connection, self.tables = connection, tables
        self.inputs, self.outputs = connection.inputs, connection.outputs
        order = kernel_order(connection)
        self.runs = runs_of(connection, order)
        laid = connection.effective[order].transpose(1, 0, 2)
        self.weights = tables.weights.add(laid.ravel())
        self.matrix = 0  # words of the kernel, where the dense way can be taken
        self.target = self.shared = -1  # where stretches, and all tiles' blocks, begin
        if is_shared(connection):
            self.order = matrix_order(connection)
            windows, starts = windows_of(connection, self.order)
            self.target = tables.edges.add(tables.windows.add(windows) + starts)
            self.matrix = len(self.order) * words_of(self.inputs)
            self.windows, self.starts = windows, starts
            if len(starts) > 2:
                blocks = blocks_of(connection, self.order, 0, self.outputs)
                self.shared = tables.blocks.add(blocks)

    def link(self, runs: Runs, first: int, neurons: int) -> Ints:
        """The link, LINK, of these runs into the ``neurons`` from ``first`` on."""
        c, tables, blocks = self.connection, self.tables, self.shared
        outs = min(self.outputs, neurons)
        if blocks < 0 and self.matrix:
            blocks = tables.blocks.add(blocks_of(c, self.order, first, outs))
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
            source=tables.index[c.source],
            delay=c.delay,
            first=begin * self.inputs,
            channels=self.inputs,
            pixels=end - begin,
            row=tables.starts.add(tables.runs.add(local) + starts),
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
            panel=0,
        )


def dense_time(words: int, pixels: int, outs: int) -> float:
    """Estimated ns of ROWS steps of a link that goes the dense way."""
    return PIXEL_TIME * pixels + WORD_TIME * words * -(-outs // NARROW)


def record(kind: np.dtype[np.void], **fields: int) -> Ints:
    """One record, (1,) of ``kind``."""
    return np.array([tuple(fields[name] for name in kind.names or ())], kind)


class _Column:
    """An array while it grows."""

    def __init__(self, kind: str | np.dtype[np.void], *width: int) -> None:
        self.parts: list[Ints] = [np.zeros((0, *width), kind)]
        self.size = 0

    def add(self, part: Ints) -> int:
        """Append; where it begins."""
        width = self.parts[0].shape[1:]
        self.parts.append(part.reshape(-1, *width).astype(self.parts[0].dtype))
        begin, self.size = self.size, self.size + len(self.parts[-1])
        return begin

    def array(self, spare: int = 0) -> Ints:
        """All of it, from the start of a cache line on, so that vectors cross none.

        ``spare`` zeros follow in its memory; what is returned includes them.
        """
        kind, width = self.parts[0].dtype, self.parts[0].shape[1:]
        if spare:
            self.add(np.zeros(spare, kind))
        size = self.size * math.prod(width) * kind.itemsize
        memory = np.empty(size + CACHE_LINE, np.uint8)
        begin = -memory.ctypes.data % CACHE_LINE
        aligned = memory[begin : begin + size].view(kind).reshape(self.size, *width)
        np.concatenate(self.parts, out=aligned)
        return aligned
