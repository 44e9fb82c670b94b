"""Mending: which change of a build takes away what is wrong with it. Each is tried."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .calibration.findings.evidence import Evidence
from .calibration.findings.finding import Finding, worthless
from .calibration.findings.findings import find
from .calibration.report.report import Score
from .pipeline.compilation import DEFAULT_STEPS, Compilation, Pass, Settings, compiled
from .targets.contract import find_target
from .tasks.contract import Examples
from .tasks.task import Task
from .toolchain.errors import SnnDeployError
from .toolchain.graph.graph import Graph
from .toolchain.graph.interpret import evaluate
from .toolchain.graph.nodes import Array, FloatArray
from .toolchain.passes.latency import arrivals
from .toolchain.program.program import Program

TIMES = (2, 4, 8, LONGEST := 16)  # as many steps, which are tried
TRIED = 32  # samples on which changes are tried, of large networks fewer
OPTIONS: Mapping[str, tuple[Any, str]] = {  # setting → its default, in words
    "calibrate": ("fast", "--calibrate fast"),
    "weight_bits": (8, "--weight-bits 8"),
    "tau_syn": (None, "leave out --tau-syn"),
    "max_rate": (None, "leave out --max-rate"),
    "min_potential": (None, "leave out --min-potential"),
}
ENOUGH = 3  # changes that are tried for what is no error
INTEGER = "integer SNN"


@dataclass(frozen=True, eq=False, kw_only=True)
class Exam:
    """Samples on which changes are tried.

    Attributes:
        examples: with their answers, where there are labels.
        still: as a network of rates takes them.
        scores: of answers, network in words → (samples, …); its own first.
        trivial: name of the trivial answer in these; None without labels.
        network: the float network; None where it is nothing to be held to.
    """

    examples: Examples
    still: FloatArray
    scores: Callable[[Mapping[str, Array]], tuple[Score, ...]]
    trivial: str | None
    network: Graph | None

    def judged(self, program: Program) -> tuple[tuple[Finding, ...], Score | None]:
        """What is wrong with a Program on these samples, and its score."""
        with find_target("reference").load(program) as session:
            recording = session.run(self.examples.x, record="counts")
        answers = {INTEGER: recording.output}
        if self.network is not None:
            answers["float ANN"] = evaluate(self.network, self.still)
        wanted = answers.get("float ANN")
        evidence = Evidence.of(program, recording, self.still, wanted)
        scores = self.scores(answers)
        found = find(evidence, scores, INTEGER, self.trivial)
        return found, scores[0] if scores and scores[0].name == INTEGER else None


def exam_of(
    task: Task, count: int, network: Graph | None, before: tuple[Score, ...]
) -> Exam:
    """So many training samples of a task.

    Args:
        task: data and question.
        count: how many.
        network: the float network; None: it is nothing to be held to.
        before: scores of what it was made of.
    """
    examples = task.training(count)
    return Exam(
        examples=examples,
        still=task.question.still(examples.x),
        scores=lambda answers: task.scores(examples, answers) + before,
        trivial=task.trivial,
        network=network,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class Change:
    """Another build of the same network.

    Attributes:
        words: how the user says it.
        start: with a Graph, and the settings as changed.
        passes: that make the Program.
    """

    words: str
    start: Compilation
    passes: tuple[Pass, ...]

    def program(self) -> Program:
        """What it makes.

        Raises:
            SnnDeployError: it cannot be built so.
        """
        program = compiled(self.start, self.passes).program
        assert program is not None
        return program


def changes(start: Compilation, passes: tuple[Pass, ...]) -> Iterator[Change]:
    """What may be changed about a build, the least first.

    First what the user chose, each by itself and all at once, then more steps.

    Args:
        start: of the build, with the steps that it had.
        passes: of the build.
    """
    now = replace(start.settings, auto_steps=False)
    if now.calibrate == "thorough":
        now = replace(now, calibrate="fast")
    now = replace(now, steps=now.steps or DEFAULT_STEPS)
    few = replace(start, samples=start.samples[:TRIED])

    def to(words: str, settings: Settings) -> Change:
        return Change(words=words, start=replace(few, settings=settings), passes=passes)

    free: dict[str, Any] = {}
    if not start.scales:
        for name, (default, words) in OPTIONS.items():
            if getattr(now, name) != default:
                free[name] = default
                yield to(words, replace(now, **{name: default}))
    freed = replace(now, **free)
    all_words = ", ".join(OPTIONS[name][1] for name in free)
    if len(free) > 1:
        yield to(all_words, freed)
    if now.encoder == "events":  # of which there are as many steps as there are
        return
    assert now.steps is not None
    for times in TIMES:
        steps = now.steps * times
        yield to(f"--steps {steps}", replace(now, steps=steps))
        if free:
            words = f"--steps {steps}, {all_words}"
            yield to(words, replace(freed, steps=steps))


@dataclass(frozen=True, eq=False)
class _Tried:
    """What became of a change."""

    change: Change
    findings: tuple[Finding, ...]
    score: Score | None

    @property
    def well(self) -> bool:
        """Whether the answers are as the float network's, about."""
        return not any(
            each.severity == "error" or each.id == "unlike-float"
            for each in self.findings
        )

    def mends(self, finding: Finding) -> bool:
        """Whether the finding is gone; an error only where the answers are right."""
        left = {(each.id, each.layer) for each in self.findings}
        gone = (finding.id, finding.layer) not in left
        return gone and (finding.severity != "error" or self.well)


def mended(
    findings: tuple[Finding, ...],
    program: Program,
    ways: Iterable[Change],
    exam: Exam,
) -> tuple[Finding, ...]:
    """The findings, each with the first change that takes it away.

    Args:
        findings: on a Program.
        program: that one.
        ways: to change it.
        exam: what is asked of each.
    """
    known: list[_Tried] = []
    for way in ways:
        try:
            seen, score = exam.judged(way.program())
        except SnnDeployError:
            continue
        known.append(_Tried(way, seen, score))
        open_ones = [
            f for f in findings if not any(t.well and t.mends(f) for t in known)
        ]
        if not worthless(open_ones) and (not open_ones or len(known) >= ENOUGH):
            break
    latest = max(arrivals(program).values(), default=0)
    reached = f"the last population is reached after {latest} of {program.timing.steps}"
    return tuple(
        _fixed(finding, known, len(exam.still), f"{reached} steps, and ")
        for finding in findings
    )


def _fixed(
    finding: Finding, known: Sequence[_Tried], count: int, reached: str
) -> Finding:
    helping = [each for each in known if each.mends(finding)]
    one = next((each for each in helping if each.well), helping[0] if helping else None)
    on = f"{count} training samples"
    if one is None:
        words = "; ".join(each.change.words for each in known) or "nothing can be"
        last = "; fine-tune it (snn-deploy finetune)"
        return replace(
            finding,
            fix=f"none of what was tried on {on} mends it ({words})"
            + (last if finding.severity == "error" else ""),
        )
    score = f", {one.score.metric} {one.score.value:.3f}" if one.score else ""
    found = replace(finding, fix=f"{one.change.words} mends it{score} on {on}")
    if finding.id != "unlike-float" or "--steps" not in one.change.words:
        return found
    return replace(found, id="too-few-steps", message=reached + finding.message)
