"""The core's numbers: Loihi 1's widths, and how they wrap, decay and are rounded."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[Any]

Q_BITS = 21  # synaptic accumulator, bits without the sign
U_BITS = 23  # current
V_LIMIT = 2**23 - 1  # |membrane potential|
WEIGHT_SHIFT = 6  # a weight acts as mantissa · 2^(6 + exponent)
MAX_EXPONENT = 7  # weight exponents are −7 … 7
MAX_MANTISSA = 254  # |mantissa| of a signed 8-bit weight, even
THRESHOLD_SHIFT = 6  # thresholds are mantissa · 2^6
MAX_THRESHOLD = (2**17 - 1) << THRESHOLD_SHIFT
MAX_THRESHOLDS = 7  # different ones of a core (nengo-loihi: hardware/builder.py)
MAX_BIAS_MANTISSA = 2**12 - 1
MAX_BIAS_EXPONENT = 7
MAX_BIAS = MAX_BIAS_MANTISSA << MAX_BIAS_EXPONENT
MAX_REFRACTORY = 63  # steps


def wrap(x: IntArray, bits: int) -> IntArray:
    """x as a signed number of ``bits`` bits and a sign, wrapping around.

    >>> wrap(np.array([2**21, -(2**21) - 1, 5]), 21).tolist()
    [-2097152, 2097151, 5]
    """
    limit = 1 << bits
    wrapped: IntArray = (x + limit) % (2 * limit) - limit
    return wrapped


def decay(x: IntArray, keep: int) -> IntArray:
    """sgn(x) · ⌊|x| · keep / 4096⌋ (towards zero).

    >>> decay(np.array([4096, -4095, 1]), 4095).tolist()
    [4095, -4094, 0]
    """
    wide = x.astype(np.int64)
    decayed: IntArray = np.sign(wide) * ((np.abs(wide) * keep) >> 12)
    return decayed


def round_bias(bias: npt.NDArray[np.float64]) -> IntArray:
    """Biases that the core can hold, 12-bit mantissa · 2^(0 … 7), next to the given.

    Each is rounded with the smallest exponent that fits it (nengo_loihi
    discretize.bias_to_manexp). Values beyond ±MAX_BIAS are returned as ±MAX_BIAS.

    >>> round_bias(np.array([4095.4, 4097.0, -1e9])).tolist()
    [4095, 4096, -524160]
    """
    limited = np.clip(bias, -MAX_BIAS, MAX_BIAS)
    size = np.abs(np.rint(limited))
    if size.max(initial=0) <= MAX_BIAS_MANTISSA:  # as most are
        small: IntArray = np.rint(limited).astype(np.int32)
        return small
    share, exponent = np.frexp(np.maximum(size / MAX_BIAS_MANTISSA, 1.0))
    step = np.ldexp(1.0, exponent - (share == 0.5))  # the next power of two
    mantissa = np.clip(np.rint(limited / step), -MAX_BIAS_MANTISSA, MAX_BIAS_MANTISSA)
    held: IntArray = (mantissa * step).astype(np.int32)
    return held


def current_decay(tau_syn: float, dt: float) -> int:
    """δ_u = round(4095 · (1 − e^(−dt / tau_syn)) − 1); 4095, no memory, at tau_syn = 0.

    nengo-loihi's formula (builder/discretize.py) gives 4094 for tau_syn = 0, with which
    1/4096 of a current lives on; 4095 is the same register with none.
    """
    if tau_syn == 0:
        return 4095
    return round(max(4095 * -math.expm1(-dt / tau_syn) - 1, 0.0))


def voltage_decay(tau_rc: float, dt: float) -> int:
    """δ_v = round(4095 · (1 − e^(−dt / tau_rc))), as nengo-loihi (discretize.py)."""
    return round(4095 * -math.expm1(-dt / tau_rc))


def worst_current(q: IntArray, decay_u: int) -> npt.NDArray[np.float64]:
    """Largest |u| that inputs up to |q| in every step can lead to: Σ q · keep^k.

    keep = (4095 − δ_u) / 4096; rounding is towards zero and only makes it smaller.

    >>> worst_current(np.array([100]), 4095).tolist()
    [100.0]
    """
    bound: npt.NDArray[np.float64] = np.abs(q) * (4096 / (1 + decay_u))
    return bound
