"""Run a packed bundle on another machine, or by another Python, and bring it back."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..toolchain.bundle.acceptance import worker_text
from ..toolchain.bundle.recorded import Recorded, load_recorded
from ..toolchain.errors import TargetUnavailable
from ..toolchain.files import parse_json
from .machine import LOST, Machine, last_line

ID = re.compile("[0-9a-f]{16}")
TRIES = 4  # of a connection that fails while the job goes on
PAUSE = 2.0  # s, before the first of them; twice as long before each other
MESSAGE = 4096  # bytes of a message at most
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
        BundleError: what came back is no Recording of this bundle.
    """
    job = Job(machine, python, attach or secrets.token_hex(8))
    if attach is None:
        _submit(job, bundle, target, slurm, tell)
    try:
        _follow(job, tell)
        recorded = _fetch(job, bundle, out)
    except Lost as lost:
        raise job.wrong(
            f"the connection is lost ({lost}); the job goes on there: pick it up with "
            f"--attach {job.id}"
        ) from lost
    except BaseException:
        machine.remove(job.id)
        raise
    machine.remove(job.id)
    return recorded


class Lost(Exception):
    """The connection failed as often as was tried; the message is ssh's."""


def _submit(
    job: Job, bundle: Path, target: str, slurm: Sequence[str] | None, tell: Tell
) -> None:
    script = files(__package__).joinpath("job.py").read_bytes()
    laid = job.machine.lay(job.id, script)
    if laid.lost:
        raise TargetUnavailable(
            f"{job.machine}: it cannot be reached ({laid.error}); check its name, its "
            "key and that ssh reaches it"
        )
    if laid.code:
        raise TargetUnavailable(
            f"{job.machine}: no folder can be made there ({laid.error}); look at the "
            "home folder and its disk"
        )
    try:
        worker, packed = worker_text().encode(), bundle.read_bytes()
        srun = () if slurm is None else ("srun", *slurm)
        sizes = str(len(worker)), str(len(packed))
        words = job.words("submit", target, *sizes, *srun)
        answer = job.machine.ask(words, worker + packed)
        if answer.lost:
            raise job.wrong(f"the connection is lost ({answer.error}); run it again")
        started = _said(job, answer.out.splitlines()[-1:], answer.error)
    except BaseException:
        job.machine.remove(job.id)
        raise
    tell(f"{job}: {target} by {started.get('by')}")


def _said(job: Job, lines: Sequence[bytes], error: str) -> dict[str, Any]:
    """What ``job.py`` said, in a line of JSON.

    Raises:
        TargetUnavailable: something is wrong there, or it said nothing.
    """
    try:
        said = parse_json(lines[0])
    except (IndexError, ValueError):
        said = None
    if not isinstance(said, dict):
        raise job.wrong(
            f"{job.python!r} there does not run as a Python of 3.8 or newer "
            f"({error or 'it says nothing'}); name another with --python"
        )
    if "wrong" in said:
        raise job.wrong(str(said["wrong"]))
    return said


def _follow(job: Job, tell: Tell) -> None:
    """Tell what the job says, until it ended well.

    Raises:
        TargetUnavailable: it did not.
        Lost: the connection failed again and again.
    """
    told, pause, failed = 0, PAUSE, 0
    while True:
        with tempfile.TemporaryFile() as errors:
            words = job.words("follow", str(told))
            stream = job.machine.stream(words, subprocess.PIPE, errors)
            state, before = None, told
            with stream:
                assert stream.stdout is not None
                for line in stream.stdout:
                    with suppress(json.JSONDecodeError):  # cut with the connection
                        state = _said(job, [line.strip()], "")
                        if "log" in state:
                            tell(str(state["log"]))
                            told, state = told + 1, None
            errors.seek(0)
            error = last_line(errors.read())
        if state is not None:
            return _demand_well(job, state)
        if stream.returncode not in (0, LOST):
            raise job.wrong(error or f"exit code {stream.returncode}")
        failed = 1 if told > before else failed + 1
        if failed == TRIES:
            raise Lost(error)
        time.sleep(pause)
        pause *= 2


def _demand_well(job: Job, state: dict[str, Any]) -> None:
    code, last = state.get("code"), str(state.get("last", ""))
    if code == 0:
        return
    if code in KILLED:
        raise job.wrong(
            "it was killed there, by the system for want of memory or by somebody; run "
            "it again, with fewer samples where memory is short"
        )
    what = last.removeprefix("worker: ").removeprefix("Error: ")
    raise job.wrong(what or f"it ended with exit code {code} and said nothing")


def _fetch(job: Job, bundle: Path, out: Path) -> Recorded:
    """Bring the Recording here: beside its place, checked, then moved there."""
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".recording-") as folder:
        beside = Path(folder) / out.name
        pause, error = PAUSE, ""
        for _ in range(TRIES):
            with beside.open("wb") as file, tempfile.TemporaryFile() as errors:
                stream = job.machine.stream(job.words("fetch"), file, errors)
                code = stream.wait()
                errors.seek(0)
                error = last_line(errors.read())
            if code != LOST:
                break
            time.sleep(pause)
            pause *= 2
        else:
            raise Lost(error)
        with beside.open("rb") as file:
            start = file.readline(MESSAGE)
        if code or not start.startswith(b"PK"):  # a zip
            _said(job, [start], error)
        recorded = load_recorded(beside, bundle)
        os.replace(beside, out)
        return recorded
