"""Workers: many samples, portion by portion, by one process or by several.

A sample's spikes depend on nothing but the sample, and what is counted of them are
whole numbers, added up in the samples' order: the same bits, whoever ran them. No more
than a portion of spikes is held at a time, and of all samples nothing but their answers
and how many spikes each took.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from ..toolchain.errors import TargetUnavailable
from ..toolchain.graph.interpret import Sliced
from ..toolchain.graph.nodes import Array
from ..toolchain.program.program import Program
from ..toolchain.program.recording import Recording, join
from .contract import Session, find_target

PORTION_BYTES = 64 << 20  # of spikes that a worker holds; less fits its caches better
PORTION = 256  # samples of a portion at most
AHEAD = 2  # portions a worker that wait for it, or to be taken
_session: Session | None = None  # of this process


def run_all(
    session: Session,
    samples: Sliced,
    steps: int | None = None,
    *,
    workers: int = 1,
    tell: Callable[[int], None] = lambda done: None,
) -> Recording:
    """Run any number of samples → their Recording, with tallies alone.

    Args:
        session: of the target and Program that run.
        samples: (samples, …); a portion of them is read when it is needed.
        steps: per sample; the Program's where None.
        workers: processes that run them; 1: this one.
        tell: told how many samples are done.

    Raises:
        TargetUnavailable: workers are asked of a board, or one died.
        SnnDeployError: as ``Session.run``.
    """
    program = session.program
    steps = program.timing.steps if steps is None else steps
    spikes = max(steps, 1) * sum(p.size for p in program.members)
    size = min(max(1, PORTION_BYTES // spikes), PORTION)
    if workers > 1 and len(samples) > size:
        parts = _shared(session, samples, steps, size, workers)
    else:
        parts = _alone(session, samples, steps, size)

    def told() -> Iterator[Recording]:
        done = 0
        for part in parts:
            done += part.samples
            tell(done)
            yield part

    return join(told())


def _alone(
    session: Session, samples: Sliced, steps: int, size: int
) -> Iterator[Recording]:
    for start in range(0, max(len(samples), 1), size):
        part = samples[start : start + size]
        yield session.run(part, steps, record="tally", first=start)


def _shared(
    session: Session, samples: Sliced, steps: int, size: int, workers: int
) -> Iterator[Recording]:
    """In order; a few portions more than there are workers are read ahead."""
    target = session.target
    if target.kind == "hardware":
        raise TargetUnavailable(
            f"Target {target.name!r}: a board serves one process; leave out --workers"
        )
    cores = max(1, (os.cpu_count() or 1) // workers)
    pool = ProcessPoolExecutor(
        workers,
        mp_context=get_context("spawn"),
        initializer=_open,
        initargs=(target.name, session.program, cores),
    )
    sent: deque[Future[Recording]] = deque()
    try:
        for start in range(0, len(samples), size):
            part = samples[start : start + size]
            sent.append(pool.submit(_run, part, steps, start))
            if len(sent) >= AHEAD * workers:
                yield sent.popleft().result()
        while sent:
            yield sent.popleft().result()
    except BrokenProcessPool as error:
        raise TargetUnavailable(
            f"Target {target.name!r}: one of {workers} workers died, most often of too "
            "little memory; take fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _open(target: str, program: Program, threads: int) -> None:
    """In a worker: its session."""
    global _session
    os.environ["OMP_NUM_THREADS"] = str(threads)  # which the reference heeds
    _session = find_target(target).load(program)


def _run(samples: Array, steps: int, first: int) -> Recording:
    """In a worker: a portion."""
    assert _session is not None
    return _session.run(samples, steps, record="tally", first=first)
