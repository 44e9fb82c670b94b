"""How many integer units one unit of the float model is, chosen for each channel.

Per layer and never per core: placement must not touch an integer.

**What was known.** A neuron has one free number, its membrane scale S: how many integer
units its float threshold is. Weights, biases and θ all follow from it. Large is good:
θ is a multiple of 64, a bias has 12 bits, and the decays round towards zero, by up to a
unit a step, which matters less the more units there are. Four things bound it: θ of 17
bits · 64, a bias of 12 bits · 2^7, mantissas of 8 bits, and the sums q and u of 21 and
23 bits, which *wrap around*: a sum too large is no error of rounding, its sign turns. A
weight is mantissa · 2^(6 + exponent), and the exponent is its connection's: a larger
one makes S larger with the same mantissas, and the sums with it.

**What is chosen.** Mantissas are used up to the largest; of the exponents the largest
with which nothing can overflow, whatever spikes (``Bounds.load``). Sources of one
population differ in strength, so each connection has its own, smallest, exponent, and
the weaker ones keep their resolution (``Bounds.scales``). Then weak channels are scaled
up (``_each``), those of like strength together (``channels``). nengo-loihi chooses per
core, its exponents go from 0 downwards, and it looks at the threshold and the biases
alone.

A core has one v_min. It is that of the largest scale, so that no neuron's floor is
above the float neuron's, and SPREAD bounds how far below it others' are. On LocNet
(faces, floors of −1 threshold, untrained scales) a floor at −0.5 cost 0.07 of a mean
IoU of 0.575 and one at −3 nothing; v_min of the smallest scale cost 0.02.

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
much alike that brought 0.24 of the largest sum. Training knows no scales of channels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ...graph.nodes import FloatArray
from ...program import arithmetic as core
from .bounds import Bounds
from .channels import grouped
from .layers import Layer
from .rounding import Scales

TOGETHER = 0.5  # share of synapses; pictures much alike brought 0.24 of the largest
GAIN = 0.05  # bits of an average channel for which more scales are taken
ROOM = 0.98  # of a channel's sums where they did not fit before
SPREAD = 4.0  # largest scale, in the smallest, of channels that share a v_min


def choose_scales(
    layer: Layer,
    amplitudes: Mapping[str, float],
    dt: float,
    *,
    weight_bits: int = 8,
    moving: bool = False,
    peak: float = 0.0,
) -> Scales:
    """Scales that use the mantissas up to 2^weight_bits − 2, of each channel its own.

    With one scale for all channels, of the exponents 0 … 7 the largest is taken with
    which the threshold, the bias and, in the worst case, the synaptic accumulator and
    the current stay within the core's widths. Where the worst case does not fit even
    with 0, it is 0 all the same, since data seldom comes near it
    (``calibration.overflow`` looks). Where threshold or bias do not fit with 0, the
    largest mantissa is smaller.

    From there on every channel is scaled up as far as all that still holds, up to its
    own largest mantissa, in groups (``channels.grouped``); with a smaller exponent,
    which makes the sums smaller, where that is worth GAIN.

    The worst case of weights that will be trained on is not known yet. The exponent is
    then 0, and the largest mantissa now such that TOGETHER of a neuron's synapses, each
    with that, may bring a spike at once; the weights may still grow, those of the weak
    channels to the strong ones', so that all have one scale.

    Args:
        layer: of a legalised Graph.
        amplitudes: source → output of one spike, integrated over s.
        dt: s.
        weight_bits: of a mantissa with its sign.
        moving: whether the weights will be trained on.
        peak: largest |J| that the host will set as bias.
    """
    largest = float((1 << weight_bits) - 2)
    if moving:
        largest = min(largest, _moving_mantissa(layer))
    bounds = Bounds(
        layer=layer, amplitudes=amplitudes, dt=dt, largest=largest, peak=peak
    )
    if not bounds.heard.any():
        return bounds.scales(bounds.ceiling.min(keepdims=True))
    exponent = 0 if moving else _largest_exponent(bounds)
    one = best = bounds.scales(_one(bounds, exponent))
    if moving or layer.channels == 1:
        return one
    least = bounds.lost(one, exponent)
    for lower in range(exponent, -1, -1):
        tried, held = _each(bounds, lower)
        lost = bounds.lost(tried, lower)
        if lost < least - GAIN:
            best, least = tried, lost
        if not held:
            break
    return best if bounds.error(best) < bounds.error(one) else one


def _moving_mantissa(layer: Layer) -> float:
    synapses = sum(math.prod(s.node.weight.shape[:-1]) for s in layer.synapses)
    if not synapses:
        return math.inf
    return float(1 << core.Q_BITS) / (TOGETHER * synapses * 2.0**core.WEIGHT_SHIFT)


def _one(bounds: Bounds, exponent: int) -> FloatArray:
    """The membrane scale of all channels, (1,)."""
    allowed = np.minimum(bounds.ceiling, bounds.full(exponent))
    least: FloatArray = allowed.min(keepdims=True)
    return least


def _largest_exponent(bounds: Bounds) -> int:
    """The largest with which everything fits where all channels have one scale."""
    for exponent in range(core.MAX_EXPONENT, 0, -1):
        membrane = bounds.full(exponent).min()
        if membrane <= bounds.ceiling.min():
            scales = bounds.scales(membrane[None])
            if (bounds.load(scales) < 1).all():
                return exponent
    return 0


def _each(bounds: Bounds, exponent: int) -> tuple[Scales, bool]:
    """Scales of groups of channels, and whether a smaller exponent might allow more.

    A channel whose sums might overflow is scaled down until they cannot, but no further
    than all channels are with one scale.
    """
    one, full = _one(bounds, exponent), bounds.full(exponent)
    allowed = np.minimum(bounds.ceiling, full)
    if -math.inf < bounds.layer.population.min_voltage < 0:
        allowed = np.minimum(allowed, SPREAD * one)
    while True:
        membrane = grouped(allowed, bounds.heard)
        scales = bounds.scales(membrane)
        load = bounds.load(scales)
        over = (load >= 1) & (membrane > one)
        if not over.any():
            return scales, bool((allowed < full)[bounds.heard].any())
        less = membrane[over] / load[over] * ROOM
        allowed[over] = np.maximum(one, less)
