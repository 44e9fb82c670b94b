"""Questions: what a reader asks first, answered in a word from a report's figures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ....toolchain.passes.place.limits import CHIP
from ..report import Report, Score

Mood = Literal["good", "fair", "bad", "unknown"]
NETWORKS = ("integer SNN", "float SNN")
"""What is deployed, as scores name it; see ``deploy.network_on``."""
ANNS = ("float ANN", "float SNN as written", "ANN before fine-tuning")
"""What it is held to, the nearest first."""
NEAR = 0.01  # of the ANN's score, that counts as equal where there is no interval
NAMED = 3  # opponents of a side
TIGHT = 0.9  # of a resource, from which on it fits barely


@dataclass(frozen=True)
class Quality:
    """Does it work as well as the ANN?

    Attributes:
        mood: how it stands.
        word: the answer.
        network: index in the report's scores of the network's first metric; None:
            there is none.
        ann: of the ANN's, in the same metric.
        trivial: of what a constant answer gets.
        doubtful: whether samples are too few to tell.
    """

    mood: Mood
    word: str
    network: int | None = None
    ann: int | None = None
    trivial: int | None = None
    doubtful: bool = False


@dataclass(frozen=True)
class Cost:
    """What does it cost, and where?

    Attributes:
        mood: good where it takes fewer operations than the ANN.
        word: the answer.
        layer: index of the layer that takes most energy; most spikes, where the device
            has no figure in joules.
        beaten: indices of the opponents that take more, the nearest first, ``NAMED``
            at most.
        level: of those that take as much, within the bands, likewise.
        ahead: of those that take less, likewise.
    """

    mood: Mood
    word: str
    layer: int
    beaten: tuple[int, ...] = ()
    level: tuple[int, ...] = ()
    ahead: tuple[int, ...] = ()


@dataclass(frozen=True)
class Fit:
    """Does it fit?

    Attributes:
        mood: how it stands.
        word: the answer.
        scarcest: resource of the chip of which the largest share is used; empty: the
            target has no cores.
        overflows: indices of populations that some input could make overflow.
    """

    mood: Mood
    word: str
    scarcest: str = ""
    overflows: tuple[int, ...] = ()


@dataclass(frozen=True)
class Advice:
    """What should be changed first?

    Attributes:
        mood: how urgent it is.
        what: finding, guilt, exit, energy: which figure says so.
        index: among the findings, guilty layers, points of the curve, or layers.
    """

    mood: Mood
    what: Literal["finding", "guilt", "exit", "energy"]
    index: int


def quality(report: Report) -> Quality:
    """From the first metric, its interval, and the findings."""
    scores = report.scores
    metric = scores[0].metric if scores else ""
    own, ann = (_first(scores, metric, names) for names in (NETWORKS, ANNS))
    known = {own, ann}
    trivial = next(
        (
            i
            for i, score in enumerate(scores)
            if score.metric == metric and i not in known and "ANN" not in score.name
        ),
        None,
    )
    if report.worthless:
        word = "No: its answers are worth nothing"
        return Quality("bad", word, own, ann, trivial)
    if own is None or ann is None:
        word = "Not recorded: there is no ANN's score beside it"
        return Quality("unknown", word, own, ann, trivial)
    mine, theirs = scores[own], scores[ann]
    better = _better(report, metric)
    ahead = better * (mine.value - theirs.value)
    low, high = mine.low, mine.high
    if ahead >= 0:
        doubtful = low is not None and high is not None and low <= theirs.value <= high
        return Quality("good", "Yes", own, ann, trivial, doubtful)
    if low is not None and high is not None:
        if low <= theirs.value <= high:
            word = "As far as these samples can tell"
            return Quality("good", word, own, ann, trivial, True)
    elif -ahead <= NEAR * abs(theirs.value):
        return Quality("good", "Yes, nearly", own, ann, trivial)
    return Quality("fair", "Not quite", own, ann, trivial)


def cost(report: Report) -> Cost:
    """From the energy of layers, and synaptic operations against MACs."""
    totals = [layer.total for layer in report.energy.layers]
    shares = [
        layer.spikes if total is None else total.value
        for layer, total in zip(report.layers, totals)
    ]
    layer = shares.index(max(shares))
    sides = {side: _nearest(report, side) for side in ("less", "either", "more")}
    against = sides["less"], sides["either"], sides["more"]
    macs, spent = report.total.macs, report.total.synaptic_operations
    if not macs:
        return Cost("unknown", "Not comparable with its ANN", layer, *against)
    if spent > macs:
        return Cost("fair", "More operations than its ANN", layer, *against)
    return Cost("good", "Fewer operations than its ANN", layer, *against)


def _nearest(report: Report, side: str) -> tuple[int, ...]:
    """Opponents beside which the network is on this side, the nearest first."""
    against = report.opponents.against if report.opponents else ()
    found = [i for i, each in enumerate(against) if each.side == side]
    far = {i: abs(math.log(max(against[i].factor, 1e-300))) for i in found}
    return tuple(sorted(found, key=lambda i: far[i])[:NAMED])


def fit(report: Report) -> Fit:
    """From the chip's use, and the sums that some input could make overflow."""
    overflows = tuple(i for i, o in enumerate(report.overflows) if o.could_overflow)
    chip = report.utilization.get(CHIP, {})
    if not chip:
        word = "Not asked: this target has no cores"
        return Fit("unknown", word, "", overflows)
    shares = {name: used / most for name, (used, most) in chip.items() if most}
    scarcest = max(shares, key=lambda name: shares[name])
    if any(o.overflows for o in report.overflows):
        return Fit("bad", "No: sums overflow", scarcest, overflows)
    if shares[scarcest] >= TIGHT:
        return Fit("fair", "Yes, barely", scarcest, overflows)
    return Fit("good", "Yes", scarcest, overflows)


def advice(report: Report) -> Advice:
    """A finding first, then the guiltiest layer, an early exit, the dearest layer."""
    for severity, mood in (("error", "bad"), ("warning", "fair")):
        for index, finding in enumerate(report.findings):
            if finding.severity == severity:
                return Advice("bad" if mood == "bad" else "fair", "finding", index)
    figures = report.figures
    if quality(report).mood == "fair" and figures and figures.guilt:
        return Advice("fair", "guilt", 0)
    if figures and figures.curve and figures.curve.exit is not None:
        return Advice("good", "exit", figures.curve.exit)
    return Advice("good", "energy", cost(report).layer)


def _better(report: Report, metric: str) -> int:
    """1 where more of the metric is better; as the curve knows it."""
    curve = report.figures and report.figures.curve
    return curve.better if curve and curve.metric == metric else 1


def _first(
    scores: tuple[Score, ...], metric: str, names: tuple[str, ...]
) -> int | None:
    """Index of the first of these names among the metric's scores."""
    found = {score.name: i for i, score in enumerate(scores) if score.metric == metric}
    return next((found[name] for name in names if name in found), None)
