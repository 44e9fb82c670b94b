"""Answers that are worth nothing: the same for all, unlike the ANN's, at chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ...toolchain.graph.nodes import Argmax
from ..readout import distance
from ..report.report import Score
from .evidence import Evidence
from .finding import Finding

FAR = 0.25  # mean squared error of outputs, of their variance
FEW = 8  # samples, of which fewer make nothing certain


def on_answers(
    evidence: Evidence, *, labelled: bool, margin: float = 0.0
) -> Iterator[Finding]:
    """What can be told without labels.

    Answers that are as far from the float network's as the mean of these, or farther,
    are worth nothing; with labels their score says so. ``margin``: as in ``find``.
    """
    recording, program = evidence.recording, evidence.program
    run = f"{recording.samples} samples of {recording.steps} steps"
    reads = [name for name, _ in program.decoder.reads]
    if not any(recording.tally(name).most.any() for name in reads):
        yield Finding(
            id="no-output-spikes",
            severity="error",
            layer=", ".join(reads),
            message=f"the read-out sees no spike in {run}",
        )
    if recording.samples < 2:
        return
    if _all_same(evidence):
        yield Finding(
            id="constant-answers",
            severity="error",
            message=f"the answer is the same for all of {run}",
        )
    elif evidence.float is not None and not _picks(evidence):
        far = distance(recording.output, evidence.float.outputs)
        if far > (1 - margin) * FAR:
            yield Finding(
                id="unlike-float",
                severity="error" if far >= 1 and not labelled else "warning",
                message=f"answers differ from the float network's by {far:.2f} of "
                f"their variance in {run}; that of their mean is 1",
            )


def on_scores(
    scores: Sequence[Score], mine: str, trivial: str, margin: float = 0.0
) -> Iterator[Finding]:
    """That a network is no better than the trivial answer, where the ANN is.

    It is an error where the network's 95 % interval reaches down to the trivial score
    and is wholly below the float network's, whose own is above the trivial score.

    Args:
        scores: of all, higher is better.
        mine: name of the network in question.
        trivial: name of the trivial answer.
        margin: share of the way from the trivial score to the float network's that it
            must be above.
    """
    if not scores or scores[0].name != mine:
        return
    first = scores[0]
    others = [s for s in scores[1:] if s.metric == first.metric]
    base = next((s.value for s in others if s.name == trivial), None)
    rivals = [s for s in others if s.name != trivial]
    if base is None:
        return
    if not rivals:
        if _low(first) <= base:
            yield Finding(
                id="at-baseline",
                severity="warning",
                message=_at_baseline(first, base, trivial),
            )
        return
    best = max(rivals, key=lambda score: score.value)
    at_chance, able = _low(first) <= base, _low(best) > base
    certain = at_chance and able and _high(first) < _low(best)
    least = base + margin * (best.value - base)
    if certain or (first.value <= least < best.value) or (at_chance and able):
        yield Finding(
            id="at-baseline",
            severity="error" if certain else "warning",
            message=f"{_at_baseline(first, base, trivial)}; the {best.name}'s is "
            f"{best.value:.3f}",
        )


def _at_baseline(first: Score, base: float, trivial: str) -> str:
    return (
        f"the {first.name}'s {first.metric} is {first.value:.3f}{_interval(first)}, "
        f"not above the {base:.3f} of a constant answer ({trivial}) as far as "
        f"{first.note} tell"
    )


def _all_same(evidence: Evidence) -> bool:
    """Whether the answers are the same for samples for which they should differ."""
    recording, known = evidence.recording, evidence.float
    if known is not None and not np.ptp(known.outputs, axis=0).any():
        return False
    if np.ptp(recording.output, axis=0).any():
        return False
    if not _picks(evidence):
        return True
    read = (recording.tally(name) for name, _ in evidence.program.decoder.reads)
    return not any((each.most > each.least).any() for each in read)


def _picks(evidence: Evidence) -> bool:
    """Whether an answer is the number of a class."""
    graph = evidence.program.decoder.graph
    return isinstance(graph[graph.output.inputs[0]], Argmax)


def _low(score: Score) -> float:
    return score.value if score.low is None else score.low


def _high(score: Score) -> float:
    return score.value if score.high is None else score.high


def _interval(score: Score) -> str:
    if score.low is None or score.high is None:
        return ""
    return f" [{score.low:.3f}, {score.high:.3f}]"
