"""What the scales of a layer's channels can be: mantissas, thresholds, biases, sums."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ...graph.nodes import LIF, FloatArray
from ...program import arithmetic as core
from ...program.arithmetic import IntArray
from ...program.host import BoolArray
from .layers import Layer, Synapses
from .rounding import (
    Scales,
    membrane_decay,
    round_connection,
    rounded_threshold,
    rounded_weight,
    synaptic_decay,
)

DEEPEST = 16.0  # thresholds; a v_min below is as good as none


@dataclass(frozen=True, eq=False, kw_only=True)
class Bounds:
    """A layer, and what bounds the membrane scales of its ``channels``."""

    layer: Layer
    amplitudes: Mapping[str, float]  # source → output of one spike, integrated over s
    dt: float  # s
    largest: float  # mantissa
    peak: float  # largest |J| that the host will set as bias
    _found: dict[Hashable, IntArray] = field(default_factory=dict, repr=False)

    @cached_property
    def gain(self) -> float:
        """``membrane_gain`` of the layer."""
        return membrane_gain(self.layer, self.dt)

    @cached_property
    def units(self) -> Mapping[str, float]:
        """Source → q of one spike, for a weight of 1 and a membrane scale of 1."""
        return {
            s.source: self.gain
            * synaptic_gain(self.layer, self.amplitudes[s.source], self.dt)
            for s in self.layer.synapses
        }

    @cached_property
    def reach(self) -> Mapping[str, FloatArray]:
        """Source → largest |q| of one spike, for a membrane scale of 1; (channels,).

        Synapses of one source that differ in their delay share a scale.
        """
        found: dict[str, FloatArray] = {}
        for s in self.layer.synapses:
            sizes = np.abs(s.node.weight).reshape(-1, self.layer.channels)
            reach = self.units[s.source] * sizes.max(axis=0)
            found[s.source] = np.maximum(reach, found.get(s.source, 0.0))
        return found

    @cached_property
    def strongest(self) -> FloatArray:
        """The largest ``reach`` of any source, (channels,)."""
        none = np.zeros(self.layer.channels)
        strongest: FloatArray = np.max([none, *self.reach.values()], axis=0)
        return strongest

    @property
    def heard(self) -> BoolArray:
        """Whether a channel has weights other than 0, (channels,)."""
        heard: BoolArray = self.strongest > 0
        return heard

    @cached_property
    def ceiling(self) -> FloatArray:
        """Membrane scale with the largest threshold, bias or v_min, (channels,)."""
        biases = np.abs(self.layer.bias).reshape(-1, self.layer.channels)
        peaks = self.gain * np.maximum(self.peak, biases.max(axis=0, initial=0))
        ceiling: FloatArray = np.full(peaks.shape, float(core.MAX_THRESHOLD))
        driven = peaks > 0
        ceiling[driven] = np.minimum(ceiling[driven], core.MAX_BIAS / peaks[driven])
        depth = min(-self.layer.population.min_voltage, DEEPEST)
        return np.minimum(ceiling, core.V_LIMIT / depth) if depth > 0 else ceiling

    def full(self, exponent: int) -> FloatArray:
        """Membrane scale with the largest mantissa, (channels,).

        A channel without weights has that of the strongest.
        """
        reach = np.where(self.heard, self.strongest, self.strongest.max())
        full: FloatArray = self.largest * 2.0 ** (core.WEIGHT_SHIFT + exponent) / reach
        return full

    def scales(self, membrane: FloatArray) -> Scales:
        """Scales of these membrane scales, (channels,) or (1,), the same for all.

        Each connection has its smallest exponent.
        """
        least = float(membrane.min())
        weights, exponents = {}, {}
        for s in self.layer.synapses:
            reached = float((self.reach[s.source] * membrane).max())
            units = reached / (1 << core.WEIGHT_SHIFT)
            share = max(units / self.largest * (1 - 1e-9), 1.0)
            fine = int(np.ceil(np.log2(share)))
            exponents[s.source] = fine
            unit = self.units[s.source] * least / (1 << core.WEIGHT_SHIFT)
            weights[s.source] = unit / 2.0**fine if reached else 1.0
        return Scales(
            membrane=least,
            current=least * self.gain,
            weights=weights,
            exponents=exponents,
            channels=tuple((membrane / least).tolist()) if membrane.size > 1 else (),
        )

    def load(self, scales: Scales) -> FloatArray:
        """The sums q and u + bias, whatever spikes, as shares of what their bits hold.

        The largest of each channel's neurons, (channels,); 1 and more wraps around.
        """
        layer = self.layer
        q = sum(
            self._worst(s, scales) << scales.exponents[s.source] for s in layer.synapses
        )
        bias = np.abs(layer.bias * scales.spread(scales.current, layer.bias.size))
        u = core.worst_current(np.asarray(q), synaptic_decay(layer, self.dt)) + bias
        share = np.maximum(q / (1 << core.Q_BITS), u / (1 << core.U_BITS))
        largest: FloatArray = share.reshape(-1, layer.channels).max(axis=0)
        return largest

    def _worst(self, synapses: Synapses, scales: Scales) -> IntArray:
        """Largest |q| with an exponent of 0; from one exponent to the next the
        mantissas seldom change, and it is looked up.
        """
        source, delay = synapses.source, synapses.delay
        key = source, delay, scales.weights[source], scales.channels
        if key not in self._found:
            plain = replace(scales, exponents={source: 0})
            self._found[key] = round_connection(self.layer, synapses, plain).worst_q
        return self._found[key]

    def lost(self, scales: Scales, exponent: int) -> float:
        """Bits that the channels' largest mantissas are short of, on average."""
        full = self.full(exponent)
        short = np.log2(full / scales.spread(scales.membrane, full.size))
        return float(np.minimum(short, np.log2(self.largest + 2))[self.heard].mean())

    def error(self, scales: Scales) -> float:
        """Σ squared errors of the synapses' weights, in thresholds a spike."""
        total = 0.0
        for s in self.layer.synapses:
            size = s.node.weight.shape[-1]
            threshold = rounded_threshold(scales.spread(scales.membrane, size))
            unit = 2.0 ** (core.WEIGHT_SHIFT + scales.exponents[s.source])
            wanted = s.node.weight * self.units[s.source]
            with np.errstate(all="ignore"):  # a threshold of 0, which is refused later
                off = rounded_weight(s, scales) * (unit / threshold) - wanted
            total += float(np.square(off).sum())
        return total


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
