"""Scores, and how sure one can be of them after so many samples.

A metric is a function of sums over samples, so that its bootstrap is one product: the
samples of a thousand draws are counted, and the counts weigh each sample's statistics.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..calibration.conversion.fewest_steps import Scored
from ..calibration.report.report import Score
from ..toolchain.graph.nodes import Array, FloatArray

DRAWS = 1000  # of the bootstrap
CERTAIN = 1000  # samples from which on no interval is given
Z = 1.959964  # of the normal distribution's middle 95 %


@dataclass(frozen=True)
class Metric:
    """A score.

    Attributes:
        name: as the field says it.
        statistics: outputs and truth, (samples, …) each → (samples, numbers).
        value: sums of the statistics over samples, (…, numbers) → (…).
        share: it is a share of samples, whose interval is Wilson's.
        better: 1 where more is better, −1 where less is.
    """

    name: str
    statistics: Callable[[Array, Array], FloatArray]
    value: Callable[[FloatArray], FloatArray]
    share: bool = False
    better: int = 1

    def of(self, output: Array, truth: Array) -> float:
        """The score of these outputs."""
        return float(self.value(self.statistics(output, truth).sum(0)))

    def scored(self, output: Array, truth: Array) -> Scored:
        """The score, more of which is better, and how sure it is."""
        statistics = self.statistics(output, truth)
        return Scored.of(statistics, lambda sums: self.better * self.value(sums))

    def score(self, name: str, output: Array, truth: Array, note: str) -> Score:
        """The score of a network, with its 95 % interval where samples are few."""
        statistics = self.statistics(output, truth)
        value = float(self.value(statistics.sum(0)))
        low = high = None
        if 1 < len(statistics) < CERTAIN:
            low, high = (
                wilson(value, len(statistics))
                if self.share
                else self.bootstrap(statistics) or (None, None)
            )
        return Score(
            name=name,
            metric=self.name,
            value=value,
            label="counted",
            note=note,
            low=low,
            high=high,
        )

    def bootstrap(self, statistics: FloatArray) -> tuple[float, float] | None:
        """2.5th and 97.5th percentile of ``DRAWS`` draws of as many samples; None
        where most of these have no such score (R² of answers that are all the same)."""
        count = len(statistics)
        rng = np.random.default_rng(0)
        drawn = rng.multinomial(count, np.full(count, 1 / count), DRAWS)
        with np.errstate(invalid="ignore", divide="ignore"):
            values = self.value(drawn @ statistics)
        known = values[np.isfinite(values)]
        if 2 * len(known) < DRAWS:
            return None
        low, high = np.percentile(known, [2.5, 97.5])
        return float(low), float(high)


def wilson(share: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of ``count`` samples (J. ASA 22, 1927).

    >>> [round(x, 3) for x in wilson(0.9, 100)]
    [0.826, 0.945]
    """
    # of a share of 0 or 1 the end is that share itself, which rounding may miss
    scale = 1 / (1 + Z**2 / count)
    middle = scale * (share + Z**2 / (2 * count))
    half = scale * Z * math.sqrt(share * (1 - share) / count + (Z / (2 * count)) ** 2)
    return min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half))


def mean_of(
    values: Callable[[Array, Array], FloatArray],
    name: str,
    share: bool = False,
    better: int = 1,
) -> Metric:
    """The mean over samples of a number that each has."""
    return Metric(
        name,
        lambda output, truth: with_ones(values(output, truth)),
        lambda sums: sums[..., 0] / sums[..., 1],
        share,
        better,
    )


def with_ones(values: npt.ArrayLike) -> FloatArray:
    """(samples,) or (samples, numbers), and a 1 for each sample behind."""
    columns = np.asarray(values, np.float64)
    columns = columns.reshape(len(columns), -1)
    joined: FloatArray = np.hstack([columns, np.ones((len(columns), 1))])
    return joined


def scores_of(
    metrics: tuple[Metric, ...],
    answers: Mapping[str, Array],
    truth: Array,
    note: str,
) -> tuple[Score, ...]:
    """Every network's scores, metric by metric.

    One that these answers leave undefined, as R² where all are the same, is left out.
    """
    found = [
        [metric.score(name, output, truth, note) for name, output in answers.items()]
        for metric in metrics
    ]
    return tuple(
        score
        for scores in found
        for score in scores
        if all(math.isfinite(each.value) for each in scores)
    )
