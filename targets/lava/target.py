"""Lava: the Program as Lava processes, run by Lava's own runtime, fixed point."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np

from ...toolchain.errors import TargetUnavailable
from ...toolchain.passes.place.limits import CONNECTIONS, Limits
from ...toolchain.program.host import BoolArray, Stimulus
from ...toolchain.program.program import Program
from ..contract import Session, Target

PYTHON = (3, 10)  # lava-nc 0.10.0 requires >=3.10,<3.11
PATIENCE = 10.0  # s that a worker has to end by itself


class Lava(Target):
    """Lava 0.10 on the CPU: stock connections and a neuron model of ours."""

    name = "lava"
    kind = "integer emulation"
    library = "lava-nc"
    extra = "lava"
    limits = Limits(
        connections=CONNECTIONS,
        max_delay=63,
        recurrent=True,
    )

    def __init__(self, convolution: str = "sparse") -> None:
        """``convolution``: the stock process that runs one, "sparse" or "conv".

        Lava's Sparse is the faster; its Conv cannot pad one side more than the other,
        so such connections, and transposed ones, are Sparse anyway.
        """
        self.convolution = convolution

    def open(self, program: Program) -> Session:
        """A session, after Lava has compiled the Program, which takes seconds.

        Raises:
            TargetUnavailable: lava-nc is missing, or this Python is not 3.10.
        """
        demand(self)
        return LavaSession(self, program)


def demand(target: Lava) -> None:
    """Raise TargetUnavailable unless Lava can run here."""
    here, wanted = (f"{v[0]}.{v[1]}" for v in (sys.version_info, PYTHON))
    what = f"Target {target.name!r}: {target.library}"
    if here != wanted:
        raise TargetUnavailable(
            f"{what} runs on Python {wanted} and this is {here}; pip install "
            f"'snn-deploy[{target.extra}]' for a Python {wanted}"
        )
    try:
        version(target.library)
    except PackageNotFoundError as error:
        raise TargetUnavailable(
            f"{what} is not installed; pip install 'snn-deploy[{target.extra}]'"
        ) from error


class LavaSession(Session):
    """A Program in Lava's runtime, in a process of its own.

    Closed, it holds nothing; run again, it starts again.
    """

    target: Lava

    def __init__(self, target: Lava, program: Program) -> None:
        super().__init__(target, program)
        self._worker: Worker | None = Worker(program, target.convolution)

    def close(self) -> None:
        """Stop Lava's runtime and every process of it."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()

    def simulate(self, stimulus: Stimulus) -> Mapping[str, BoolArray]:
        """Population → spikes (samples, steps, neurons).

        Raises:
            RuntimeError: Lava failed; what it held is given back.
        """
        if self._worker is None:
            self._worker = Worker(self.program, self.target.convolution)
        try:
            return self._worker.run(stimulus)
        except BaseException:
            worker, self._worker = self._worker, None
            worker.kill()
            raise


class Worker:
    """The process of ``worker``, and the folder it shares with us.

    Spikes and biases go through files, which Lava's processes map into memory; only
    orders and complaints go through the connection. The folder is Lava's TMPDIR too, so
    that its sockets go with it; its name is short, since a socket's path has 108 bytes
    at most, on macOS 104.
    """

    def __init__(self, program: Program, how: str, target: str = "lava") -> None:
        """``how``: as ``worker.main`` takes it; ``target``: its name, for messages."""
        self.program, self.target = program, target
        self._files = tempfile.TemporaryDirectory(
            prefix="lava-", ignore_cleanup_errors=True
        )
        self.folder = Path(self._files.name)
        self._log = self.folder / "log"
        self._connection, theirs = Pipe()
        module = f"{__package__}.worker"
        handles = (str(theirs.fileno()), str(os.getpid()), str(self.folder))
        with theirs, self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *handles],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, "TMPDIR": str(self.folder)},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        try:
            self._order((program, how))
        except BaseException:
            self.kill()
            raise

    def run(self, stimulus: Stimulus) -> dict[str, BoolArray]:
        """Population → spikes (samples, steps, neurons)."""
        size = (stimulus.samples, stimulus.steps)
        populations = {}
        for i, p in enumerate(self.program.members):
            spikes, bias = self.folder / f"{i}.spikes", self.folder / f"{i}.bias"
            bias.unlink(missing_ok=True)
            if p.name in stimulus.bias:
                stimulus.bias[p.name].astype(np.int32).tofile(bias)
            if p.name in stimulus.spikes:
                stimulus.spikes[p.name].tofile(spikes)
            else:
                np.zeros((*size, p.size), np.bool_).tofile(spikes)
                populations[p.name] = spikes
        self._order(size)
        return {
            name: np.fromfile(path, np.bool_).reshape(*size, -1)
            for name, path in populations.items()
        }

    def close(self) -> None:
        """Let the worker stop Lava and end."""
        self._connection.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self.kill()

    def kill(self) -> None:
        """End the worker and whatever Lava forked, and remove the folder."""
        self._connection.close()
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            with suppress(ProcessLookupError):
                # Not SIGKILL: Python's resource tracker, which frees the shared memory
                # of killed processes and then ends, ignores this signal.
                os.killpg(self._process.pid, signal.SIGTERM)
            self._files.cleanup()

    def _order(self, message: Any) -> None:
        try:
            self._connection.send(message)
            complaint = self._connection.recv()
        except (EOFError, OSError):
            log = self._log.read_text(errors="replace") if self._log.exists() else ""
            complaint = f"its process was killed\n{log[-2000:]}"
        if complaint is not None:
            raise RuntimeError(
                f"Target {self.target!r}: Lava failed: {complaint.strip()}"
            )
