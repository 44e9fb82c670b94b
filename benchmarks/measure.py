"""One target in a process of its own, timed turn by turn. For Linux.

A turn runs the same samples again and again for a while; targets take turns, so that
whatever else the machine does hits all of them alike.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from networks import Case

from snn_deploy.targets.contract import Target, find_target
from snn_deploy.toolchain.errors import DoesNotFit
from snn_deploy.toolchain.program.host import BoolArray, Stimulus
from snn_deploy.toolchain.program.program import Program

CHIP_CORES = 4096  # the emulator is timed beyond the 128 cores of its chip
ONE_BY_ONE = {"loihi-emulator": 1, "lava Sparse": 2, "lava Conv": 2}
"""Target without minibatches → at most so many samples a turn: 32 take 32 times one."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A target, what it runs, and on how many CPUs."""

    target: str
    case: Case
    samples: int
    steps: int
    cpus: int

    @property
    def timed(self) -> int:
        """Samples in a turn."""
        return min(self.samples, ONE_BY_ONE.get(self.target, self.samples))


@dataclass(kw_only=True)
class Result:
    """What was measured of a Job; times in ms a step and sample are ``turns_ms``."""

    network: str
    neurons: int
    target: str
    samples: int
    timed_samples: int
    steps: int
    cpus: int
    activity: float = 0.0  # spikes a neuron and step
    synaptic_operations: float = 0.0  # a step and sample
    load_s: float = 0.0  # imports of the vendor's library included
    first_run_s: float = 0.0
    turns_ms: Sequence[float] = ()
    ms: float = 0.0  # median turn
    peak_mib: float = 0.0
    equal: bool | None = None  # same spikes as the first target, where both are integer
    refused: str = ""


def target_of(name: str) -> Target:
    """The target; "lava Sparse" and "lava Conv" say which process does convolutions."""
    name, _, process = name.partition(" ")
    target = find_target(name)
    if process:
        target.convolution = process.lower()
    if name == "loihi-emulator":
        target.limits = replace(target.limits, cores=CHIP_CORES)
    return target


def measure(
    jobs: Iterable[Job], rounds: int, turn_s: float, limit_s: float
) -> list[Result]:
    """Time jobs side by side; each round begins with the next of them.

    Args:
        jobs: of one case; those that a target refuses are noted as such.
        rounds: turns of each.
        turn_s: s that a turn lasts at least.
        limit_s: s after which a job takes no further turn; it always takes one.
    """
    workers = [Worker(job) for job in jobs]
    running = [worker for worker in workers if worker.start()]
    turns: dict[int, list[float]] = {id(worker): [] for worker in running}
    for first in range(rounds):
        shift = first % max(len(running), 1)
        for worker in running[shift:] + running[:shift]:
            if not turns[id(worker)] or worker.spent < limit_s:
                turns[id(worker)].append(worker.turn(turn_s))
    for worker in running:
        worker.finish(turns[id(worker)])
    compare(running)
    return [worker.result for worker in workers]


def compare(workers: Sequence[Worker]) -> None:
    """Note whether integer targets gave the first one's spikes, sample by sample."""
    for worker in workers[1:]:
        if worker.kind == workers[0].kind == "integer emulation":
            pairs = zip(worker.digests, workers[0].digests)
            worker.result.equal = all(a == b for a, b in pairs)


class Worker:
    """A child process that has a Job's target loaded."""

    def __init__(self, job: Job) -> None:
        self.job, self.spent, self.kind = job, 0.0, ""
        self.digests: list[str] = []
        self.result = Result(
            network=job.case.name,
            neurons=job.case.program.neurons,
            target=job.target,
            samples=job.samples,
            timed_samples=job.timed,
            steps=job.steps,
            cpus=job.cpus,
        )

    def start(self) -> bool:
        """Load and run once; False where the target refuses the Program."""
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        stimulus = self.job.case.stimulus(self.job.timed, self.job.steps)
        given = (self.job.target, self.job.cpus, self.job.case.program, stimulus)
        self.process = context.Process(target=serve, args=(theirs, *given))
        self.process.start()
        theirs.close()
        answer = self.connection.recv()
        self.result.refused = answer.pop("refused", "")
        if self.result.refused:
            self.process.join()
            return False
        self.kind, self.digests = answer.pop("kind"), answer.pop("digests")
        self.result = replace(self.result, **answer)
        self.spent = self.result.first_run_s
        return True

    def turn(self, seconds: float) -> float:
        """ms a step and sample."""
        self.connection.send(seconds)
        took = self.connection.recv()
        self.spent += max(seconds, took)
        return 1e3 * took / (self.job.timed * self.job.steps)

    def finish(self, turns: Sequence[float]) -> None:
        """End the process and note what it used."""
        self.connection.send(None)
        self.result.peak_mib = self.connection.recv()
        self.process.join()
        self.result.turns_ms = [round(ms, 6) for ms in turns]
        self.result.ms = median(turns)


def serve(
    connection: Connection,
    target: str,
    cpus: int,
    program: Program,
    stimulus: Stimulus,
) -> None:
    """In the child: load, run once, then turns until told to end."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cpus])
    start = time.perf_counter()
    place = target_of(target)
    try:
        session = place.load(program)
    except DoesNotFit as error:
        connection.send({"refused": str(error)})
        return
    loaded = time.perf_counter()
    with session:
        spikes = session.simulate(stimulus)
        found = {
            "load_s": loaded - start,
            "first_run_s": time.perf_counter() - loaded,
            "kind": place.kind,
            "digests": digests(spikes),
            **activity(program, spikes),
        }
        del spikes
        connection.send(found)
        while (seconds := connection.recv()) is not None:
            runs, start = 0, time.perf_counter()
            while not runs or time.perf_counter() - start < seconds:
                session.simulate(stimulus)
                runs += 1
            connection.send((time.perf_counter() - start) / runs)
        connection.send(peak_mib())


def activity(program: Program, spikes: Mapping[str, BoolArray]) -> dict[str, float]:
    """Spikes a neuron and step, synaptic operations a step and sample."""
    rates = {name: s.mean(axis=(0, 1)) for name, s in spikes.items()}
    return {
        "activity": float(sum(r.sum() for r in rates.values()) / program.neurons),
        "synaptic_operations": float(
            sum(rates[c.source] @ c.fan_out for c in program.connections)
        ),
    }


def digests(spikes: Mapping[str, BoolArray]) -> list[str]:
    """A hash of each sample's spikes."""
    found = []
    for sample in range(len(next(iter(spikes.values())))):
        total = hashlib.sha256()
        for name in sorted(spikes):
            total.update(np.packbits(spikes[name][sample] != 0).tobytes())
        found.append(total.hexdigest())
    return found


def peak_mib() -> float:
    """Peak resident memory of this process, and what its descendants hold now.

    Not ru_maxrss, which begins with that of the process that started this one.
    """
    own = _kib(Path("/proc/self/status"), "VmHWM")
    others = sum(_kib(Path(f"/proc/{p}/smaps_rollup"), "Pss") for p in descendants())
    return (own + others) / 1024


def descendants() -> list[int]:
    """Processes that this one started, and those that they started."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        parents[int(status.parent.name)] = int(fields[1])
    found = [os.getpid()]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found[1:]


def _kib(file: Path, field: str) -> int:
    try:
        lines = file.read_text().splitlines()
    except OSError:  # the process has ended
        return 0
    return next(int(x.split()[1]) for x in lines if x.startswith(f"{field}:"))


def table(results: Iterable[Result]) -> list[dict[str, Any]]:
    """For JSON."""
    return [asdict(result) for result in results]
