"""Questions asked in a process of their own, which may hang, crash or print."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PARTING = 5.0  # s that processes have to end when they are told to
LONGEST_COMPLAINT = 300  # characters


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a process found, or why it found nothing."""

    found: dict[str, Any] = field(default_factory=dict)
    failure: str = ""  # "" where it answered


def ask(module: str, *words: str, patience: float) -> Answer:
    """What a module of this room finds, ``python -m MODULE FILE WORDS``.

    It writes a JSON object to FILE. It sees the same modules as this process, from an
    empty folder, and whatever it started ends with it.

    Args:
        module: a file of this room.
        words: its further arguments.
        patience: s that it may take.
    """
    with tempfile.TemporaryDirectory(prefix="snn-deploy-") as name:
        folder = Path(name)
        file, log = folder / "answer", folder / "log"
        command = [sys.executable, "-m", f"{__package__}.{module}", str(file), *words]
        path = os.pathsep.join(filter(None, sys.path))
        with log.open("wb") as complaints:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=complaints,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,
            )
        try:
            code = process.wait(patience)
        except subprocess.TimeoutExpired:
            return Answer(failure=f"no answer within {patience:g} s")
        finally:
            _end(process)
        if code:
            return Answer(failure=_failure(code, log))
        try:
            return Answer(found=json.loads(file.read_bytes()))
        except (OSError, ValueError):  # a stranger's code ended the process
            return Answer(failure="its process ended without an answer")


def _failure(code: int, log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    last = f": {lines[-1].strip()[:LONGEST_COMPLAINT]}" if lines else ""
    if code > 0:
        return f"its process ended with exit code {code}{last}"
    with suppress(ValueError):
        return f"its process was ended by {signal.Signals(-code).name}{last}"
    return f"its process was ended by signal {-code}{last}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and its group: by request, then by force."""
    deadline = time.monotonic() + PARTING
    with suppress(ProcessLookupError):  # the group is gone
        os.killpg(process.pid, signal.SIGTERM)
        while time.monotonic() < deadline:
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
