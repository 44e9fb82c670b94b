"""Neuron types: what is read of each, told by the step that it takes.

A type that inherits its step from one that is known here is that one, as those are that
learn in a way of their own (``models/cotraining/nengo_hybrid.py``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from ...graph import nodes as n

LIF = ("nengo.neurons", "LIF")
LEAST_VOLTAGE = -1e9  # for Nengo's −inf, which no bundle holds


def _lif(type: Any, name: str, dt: float) -> n.Neurons:
    return n.LIF(
        name,
        amplitude=float(type.amplitude),
        tau_rc=float(type.tau_rc),
        tau_ref=float(type.tau_ref),
        min_voltage=max(float(type.min_voltage), LEAST_VOLTAGE),
    )


def _loihi_lif(type: Any, name: str, dt: float) -> n.Neurons:
    """Its decay is a core's, of 12 bits. Source: nengo_loihi.neurons.LoihiLIF."""
    decay = round(-math.expm1(-dt / float(type.tau_rc)) * 4095) / 4095
    tau_rc = -dt / math.log1p(-decay)
    lif = cast(n.LIF, _lif(type, name, dt))
    return replace(lif, tau_rc=tau_rc, whole_steps=True)


def _soft_lif(type: Any, name: str, dt: float) -> n.Neurons:
    return n.SoftLIF(
        name,
        amplitude=float(type.amplitude),
        tau_rc=float(type.tau_rc),
        tau_ref=float(type.tau_ref),
        sigma=float(type.sigma),
    )


KNOWN: dict[tuple[str, str], Callable[[Any, str, float], n.Neurons]] = {
    LIF: _lif,
    ("nengo.neurons", "SpikingRectifiedLinear"): lambda type, name, dt: n.IF(
        name, amplitude=float(type.amplitude)
    ),
    ("nengo.neurons", "RectifiedLinear"): lambda type, name, dt: n.ReLU(
        name, amplitude=float(type.amplitude)
    ),
    ("nengo_dl.neurons", "SoftLIFRate"): _soft_lif,
    ("nengo_loihi.neurons", "LoihiLIF"): _loihi_lif,
    ("nengo_loihi.neurons", "LoihiSpikingRectifiedLinear"): lambda type, name, dt: n.IF(
        name, amplitude=float(type.amplitude), reset="zero"
    ),
}
"""Module and class of a step → the population of a neuron type that takes it."""

NEAREST = {
    "LIFRate": "nengo_dl.SoftLIFRate, or nengo.LIF, which spikes",
    "AdaptiveLIFRate": "nengo_dl.SoftLIFRate",
    "AdaptiveLIF": "nengo.LIF without adaptation",
    "LeakyReLU": "nengo.RectifiedLinear",
    "SpikingLeakyReLU": "nengo.SpikingRectifiedLinear",
    "Direct": "nengo.LIF",
}
RECTIFIED = "nengo.LIF or nengo.SpikingRectifiedLinear"


def stepping(type_: Any) -> tuple[str, str]:
    """Module and class that its step is from, that of nengo.LIF for a HybridLIF."""
    step = type(type_).step
    return step.__module__, step.__qualname__.rpartition(".")[0]


def is_known(type_: Any) -> bool:
    """Whether a population here does what the neuron type does."""
    return stepping(type_) in KNOWN


def population(type_: Any, name: str, dt: float) -> n.Neurons:
    """The population of a known neuron type in steps of dt, its input to be said."""
    return KNOWN[stepping(type_)](type_, name, dt)


def nearest(type_: Any) -> str:
    """What comes nearest to a neuron type that is not known."""
    return NEAREST.get(type(type_).__name__, RECTIFIED)
