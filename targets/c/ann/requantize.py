"""Requantisation: sums of 32 bits as codes of 8, in integers alone, as TFLite does it.

A real factor M is multiplier · 2^(−31 − shift), its multiplier from 2^30 to 2^31 − 1.
Sources: Jacob et al. 2018 (arXiv 1712.05877), section 2.2; the integers and both
roundings are those of ``MultiplyByQuantizedMultiplier`` in TensorFlow 2.10,
tensorflow/lite/kernels/internal/common.h, with gemmlowp's
``SaturatingRoundingDoublingHighMul`` and ``RoundingDivideByPOT``
(fixedpoint/fixedpoint.h).
"""

from __future__ import annotations

import math

import numpy as np

from ....toolchain.program.arithmetic import IntArray

CODES = 256  # of 8 bits
LONGEST = 30  # shift


def multiplier_of(factor: float) -> tuple[int, int]:
    """Multiplier and shift of a factor above 0 and below 1.

    Source: ``QuantizeMultiplier``, tensorflow/lite/kernels/internal/quantization_util.

    >>> multiplier_of(0.25), multiplier_of(0.75)
    ((1073741824, 1), (1610612736, 0))
    """
    share, exponent = math.frexp(factor)
    multiplier = round(share * (1 << 31))
    if multiplier == 1 << 31:
        multiplier, exponent = 1 << 30, exponent + 1
    if -exponent > LONGEST:
        return 1 << 30, LONGEST
    return multiplier, -exponent


def requantized(sums: IntArray, multiplier: IntArray, shift: IntArray) -> IntArray:
    """Sums (…, channels) of 32 bits, times each channel's factor, rounded twice.

    >>> some = np.array([-2, 2, 6])
    >>> requantized(some, np.array([1 << 30] * 3), np.array([1] * 3)).tolist()
    [-1, 1, 2]
    """
    product = sums.astype(np.int64) * multiplier.astype(np.int64)
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    high = np.where(nudged >= 0, nudged >> 31, -(-nudged >> 31))  # towards zero
    mask = (np.int64(1) << shift) - 1
    found: IntArray = (high >> shift) + ((high & mask) > (mask >> 1) + (high < 0))
    return found
