"""LayerGuilt: what one layer does to the answers, and what its neurons do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...toolchain.graph.nodes import FloatArray
from ...toolchain.passes.quantize.dequantize import held_weight
from ...toolchain.passes.quantize.layers import Layer
from ...toolchain.program.program import Program
from ..overflow import MAX_Q, MAX_U, Overflow
from .alone import Alone
from .likeness import Likeness, decibels


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Firing rates over samples and neurons, Hz."""

    mean: float
    median: float
    p99: float
    maximum: float


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Signal-to-quantization-noise ratios, dB, of integers against floats.

    Weights as they are; currents and rates with the float network's rates coming in.
    None: there are no such.
    """

    weights: float | None = None
    currents: float | None = None
    rates: float | None = None


@dataclass(frozen=True, kw_only=True)
class Margins:
    """Bits by which the largest sums of the run are below the core's widths."""

    q: float
    u: float


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """A change of the build, and what a layer loses of the answers with it."""

    change: str
    lost: float


@dataclass(frozen=True, kw_only=True)
class LayerGuilt:
    """What became of a population, or a spike input, and what it is guilty of.

    Attributes:
        name: of the population.
        neurons: how many.
        rates: of the whole network's run.
        silent: share of the neurons without a spike in any sample.
        saturated: share of those that fire at their highest rate in some sample.
        together: rates in the whole network against the float network's.
        alone: the layer's rates when those before it are the float network's.
        noise: of its integers.
        margins: of q and u; None where no connection comes in.
        lost: mean squared error of the network's linear outputs, of the float ones'
            variance, with this layer as its integers and spikes make it alone, all
            others in float; of a fine-tuned network, all others as trained.
        rounding: what its integers alone would lose of the float network's.
        score: score lost likewise; None without labels.
        remedy: what helps, tried; None: nothing that was tried, or nothing was.
    """

    name: str
    neurons: int
    rates: Rates
    silent: float
    saturated: float
    together: Likeness
    alone: Likeness
    noise: Noise
    margins: Margins | None
    lost: float
    rounding: float
    score: float | None = None
    remedy: Remedy | None = None


def rates_of(hertz: FloatArray) -> Rates:
    """The distribution of rates in Hz."""
    return Rates(
        mean=float(hertz.mean()),
        median=float(np.median(hertz)),
        p99=float(np.percentile(hertz, 99)),
        maximum=float(hertz.max()),
    )


def noise_of(program: Program, layer: Layer, alone: Alone) -> Noise:
    """What a layer's integers and spikes add to its float values."""
    held, wanted = [], []
    for synapses in layer.synapses:
        held.append(held_weight(program, layer, synapses).ravel())
        wanted.append(synapses.node.weight.ravel())
    return Noise(
        weights=decibels(np.concatenate(held), np.concatenate(wanted))
        if held
        else None,
        currents=decibels(alone.held, alone.current),
        rates=decibels(alone.fired, alone.wanted),
    )


def margins_of(overflow: Overflow | None) -> Margins | None:
    """How far a run stayed below the widths of q and u."""
    if overflow is None:
        return None
    q, u = max(overflow.peak_q, 1), max(overflow.peak_u, 1)
    return Margins(q=float(np.log2(MAX_Q / q)), u=float(np.log2(MAX_U / u)))
