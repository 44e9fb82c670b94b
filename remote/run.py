"""Run a packed bundle on another machine, or by another Python, and bring it back."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import IO

from ..toolchain.bundle.acceptance import worker_text
from ..toolchain.bundle.archive import demand_size
from ..toolchain.bundle.beside import folder_beside
from ..toolchain.bundle.recorded import Recorded, load_recorded
from ..toolchain.errors import BundleError, TargetUnavailable
from ..toolchain.files import parse_json
from .machine import LOST, Machine, last_line

ID = re.compile("[0-9a-f]{16}")
TRIES = 4  # of a connection that fails while the job goes on
PAUSE = 2.0  # s, before the first of them; twice as long before each other
LONGEST, PORTION = 1 << 16, 1 << 20  # bytes of a message, and of what is read at once
KILLED = {-9, 137}  # as Python, and as a shell or srun have it
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """A job on a machine: its number, and the Python that runs it there."""

    machine: Machine
    python: str
    id: str

    def __post_init__(self) -> None:
        if not ID.fullmatch(self.id):
            raise TargetUnavailable(
                f"Job {self.id!r}: a number is 16 digits of 0-9 and a-f; name the one "
                "that the run told"
            )

    def __str__(self) -> str:
        return f"{self.machine}, job {self.id}"

    def words(self, *words: str) -> list[str]:
        """The command here that says some words to the job there."""
        return self.machine.words(self.python, self.id, *words)

    def wrong(self, what: str) -> TargetUnavailable:
        """What is wrong with it, as an error."""
        return TargetUnavailable(f"{self}: {what}")


def run_there(
    machine: Machine,
    python: str,
    bundle: Path,
    target: str,
    out: Path,
    *,
    slurm: Sequence[str] | None = None,
    attach: str | None = None,
    tell: Tell,
) -> Recorded:
    """Run a packed bundle there, and write its Recording here.

    Where the connection is lost, the job goes on; where the user interrupts, it ends.

    Args:
        machine: where.
        python: which Python, there.
        bundle: that is packed.
        target: to run it on; ``reference`` by the worker where snn-deploy is not.
        out: file to write.
        slurm: options of ``srun``, which starts it; None: it is started at once.
        attach: number of a job to go on with, instead of a new one.
        tell: is told what the job says.

    Raises:
        TargetUnavailable: something there is not as it must be, or the connection is
            lost.
        BundleError: what came back is no Recording of this bundle; the job is kept.
    """
    job = Job(machine, python, attach or secrets.token_hex(8))
    with folder_beside(out) as folder:
        heard = Heard(job, tell, folder / out.name)
        try:
            if attach is None:
                _submit(heard, bundle, target, slurm)
            _follow(heard)
            recorded = load_recorded(heard.recording, bundle)
        except Lost as lost:
            raise job.wrong(
                f"the connection is lost ({lost}); the job goes on there: pick it up "
                f"with --attach {job.id}"
            ) from lost
        except BundleError as error:
            raise BundleError(
                f"{job}: {error}; it is kept there: pick it up with --attach {job.id}"
            ) from error
        except (TargetUnavailable, KeyboardInterrupt):
            machine.remove(job.id)
            raise
        os.replace(heard.recording, out)
        machine.remove(job.id)
        return recorded


class Lost(Exception):
    """The connection failed as often as was tried; the message is ssh's."""


@dataclass
class Heard:
    """What a job said so far.

    Attributes:
        job: that says it.
        tell: is told the lines of its log.
        recording: file that its Recording is written to.
        lines: of the log.
        by: what runs it there; "" before it is started.
        ended: whether it ended well, and the Recording is here.
    """

    job: Job
    tell: Tell
    recording: Path
    lines: int = 0
    by: str = ""
    ended: bool = False

    def hear(self, words: Sequence[str], given: IO[bytes]) -> str:
        """Say some words to the job and hear it to its end, or that of the connection.

        Args:
            words: to ``job.py``.
            given: its input.

        Returns:
            What ssh said at the end.

        Raises:
            TargetUnavailable: something is wrong there, or the job ended badly.
        """
        job = self.job
        with tempfile.TemporaryFile() as errors:
            with job.machine.start(job.words(*words), given, errors) as talk:
                assert talk.stdout is not None
                for line in iter(partial(talk.stdout.readline, LONGEST), b""):
                    if not line.endswith(b"\n"):  # cut with the connection
                        break
                    self._take(line, talk.stdout)
            errors.seek(0)
            error = last_line(errors.read())
        if talk.returncode > 0 and talk.returncode != LOST:
            raise job.wrong(
                f"{job.python!r} there does not run as a Python of 3.8 or newer "
                f"({error}); name another with --python"
            )
        return error

    def _take(self, line: bytes, rest: IO[bytes]) -> None:
        try:
            said = parse_json(line)
        except ValueError:
            said = None
        match said:
            case {"log": str(text)}:
                self.lines += 1
                self.tell(text)
            case {"by": str(by)}:
                self.by = by
            case {"wrong": str(text)}:
                raise self.job.wrong(text)
            case {"code": 0, "bytes": int(size)}:
                self._receive(size, rest)
            case {"code": int(code), "last": str(last)}:
                raise self.job.wrong(_ended_badly(code, last))
            case _:
                raise self.job.wrong(
                    f"it says {line[:60]!r}, which is no word of a job's; look at what "
                    "its login shell prints"
                )

    def _receive(self, size: int, rest: IO[bytes]) -> None:
        demand_size(size)
        left = size
        with self.recording.open("wb") as file:
            while left and (part := rest.read(min(left, PORTION))):
                file.write(part)
                left -= len(part)
        self.ended = left == 0


def _submit(
    heard: Heard, bundle: Path, target: str, slurm: Sequence[str] | None
) -> None:
    job = heard.job
    laid = job.machine.lay(job.id, files(__package__).joinpath("job.py").read_bytes())
    if laid.code == LOST:
        raise TargetUnavailable(
            f"{job.machine}: it cannot be reached ({laid.error}); check its name, its "
            "key and that ssh reaches it"
        )
    if laid.code:
        raise TargetUnavailable(
            f"{job.machine}: no folder can be made there ({laid.error}); look at the "
            "home folder and its disk"
        )
    worker, packed = worker_text().encode(), bundle.read_bytes()
    srun = () if slurm is None else ("srun", *slurm)
    with tempfile.TemporaryFile() as given:
        given.write(worker + packed)
        given.seek(0)
        sizes = str(len(worker)), str(len(packed))
        heard.tell(f"{job}: {target}")
        error = heard.hear(("submit", target, *sizes, *srun), given)
    if not heard.by:
        raise job.wrong(f"the connection is lost ({error}); run it again")


def _follow(heard: Heard) -> None:
    """Hear a job to its end, over as many connections as it takes.

    Raises:
        TargetUnavailable: it did not end well.
        Lost: the connection failed again and again.
    """
    failed, error, pause = 0, "", PAUSE
    while not heard.ended:
        if failed == TRIES:
            raise Lost(error)
        before = heard.lines
        with open(os.devnull, "rb") as nothing:
            error = heard.hear(("follow", str(before)), nothing)
        if heard.lines > before:
            failed, pause = 0, PAUSE
        if not heard.ended:
            failed += 1
            time.sleep(pause)
            pause *= 2


def _ended_badly(code: int, last: str) -> str:
    if code in KILLED:
        return (
            "it was killed there, by the system for want of memory or by somebody; run "
            "it again, with fewer samples where memory is short"
        )
    what = last.removeprefix("worker: ").removeprefix("Error: ")
    return what or f"it ended with exit code {code} and said nothing"
