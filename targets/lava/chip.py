"""LavaLoihi2: stock Lava processes on a board of Loihi 2, which lava-loihi reaches."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from importlib.util import find_spec

from ...toolchain.errors import TargetUnavailable
from ...toolchain.passes.place.limits import CONNECTIONS, Limits
from ...toolchain.program.host import BoolArray, Stimulus
from ...toolchain.program.program import Program
from ..access import INRC, no_access
from ..contract import Session, Target
from .stock import stock_problems
from .target import Worker
from .worker import CHIP

GENERATION = "N3B3"  # Lava's default: most of the INRC's systems
SERVER = "nxcore/bin/nx_driver_server"  # and its default program on a board's host
WHERE = "look at SLURM, PARTITION, BOARD, NXSDKHOST, HOST_BINARY and LOIHI_GEN"


class LavaLoihi2(Target):
    """A board of Loihi 2, chosen by the variables that Lava's helpers set.

    PARTITION or BOARD of a SLURM, or the address NXSDKHOST with HOST_BINARY; LOIHI_GEN.
    It never runs on the CPU: a process without a model for neuro-cores is an error.
    """

    name = "lava-loihi2"
    kind = "hardware"
    library = "lava-loihi"
    extra = "lava"
    access = INRC
    limits = Limits(connections=CONNECTIONS, max_delay=1, recurrent=True)

    def problems(self, program: Program) -> Iterator[str]:
        """Registers with which Lava's stock LIF might not give the Program's spikes."""
        return stock_problems(program)

    def open(self, program: Program) -> Session:
        """A session; no board is started.

        Raises:
            TargetUnavailable: lava-loihi is missing, or there is no way to a board.
        """
        if not extended():
            raise no_access(self.name, "lava-loihi (for lava-nc 0.10.0)", self.access)
        try:
            choose_board()
        except (ImportError, OSError, ValueError) as error:
            raise TargetUnavailable(
                f"Target {self.name!r}: Lava finds no board: {error}; {WHERE}"
            ) from error
        return ChipSession(self, program)


def extended() -> bool:
    """Whether lava-loihi is installed, as Lava detects it."""
    if find_spec("lava") is None:
        return False
    from lava.utils import loihi

    return loihi.is_installed()


def choose_board() -> None:
    """Have Lava's helper set what its processes read to find a board.

    Raises:
        ImportError: lava-loihi is missing.
        OSError: there is no SLURM on this machine.
        ValueError: there is no such partition, board, address or generation.
    """
    from lava.utils import loihi

    environ = os.environ
    generation = loihi.ChipGeneration(environ.get("LOIHI_GEN", GENERATION))
    address = environ.get("NXSDKHOST")
    if address:
        server = environ.get("HOST_BINARY", SERVER)
        loihi.use_ethernet_host(address, server, generation)
    else:
        board, partition = environ.get("BOARD"), environ.get("PARTITION")
        loihi.use_slurm_host(partition, board, generation)


class ChipSession(Session):
    """A Program on Loihi 2; Lava runs in a process of ours, started for every batch.

    Every sample is compiled and started anew, so its states are fresh.
    """

    def simulate(self, stimulus: Stimulus) -> Mapping[str, BoolArray]:
        """Population → spikes (samples, steps, neurons).

        Raises:
            TargetUnavailable: Lava or its board failed, or would run on this computer.
        """
        try:
            worker = Worker(self.program, CHIP, self.target.name)
            try:
                return worker.run(stimulus)
            finally:
                worker.close()
        except RuntimeError as error:
            last = str(error).strip().splitlines()[-1]
            raise TargetUnavailable(
                f"Target {self.target.name!r}: Lava failed ({last}); {WHERE}"
            ) from error
