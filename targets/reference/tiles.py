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
on the dense way is faster, ``busy``, follows from six constants in ns (``links``); they
were fitted to timings of single links.

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

from ...toolchain.program.connections import Connection, SparseConnection
from ...toolchain.program.program import Population, Program, SpikeInput
from .columns import Column, Columns
from .kernels import chosen_way, sort_of
from .kernels_neurons import LANES
from .kernels_products import ROWS, WORD
from .links import Laid, Listed, record
from .records import LINK, TILE
from .runs import Ints

TILE_SIZE = 8192  # neurons; q, u, v, bias and threshold of a tile are 160 KiB
MOST_OF_TILE = 1 << 17  # neurons, if a source neuron would meet fewer than MET
MET = 8
PANEL_GRAIN = ROWS * ROWS * WORD  # bytes that are written to it at a time
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
    starts: Ints  # source pixel → its first run, or synapse that is listed
    runs: Ints  # (runs, 3): first neuron of the tile, first weight, length
    weights: Ints  # int32, as they are added to q
    edges: Ints  # target pixel → its first stretch
    windows: Ints  # (stretches, 3), see ``layouts.windows_of``
    blocks: Ints  # int8, half mantissas; see ``layouts.blocks_of``
    synapses: Ints  # (synapses, 2): neuron of the tile, and what is added to its q
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
    tables = Tables(program)
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

    Where few synapses come from many neurons, more, up to MOST_OF_TILE: each neuron of
    a source has a place in the tables of each tile, met or not.
    """
    channels = [c.outputs for c in incoming]
    grain = math.lcm(*(n for n in channels if n < neurons))
    met = max((MET * neurons / fan_out(c) for c in incoming), default=0)
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


class Tables:
    """The tables while they grow."""

    def __init__(self, program: Program) -> None:
        self.program = program
        index = {p.name: i for i, p in enumerate(members(program))}
        self.columns = Columns(index)
        self.tiles, self.links = Column(TILE), Column(LINK)
        self.thresholds, self.groups = Column("i4"), [0]
        self.rows: list[int] = []
        self.state = self.most_state = 0  # neurons of the group, of the largest one

    def add(self, p: Population, together: bool) -> None:
        """The tiles of a population, in one group or each in its own."""
        connections = self.program.incoming(p.name)
        size = tile_size(p.size, connections)
        incoming = [
            Listed(c, self.columns)
            if isinstance(c, SparseConnection)
            else Laid(c, self.columns, size)
            for c in connections
        ]
        thresholds = self.thresholds.add(p.thresholds)
        bounded = bool(p.v_max <= p.thresholds.max())
        for first in range(0, p.size, size):
            tile, link = min(size, p.size - first), self.links.size
            found = (one.link(first, tile) for one in incoming)
            links = [one for one in found if one is not None]
            panel = 0
            for one in links:
                one["panel"], panel = panel, panel + panel_size(one)
                self.links.add(one)
            self.tiles.add(
                record(
                    TILE,
                    population=self.columns.index[p.name],
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
        tiles, links, columns = self.tiles.array(), self.links.array(), self.columns
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
            starts=columns.starts.array(),
            runs=columns.runs.array(),
            weights=columns.weights.array(),
            edges=columns.edges.array(),
            windows=columns.windows.array(),
            blocks=columns.blocks.array(),
            synapses=columns.synapses.array(),
            rows=np.array(self.rows, np.int64),
            room=room,
            way=chosen_way(),
        )


def panel_size(links: Ints) -> Any:
    """Bytes of the panels of these links, and a vector more."""
    size = links["pixels"] * links["words"] * WORD * ROWS
    return -(-size // PANEL_GRAIN) * PANEL_GRAIN + PANEL_GRAIN
