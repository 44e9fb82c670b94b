"""Emulator: QEMU with a board and a firmware, as a process that answers by samples."""

from __future__ import annotations

from pathlib import Path

from ..c.process import Process
from .boards import Board
from .image import QEMU

SHIFT = 6  # QEMU lets 2^SHIFT ns pass with every instruction
TICK = 40  # ns of the board's timer, 25 MHz
READY, TICKS = 4, 8  # bytes of what the firmware says at first, and after each sample


class Emulator(Process):
    """A board that runs.

    Attributes:
        instructions: of each sample so far, those of its steps; known to a tick.
    """

    def __init__(self, board: Board, image: Path) -> None:
        """Waits until the firmware is in memory; its file is not needed after that.

        Raises:
            TargetUnavailable: the emulator cannot be run, or ends, or says nothing.
        """
        super().__init__(
            [
                *(QEMU, "-M", board.name, "-kernel", image, "-nodefaults"),
                *("-display", "none", "-serial", "none", "-monitor", "none"),
                *("-semihosting-config", "enable=on,target=native"),
                *("-icount", f"shift={SHIFT}"),
            ],
            "cortex-m",
        )
        self.instructions: list[int] = []
        try:
            super().ask(b"", READY)
        except BaseException:
            self.close(0.0)
            raise

    def ask(self, request: bytes, size: int) -> bytearray:
        """The spikes of a sample, ``size`` bytes."""
        answer = super().ask(request, size + TICKS)
        ticks = int.from_bytes(answer[size:], "little")
        self.instructions.append(ticks * TICK >> SHIFT)
        return answer[:size]
