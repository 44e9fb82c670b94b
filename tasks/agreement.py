"""How alike two networks answer, where nobody says what is right."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..calibration.report.report import Score
from ..toolchain.graph.graph import Graph
from ..toolchain.graph.nodes import Array
from .metrics import Metric, mean_of, with_ones


def float_name(graph: Graph) -> str:
    """What the float network is called in scores."""
    return "float SNN as written" if graph.is_spiking else "float ANN"


def agreement(answers: Mapping[str, Array]) -> tuple[Score, ...]:
    """The first network's answers held to the last's, the float network's.

    Top-1 where outputs are vectors; correlation, RMSE and slope (of the first over the
    last, through least squares) over all outputs.

    Args:
        answers: network, in words → outputs, (samples, …); no scores of fewer than two.
    """
    if len(answers) < 2:
        return ()
    (name, mine), *_, (other, theirs) = answers.items()
    note = f"with the {other}, {len(mine)} test samples without labels"
    metrics = [CORRELATION, SLOPE, RMSE]
    if mine.ndim == 2 and mine.shape[1] > 1:
        metrics.insert(0, TOP1)
    return tuple(metric.score(name, mine, theirs, note) for metric in metrics)


def _moments(mine: Array, theirs: Array) -> Array:
    """x, y, x², y², xy, (x − y)² and 1, of each sample's outputs on average."""
    x, y = (np.asarray(a, np.float64).reshape(len(a), -1) for a in (mine, theirs))
    parts = (x, y, x**2, y**2, x * y, (x - y) ** 2)
    return with_ones(np.column_stack([part.mean(1) for part in parts]))


def _correlation(sums: Array) -> Array:
    x, y, xx, yy, xy, _ = np.moveaxis(sums[..., :6] / sums[..., 6:], -1, 0)
    spread = np.sqrt(np.maximum((xx - x**2) * (yy - y**2), 0))
    correlation: Array = np.where(
        spread > 0, (xy - x * y) / np.maximum(spread, 1e-300), 0.0
    )
    return correlation


def _slope(sums: Array) -> Array:
    x, y, _, yy, xy, _ = np.moveaxis(sums[..., :6] / sums[..., 6:], -1, 0)
    variance = yy - y**2
    slope: Array = np.where(
        variance > 0, (xy - x * y) / np.maximum(variance, 1e-300), 0.0
    )
    return slope


TOP1 = mean_of(
    lambda mine, theirs: mine.argmax(1) == theirs.argmax(1), "same class", share=True
)
CORRELATION = Metric("correlation of outputs", _moments, _correlation)
SLOPE = Metric("slope of outputs", _moments, _slope)
RMSE = Metric(
    "RMSE of outputs",
    _moments,
    lambda sums: np.sqrt(sums[..., 5] / sums[..., 6]),
    better=-1,
)
