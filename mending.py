"""Mending: which change of a build takes away what is wrong with it. Each is tried."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .calibration.findings.evidence import Evidence
from .calibration.findings.finding import Finding, worthless
from .calibration.findings.findings import find
from .calibration.report.report import Score
from .model_files import Model, checked
from .models.data.dataset import Dataset
from .models.data.samples import Samples
from .pipeline.changes import Change
from .targets.contract import find_target
from .tasks.agreement import float_name
from .tasks.built import Built
from .tasks.contract import Examples, Question
from .tasks.task import Task
from .toolchain.errors import SnnDeployError
from .toolchain.graph.graph import Graph
from .toolchain.graph.interpret import evaluate
from .toolchain.graph.nodes import Array
from .toolchain.passes.latency import arrivals
from .toolchain.passes.quantize.rounding import Scales
from .toolchain.program.program import Program
from .toolchain.program.recording import Recording

EXAMINED = 64  # samples on which changes are tried, of large networks fewer
ENOUGH = 4  # changes that are tried for what is no error
CLEAR = 0.4
"""Margin by which what mends a finding must take it away: other samples, and a build
calibrated with all of them, are not to bring it back."""
INTEGER = "integer SNN"  # in scores


@dataclass(frozen=True, eq=False, kw_only=True)
class Exam:
    """Samples on which changes are tried.

    Attributes:
        examples: with their answers, where there are labels.
        taken: as the float network takes them.
        scores: of answers, network in words → (samples, …); its own first.
        trivial: name of the trivial answer in these; None without labels.
        network: the float network; None where it is nothing to be held to.
    """

    examples: Examples
    taken: Array | Samples
    scores: Callable[[Mapping[str, Array]], tuple[Score, ...]]
    trivial: str | None
    network: Graph | None

    def judged(
        self, program: Program, recording: Recording, name: str, margin: float = 0.0
    ) -> tuple[tuple[Score, ...], tuple[Finding, ...]]:
        """Scores of a run of these samples, and what is wrong with it.

        Args:
            program: that ran.
            recording: counts are enough.
            name: of the network, in the scores.
            margin: share of what is allowed, by which the run must be clear of it.
        """
        answers, other = {name: recording.output}, None
        if self.network is not None:
            steps, other = program.timing.steps, float_name(self.network)
            answers[other] = evaluate(self.network, self.taken, steps)
        meant = None if other is None else answers[other]
        evidence = Evidence.of(program, recording, self.taken, meant)
        scores = self.scores(answers)
        return scores, find(evidence, scores, name, self.trivial, margin)

    def tried(self, program: Program) -> tuple[Score | None, tuple[Finding, ...]]:
        """Score of a Program on the reference, and what it is not clear of."""
        with find_target("reference").load(program) as session:
            recording = session.run(self.examples.x, record="counts")
        scores, found = self.judged(program, recording, INTEGER, CLEAR)
        return next((s for s in scores if s.name == INTEGER), None), found


def exam_of(
    task: Task,
    count: int,
    beyond: int,
    network: Graph | None,
    before: tuple[Score, ...],
) -> Exam:
    """So many training samples of a task.

    Args:
        task: data and question.
        count: how many.
        beyond: calibration samples, which are not asked as long as there are others.
        network: the float network; None: it is nothing to be held to.
        before: scores of what it was made of.
    """
    examples = task.training(count, beyond)
    return Exam(
        examples=examples,
        taken=_taken(task.question, network, examples),
        scores=lambda answers: task.scores(examples, answers) + before,
        trivial=task.trivial,
        network=network,
    )


def _taken(
    question: Question, network: Graph | None, examples: Examples
) -> Array | Samples:
    """Samples as the float network takes them, if there is one."""
    return examples.x if network is None else question.taken(network, examples.x)


def exam_of_built(built: Built, data: Dataset, examples: Examples) -> Exam:
    """Samples that a built Program runs.

    Args:
        built: what a build left.
        data: that they are of.
        examples: these.
    """
    constant, tuned = built.constant(examples), scales_of(built)

    def scores(answers: Mapping[str, Array]) -> tuple[Score, ...]:
        asked = dict(answers)
        if constant is not None:
            shape = (len(examples), *constant.answer.shape)
            asked[constant.name] = np.broadcast_to(constant.answer, shape)
        return built.scores(data, examples, asked)

    return Exam(
        examples=examples,
        taken=_taken(built.question, built.program.graph, examples),
        scores=scores,
        trivial=None if constant is None else constant.name,
        network=None if tuned else built.program.graph,
    )


def apart(examples: Examples, count: int) -> tuple[Examples, Array]:
    """``count`` samples to judge changes on, and as many others to calibrate them with:
    those that a build has seen flatter it. The same where there are not so many.
    """
    judged, others = examples.first(count), examples.x[count : 2 * count]
    return judged, others if len(others) == len(judged) else judged.held


def scales_of(built: Built) -> Mapping[str, Scales] | None:
    """Of a fine-tuned network; None of others.

    Raises:
        ModelError: the bundle's metadata are damaged.
    """
    if built.program.graph is None:
        return None
    network = Model(built.program.graph, built.network)
    return checked(network, "The network that the bundle was built from").scales


@dataclass(frozen=True, eq=False)
class _Tried:
    """What became of a change."""

    change: Change
    score: Score | None
    findings: tuple[Finding, ...]

    @property
    def well(self) -> bool:
        """Whether the answers are as the float network's, about."""
        return not any(
            each.severity == "error" or each.id in ("unlike-float", "at-baseline")
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
            known.append(_Tried(way, *exam.tried(way.make())))
        except SnnDeployError:
            continue
        open_ones = [
            f for f in findings if not any(t.well and t.mends(f) for t in known)
        ]
        if not worthless(open_ones) and (not open_ones or len(known) >= ENOUGH):
            break
    latest = max(arrivals(program).values(), default=0)
    reached = ""
    if latest:
        reached = f"the last population is reached after {latest} steps, and "
    return tuple(
        _fixed(finding, known, len(exam.taken), reached) for finding in findings
    )


def _fixed(
    finding: Finding, known: Sequence[_Tried], count: int, reached: str
) -> Finding:
    helping = [each for each in known if each.mends(finding)]
    one = next((each for each in helping if each.well), helping[0] if helping else None)
    on = f"{count} samples"
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
