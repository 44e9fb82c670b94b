"""Sizes: bytes of tables (flash) and of state (RAM), population by population."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from .source import Source


@dataclass(frozen=True)
class Size:
    """Of a population or spike input.

    Attributes:
        flash: bytes of its tables, weights that come in among them.
        ram: bytes of its state and of its spikes that are kept.
        v: type of the potential, "" of a spike input.
        slots: steps whose spikes are kept.
    """

    name: str
    neurons: int
    flash: int
    ram: int
    v: str
    slots: int


@dataclass(frozen=True)
class Sizes:
    """Of a network.

    Attributes:
        sums: bytes of the sums of weights, which all populations share.
        by_layer: bytes of RAM, were each population run through all steps in turn.
    """

    rows: tuple[Size, ...]
    sums: int
    by_layer: int

    @property
    def neurons(self) -> int:
        """Of all."""
        return sum(row.neurons for row in self.rows)

    @property
    def flash(self) -> int:
        """Bytes of all tables."""
        return sum(row.flash for row in self.rows)

    @property
    def ram(self) -> int:
        """Bytes of the whole state, but for gaps between its parts."""
        return self.sums + sum(row.ram for row in self.rows)


def sizes_of(source: Source) -> Sizes:
    """The sizes of a network, from its tables and types."""
    rows = [Size(m.name, m.size, 0, m.bytes, "", m.slots) for m in source.inputs]
    for x in source.layers:
        tables = [*x.tables.values()]
        tables += [t for link in x.synapses for t in link.tables.values()]
        m = x.member
        flash, ram = sum(t.bytes for t in tables), x.state_bytes + m.bytes
        rows.append(Size(m.name, m.size, flash, ram, x.layer.v_type, m.slots))
    return Sizes(tuple(rows), 2 * source.sums, _by_layer(source))


def _by_layer(source: Source) -> int:
    """Rasters of two neighbours, and the state and sums of the second; the largest.

    Less than it would be where spikes skip a population, or come from more than one.
    """
    steps = source.program.timing.steps
    members = [*source.inputs, *(x.member for x in source.layers)]
    raster = {m.name: 4 * m.words * steps for m in members}
    found = [raster[members[0].name]]
    for x in source.layers:
        state = x.state_bytes + 2 * x.member.size * bool(x.synapses)
        if x.layer.fed:
            found.append(state + raster[x.member.name])
    for before, m in pairwise(members):
        x = next(x for x in source.layers if x.member is m)
        state = x.state_bytes + 2 * m.size * bool(x.synapses)
        found.append(state + raster[before.name] + raster[m.name])
    return max(found)
