"""Correct: what each population must be driven with to fire at its ANN's rates.

**What was known.** The core looks at its threshold once a step and resets to 0: what
lies beyond the threshold is lost. A neuron meant to fire at r fires at
r / (1 + r·dt/2) where its input is steady, later still where spikes come unevenly, and
the loss adds up from layer to layer: twelve convolutions kept 0.102 of an accuracy of
0.914. A threshold scaled by the slope of the rates against the ANN's, layer after layer
in order of flow, brought such a network back (issue of 2026; Li et al. 2021, arXiv
2106.06984, do the like for neurons that lose nothing).

**What is chosen.** Layer after layer, each with the spikes of those before it as they
are corrected already: first the closed form of a steady input, then twice the slope of
what was counted, a channel each, then the mean error of the neurons that fire, where
that brings the rates nearer. Both act on J, before rounding: the mantissas, thresholds
and biases are chosen for what is driven. A channel whose rates are small tells little
of its slope, so it is drawn to the population's.

**What was tried.** On networks of 6, 12 and 20 convolutions and the digits (three seeds
each) one slope a population did as well as one a channel, but not on the Caltech
pictures; without the mean error outputs were a little worse. A start at half the
threshold (one neuron more, that sends each a spike worth it) brought nothing that was
more than chance, and rates chosen for each layer by its own error did worse than one
highest rate for all.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...toolchain.graph.nodes import LIF, FloatArray
from ...toolchain.passes.quantize.layers import Layer
from ...toolchain.program.correction import Correction
from ...toolchain.program.host import BoolArray
from .layerwise import Layerwise

SLOPES = 2  # times that the slope is looked at
DRAWN = 0.05  # to the population's slope, of a channel with the mean power
BITS = 12  # of gains and offsets
LEAST_SLOPE, MOST_GAIN, LEAST_GAIN = 0.1, 4.0, 0.4


def correct(network: Layerwise, min_potential: float) -> Mapping[str, Correction]:
    """Population → its Correction; the spikes of all are left in ``network.spikes``.

    Args:
        network: whose populations have not run yet.
        min_potential: of every IF population, of its threshold; LIF keep theirs.
    """
    found = {}
    for layer in network.layers:
        name = layer.population.name
        found[name], spikes = _corrected(network, layer, min_potential)
        network.spikes[name] = spikes
    return found


def _corrected(
    network: Layerwise, layer: Layer, min_potential: float
) -> tuple[Correction, BoolArray]:
    node, meant = layer.population, network.meant(layer)
    low = node.min_voltage if isinstance(node, LIF) else min_potential
    gain = np.full(layer.channels, _to_bits(steady_gain(meant, network.shown.dt)))
    now = _correction(layer, gain, np.zeros(layer.channels), low)
    for _ in range(SLOPES):
        counted = network.counted(layer, network.run(layer, now))
        gain = gain / np.maximum(slopes(counted, meant), LEAST_SLOPE)
        gain = _to_bits(np.clip(gain, LEAST_GAIN, MOST_GAIN))
        now = _correction(layer, gain, np.zeros(layer.channels), low)
    spikes = network.run(layer, now)
    counted = network.counted(layer, spikes)
    offset = _to_bits(_current_of(layer, gain) * _mean_error(counted, meant))
    moved = _correction(layer, gain, offset, low)
    other = network.run(layer, moved)
    if _distance(network.counted(layer, other), meant) < _distance(counted, meant):
        return moved, other
    return now, spikes


def steady_gain(meant: FloatArray, dt: float) -> float:
    """What brings rates r / (1 + r·dt/2) back to r, in least squares over r.

    A neuron at 250 Hz has an interval of four steps and loses half a step of it:

    >>> steady_gain(np.full((1, 1), 250.0), 0.001)
    1.125
    """
    fired = meant / (1 + meant * dt / 2)
    power = float(np.square(fired).sum())
    return float((meant * fired).sum()) / power if power else 1.0


def slopes(counted: FloatArray, meant: FloatArray) -> FloatArray:
    """Of counted rates against meant ones, (…, channels), through 0; a channel each.

    1 where nothing is meant to fire.
    """
    both, power = (counted * meant).sum(axis=0), np.square(meant).sum(axis=0)
    if not power.any():
        return np.ones(len(power))
    drawn = DRAWN * power.mean()
    found: FloatArray = (both + drawn * both.sum() / power.sum()) / (power + drawn)
    return found


def _correction(
    layer: Layer, gain: FloatArray, offset: FloatArray, low: float
) -> Correction:
    """Of a LIF population the drive beyond the threshold is what has the gain."""
    if isinstance(layer.population, LIF):
        offset = offset + 1 - gain
    return Correction(gain=gain, offset=offset, min_potential=low)


def _current_of(layer: Layer, gain: FloatArray) -> FloatArray:
    """About what of J a Hz more takes: IF, r = J; LIF, r ≈ (J − ½) / tau_rc."""
    node = layer.population
    return gain * (node.tau_rc if isinstance(node, LIF) else 1.0)


def _mean_error(counted: FloatArray, meant: FloatArray) -> FloatArray:
    """Of each channel's neurons that fire or should, in Hz."""
    there = (meant > 0) | (counted > 0)
    missing = ((meant - counted) * there).sum(axis=0)
    found: FloatArray = missing / np.maximum(there.sum(axis=0), 1)
    return found


def _to_bits(x: FloatArray | float) -> FloatArray:
    """With BITS digits: the last ones differ between machines, which integers show."""
    digits, exponent = np.frexp(x)
    whole: FloatArray = np.round(np.ldexp(digits, BITS))
    found: FloatArray = np.ldexp(whole, exponent - BITS)
    return found


def _distance(counted: FloatArray, meant: FloatArray) -> float:
    return float(np.square(counted - meant).sum())
