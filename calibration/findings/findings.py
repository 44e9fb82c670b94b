"""Findings of a run: what makes its answers worth nothing first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..report.report import Score
from .answers import FEW, on_answers, on_scores
from .evidence import Evidence
from .finding import Finding
from .layers import on_layers


def find(
    evidence: Evidence,
    scores: Sequence[Score],
    name: str,
    trivial: str | None,
    margin: float = 0.0,
) -> tuple[Finding, ...]:
    """Everything that is wrong with a run; what mends it is not known yet.

    Args:
        evidence: the run.
        scores: of the network and of what it is held to; empty without labels.
        name: of the network, in the scores.
        trivial: of the trivial answer there; None without labels.
        margin: share of what is allowed, by which a run must be clear of it.
    """
    on_score = list(on_scores(scores, name, trivial, margin)) if trivial else []
    if evidence.recording.samples < FEW:  # no score of so few is certain
        on_score = [replace(each, severity="warning") for each in on_score]
    found = [
        *on_answers(evidence, labelled=trivial is not None, margin=margin),
        *on_score,
        *on_layers(evidence, margin),
    ]
    return tuple(sorted(found, key=lambda each: each.severity != "error"))
