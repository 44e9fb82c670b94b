"""How many integer units one unit of the float model is, chosen per population.

Per layer and never per core: placement must not touch an integer.

**What was known.** A population has one free number, its membrane scale S: how many
integer units its float threshold is. Weights, biases and θ all follow from it. Large is
good: θ is a multiple of 64, a bias has 12 bits, and the decays round towards zero, by
up to a unit a step, which matters less the more units there are. Four things bound it:
θ of 17 bits · 64, a bias of 12 bits · 2^7, mantissas of 8 bits, and the sums q and u of
21 and 23 bits, which *wrap around*: a sum too large is no error of rounding, its sign
turns. A weight is mantissa · 2^(6 + exponent), and the exponent is its connection's: a
larger one makes S larger with the same mantissas, and the sums with it.

**What is chosen.** Mantissas are used up to the largest; of the exponents the largest
with which nothing can overflow, whatever spikes (``_worst_case_fits``). Sources of one
population differ in strength, so each connection has its own, smallest, exponent, and
the weaker ones keep their resolution (``_scales``). nengo-loihi chooses per core,
its exponents go from 0 downwards, and it looks at the threshold and the biases alone.

**What was tried.** nengo-loihi also lowers the threshold for what the decays' rounding
towards zero loses (builder/discretize.py, decay_magnitude). That is left out: with
these scales it is a factor of 0.9999, and of 4,000 spikes of a test network it moved
one. Sums of weights that training had moved overflowed, and ``build`` refused the
network: for such weights the exponent is 0 and, since that alone was not room enough
from 258 synapses a neuron on, the largest mantissa leaves room for a share TOGETHER of
them. One network (faces, seed 0), trained again with it, had a mean IoU of 0.855
instead of 0.861.

**What is doubtful.** The worst case is far from any data: where it does not fit, the
exponent is 0 at once, though the samples might allow one between, and whether 0 is
enough only ``calibration.overflow`` sees. TOGETHER is from one observation, pictures
much alike that brought 0.24 of the largest sum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ...graph.nodes import LIF
from ...program import arithmetic as core
from ...program.arithmetic import IntArray
from .layers import Layer
from .rounding import Scales, membrane_decay, round_connection, synaptic_decay

TOGETHER = 0.5  # share of synapses; pictures much alike brought 0.24 of the largest


def choose_scales(
    layer: Layer,
    amplitudes: Mapping[str, float],
    dt: float,
    *,
    weight_bits: int = 8,
    moving: bool = False,
    peak: float = 0.0,
) -> Scales:
    """Scales that use the mantissas up to 2^weight_bits − 2.

    Of the exponents 0 … 7 the largest is taken with which the threshold, the bias and,
    in the worst case, the synaptic accumulator and the current stay within the core's
    widths. Where the worst case does not fit even with 0, it is 0 all the same, since
    data seldom comes near it (``calibration.overflow`` looks). Where threshold or bias
    do not fit with 0, the largest mantissa is smaller.

    The worst case of weights that will be trained on is not known yet. The exponent is
    then 0, and the largest mantissa now such that TOGETHER of a neuron's synapses, each
    with that, may bring a spike at once; the weights may still grow.

    Args:
        layer: of a legalised Graph.
        amplitudes: source → output of one spike, integrated over s.
        dt: s.
        weight_bits: of a mantissa with its sign.
        moving: whether the weights will be trained on.
        peak: largest |J| that the host will set as bias.
    """
    gain = membrane_gain(layer, dt)
    peak = max(peak, float(np.abs(layer.bias).max(initial=0)))
    ceiling = float(core.MAX_THRESHOLD)
    if peak > 0:
        ceiling = min(ceiling, core.MAX_BIAS / (gain * peak))
    reach = {  # source → largest |q| of one spike, for a membrane scale of 1
        s.source: gain
        * synaptic_gain(layer, amplitudes[s.source], dt)
        * float(np.abs(s.node.weight).max(initial=0))
        for s in layer.synapses
    }
    largest = float((1 << weight_bits) - 2)
    strongest = max(reach.values(), default=0.0)
    if strongest == 0:
        return _scales(layer, reach, gain, ceiling, largest)
    if moving:
        largest = min(largest, _moving_mantissa(layer))
    sums: dict[tuple[str, float], IntArray] = {}
    for exponent in range(0 if moving else core.MAX_EXPONENT, 0, -1):
        membrane = largest * 2.0 ** (core.WEIGHT_SHIFT + exponent) / strongest
        if membrane <= ceiling:
            scales = _scales(layer, reach, gain, membrane, largest)
            if _worst_case_fits(layer, scales, dt, sums):
                return scales
    membrane = min(ceiling, largest * 2.0**core.WEIGHT_SHIFT / strongest)
    return _scales(layer, reach, gain, membrane, largest)


def _moving_mantissa(layer: Layer) -> float:
    synapses = sum(math.prod(s.node.weight.shape[:-1]) for s in layer.synapses)
    return float(1 << core.Q_BITS) / (TOGETHER * synapses * 2.0**core.WEIGHT_SHIFT)


def membrane_gain(layer: Layer, dt: float) -> float:
    """What a unit of J adds to v in a step, of the threshold's units.

    LIF: δ_v / 4096, so that v settles at J; IF: dt.
    """
    if isinstance(layer.population, LIF):
        return membrane_decay(layer.population, dt) / 4096
    return dt


def synaptic_gain(layer: Layer, amplitude: float, dt: float) -> float:
    """J that a spike brings in its first step, for a weight of 1: its mean is kept.

    A spike is worth amplitude / dt for one step; the filter u ← u · (4095 − δ_u) / 4096
    passes a constant 4096 / (1 + δ_u) times, which is taken out here.
    """
    return (1 + synaptic_decay(layer, dt)) / 4096 * amplitude / dt


def _scales(
    layer: Layer,
    reach: Mapping[str, float],
    gain: float,
    membrane: float,
    largest: float,
) -> Scales:
    """Scales for a membrane scale, each connection with its smallest exponent."""
    weights, exponents = {}, {}
    for s in layer.synapses:
        units = reach[s.source] * membrane / (1 << core.WEIGHT_SHIFT)
        fine = int(np.ceil(np.log2(max(units / largest * (1 - 1e-9), 1.0))))
        biggest = float(np.abs(s.node.weight).max(initial=0))
        exponents[s.source] = fine
        weights[s.source] = units / 2.0**fine / biggest if biggest else 1.0
    current = membrane * gain
    return Scales(
        membrane=membrane, current=current, weights=weights, exponents=exponents
    )


def _worst_case_fits(
    layer: Layer, scales: Scales, dt: float, sums: dict[tuple[str, float], IntArray]
) -> bool:
    """Whether neither q nor u can overflow.

    Args:
        sums: source, scale of its weights → largest |q| for the exponent 0; kept, since
            from one exponent to the next mantissas seldom change.
    """
    q = np.zeros(layer.bias.shape[-1:], np.int64)
    for s in layer.synapses:
        key = s.source, scales.weights[s.source]
        if key not in sums:
            plain = replace(scales, exponents={s.source: 0})
            sums[key] = round_connection(layer, s, plain).worst_q
        q = q + (sums[key] << scales.exponents[s.source])
    bias = np.abs(layer.bias * scales.current)
    u = core.worst_current(np.asarray(q), core.current_decay(layer.tau_syn, dt))
    return bool(np.max(q) < 1 << core.Q_BITS and (u + bias).max() < 1 << core.U_BITS)
