"""Boards: microcontrollers that QEMU emulates, and what they hold."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ...toolchain.errors import TargetUnavailable

VARIABLE = "SNN_DEPLOY_BOARD"  # in the environment, it names one


@dataclass(frozen=True)
class Board:
    """A board of QEMU's (docs/system/arm/mps2 of QEMU 7.2, hw/arm/mps2.c).

    Attributes:
        name: of QEMU's machine.
        core: as gcc's ``-mcpu`` names it.
        flash, ram: bytes; of flash, an mps2 board has static memory.
    """

    name: str
    core: str
    flash: int = 4 << 20
    ram: int = 4 << 20


BOARDS = {
    board.name: board
    for board in (
        Board("mps2-an385", "cortex-m3"),
        Board("mps2-an386", "cortex-m4"),
        Board("mps2-an500", "cortex-m7"),
    )
}


def chosen_board() -> Board:
    """The board that the environment names, or the first.

    Raises:
        TargetUnavailable: there is none of this name.
    """
    name = os.environ.get(VARIABLE, "") or next(iter(BOARDS))
    if name not in BOARDS:
        raise TargetUnavailable(
            f"Target 'cortex-m': {VARIABLE} names {name!r}, there are: "
            f"{', '.join(BOARDS)}; name one of them"
        )
    return BOARDS[name]
