"""One step of the core in NumPy, 64 bits inside: what every target must equal.

As nengo-loihi 1.1.0 emulates Loihi 1 (nengo_loihi/emulator/interface.py,
CompartmentState.update).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .arithmetic import Q_BITS, U_BITS, IntArray, decay, wrap
from .program import Population


def step(
    population: Population,
    q: IntArray,
    bias: IntArray,
    u: IntArray,
    v: IntArray,
    counter: IntArray,
) -> tuple[npt.NDArray[np.bool_], IntArray, IntArray, IntArray]:
    """One timestep of a population: (spikes, u, v, counter) after it.

        q   = wrap(q, 21)
        u   = wrap(decay(u, 4095 − δ_u) + q, 23)
        j   = wrap(u + bias, 23)
        v   = clip(decay(v, 4096 − δ_v) + j, v_min, v_max), 0 where counter > 0
        spike where v > θ; there v = 0, counter = r; last counter = max(counter − 1, 0)

    Args:
        population: constants (δ_u, δ_v, r, v_min, v_max), θ of each neuron.
        q: sum of the weights whose spikes arrive in this step, before wrapping.
        bias: (neurons,) bias current.
        u: current, v: membrane potential, counter: refractory steps left; (neurons,).
    """
    q = wrap(q.astype(np.int64), Q_BITS)
    u = wrap(decay(u, 4095 - population.decay_u) + q, U_BITS)
    j = wrap(u + bias, U_BITS)
    v = decay(v, 4096 - population.decay_v) + j
    v = np.clip(v, population.v_min, population.v_max)
    v = np.where(counter > 0, 0, v)
    spikes = v > population.thresholds
    v = np.where(spikes, 0, v)
    counter = np.where(spikes, population.refractory, counter)
    return spikes, u, v, np.maximum(counter - 1, 0)
