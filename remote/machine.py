"""Where a job is: a machine behind OpenSSH, or another Python on this one.

No shell runs here. A remote command line is fixed words and quoted ones, short enough
for any login shell; which keys, ports and names there are is ``~/.ssh/config``'s.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..toolchain.errors import TargetUnavailable

JOBS = ".snn-deploy"  # below the home folder, one folder a job
NAME = r"[A-Za-z0-9_.][A-Za-z0-9_.:%+-]*"
HOST = re.compile(rf"({NAME}@)?({NAME}|\[[0-9A-Fa-f:.%]+\])")
OPTIONS = (  # no forwarding, and a connection that is gone is noticed within a minute
    *("-T", "-x", "-a"),
    *("-o", "ConnectTimeout=20"),
    *("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3"),
)
LOST = 255  # ssh's exit code where the connection failed


@dataclass(frozen=True)
class Answer:
    """What a command there gave."""

    code: int
    error: str  # the last line of its standard error

    @property
    def lost(self) -> bool:
        """Whether the connection failed."""
        return self.code == LOST


class Machine(ABC):
    """Runs one program, a job's ``job.py``, in a job's own folder."""

    @abstractmethod
    def lay(self, job: str, script: bytes) -> Answer:
        """Make a job's private folder, which must be new, with ``job.py`` in it."""

    @abstractmethod
    def remove(self, job: str) -> None:
        """Remove a job's folder, with which it ends, and that of all where it is the
        last; where that cannot be, it stays."""

    @abstractmethod
    def words(self, python: str, job: str, *words: str) -> list[str]:
        """The command here that runs ``job.py`` there with some words."""

    def start(
        self, words: Sequence[str], given: IO[bytes], errors: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        """Start a command here, whose output is read as it comes.

        Raises:
            TargetUnavailable: it cannot be started.
        """
        try:
            return subprocess.Popen(
                words,
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=Path.home(),
            )
        except OSError as error:
            raise TargetUnavailable(
                f"Program {words[0]!r}: it cannot be started ({error.strerror}); name "
                "a Python with --python"
            ) from error


@dataclass(frozen=True)
class Here(Machine):
    """This machine, whose other Pythons are asked."""

    def __str__(self) -> str:
        return "This machine"

    def lay(self, job: str, script: bytes) -> Answer:
        folder = Path.home() / JOBS / job
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700)
        (folder / "job.py").write_bytes(script)
        return Answer(0, "")

    def remove(self, job: str) -> None:
        folder = Path.home() / JOBS / job
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # others are there
            folder.parent.rmdir()

    def words(self, python: str, job: str, *words: str) -> list[str]:
        return [python, f"{JOBS}/{job}/job.py", *words]


@dataclass(frozen=True)
class Ssh(Machine):
    """A machine that OpenSSH reaches.

    Attributes:
        host: as ssh takes it, user@machine or a name of ``~/.ssh/config``.
        jump: hosts on the way, with commas between them; "" for none.
    """

    host: str
    jump: str = ""

    def __post_init__(self) -> None:
        for name in (self.host, *(self.jump.split(",") if self.jump else ())):
            if not HOST.fullmatch(name):
                raise TargetUnavailable(
                    f"Machine {name!r}: that is no name; user@machine is allowed, or a "
                    "name of ~/.ssh/config"
                )
        if shutil.which("ssh") is None:
            raise TargetUnavailable(
                f"Machine {self.host!r}: OpenSSH's ssh is not installed here; install "
                "it (apt-get install openssh-client)"
            )

    def __str__(self) -> str:
        return f"Machine {self.host!r}"

    def _ssh(self, line: str) -> list[str]:
        jump = ("-J", self.jump) if self.jump else ()
        return ["ssh", *OPTIONS, *jump, "--", self.host, line]

    def _ask(self, line: str, given: bytes = b"") -> Answer:
        """Run a command line there to its end, with this as its input."""
        words = self._ssh(line)
        done = subprocess.run(words, input=given, capture_output=True, check=False)
        return Answer(done.returncode, last_line(done.stderr))

    def lay(self, job: str, script: bytes) -> Answer:
        folder = f"{JOBS}/{job}"
        made = f"umask 077 && mkdir -p {JOBS} && mkdir {folder}"
        return self._ask(f"{made} && cat > {folder}/job.py", script)

    def remove(self, job: str) -> None:
        self._ask(f"rm -rf {JOBS}/{job} && rmdir {JOBS}")

    def words(self, python: str, job: str, *words: str) -> list[str]:
        return self._ssh(shlex.join([python, f"{JOBS}/{job}/job.py", *words]))


def last_line(text: bytes) -> str:
    """The last line that says something."""
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1].strip()[:300] if lines else ""
