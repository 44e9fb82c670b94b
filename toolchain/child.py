"""Children: processes that call functions of ours, and may hang, crash or print."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import IO, Any

PARTING = 5.0  # s that processes have to end when they are told to
LONGEST_COMPLAINT = 300  # characters


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a function found, or why it found nothing."""

    found: dict[str, Any] = field(default_factory=dict)
    failure: str = ""  # "" where it answered
    signal: str = ""  # that ended the process, "SIGSEGV"


class Child:
    """A process that does what it is asked, one thing after another.

    It sees the same modules as this one. What it starts ends with it, and it with us.
    """

    def __init__(self, folder: Path) -> None:
        """``folder``: where it works."""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as we do
        path = os.pathsep.join(filter(None, sys.path))
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )
        self._answers = queue.SimpleQueue[bytes]()
        threading.Thread(target=self._listen, daemon=True).start()

    def ask(self, function: str, *words: Any, patience: float) -> Answer:
        """What a function answers; after a failure, this child has ended.

        Args:
            function: "module:name"; it gives a dict that JSON can hold.
            words: its arguments, JSON's too.
            patience: s that it may take.
        """
        try:
            line = self._asked(json.dumps([function, *words]).encode(), patience)
        except queue.Empty:
            self.end()
            return Answer(failure=f"no answer within {patience:g} s")
        except BaseException:
            self.end()
            raise
        if line.endswith(b"\n"):
            return Answer(found=json.loads(line))
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(PARTING)
        code = self._process.poll()
        self.end()
        return _failure(code or 0, self._log)

    def _asked(self, request: bytes, patience: float) -> bytes:
        """A line; b"" where the process ended."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(request + b"\n")
            self._process.stdin.flush()
        return self._answers.get(timeout=patience)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with suppress(ValueError):  # it is closed
            for line in self._process.stdout:
                self._answers.put(line)
        self._answers.put(b"")

    def end(self) -> None:
        """End the process and its group, by request, then by force; callable twice."""
        deadline = time.monotonic() + PARTING
        with suppress(ProcessLookupError):  # the group is gone
            os.killpg(self._process.pid, signal.SIGTERM)
            while time.monotonic() < deadline:
                self._process.poll()
                os.killpg(self._process.pid, 0)
                time.sleep(0.01)
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()


def ask(function: str, *words: Any, patience: float) -> Answer:
    """As ``Child.ask``, in a process and an empty folder of its own."""
    with tempfile.TemporaryDirectory(prefix="snn-deploy-") as folder:
        child = Child(Path(folder))
        try:
            return child.ask(function, *words, patience=patience)
        finally:
            child.end()


def _failure(code: int, log: IO[bytes]) -> Answer:
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()
    last = f": {lines[-1].strip()[:LONGEST_COMPLAINT]}" if lines else ""
    if code == 0:  # a stranger's code ended the process
        return Answer(failure="its process ended without an answer")
    if code > 0:
        return Answer(failure=f"its process ended with exit code {code}{last}")
    name = f"signal {-code}"
    with suppress(ValueError):
        name = signal.Signals(-code).name
    return Answer(failure=f"its process was ended by {name}{last}", signal=name)


def serve(parent: int) -> None:
    """Answer requests, a line each, until there are no more or the parent is gone.

    Requests and answers go through handles of their own, since what is called may read
    and print.
    """
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    for line in requests:
        function, *words = json.loads(line)
        module, _, name = function.partition(":")
        found = getattr(import_module(module), name)(*words)
        answers.write(json.dumps(found).encode() + b"\n")
        answers.flush()


def _follow(parent: int) -> None:
    """End this process soon after its parent, a fork of which may hold the requests."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
