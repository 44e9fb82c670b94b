"""The compiled network as a process, which answers sample by sample (``serve.c``)."""

from __future__ import annotations

import os
import selectors
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from ...toolchain.errors import TargetUnavailable

PATIENCE = 300.0  # s without a byte of an answer
PARTING = 5.0  # s that it has to end by itself
PIECE = 1 << 16  # bytes that are written or read at a time


class Process:
    """One process; requests and answers are bytes."""

    def __init__(self, command: Sequence[str | Path], target: str = "c") -> None:
        """``target``: its name, for messages.

        Raises:
            TargetUnavailable: it cannot be run.
        """
        self.target = target
        self._complaints: IO[bytes] = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            self._complaints.close()
            raise TargetUnavailable(
                f"Target {target!r}: what was compiled cannot be run "
                f"({error.strerror}); name a folder of programs in TMPDIR"
            ) from error
        assert self._process.stdin and self._process.stdout
        self._in, self._out = self._process.stdin, self._process.stdout
        for pipe in (self._in, self._out):
            os.set_blocking(pipe.fileno(), False)

    def ask(self, request: bytes, size: int) -> bytearray:
        """The answer, of ``size`` bytes, to a request.

        Raises:
            TargetUnavailable: the process ends or says nothing for ``PATIENCE`` s.
        """
        left, answer = memoryview(request), bytearray()
        with selectors.DefaultSelector() as ready:
            ready.register(self._out, selectors.EVENT_READ)
            if left:
                ready.register(self._in, selectors.EVENT_WRITE)
            while left or len(answer) < size:
                events = ready.select(PATIENCE)
                if not events:
                    raise self._failed(f"says nothing for {PATIENCE:g} s")
                for key, _ in events:
                    if key.fileobj is self._out:
                        answer += self._read(min(size - len(answer), PIECE) or 1)
                    else:
                        left = left[self._write(left[:PIECE]) :]
                        if not left:
                            ready.unregister(self._in)
        return answer

    def _read(self, most: int) -> bytes:
        found = self._out.read(most) or b""
        if not found:
            raise self._failed("ended")
        return found

    def _write(self, piece: memoryview) -> int:
        try:
            return self._in.write(piece) or 0
        except BrokenPipeError as error:
            raise self._failed("ended") from error

    def _failed(self, what: str) -> TargetUnavailable:
        self.close(0.0)
        return TargetUnavailable(
            f"Target {self.target!r}: its process {what} (exit code "
            f"{self._process.returncode}); run fewer steps, or report this"
        )

    def close(self, patience: float = PARTING) -> None:
        """Let it end, or end it; safe to call twice."""
        with suppress(OSError):
            self._in.close()
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            self._out.close()
            self._complaints.close()
