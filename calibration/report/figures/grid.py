"""Grid: the cores of a chip, what each holds and how full it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from ....toolchain.passes.place.limits import CoreLimits, Usage
from ....toolchain.passes.place.place import Core, Placement

CORES = 1024  # at most; of larger networks the first ones


@dataclass(frozen=True, kw_only=True)
class GridCore:
    """One core in use.

    Attributes:
        chip: number of its chip.
        number: among that chip's cores.
        layer: population whose neurons it holds.
        used: resource → (used, max).
        fullest: the largest of these shares, 0 … 1.
    """

    chip: int
    number: int
    layer: str
    used: Mapping[str, tuple[int, int]]
    fullest: float


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Cores of the chips in use.

    Attributes:
        chips: in use.
        chip_cores: cores of a chip.
        used: cores in use, of all chips; ``cores`` holds the first ``CORES``.
        cores: chip by chip.
    """

    chips: int
    chip_cores: int
    used: int
    cores: tuple[GridCore, ...]


def grid(placement: Placement) -> Grid:
    """The cores of a placed Program."""
    return Grid(
        chips=placement.chips,
        chip_cores=placement.chip_cores,
        used=len(placement.cores),
        cores=tuple(_core(core, placement.limits) for core in placement.cores[:CORES]),
    )


def _core(core: Core, limits: CoreLimits) -> GridCore:
    used = {
        field.name.replace("_", " "): (
            getattr(core.usage, field.name),
            getattr(limits, field.name),
        )
        for field in fields(Usage)
    }
    return GridCore(
        chip=core.chip,
        number=core.number,
        layer=core.block.population,
        used=used,
        fullest=max(part / whole for part, whole in used.values()),
    )
