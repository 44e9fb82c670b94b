"""Target c: the Program's own C, compiled here and run as a process."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from ...toolchain.errors import DataError, TargetUnavailable
from ...toolchain.passes.place.limits import CONNECTIONS, Limits
from ...toolchain.program.host import BoolArray, Stimulus
from ...toolchain.program.program import Program
from ..contract import Session, Target
from ..reference.target import check_stimulus
from .compiler import compiled, compiler
from .source import Member, Source

FILES = ("network.h", "network.c", "server.c")


class C(Target):
    """What ``export --format c`` writes, on this machine's processor."""

    name = "c"
    kind = "integer emulation"
    limits = Limits(connections=CONNECTIONS, max_delay=63)

    def open(self, program: Program) -> CSession:
        """A session, after compiling.

        Raises:
            TargetUnavailable: there is no C compiler, or it fails.
        """
        compiler()
        return CSession(self, program)


class CSession(Session):
    """A compiled network; its folder is gone when the session is closed."""

    def __init__(self, target: Target, program: Program) -> None:
        super().__init__(target, program)
        self.source = Source(program)
        self._folder = tempfile.TemporaryDirectory(prefix="snn-deploy-c-")
        folder = Path(self._folder.name)
        try:
            for name in FILES:
                (folder / name).write_text(self.source.file(name), "ascii")
            self._program = compiled(folder, "network")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._folder.cleanup()

    def simulate(self, stimulus: Stimulus) -> Mapping[str, BoolArray]:
        """Population → spikes (samples, steps, neurons).

        Raises:
            DataError: the stimulus is not one for this Program.
            TargetUnavailable: its process fails.
        """
        check_stimulus(self.program, stimulus)
        given = np.array([stimulus.samples, stimulus.steps], "<u4").tobytes()
        sent = b"".join([given, *self._inputs(stimulus)])
        ran = subprocess.run([self._program], input=sent, capture_output=True)
        members = [m for m in self.source.members if not m.given]
        words = sum(m.words for m in members)
        size = (stimulus.samples, stimulus.steps, words)
        if ran.returncode or len(ran.stdout) != 4 * np.prod(size):
            raise TargetUnavailable(
                f"Target 'c': its process ends with exit code {ran.returncode}"
            )
        raster = np.frombuffer(ran.stdout, np.uint8).reshape(*size[:2], -1)
        spikes, first = {}, 0
        for m in members:
            last = first + 4 * m.words
            bits = np.unpackbits(
                raster[:, :, first:last], axis=2, count=m.size, bitorder="little"
            )
            spikes[m.name], first = bits.view(bool), last
        return spikes

    def _inputs(self, stimulus: Stimulus) -> Iterator[bytes]:
        """What ``server.c`` reads, sample by sample."""
        given = {
            m.name: _words(m, stimulus.spikes[m.name])
            for m in self.source.members
            if m.given
        }
        for sample in range(stimulus.samples):
            for layer in self.source.layers:
                if layer.fed:
                    yield stimulus.bias[layer.name][sample].astype("<i4").tobytes()
            if given:
                parts = [words[sample] for words in given.values()]
                yield np.concatenate(parts, axis=1).tobytes()


def _words(member: Member, spikes: BoolArray) -> np.ndarray:
    """(samples, steps, bytes), a bit a neuron, whole words."""
    bits = np.packbits(spikes, axis=2, bitorder="little")
    short = 4 * member.words - bits.shape[2]
    return np.pad(bits, ((0, 0), (0, 0), (0, short)))
