"""The whole line, and the file to read first: a trained network becomes a report.

model file → Graph → fold → equalize → legalize → calibrate → quantize → Program
Program → simulate → readout → Program  (CONVERTED)
Program → target → Recording → Report
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from .calibration.energy.profile import load_profile
from .calibration.findings.evidence import Evidence
from .calibration.findings.findings import find
from .calibration.operations import with_macs
from .calibration.opinion.opinion import demand_opinion
from .calibration.overflow import Overflow
from .calibration.report.measure import Shown, measure
from .calibration.report.picture import Answers, drawn
from .calibration.report.report import Report, StepTime
from .folders import write_into
from .mending import EXAMINED, exam_of, mended
from .model_files import Model, read_model
from .models.data.formats.formats import AS_NAMED
from .models.data.formats.reading import Reading
from .pipeline.changes import OPTIONS, changes, doubled
from .pipeline.compilation import (
    Compilation,
    Pass,
    Settings,
    compiled,
    find_pass,
)
from .progress import Progress
from .showing import (
    figured,
    guilt_where_cheap,
    made_by,
    read_off,
    report_files,
    with_program,
)
from .starting import fitting, read, start_of
from .targets.contract import Target, find_target
from .targets.workers import run_all
from .tasks.agreement import float_name
from .tasks.reading import check_reading
from .tasks.task import Task
from .toolchain.bundle.bundle import Bundle, packed
from .toolchain.graph.graph import Graph
from .toolchain.graph.interpret import evaluate
from .toolchain.graph.nodes import Array
from .toolchain.passes.latency import depth_notes
from .toolchain.passes.preprocess import NONE, Preprocessing, preprocessing_of
from .toolchain.passes.quantize.rounding import Scales
from .toolchain.program.program import Program
from .toolchain.program.recording import Recording

CONVERTED = (
    *("fold", "equalize", "legalize", "calibrate"),
    *("quantize", "simulate", "readout"),
)
TUNED = ("fold", "legalize", "quantize", "simulate")
"""Passes, files in pipeline/, in order; a fine-tuned network keeps its rates, which it
learnt, and its read-out."""

FEW = 8  # test samples on a target that is slow
SHOWN = 16  # test samples whose spikes are kept, for the picture
STORED_SAMPLES = 32  # test samples that travel in the bundle, for `run` and `compare`


@dataclass(frozen=True)
class Steps:
    """Times the steps of a build; ``announce`` is told each one's name and its s,
    ``progress`` how a long one stands."""

    announce: Callable[[str, float], None] = lambda name, seconds: None
    progress: Callable[[str], None] = lambda words: None
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start
        self.announce(name, self.seconds[name])


@dataclass(frozen=True, eq=False)
class Build:
    """What a build made."""

    bundle: Bundle
    recording: Recording
    report: Report
    picture: Answers | None
    shown: Recording  # of a few samples, with their spikes


def build(
    target: str,
    model: Path | None,
    data: Path | None,
    *,
    reading: Reading = AS_NAMED,
    preprocessing: Preprocessing = NONE,
    samples: int | None = None,
    device: str = "loihi1_davies2018",
    settings: Settings = Settings(),  # noqa: B008  frozen
    steps: Steps | None = None,
    force: bool = False,
    output: str | None = None,
    rewrites: Mapping[str, str] | None = None,
    command: str = "",
    second_opinion: bool = False,
    workers: int = 1,
) -> Build:
    """A trained network → a Program that has run on a target, and its Report.

    Args:
        target: name of a target.
        model: Keras file, SavedModel or .snn; the LocNet that ships where None.
        data: samples of the network's kind, as ``tasks.task.read_task`` takes them.
        reading: how the data are read, and which kind of task they are.
        preprocessing: how samples were prepared for training.
        samples: how many test samples run on the target; None: all of them where it
            is fast, else ``FEW``.
        device: profile of the energy proxy, a name or a file.
        settings: how to compile.
        steps: times the steps; None: nobody is told.
        force: go on where the float network is no better than a constant answer.
        output: which of several outputs of the network to read.
        rewrites: what of it to rewrite as what, ``toolchain.passes.rewrite``.
        command: that the user typed, for the report.
        second_opinion: whether SANA-FE is asked what it takes, too.
        workers: processes that share the test samples.

    Raises:
        SnnDeployError: something of the above is not in order; nothing was written.
    """
    steps = steps or Steps()
    profile, place = load_profile(device), find_target(target)
    if second_opinion:
        demand_opinion(place.name, place.limits)
    with steps("read model and data"):
        source = read_model(model, output, rewrites)
        source, task, settings = read(source, data, reading, preprocessing, settings)
        if samples is None and not place.fast:
            samples = FEW
        test = task.test(samples)
    prepared = f"preprocessing: {preprocessing_of(source.graph) or 'none'}"
    notes = (*task.notes, *source.notes, prepared)
    meant = float_name(source.graph)
    if not source.scales:
        with steps(f"run the {meant} on training samples"):
            notes += check_reading(
                task, source.graph, settings.presentation, force=force
            )
    start = start_of(source, task, settings, steps.progress)
    passes = passes_for(source.scales)
    done = compiled(start, passes, steps)
    assert done.program is not None
    program = with_macs(done.program, source.macs(input_spikes=settings.input_spikes))
    notes += depth_notes(program)
    with steps(f"load on {target}"):
        session = place.load(program)
    with session, steps(f"run {len(test)} samples"):
        few = fitting(SHOWN, source.graph, settings)
        shown = session.run(test.x[:few])
        recording = shown
        if len(test) > few:
            tell = Progress(len(test), steps.progress)
            recording = run_all(session, test.x, workers=workers, tell=tell)
    answers = {network_on(place): recording.output}
    taken = task.question.taken(source.graph, test.x)
    if not source.scales:  # a fine-tuned network's rates are no answer of their own
        with steps(f"run the {meant}"):
            count = program.timing.steps
            answers[meant] = evaluate(source.graph, taken, count)
            if source.original is not None:
                before = evaluate(source.original, taken, count)
                answers[f"{meant} before --rewrite"] = before
    scores = task.scores(test, answers) + source.before
    evidence = Evidence.of(program, recording, taken, answers.get(meant))
    findings = find(evidence, scores, network_on(place), task.trivial)
    if findings:
        with steps("look for what mends it"):
            longest = replace(settings, steps=max(doubled(program.timing.steps)))
            count = fitting(EXAMINED, source.graph, longest)
            ann = None if source.scales else source.graph
            exam = exam_of(task, count, len(start.samples), ann, source.before)
            ways = changes(replace(start, settings=done.settings), passes)
            findings = mended(findings, program, ways, exam)
    guilt, judge = None, task.judged(test.first(few))
    if not source.scales:
        with steps("look for guilty layers"):
            guilt = guilt_where_cheap(program, test.x[:few], shown, judge)
    report = measure(
        program,
        recording,
        profile,
        source=task.source,
        scores=scores,
        utilization=session.utilization,
        overflows=done.overflows,
        timings=tuple(StepTime(name=n, seconds=s) for n, s in steps.seconds.items()),
        confusion=task.confusion(test, recording.output),
        notes=notes,
        findings=findings,
        calibration=done.choices,
        provenance=made_by(
            place,
            program,
            model=source.name,
            sha256=source.sha256,
            data=task.source,
            command=command,
            settings={**asdict(settings), "steps": program.timing.steps},
        ),
        figures=figured(
            session,
            recording,
            shown,
            judge=judge,
            predictions=task.predictions(test.first(few), shown.output),
            guilt=guilt,
        ),
        placement=session.placement,
        shown=Shown.of(test.x[:few], shown),
        opinion=second_opinion,
    )
    return Build(
        bundle=_bundle(program, source, task, settings),
        recording=recording,
        report=read_off(report, session.reading, session.compiled, shown.samples),
        picture=task.picture(test.first(few), shown.output),
        shown=shown,
    )


def network_on(place: Target) -> str:
    """What the network is on this target, in words."""
    return "float SNN" if place.kind == "float simulation" else "integer SNN"


def network_after(
    last: str,
    model: Path | None,
    data: Path | None,
    *,
    reading: Reading = AS_NAMED,
    preprocessing: Preprocessing = NONE,
    settings: Settings,
    steps: Steps,
    output: str | None = None,
    rewrites: Mapping[str, str] | None = None,
) -> str:
    """The network as text, as it is after the pass called ``last``.

    The others are as ``build``'s, and so is what is raised; DataError where the
    network's passes have no such name.
    """
    with steps("read model and data"):
        source = read_model(model, output, rewrites)
        source, task, settings = read(source, data, reading, preprocessing, settings)
    start = start_of(source, task, settings, steps.progress)
    return str(compiled(start, passes_for(source.scales), steps, last=last))


def _bundle(program: Program, source: Model, task: Task, settings: Settings) -> Bundle:
    """The Program with test samples, and their labels, to run again."""
    stored = task.test(STORED_SAMPLES)
    labels = None if stored.y is None else stored.y.tolist()
    metadata = {
        "model": dict(source.metadata),
        "data": task.source,
        "task": None if task.kind is None else task.kind.name,
        "reading": task.reading.noted(),
        "settings": {name: getattr(settings, name) for name in OPTIONS},
        "labels": labels,
        "classes": list(stored.classes),
    }
    return Bundle(program=program, metadata=metadata, samples=stored.held)


def passes_for(scales: Mapping[str, Scales] | None) -> tuple[Pass, ...]:
    """The passes of a network with these scales; with none, it is not fine-tuned."""
    return tuple(map(find_pass, TUNED if scales else CONVERTED))


def compile_program(
    graph: Graph,
    samples: Array,
    settings: Settings,
    steps: Steps,
    scales: Mapping[str, Scales] | None = None,
) -> tuple[Program, tuple[Overflow, ...]]:
    """A trained Graph → the integer Program, and how near it comes to overflowing.

    Args:
        graph: as a frontend reads it.
        samples: calibration samples, (samples, *input shape), of events (samples,
            steps, *input shape); never test data.
        settings: how to compile.
        steps: times the passes.
        scales: of a fine-tuned Graph, whose passes are others.

    Raises:
        ModelError, UnsupportedLayer, DoesNotFit: a pass failed; it says what and why.
    """
    start = Compilation(graph=graph, samples=samples, settings=settings, scales=scales)
    done = compiled(start, passes_for(scales), steps)
    assert done.program is not None
    return done.program, done.overflows


def write(made: Build, folder: Path) -> None:
    """Write program.snn, report.json, report.html and report.png, all or none.

    Raises:
        DataError, BundleError: the folder cannot be written.
    """
    program = packed(folder / "program.snn", made.bundle)
    files = {
        "program.snn": program,
        "report.png": drawn(made.shown, answers=made.picture, of=made.report),
        **report_files(with_program(made.report, program)),
    }
    write_into(folder, files)
