"""Workers: samples shared out among processes, each with a session of its own.

A sample's spikes depend on nothing but the sample, and what is counted of them are
whole numbers, added up in the samples' order: the same bits, whoever ran them.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TYPE_CHECKING

from ..toolchain.errors import TargetUnavailable
from ..toolchain.graph.interpret import Sliced
from ..toolchain.graph.nodes import Array
from ..toolchain.program.program import Program
from ..toolchain.program.recording import Recording

if TYPE_CHECKING:
    from .contract import Session

AHEAD = 2  # portions a worker that wait for it, or to be taken
_session: Session | None = None  # of this process


def shared(
    session: Session, samples: Sliced, steps: int, size: int, workers: int
) -> Iterator[Recording]:
    """Recordings of portions in order, tallied.

    Args:
        session: of the target and Program that run.
        samples: (samples, …); a portion of them is read when it is sent.
        steps: per sample.
        size: samples of a portion.
        workers: processes, 2 or more.

    Raises:
        TargetUnavailable: the target is a board, of which there is one, or a worker
            died.
        SnnDeployError: as the session's own run.
    """
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
    from .contract import find_target

    _session = find_target(target).load(program)


def _run(samples: Array, steps: int, first: int) -> Recording:
    """In a worker: a portion."""
    assert _session is not None
    return _session.run(samples, steps, record="tally", first=first)
