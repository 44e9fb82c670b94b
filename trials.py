"""A built Program run again: on its own samples or new ones, on one target or more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .calibration.energy.profile import load_profile
from .calibration.opinion.opinion import demand_opinion
from .calibration.report.measure import Shown, measure
from .calibration.report.report import Report, Score
from .deploy import SHOWN, network_on
from .mending import EXAMINED, apart, exam_of_built, mended, scales_of
from .pipeline.changes import Change, longer, rebuilt
from .progress import Progress
from .showing import figured, guilt_where_cheap, made_by, read_off
from .targets.contract import Target, find_target
from .targets.workers import run_all
from .tasks.built import Built, read_built
from .tasks.predictions import check_predictions, save_predictions
from .toolchain.files import sha256_of
from .toolchain.graph.nodes import Array
from .toolchain.program.recording import Recording
from .toolchain.verdict.compare import FLOAT, Tolerances, Verdict
from .toolchain.verdict.compare import compare as compare_recordings
from .toolchain.verdict.expected import expected_counts
from .toolchain.verdict.history import History, histories


def run(
    bundle: Path,
    target: str | Target,
    *,
    samples: int | None,
    steps: int | None,
    device: str,
    data: Path | None = None,
    predictions: Path | None = None,
    command: str = "",
    second_opinion: bool = False,
    workers: int = 1,
    announce: Callable[[str], None] = lambda words: None,
) -> Report:
    """Run samples through a built Program on a target → its Report.

    Args:
        bundle: of a build.
        target: its name, or itself.
        samples: how many; None: all of ``data``, else ``SHOWN`` of the bundle's.
        steps: per sample; the Program's where None.
        device: profile of the energy proxy, a name or a file.
        data: new samples, with or without labels; those in the bundle where None.
        predictions: file for the answers, .csv or .npz.
        command: that the user typed, for the report.
        second_opinion: whether SANA-FE is asked what it takes, too.
        workers: processes that share the samples.
        announce: told how a long run stands.

    Raises:
        SnnDeployError: something of the above is not in order; nothing was written.
    """
    profile, place = load_profile(device), _place(target)
    if second_opinion:
        demand_opinion(place.name, place.limits)
    if predictions is not None:
        check_predictions(predictions)
    built = read_built(bundle)
    asked = built.read(data) if data else built.stored
    if samples is None and data is None:
        samples = min(SHOWN, len(asked))
    examples = built.examples(asked, samples)
    few = examples.first(SHOWN)
    with place.load(built.program) as session:
        shown = session.run(few.x, steps)
        recording = shown
        if len(examples) > len(few):
            tell = Progress(len(examples), announce)
            recording = run_all(session, examples.x, steps, workers=workers, tell=tell)
        utilization = session.utilization
    if predictions is not None:
        save_predictions(
            predictions,
            examples.unit,
            recording.output,
            built.question,
            built.classes,
        )
    exam = exam_of_built(built, asked, examples)
    scores, findings = exam.judged(built.program, recording, network_on(place))
    if findings:
        pool = built.examples(asked, min(2 * EXAMINED, len(asked)))
        some, others = apart(pool, EXAMINED)
        ways = _ways(built, others, recording)
        tried = exam_of_built(built, asked, some)
        findings = mended(findings, built.program, ways, tried)
    source, judge = f"samples in {data or bundle}", built.judged(asked, few)
    guilt = None
    if not scales_of(built):
        guilt = guilt_where_cheap(built.program, few.held, shown, judge)
    report = measure(
        built.program,
        recording,
        profile,
        source=source,
        scores=scores,
        utilization=utilization,
        findings=findings,
        placement=session.placement,
        shown=Shown.of(few.held, shown),
        opinion=second_opinion,
        confusion=built.confusion(examples, recording.output),
        provenance=made_by(
            place,
            built.program,
            model=bundle.absolute().name,
            sha256=sha256_of(bundle),
            data=source,
            command=command,
            settings={**built.settings, "steps": shown.steps},
        ),
        figures=figured(
            session,
            recording,
            shown,
            judge=judge,
            predictions=built.predictions(asked, few, shown.output),
            guilt=guilt,
        ),
    )
    return read_off(report, session.reading, session.compiled, shown.samples)


def _place(target: str | Target) -> Target:
    return find_target(target) if isinstance(target, str) else target


def _ways(built: Built, samples: Array, recording: Recording) -> Iterator[Change]:
    """To run or build a Program otherwise; a longer run is the least of them."""
    program, scales = built.program, scales_of(built)
    yield from longer(program, recording.steps)
    yield from rebuilt(program, samples, scales, built.settings)


@dataclass(frozen=True, eq=False)
class Comparison:
    """A Verdict, and what led to its first difference."""

    verdict: Verdict
    histories: Mapping[str, History]  # target → the neuron around that step
    scores: tuple[Score, ...]  # of every target's answers, where labels are known


def compare(
    bundle: Path,
    targets: Sequence[str | Target],
    *,
    samples: int | None,
    steps: int | None,
    tolerances: Tolerances,
) -> Comparison:
    """Run the samples in a bundle on several targets; the others are held to the first.

    Raises:
        SnnDeployError: something of the above is not in order.
    """
    places = [_place(target) for target in targets]
    built = read_built(bundle)
    exam = built.examples(built.stored, samples)
    program, given = built.program, exam.held
    recordings = []
    for place in places:
        with place.load(program) as session:
            recordings.append(session.run(given, steps))
    answers = {recording.target: recording.output for recording in recordings}
    scores = built.scores(built.stored, exam, answers)
    names = [p.name for p in program.members]
    expected = {}
    if tolerances.rate is None and len(places) > 1:
        floats = (r for r in recordings if r.kind == FLOAT)
        expected = {r.target: expected_counts(program, given, r) for r in floats}
    classes = built.classes is not None
    verdict = compare_recordings(
        recordings, names, tolerances, expected, classes=classes
    )
    found = histories(program, given, recordings, verdict.first)
    return Comparison(verdict, found, scores)
