"""RateHistogram: how the firing rates of a layer's neurons are distributed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....toolchain.program.program import Program
from ....toolchain.program.recording import Recording

BARS = 24


@dataclass(frozen=True, kw_only=True)
class RateHistogram:
    """Neurons of one population by their mean rate over the samples.

    Attributes:
        layer: population.
        edges: of the bars, Hz, one more than there are bars, equally far apart from 0
            to the fastest neuron of all layers.
        neurons: in each bar; the last takes its upper edge too.
        silent: those of the first bar that never fired.
    """

    layer: str
    edges: tuple[float, ...]
    neurons: tuple[int, ...]
    silent: int


def rate_histograms(
    program: Program, recording: Recording
) -> tuple[RateHistogram, ...]:
    """One for each population and spike input, all with the same edges."""
    duration = recording.steps * recording.dt
    rates = {
        member.name: recording.tally(member.name).sums / recording.samples / duration
        for member in program.members
    }
    top = max([float(rate.max()) for rate in rates.values()])
    edges = np.linspace(0.0, top or 1.0, BARS + 1)
    return tuple(
        RateHistogram(
            layer=name,
            edges=tuple(edges.tolist()),
            neurons=tuple(np.histogram(rate, edges)[0].tolist()),
            silent=int((rate == 0).sum()),
        )
        for name, rate in rates.items()
    )
