"""Target cortex-m: the Program's own C as firmware, on a board that QEMU emulates."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ...toolchain.program.program import Program
from ..c.sizes import sizes_of
from ..c.target import UNTIMED, C, CSession
from ..reading import Compiled
from .boards import Board, chosen_board
from .emulator import Emulator
from .image import STACK, Image, built, demand_tools


class CortexM(C):
    """A Cortex-M3, -M4 or -M7; as target ``c``, on another processor."""

    name = "cortex-m"

    def __init__(self, board: Board | None = None) -> None:
        """``board``: None, the one that ``SNN_DEPLOY_BOARD`` names, or mps2-an385."""
        super().__init__(())
        self.board = board

    def open(self, program: Program) -> CortexMSession:
        """A session, after compiling.

        Raises:
            DoesNotFit: the firmware is larger than the board's memory.
            TargetUnavailable: compiler or emulator are missing, or fail.
        """
        return CortexMSession(self, program)


class CortexMSession(CSession):
    """A firmware on an emulated board.

    QEMU counts instructions and does not time them; so there is no time and no energy.

    Attributes:
        image: bytes of flash and RAM.
        board: that it runs on.
    """

    target: CortexM
    image: Image
    board: Board
    _process: Emulator | None
    _counted: tuple[int, ...] = ()

    def _started(self) -> Emulator:
        """The emulator; its files are gone once it runs."""
        self.board = self.target.board or chosen_board()
        demand_tools()
        with tempfile.TemporaryDirectory(prefix="snn-deploy-cortex-m-") as name:
            made, self.image = built(self.source, self.board, Path(name))
            return Emulator(self.board, made)

    @property
    def instructions(self) -> tuple[int, ...]:
        """Simulated: of each sample since the emulator runs, those of its steps."""
        return tuple(self._process.instructions) if self._process else self._counted

    @property
    def compiled(self) -> Compiled:
        """Bytes of the firmware, and instructions of the samples."""
        stack = f"sections as the linker made them, server and {STACK} bytes of stack"
        return Compiled(
            device=f"{self.board.name} ({self.board.core}), emulated by QEMU",
            flash=self.image.flash,
            ram=self.image.ram,
            by_layer=sizes_of(self.source).by_layer,
            how=f"{stack} among them; the host's encoder and decoder are left out",
            instructions=self.instructions,
            missing=dict.fromkeys(UNTIMED, "QEMU counts instructions and times none"),
        )

    def close(self) -> None:
        """End the emulator; what it counted stays."""
        self._counted = self.instructions
        super().close()
