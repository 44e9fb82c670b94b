"""Sweep: many builds of one network, each judged, and those that no other beats."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from . import __version__
from .calibration.energy.profile import load_profile
from .calibration.energy.terms import energy_proxy
from .calibration.report.report import write_files
from .calibration.statistics import layer_statistics, total_statistics
from .deploy import passes_for
from .mending import INTEGER
from .pipeline.compilation import compiled
from .starting import Asked, read_asked, start_of
from .sweeps import workers as staff
from .sweeps.front import front
from .sweeps.journal import opened
from .sweeps.page import page
from .sweeps.point import Figures, Outcome, Point
from .sweeps.reading import one_line
from .sweeps.search import Listed, Search
from .sweeps.space import DEFAULT, Range, Space
from .sweeps.study import Study
from .sweeps.table import Result
from .targets.contract import find_target
from .tasks.agreement import CORRELATION, agreement, float_name
from .tasks.contract import Examples
from .tasks.reading import check_reading
from .tasks.task import Task
from .toolchain.errors import DataError, SnnDeployError
from .toolchain.graph.graph import Graph
from .toolchain.graph.interpret import evaluate
from .toolchain.passes.place.place import place
from .toolchain.program.program import Program
from .toolchain.program.recording import Recording

TARGET = "reference"  # where a sweep names none
CHIP = "loihi-emulator"  # whose cores are counted
PAGE = "sweep.html"
READ_BY = {"model", "data", "encoder", "output", "rewrite"}
"""Options that decide whether model and data can be read."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What a worker hands back: figures, or what went wrong."""

    figures: Figures | None
    error: str
    seconds: float


def sweep(
    space: Space,
    asked_of: Callable[[Mapping[str, str]], Asked],
    folder: Path,
    *,
    workers: int | None,
    scheduler: str | None = None,
    heard: Callable[[Outcome | None, int], None] = lambda outcome, finished: None,
) -> Result:
    """Try the points of a space that are not finished, and find the front of all.

    Args:
        space: what to try.
        asked_of: a point's options → the build.
        folder: of the sweep, where every finished point is kept and the page written.
        workers: processes of this machine; None: one for each CPU.
        scheduler: address of a Dask cluster that is used in their place.
        heard: told of every point that is finished, and how many are; first of none.

    Raises:
        SnnDeployError: something of the above is not in order; what is finished is
            kept.
    """
    if not READ_BY & set(space.varied):
        _demand_sound(asked_of({"target": TARGET, **space.options({})}))
    noted = {"version": __version__, "models": _models(space), **space.noted()}
    with opened(folder, noted) as journal:
        finished = journal.finished()
        search = _search(space, finished)
        heard(None, len(finished))
        if len(finished) < space.count:
            with staff.opened(workers, scheduler) as team:
                for outcome in _outcomes(space, asked_of, search, team):
                    journal.keep(outcome)
                    search.tell(outcome)
                    finished[outcome.number] = outcome
                    heard(outcome, len(finished))
        outcomes = tuple(finished[number] for number in sorted(finished))
        result = Result(
            space=space, outcomes=outcomes, front=front(outcomes, space.objectives)
        )
        write_files({folder / PAGE: page(result, f"Sweep in {folder.name}")})
    return result


def _search(space: Space, finished: Mapping[int, Outcome]) -> Search:
    bayes = space.search == "bayes"
    return Study(space, finished) if bayes else Listed(space, finished)


def _models(space: Space) -> dict[str, str]:
    """Path of each model → digest of what it holds."""
    named = space.varied.get("model", (space.fixed.get("model", DEFAULT),))
    assert not isinstance(named, Range)
    paths = [Path(str(name)) for name in named if name != DEFAULT]
    return {str(path): _digest(path) for path in paths if path.exists()}


def _digest(path: Path) -> str:
    """Of a file, or of all files in a folder."""
    files = sorted(f for f in path.rglob("*") if f.is_file()) or [path]
    parts = (blake2b(file.read_bytes()).digest() for file in files)
    return blake2b(b"".join(parts), digest_size=8).hexdigest()


def _demand_sound(asked: Asked) -> None:
    """Raise SnnDeployError where no point could be built, or would answer anything."""
    find_target(asked.target)
    profile = load_profile(asked.device)
    if profile.synaptic_operation is None:
        raise DataError(
            f"Device profile {profile.name!r}: a sweep compares energies, and there is "
            f"none ({profile.why('synaptic_operation')}); name another with --device"
        )
    source, task, settings = read_asked(asked)
    if not source.scales:
        check_reading(task, source.graph, settings.presentation)


def _outcomes(
    space: Space,
    asked_of: Callable[[Mapping[str, str]], Asked],
    search: Search,
    team: staff.Workers,
) -> Iterator[Outcome]:
    """What becomes of the points, as they end."""
    judged = (space.samples, "cores" in space.objectives, __version__)
    left = True
    while True:
        while left and team.free:
            point = search.ask()
            left = point is not None
            if point is not None:
                team.submit(point, tried, asked_of(point.options), *judged)
        if not team.busy:
            return
        point, result = team.wait()
        yield _outcome(point, result)


def _outcome(point: Point, result: Tried | Exception) -> Outcome:
    """What became of a point.

    Raises:
        DataError: no point can be tried on that worker.
    """
    if isinstance(result, Tried):
        return Outcome.of(point, result.figures, result.error, result.seconds)
    if staff.died(result):
        words = "each worker that built it died; it may take too much memory"
        return Outcome.of(point, None, words, 0.0)
    raise DataError(
        f"Dask: no point can be tried there ({one_line(result)}); look whether "
        f"scheduler and workers run, with this snn-deploy {__version__}"
    )


def tried(asked: Asked, samples: int, with_cores: bool, version: str) -> Tried:
    """Build a point and judge it, on a worker; nothing that a build raises stops it.

    Args:
        asked: the build; its files are where they are for who asks.
        samples: to judge it on, at most; none of the test part.
        with_cores: whether to count them.
        version: of who asks.

    Raises:
        DataError: this is another version.
    """
    if version != __version__:
        raise DataError(f"it has snn-deploy {__version__}")
    start, figures, error = time.perf_counter(), None, ""
    try:
        figures = judged(asked, samples, with_cores)
    except SnnDeployError as found:
        error = one_line(found)
    except Exception as found:  # whatever it is, the other points are tried
        error = f"{type(found).__name__}: {one_line(found)}"
    seconds = time.perf_counter() - start
    return Tried(figures=figures, error=error, seconds=seconds)


def judged(asked: Asked, samples: int, with_cores: bool) -> Figures:
    """A build's figures on samples that are held out from the test.

    Raises:
        SnnDeployError: it cannot be built or run, or its score is no number.
    """
    source, task, settings = read_asked(asked)
    profile, target = load_profile(asked.device), find_target(asked.target)
    start = start_of(source, task, settings)
    program = compiled(start, passes_for(source.scales)).program
    assert program is not None
    examples, part = task.choosing(samples)
    with target.load(program) as session:
        recording = session.run(examples.x, record="counts")
    metric, better, score, trivial = _scores(task, examples, source.graph, recording)
    if not math.isfinite(score):
        raise DataError(f"{metric} of its answers is {score}; its points are of no use")
    total = total_statistics(program, recording)
    chip = energy_proxy(layer_statistics(program, recording), profile).total.total
    return Figures(
        metric=metric,
        better=better,
        score=score,
        spikes=total.spikes,
        synaptic_operations=total.synaptic_operations,
        energy=None if chip is None else chip.value,
        latency=recording.dt * recording.steps,
        cores=_cores(program) if with_cores else None,
        trivial=trivial,
        samples=len(examples),
        part=part,
    )


def _scores(
    task: Task, examples: Examples, graph: Graph, recording: Recording
) -> tuple[str, int, float, float | None]:
    """Name of the score, 1 where more of it is better and −1 otherwise, and it; last
    the best constant answer's.

    Without labels it is how well the answers agree with the float network's: in the
    class, where they are probabilities, else in all outputs.
    """
    output = recording.output
    if task.kind is None or examples.y is None:
        taken = task.question.taken(graph, examples.x)
        floats = evaluate(graph, taken, recording.steps)
        found = agreement({INTEGER: output, float_name(graph): floats})
        known = {each.metric: each for each in found}
        picked = found[0] if task.question.probability else known[CORRELATION.name]
        return picked.metric, 1, picked.value, None
    metric, constant = task.kind.metrics(task.question, task.data)[0], task.constant
    assert constant is not None
    answers = np.broadcast_to(constant.answer, (len(output), *constant.answer.shape))
    score, trivial = (metric.of(each, examples.y) for each in (output, answers))
    return metric.name, metric.better, score, trivial


def _cores(program: Program) -> int:
    """Of Loihi 1."""
    limits = find_target(CHIP).limits
    assert limits.core is not None and limits.cores is not None
    return len(place(program, limits.core, limits.cores, limits.chips).cores)
