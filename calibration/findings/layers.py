"""Layers whose neurons do not fire as they should: dead, silent, saturated."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..statistics import saturating
from .evidence import Evidence
from .finding import Finding

EXPECTED = 2.0  # spikes a presentation from which a neuron that is silent is missed
SILENT = 0.5  # share of the neurons that should fire
SATURATED = 0.05  # share of all neurons
OFF = 0.25  # of the expected spikes, from which a saturated neuron is wrong


def on_layers(evidence: Evidence, margin: float = 0.0) -> Iterator[Finding]:
    """What the populations of the core show, in order of flow; ``find``'s margin."""
    for population in evidence.program.populations:
        yield from _silence(evidence, population.name, (1 - margin) * SILENT)
        yield from _saturation(evidence, population.name, (1 - margin) * SATURATED)


def _silence(evidence: Evidence, name: str, most: float) -> Iterator[Finding]:
    tally, expected = evidence.tally(name), evidence.expected(name)
    run = f"{tally.samples} samples of {evidence.recording.steps} steps"
    fires = tally.most > 0
    meant = np.ones_like(fires) if expected is None else (expected > 0).any(axis=0)
    if not fires.any() and meant.any():
        yield Finding(
            id="dead-layer",
            severity="warning",
            layer=name,
            message=f"it never fires in {run}, so what it feeds is the same for all "
            "of them",
        )
    elif expected is not None:
        missed = (expected >= EXPECTED).any(axis=0)
        silent = missed & ~fires
        if silent.sum() > most * max(missed.sum(), 1):
            yield Finding(
                id="silent-neurons",
                severity="warning",
                layer=name,
                message=f"{silent.sum()} of the {missed.sum()} neurons that should "
                f"fire {EXPECTED:g} times or more never do in {run}",
            )


def _saturation(evidence: Evidence, name: str, most: float) -> Iterator[Finding]:
    tally, expected = evidence.tally(name), evidence.expected(name)
    enough = saturating(evidence.program, name, evidence.recording.steps)
    full = tally.most >= enough
    if expected is not None:
        wrong = np.abs(tally.first - expected) > OFF * np.maximum(expected, 1)
        full = ((tally.first >= enough) & wrong).any(axis=0)
    share = float(full.mean())
    if share > most:
        yield Finding(
            id="saturated-layer",
            severity="warning",
            layer=name,
            message=f"{share:.0%} of its neurons fire at their highest rate in some "
            "sample" + ("" if expected is None else ", and should not"),
        )
