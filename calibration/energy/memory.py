"""Energy of memory accesses, priced as SRAM at 45 nm: a second way to count the core.

Lemaire et al. 2022 (arXiv 2210.13107) count a spiking network's accesses and price each
by the size of its memory, between the sizes that Horowitz 2014 (ISSCC, fig. 1.1.9)
gives. Here:

    weights  one for each synaptic operation
    state    u, v and counter read and written, for each neuron update
    axons    one input axon's entry read for each message to a core

Published energies of whole operations, such as Loihi's, hold their accesses already: a
sum of both would count them twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..counts.footprint import STATE_BITS
from ..statistics import LayerStatistics
from .band import Band

SRAM = ((8 << 10, 10.0), (32 << 10, 20.0), (1 << 20, 100.0))
"""Bytes of a memory, pJ of an access of 64 bits at 45 nm and 0.9 V. [2ND] Horowitz 2014
as in spikingjelly op_counter and Lemaire et al. 2022."""
ACCESS_BITS = 64
STATE_BYTES = 8 << 10
"""1024 compartments of 64 bits: the smallest size that is published."""


def access(size: int) -> float:
    """J of an access of 64 bits to a memory of ``size`` bytes, linear in between.

    >>> [round(access(s) * 1e12, 1) for s in (4096, 8192, 20480, 131072, 1 << 21)]
    [10.0, 10.0, 15.0, 27.7, 100.0]
    """
    sizes, picojoules = zip(*SRAM)
    return float(np.interp(size, sizes, picojoules)) * 1e-12


def memory_energy(
    layers: Sequence[LayerStatistics],
    messages: float | None,
    weight_bits: float,
    memory: int,
) -> Band:
    """J an inference of all accesses.

    Args:
        layers: of every population.
        messages: spikes from core to core; None, not known: the spikes themselves.
        weight_bits: of a synapse, on average.
        memory: bytes of a core's synapse memory.

    Returns:
        value: accesses of 64 bits that are used up, as packed words read in order are.
        low: likewise, from the smallest memory. high: a whole access for each number.
    """
    operations = sum(layer.incoming_operations or 0.0 for layer in layers)
    updates = 2 * sum(layer.neuron_updates for layer in layers)
    sent = sum(layer.spikes for layer in layers) if messages is None else messages
    weight, state = access(memory), access(STATE_BYTES)
    packed = operations * weight_bits / ACCESS_BITS
    held = updates * min(STATE_BITS / ACCESS_BITS, 1.0)
    value = (packed + sent) * weight + held * state
    return Band(
        value=value,
        low=(packed + sent + held) * min(state, weight),
        high=(operations + sent) * weight + updates * state,
    )
