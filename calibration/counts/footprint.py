"""Memory that a Program takes: weights, state and axons at the deployed precision."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...toolchain.passes.place.place import Placement
from ...toolchain.passes.place.synapses import WORD_BITS, weight_format
from ...toolchain.program import arithmetic as core
from ...toolchain.program.program import Population, Program

STATE_BITS = 2 * (core.U_BITS + 1) + core.MAX_REFRACTORY.bit_length()
"""Of a neuron: u and v with their signs, and the refractory counter."""
BIAS_BITS = 1 + core.MAX_BIAS_MANTISSA.bit_length() + 3
"""Sign, mantissa and exponent 0 … 7."""


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """Bits that a population takes, its incoming weights with it.

    ``synapse_bits`` and the axons are None where the Program is not placed on cores.
    """

    name: str
    weights: int
    """Different weights into the population: a kernel's once, however often it is
    used."""
    weight_bits: int
    """Of these, each as wide as the core stores it (``place.synapses``)."""
    state_bits: int
    """u, v and refractory counter of each neuron, and its bias; and its accumulator q,
    once for each step of the longest delay."""
    synapse_bits: int | None
    """Synapse memory that is allotted on all cores: copies of the weights, indices and
    headers with it, in words of 64 bits."""
    input_axons: int | None
    output_axons: int | None
    axon_bits: int | None
    """Least bits of the axons' addresses: of an input axon a word of the synapse
    memory, of an output axon a core and one of its input axons."""

    @property
    def bits(self) -> int:
        """All together; of synapse memory what is allotted, where that is known."""
        synapses = self.weight_bits if self.synapse_bits is None else self.synapse_bits
        return synapses + self.state_bits + (self.axon_bits or 0)


def footprint(
    program: Program, placement: Placement | None = None
) -> tuple[Footprint, ...]:
    """Of every population on the core, in the Program's order."""
    return tuple(_footprint(program, p, placement) for p in program.populations)


def _footprint(
    program: Program, population: Population, placement: Placement | None
) -> Footprint:
    incoming = program.incoming(population.name)
    delay = max((c.delay for c in incoming), default=0)
    used = None if placement is None else placement.utilization[population.name].total
    axon_bits = None
    if placement is not None and used is not None:
        word = _address(placement.limits.synapse_bits // WORD_BITS)
        cores = placement.chips * placement.chip_cores
        there = _address(cores) + _address(placement.limits.input_axons)
        axon_bits = used.input_axons * word + used.output_axons * there
    accumulators = delay * (core.Q_BITS + 1)
    return Footprint(
        name=population.name,
        weights=sum(int(np.size(c.weight)) for c in incoming),
        weight_bits=sum(int(np.size(c.weight)) * weight_format(c)[0] for c in incoming),
        state_bits=population.size * (STATE_BITS + BIAS_BITS + accumulators),
        synapse_bits=None if used is None else used.synapse_bits,
        input_axons=None if used is None else used.input_axons,
        output_axons=None if used is None else used.output_axons,
        axon_bits=axon_bits,
    )


def _address(places: int) -> int:
    """Bits that tell so many places apart.

    >>> [_address(n) for n in (1, 128, 4096, 4097)]
    [0, 7, 12, 13]
    """
    return math.ceil(math.log2(max(places, 1)))
