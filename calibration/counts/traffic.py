"""Spikes between cores: how many go where, and how far, on the chip's grid.

A spike leaves its core once for each other core, and its own, that holds a synapse of
it: Loihi's output axons each name one core (Davies et al. 2018, IEEE Micro 38(1)), and
``place`` counts their slots so. Per connection: two connections from one neuron to one
core are two axons.

A placement numbers cores and gives no coordinates, so these are assumed: tile n holds
cores 4n … 4n + 3; tiles fill the grid column after column, as SANA-FE numbers them
(arch/loihi.yaml: 8 columns of 4 tiles; src/chip.cpp: x = tile div 4, y = tile mod 4);
chips stand side by side, from west to east, and their grids go on into each other;
a spike goes straight east or west, then north or south.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...toolchain.passes.place.fan_in import atoms, fan_in
from ...toolchain.passes.place.place import Placement
from ...toolchain.program.connections import Connection
from ...toolchain.program.program import Program
from ...toolchain.program.recording import Recording

TILE_CORES, COLUMNS, ROWS = 4, 8, 4
"""Loihi 1: 128 cores in 32 tiles."""
ASSUMPTION = (
    "cores numbered in order, 4 a tile, tiles column by column on a grid of 8 × 4, "
    "chips side by side; a spike goes once to each core, east or west first; from the "
    "host it arrives at no cost"
)
FIELDS = ("messages", "within_tile", "east_west", "north_south", "between_chips")
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Messages:
    """Spikes from core to core that a population sends, an inference.

    A message is one spike to one core. Where the sender is the host, hops are 0.
    """

    name: str
    messages: float
    within_tile: float
    """Messages to a core of the sender's tile, its own too."""
    east_west: float
    """Hops from a tile to the next, likewise north or south."""
    north_south: float
    between_chips: float
    """Messages that leave the sender's chip."""


@dataclass(frozen=True, kw_only=True)
class CoreTraffic:
    """One core: where it is, and the messages it sends and receives an inference."""

    chip: int
    number: int  # of the chip's cores
    column: int  # of its tile, from the west; chips side by side
    row: int
    population: str
    compartments: int
    sent: float
    received: float


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Messages of a placed Program, means over the samples of a Recording."""

    layers: tuple[Messages, ...]
    total: Messages
    cores: tuple[CoreTraffic, ...]
    assumption: str = ASSUMPTION


def traffic(program: Program, recording: Recording, placement: Placement) -> Traffic:
    """Where every recorded spike went.

    Args:
        program: what ran.
        recording: of it; counts are enough.
        placement: of its populations on cores.
    """
    home, first = _homes(program, placement)
    place = _places(placement)
    sent, received = np.zeros(len(place)), np.zeros(len(place))
    rows = []
    for member in program.members:
        tally = recording.tally(member.name)
        spikes = tally.sums.astype(np.float64) / tally.samples
        sums = np.zeros(5)
        for c in program.outgoing(member.name):
            from_to = _messages(c, spikes, home.get(c.source), placement, first)
            received[first[c.target] :][: from_to.shape[1]] += from_to.sum(axis=0)
            if c.source in home:
                sent += from_to.sum(axis=1)
            sums += _sums(from_to, place, first[c.target], host=c.source not in home)
        rows.append(_row(member.name, sums))
    every = np.array([[getattr(row, name) for name in FIELDS] for row in rows])
    return Traffic(
        layers=tuple(rows),
        total=_row("total", every.sum(axis=0)),
        cores=tuple(
            CoreTraffic(
                chip=core.chip,
                number=core.number,
                column=int(column),
                row=int(row),
                population=core.block.population,
                compartments=core.usage.compartments,
                sent=float(out),
                received=float(into),
            )
            for core, (_, _, column, row), out, into in zip(
                placement.cores, place, sent, received
            )
        ),
    )


def _row(name: str, sums: Array) -> Messages:
    return Messages(name=name, **dict(zip(FIELDS, sums.tolist())))


def _homes(
    program: Program, placement: Placement
) -> tuple[Mapping[str, npt.NDArray[np.int64]], Mapping[str, int]]:
    """Population → core of each of its neurons, and its first core, of the used."""
    home = {p.name: np.zeros(p.size, np.int64) for p in program.populations}
    first: dict[str, int] = {}
    for number, core in enumerate(placement.cores):
        home[core.block.population][core.block.neurons] = number
        first.setdefault(core.block.population, number)
    return home, first


def _places(placement: Placement) -> npt.NDArray[np.int64]:
    """(cores, 4): chip, tile of all chips, column and row of each used core."""
    chip = np.array([core.chip for core in placement.cores])
    tile = np.array([core.number for core in placement.cores]) // TILE_CORES
    tiles = max(-(-placement.chip_cores // TILE_CORES), COLUMNS * ROWS)
    columns = -(-tiles // ROWS)
    column = chip * columns + tile // ROWS
    return np.stack((chip, chip * tiles + tile, column, tile % ROWS), axis=1)


def _messages(
    c: Connection,
    spikes: Array,
    home: npt.NDArray[np.int64] | None,
    placement: Placement,
    first: Mapping[str, int],
) -> Array:
    """Messages (from core, to core of the target); one row where the host sends."""
    group = atoms(c)
    columns = []
    for block in placement.blocks(c.target):
        units = fan_in(c, block).source
        neurons = (units[:, None] * group + np.arange(group)).ravel()
        at = np.zeros_like(neurons) if home is None else home[neurons]
        columns.append(
            np.bincount(at, spikes[neurons], minlength=_cores(home, placement))
        )
    return np.stack(columns, axis=1)


def _cores(home: npt.NDArray[np.int64] | None, placement: Placement) -> int:
    return 1 if home is None else len(placement.cores)


def _sums(
    from_to: Array, place: npt.NDArray[np.int64], target: int, *, host: bool
) -> Array:
    """The figures of ``FIELDS``."""
    if host:
        return np.array([from_to.sum(), 0, 0, 0, 0])
    ends = place[target : target + from_to.shape[1]]
    chip, tile, column, row = (
        np.abs(place[:, None, axis] - ends[None, :, axis]) for axis in range(4)
    )
    return np.array(
        [
            from_to.sum(),
            from_to[tile == 0].sum(),
            (from_to * column).sum(),
            (from_to * row).sum(),
            from_to[chip > 0].sum(),
        ]
    )
