"""Calibrate: which layer of a built Program is guilty, and what would help."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .calibration.findings.finding import Finding
from .calibration.guilt.guilt import Guilt, find_guilt
from .calibration.guilt.remedies import with_remedies
from .calibration.report.report import Score
from .mending import EXAMINED, INTEGER, Exam, apart, exam_of_built, mended, scales_of
from .pipeline.calibrate import simulated
from .pipeline.changes import Change, rebuilt
from .targets.contract import find_target
from .tasks.built import Built, read_built
from .toolchain.errors import SnnDeployError
from .toolchain.graph.nodes import FloatArray
from .toolchain.program.program import Program

SAMPLES = 64
TUNED = (
    "fine-tuned with spikes: what layers lose is held to the integers that it was "
    "trained as, all else to float neurons, from which it differs as it learnt to"
)
EASY = 6  # changes that are tried for the guiltiest layers


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What ``calibrate`` found.

    Attributes:
        guilt: of the layers.
        metric: that its scores are of; None without labels.
        scores: of the integers on the reference, and of what they are held to.
        findings: what is wrong, and what mends it.
        tuned: whether the network was fine-tuned with spikes, so that what its layers
            differ by from float neurons is no fault.
    """

    guilt: Guilt
    metric: str | None
    scores: tuple[Score, ...]
    findings: tuple[Finding, ...]
    tuned: bool

    def to_json(self) -> dict[str, Any]:
        """As docs/findings.md says."""
        return asdict(self)


def calibrate(bundle: Path, data: Path | None, samples: int = SAMPLES) -> Calibration:
    """What each layer of a build loses, on the reference.

    Args:
        bundle: of a build.
        data: samples, with or without labels; those in the bundle where None.
        samples: how many at most.

    Raises:
        SnnDeployError: something of the above is not in order, or the Program has no
            float network to be held to.
    """
    built = read_built(bundle)
    asked = built.read(data) if data else built.stored
    drawn = built.examples(asked, min(2 * samples, len(asked)), drawn=True)
    examples, others = apart(drawn, samples)
    program, exam = built.program, exam_of_built(built, asked, examples)
    with find_target("reference").load(program) as session:
        recording = session.run(examples.held)
    metric, score = _judge(built, exam)
    scales = scales_of(built)
    ways = [_once(way) for way in rebuilt(program, others, scales, built.settings)]
    trained = ways[0].make() if scales else None
    guilt = find_guilt(program, examples.held, recording, simulated, score, trained)
    scores, findings = exam.judged(program, recording, INTEGER)
    few = exam_of_built(built, asked, examples.first(EXAMINED))
    if not scales:
        easy = _programs(ways[:EASY])
        guilt = with_remedies(guilt, easy, examples.held, simulated)
    if findings:
        findings = mended(findings, program, ways, few)
    return Calibration(
        guilt=guilt,
        metric=metric,
        scores=scores,
        findings=findings,
        tuned=scales is not None,
    )


def _judge(
    built: Built, exam: Exam
) -> tuple[str | None, Callable[[FloatArray], float] | None]:
    """Name of the score, and answers to the samples → it; None without labels."""
    if built.kind is None or exam.examples.y is None:
        return None, None
    truth = exam.examples.y
    metric = built.kind.metrics(built.question, built.stored)[0]
    return metric.name, lambda output: metric.better * metric.of(output, truth)


def _once(way: Change) -> Change:
    """The change, made once."""
    made: list[Program] = []

    def make() -> Program:
        if not made:
            made.append(way.make())
        return made[0]

    return Change(words=way.words, make=make)


def _programs(ways: list[Change]) -> Iterator[tuple[str, Program]]:
    """Those that there can be, in words."""
    for way in ways:
        with suppress(SnnDeployError):
            yield way.words, way.make()
