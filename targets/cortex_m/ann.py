"""An ANN in 8 bits as firmware, on a board that QEMU emulates."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ..c.ann.network import Network
from ..c.ann.session import HEADERS, SOURCES, AnnSession
from .boards import Board, chosen_board
from .emulator import Emulator
from .image import Image, demand_tools, linked


class AnnOnBoard(AnnSession):
    """As the session, on a Cortex-M.

    Attributes:
        image: bytes of flash and RAM, the server and the stack among them.
    """

    image: Image
    _process: Emulator

    def __init__(self, network: Network, board: Board | None = None) -> None:
        """``board``: None, as target ``cortex-m`` chooses it.

        Raises:
            TargetUnavailable: compiler or emulator are missing, or fail.
        """
        self.board = board or chosen_board()
        super().__init__(network)

    def _started(self) -> Emulator:
        demand_tools()
        with tempfile.TemporaryDirectory(prefix="snn-deploy-ann-") as name:
            texts = {file: self.source.file(file) for file in (*HEADERS, *SOURCES)}
            made, self.image = linked(texts, "ann_layer", self.board, Path(name))
            return Emulator(self.board, made)

    @property
    def instructions(self) -> list[list[int]]:
        """Simulated: sample by sample, those of each layer; at most 2 off."""
        found, each = self._process.instructions, len(self.network.layers)
        return [found[k : k + each] for k in range(0, len(found), each)]
