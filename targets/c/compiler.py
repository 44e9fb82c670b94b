"""Compiler: the system's own, that makes a program of C files."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ...toolchain.errors import TargetUnavailable
from ...toolchain.visible import visible

WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-pedantic")
FAST = ("-std=c99", "-O3", "-march=native")
PATIENCE = 600.0  # s
SAID = 300  # characters of what a compiler complains


def compiler() -> list[str]:
    """The command of the system's C compiler: what CC says, or cc.

    Raises:
        TargetUnavailable: there is none.
    """
    try:
        command = shlex.split(os.environ.get("CC", "")) or ["cc"]
    except ValueError as error:
        raise TargetUnavailable(
            f"Target 'c': CC is no command ({error}); name a C compiler in it"
        ) from error
    if shutil.which(command[0]) is None:
        raise TargetUnavailable(
            f"Target 'c': there is no C compiler {command[0]!r} on the path; install "
            "one (apt-get install gcc), or name it in CC"
        )
    return command


def compiled(
    command: Sequence[str],
    folder: Path,
    sources: Sequence[str],
    name: str,
    *,
    target: str = "c",
    remedy: str = "name another in CC",
) -> Path:
    """The program that a compiler makes of C files in a folder.

    Args:
        command: the compiler and its flags.
        folder: where it runs.
        sources: names of files in the folder.
        name: of the program.
        target, remedy: whose it is and what to do, for messages.

    Raises:
        TargetUnavailable: the compiler fails, or is not done in ``PATIENCE`` s.
    """

    def failed(what: str, said: str = "") -> TargetUnavailable:
        told = f": {visible(said.strip())[:SAID]}" if said.strip() else ""
        return TargetUnavailable(
            f"Target {target!r}: the compiler {command[0]!r} {what}{told}; {remedy}"
        )

    made = folder / name
    log = folder / f"{name}.log"
    with log.open("wb") as complaints:
        try:
            process = subprocess.Popen(
                [*command, *sources, "-o", name],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=complaints,
                stderr=complaints,
                start_new_session=True,
            )
        except OSError as error:
            raise failed(f"cannot be run ({error.strerror})") from error
    try:
        code = process.wait(PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise failed(f"is not done after {PATIENCE:g} s") from error
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if code or not made.exists():
        said = log.read_text(errors="replace").splitlines()
        told = next((line for line in said if "error" in line), *said[:1] or [""])
        raise failed(f"ends with exit code {code}", told)
    return made
