"""Scales: with which a population's floats become its integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..graph.nodes import FloatArray


@dataclass(frozen=True, kw_only=True)
class Scales:
    """A population's scales: from the same floats they make the same integers.

    Those of a channel are ``channels`` times as large, all but the exponents: its
    threshold, biases and weights grow together, and its spikes stay the same.
    """

    membrane: float  # integer membrane units in one float threshold, S_v
    current: float  # bias units in one unit of J
    weights: Mapping[str, float]  # source → mantissa for a weight of 1
    exponents: Mapping[str, int]  # source → exponent of its connection
    channels: tuple[float, ...] = ()  # factor of each channel, 1 … ; (): 1

    def spread(self, scale: float, size: int) -> float | FloatArray:
        """``scale`` of each of so many neurons or filters in a row, (size,).

        The number itself where all channels share it.

        >>> one = dict(membrane=640.0, current=1.0, weights={}, exponents={})
        >>> Scales(**one, channels=(1.0, 2.0)).spread(3.0, 4)
        array([3., 6., 3., 6.])
        """
        return scale * np.resize(self.channels, size) if self.channels else scale
