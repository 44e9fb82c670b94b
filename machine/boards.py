"""Boards: by what NxSDK and Lava find one, and what of that is here."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from ..targets.access import INRC

SLURM = ("SLURM", "PARTITION", "BOARD")
FAMILIES = {  # chip → package of its vendor, variables that choose a board
    # nengo-loihi's docs/tips.rst and tests; the address is NxSDK's own variable
    "Loihi 1": ("nxsdk", (*SLURM, "NXSDKHOST", "LMTOPTIONS")),
    # lava/utils/loihi.py and slurm.py of Lava 0.10
    "Loihi 2": (
        "lava-loihi",
        (*SLURM, "NOSLURM", "LOIHI_GEN", "NXSDKHOST", "HOST_BINARY"),
    ),
}
FLAGS = ("SLURM", "NOSLURM", "LOIHI_GEN", "LMTOPTIONS")  # their values name no machine
VARIABLES = sorted({n for _, names in FAMILIES.values() for n in names} - {*FLAGS})


@dataclass(frozen=True, kw_only=True)
class Board:
    """The way to boards of a chip."""

    chip: str
    library: str  # of the vendor
    installed: str  # its version, "" where it is missing
    variables: tuple[str, ...]  # those set here, by name: their values are private
    words: str


def find_boards() -> tuple[Board, ...]:
    """Of each chip the vendor's library, and the variables set that choose a board.

    No board is asked: that may wait in a queue, or take it from somebody.
    """
    found = []
    for chip, (library, names) in FAMILIES.items():
        installed = _installed(library)
        found.append(
            Board(
                chip=chip,
                library=library,
                installed=installed,
                variables=tuple(name for name in names if os.environ.get(name)),
                words="" if installed else f"no access: no {library}; apply at {INRC}",
            )
        )
    return tuple(found)


def _installed(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""
