"""Which channels of a population share a scale, so that its weights lose least.

**What was known.** A neuron whose incoming weights, bias and threshold are scaled
together spikes as it did. With one scale for a population its strongest weight takes
the largest mantissa, and a channel whose weights are an eighth as large has three bits
fewer: tools that quantize ANNs have a scale for each output channel (Jacob et al. 2018,
arXiv 1712.05877; Krishnamoorthi 2018, arXiv 1806.08342). A core of Loihi holds few
different thresholds (``arithmetic.MAX_THRESHOLDS``), so channels of like strength share
one.

**What is chosen.** Every channel has a largest scale: where its weights reach the
largest mantissa, or its threshold, bias or sums their widths. A weight's rounding error
is a share of 1 / scale, so of all ways to cut the channels, sorted by that, into 7
groups, each with its smallest scale, the one with the least Σ 1 / scale² is taken: the
best there is, by dynamic programming (``grouped``).

**What was tried.** Groups that lose the fewest bits, or have the least Σ 1 / scale, so
that weak channels count as much as strong ones: on seven networks at 4 bits they were
within 0.3 dB, and the float networks that the integers stand for were as near or less
near to the original.

**What is doubtful.** What the layers behind make of a channel's error is not asked.
"""

from __future__ import annotations

import numpy as np

from ...graph.nodes import FloatArray
from ...program.arithmetic import MAX_THRESHOLDS, IntArray
from ...program.host import BoolArray

LEVELS = 256  # scales tried; of more different ones, a geometric series of so many


def grouped(largest: FloatArray, heard: BoolArray) -> FloatArray:
    """A scale for each channel, 7 different ones at most, with the least Σ 1 / scale².

    >>> scales = np.array([1.0, 1.1, 3.0, 3.1, 8.0, 9.0, 20.0, 40.0, 70.0, 150.0])
    >>> grouped(scales, scales > 0).tolist()
    [1.0, 1.1, 3.0, 3.1, 8.0, 8.0, 20.0, 40.0, 40.0, 40.0]

    Args:
        largest: scale that a channel can have, (channels,).
        heard: whether it has weights that can err, (channels,).
    """
    levels = np.unique(largest)
    if levels.size > LEVELS:
        levels = np.geomspace(levels[0], levels[-1], LEVELS)
    at = np.searchsorted(levels, largest, side="right") - 1
    chosen = levels[_cuts(levels, np.bincount(at, heard, levels.size))]
    held: FloatArray = chosen[np.searchsorted(chosen, largest, side="right") - 1]
    return held


def _cuts(levels: FloatArray, counts: IntArray) -> list[int]:
    """First level of each group, the first level among them.

    ``best[i]`` is the least that the channels from level i on can cost, if a group
    begins there: with one group more than before in each round.
    """
    total = np.append(np.cumsum(counts[::-1])[::-1], 0.0)  # channels from a level on
    weight = levels[0] ** 2 / np.square(levels)
    best = total[:-1] * weight
    follows = []
    for _ in range(MAX_THRESHOLDS - 1):
        # row i, column j: a group of the levels i … j − 1, then the best from j on
        cost = (total[:-1, None] - total[:-1]) * weight[:, None] + best
        cost[np.tril_indices(levels.size)] = np.inf
        after = cost.argmin(axis=1)
        least = cost[np.arange(levels.size), after]
        follows.append(np.where(least < best, after, -1))
        best = np.minimum(best, least)
    cuts = [0]
    for follow in reversed(follows):
        if follow[cuts[-1]] >= 0:
            cuts.append(int(follow[cuts[-1]]))
    return cuts
