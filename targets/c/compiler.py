"""Compiler: the system's own, that makes a program of C files."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from ...toolchain.errors import TargetUnavailable

STANDARD = ("-std=c99", "-O3", "-march=native")
PATIENCE = 600.0  # s
SAID = 300  # characters of what a compiler complains


def compiler() -> list[str]:
    """The command of the system's C compiler: what CC says, or cc.

    Raises:
        TargetUnavailable: there is none.
    """
    command = shlex.split(os.environ.get("CC", "")) or ["cc"]
    if shutil.which(command[0]) is None:
        raise TargetUnavailable(
            f"Target 'c': there is no C compiler {command[0]!r} on the path; install "
            "one (apt-get install gcc), or name it in CC"
        )
    return command


def compiled(folder: Path, name: str, flags: tuple[str, ...] = STANDARD) -> Path:
    """The program of all C files in a folder.

    Raises:
        TargetUnavailable: there is no compiler, or it fails.
    """
    made = folder / name
    sources = sorted(path.name for path in folder.glob("*.c"))
    command = [*compiler(), *flags, *sources, "-o", name]
    try:
        ran = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TargetUnavailable(f"Target 'c': {command[0]} fails: {error}") from error
    if ran.returncode or not made.exists():
        said = next((x for x in ran.stderr.splitlines() if "error" in x), ran.stderr)
        raise TargetUnavailable(
            f"Target 'c': {command[0]} ends with exit code {ran.returncode}: "
            f"{said.strip()[:SAID] or 'it says nothing'}; try another compiler in CC"
        )
    return made
