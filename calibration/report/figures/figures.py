"""Figures: the numbers behind every figure of a page, as a report holds them."""

from __future__ import annotations

from dataclasses import dataclass

from ....toolchain.passes.place.place import Placement
from ....toolchain.program.host import Decoder
from ....toolchain.program.program import Program
from ....toolchain.program.recording import Recording
from ...guilt.guilt import Guilt
from .curve import Curve, Judge, curve
from .grid import Grid, grid
from .histogram import RateHistogram, rate_histograms
from .predictions import Predictions
from .raster import Raster, raster


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What is drawn; None: it was not recorded.

    Attributes:
        histograms: firing rates, a layer each.
        raster: spikes of one sample.
        curve: score and spikes against steps.
        grid: cores; None for a target without.
        predictions: answers to a few samples.
        guilt: what each layer loses, and the whole from the ANN to the spikes; None of
            a fine-tuned network, which is not held to its float neurons.
    """

    histograms: tuple[RateHistogram, ...] = ()
    raster: Raster | None = None
    curve: Curve | None = None
    grid: Grid | None = None
    predictions: Predictions | None = None
    guilt: Guilt | None = None


def figures_of(
    program: Program,
    recording: Recording,
    shown: Recording,
    *,
    decoder: Decoder,
    judge: Judge | None = None,
    placement: Placement | None = None,
    predictions: Predictions | None = None,
    guilt: Guilt | None = None,
) -> Figures:
    """The figures of a run.

    Args:
        program: what ran.
        recording: of all samples; counts are enough.
        shown: of a few of them, with spikes.
        decoder: that read the answers.
        judge: of the answers to ``shown``; None: without labels.
        placement: on the target's cores, where it has any.
        predictions: answers to a few samples, where there are any to look at.
        guilt: of the layers, where it was found out.
    """
    return Figures(
        histograms=rate_histograms(program, recording),
        raster=raster(shown, [member.name for member in program.members]),
        curve=curve(shown, decoder, judge),
        grid=None if placement is None else grid(placement),
        predictions=predictions,
        guilt=guilt,
    )
