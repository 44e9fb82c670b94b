"""Target c: the Program's own C, compiled here and run as a process."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from ...toolchain.errors import DataError
from ...toolchain.passes.place.limits import CONNECTIONS, Limits
from ...toolchain.program.host import BoolArray, Stimulus
from ...toolchain.program.program import Program
from ..contract import Session, Target
from ..reading import Compiled
from ..reference.target import check_stimulus
from .compiler import FAST, compiled, compiler
from .members import Member, bits_of
from .process import Process
from .sizes import sizes_of
from .source import Source
from .tables import held

UNTIMED = ("board_time", "board_energy")
"""Figures that only a board has."""
HEADERS, SOURCES = ("network.h",), ("network.c", "serve.c")


class C(Target):
    """What ``export --format c`` writes, on this machine's processor."""

    name = "c"
    kind = "integer emulation"
    limits = Limits(connections=CONNECTIONS, max_delay=63)

    def __init__(self, flags: tuple[str, ...] = FAST) -> None:
        """``flags``: of the compiler."""
        self.flags = flags

    def open(self, program: Program) -> CSession:
        """A session, after compiling.

        Raises:
            TargetUnavailable: there is no C compiler, or it fails.
        """
        return CSession(self, program)


class CSession(Session):
    """A compiled network and its process; closed, it holds nothing.

    Run again, it is compiled again.
    """

    target: C

    def __init__(self, target: C, program: Program) -> None:
        super().__init__(target, program)
        self.source = Source(program)
        self._process: Process | None = self._started()

    def _started(self) -> Process:
        """The process; its file is gone once it runs."""
        command = [*compiler(), *self.target.flags]
        with tempfile.TemporaryDirectory(prefix="snn-deploy-c-") as name:
            folder = Path(name)
            for file in (*HEADERS, *SOURCES):
                (folder / file).write_text(self.source.file(file), "ascii")
            return Process([compiled(command, folder, SOURCES, "serve")])

    @property
    def compiled(self) -> Compiled:
        """Bytes of tables and state; its processor counts no instructions for us."""
        sizes = sizes_of(self.source)
        return Compiled(
            device="this machine's processor",
            flash=sizes.flash,
            ram=sizes.ram,
            by_layer=sizes.by_layer,
            how="tables and state as they are typed; code and stack are left out",
            missing={
                "instructions": "this processor counts none; run it on cortex-m",
                **dict.fromkeys(UNTIMED, "it was compiled for no board"),
            },
        )

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def simulate(self, stimulus: Stimulus) -> Mapping[str, BoolArray]:
        """Population → spikes (samples, steps, neurons).

        Raises:
            DataError: the stimulus is not one for this Program.
            TargetUnavailable: its process fails.
        """
        check_stimulus(self.program, stimulus)
        self._check_biases(stimulus)
        if self._process is None:
            self._process = self._started()
        members = [x.member for x in self.source.layers]
        size = stimulus.steps * sum(m.words for m in members)
        try:
            answers = [
                self._process.ask(request, 4 * size)
                for request in self._requests(stimulus)
            ]
        except BaseException:
            process, self._process = self._process, None
            process.close(0.0)
            raise
        shape = (stimulus.samples, stimulus.steps, -1)
        raster = np.frombuffer(b"".join(answers), np.uint8).reshape(shape)
        ends = 4 * np.cumsum([m.words for m in members])
        parts = np.split(raster, ends[:-1], axis=2)
        return {m.name: _spikes(m, part) for m, part in zip(members, parts)}

    def _check_biases(self, stimulus: Stimulus) -> None:
        fed = [x.member.name for x in self.source.fed]
        if set(stimulus.bias) != set(fed):
            raise DataError(
                f"Stimulus: it has biases for {sorted(stimulus.bias)}, the compiled "
                f"network takes those of {sorted(fed)}; encode the samples with the "
                "Program's own encoder"
            )

    def _requests(self, stimulus: Stimulus) -> Iterator[bytes]:
        """What ``serve.c`` reads, sample by sample."""
        biases = [held(stimulus.bias[x.member.name]) for x in self.source.fed]
        sent = [bits_of(m, stimulus.spikes[m.name]) for m in self.source.inputs]
        head = np.uint32(stimulus.steps).tobytes()
        for sample in range(stimulus.samples):
            given = [array[sample].tobytes() for array in (*biases, *sent)]
            yield b"".join([head, *given])


def _spikes(member: Member, words: np.ndarray) -> BoolArray:
    """Spikes (samples, steps, neurons) of a process's words, as bytes."""
    bits = np.unpackbits(words, axis=2, count=member.size, bitorder="little")
    return bits.view(np.bool_)
