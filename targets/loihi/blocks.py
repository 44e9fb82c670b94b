"""A Program's cores as nengo-loihi's blocks: our integers, in its containers.

nengo-loihi's builder and discretisation are not used: the blocks hold the Program's
integers as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from nengo_loihi.block import Axon, LoihiBlock, Synapse  # type: ignore
from nengo_loihi.builder import Model  # type: ignore
from nengo_loihi.inputs import SpikeInput  # type: ignore

from ...toolchain.passes.place.fan_in import FanIn, atoms, fan_in
from ...toolchain.passes.place.place import Placement
from ...toolchain.passes.place.synapses import WEIGHT_BITS, weight_format
from ...toolchain.program.arithmetic import IntArray
from ...toolchain.program.connections import Connection
from ...toolchain.program.program import Population, Program

POPULATION_AXON = 32  # pop32: its atom selects the weights; 0 is a discrete axon


@dataclass(frozen=True, eq=False)
class Assembly:
    """nengo-loihi's model of a placed Program."""

    model: Model
    inputs: Mapping[str, SpikeInput]  # one for each SpikeInput of the Program
    blocks: Mapping[str, list[LoihiBlock]]  # those of a population, in placement order


def assemble(program: Program, placement: Placement) -> Assembly:
    """Blocks, one for each core of the placement, connected by axons."""
    model = Model(dt=program.timing.dt)
    inputs = {p.name: SpikeInput(p.size, label=p.name) for p in program.inputs}
    blocks: dict[str, list[LoihiBlock]] = {p.name: [] for p in program.populations}
    for population in program.populations:
        for block in placement.blocks(population.name):
            loihi_block = LoihiBlock(block.size, label=population.name)
            _configure(loihi_block, population, block.neurons)
            blocks[population.name].append(loihi_block)
            model.add_block(loihi_block)
    for spike_input in inputs.values():
        model.add_input(spike_input)
    for connection in program.connections:
        senders = _senders(connection, placement, inputs, blocks)
        places = placement.blocks(connection.target)
        for place, loihi_block in zip(places, blocks[connection.target]):
            fan = fan_in(connection, place)
            if fan.source.size:
                synapse = _synapse(fan)
                loihi_block.add_synapse(synapse)
                for neurons, sender in senders:
                    _connect(sender, neurons, fan, synapse)
    return Assembly(model, inputs, blocks)


def _configure(block: LoihiBlock, population: Population, neurons: IntArray) -> None:
    """Set a block's compartments to a population's constants, int32 throughout."""
    compartment = block.compartment
    for name, value in (
        ("decay_u", population.decay_u),
        ("decay_v", population.decay_v),
        ("refract_delay", population.refractory),
    ):
        setattr(compartment, name, np.full(len(neurons), value, np.int32))
    compartment.vth = population.thresholds[neurons]
    compartment.bias = population.bias[neurons].astype(np.int32)
    compartment.vmin = population.v_min
    compartment.vmax = population.v_max
    compartment.noise_exp = 1  # there is none; the board's builder subtracts 1
    compartment.scale_u = False
    compartment.scale_v = False


def _synapse(fan: FanIn) -> Synapse:
    """The synapses of one connection into one core, in as few bits as hold them."""
    connection = fan.connection
    synapse = Synapse(len(fan.source), f"{connection.source} → {connection.target}")
    weights, indices = [], []
    for weight, index in fan.weights():
        weights.append(weight)
        indices.append(np.broadcast_to(index, weight.shape))
    if atoms(connection) > 1:
        synapse.pop_type = POPULATION_AXON
    if not fan.dense:
        synapse.axon_to_weight_map = fan.pattern.tolist()  # lists: read spike by spike
        synapse.axon_compartment_bases = fan.base.tolist()
    synapse._set_weights_indices(
        weights, indices, weight_dtype=np.int32, compression=3 if fan.dense else 0
    )
    bits, exponent = weight_format(connection)
    synapse.format(weight_exp=exponent, weight_bits=1 + WEIGHT_BITS.index(bits))
    return synapse


def _senders(
    connection: Connection,
    placement: Placement,
    inputs: Mapping[str, SpikeInput],
    blocks: Mapping[str, list[LoihiBlock]],
) -> list[tuple[IntArray, SpikeInput | LoihiBlock]]:
    """What sends a connection's spikes, each with its neurons in the source."""
    name = connection.source
    if name in inputs:
        return [(np.arange(inputs[name].n_neurons), inputs[name])]
    places = placement.blocks(name)
    return [(place.neurons, block) for place, block in zip(places, blocks[name])]


def _connect(
    sender: SpikeInput | LoihiBlock,
    neurons: IntArray,
    fan: FanIn,
    synapse: Synapse,
) -> None:
    """Axons from those of the sender's neurons whose pixel reaches the synapse."""
    pixel, atom = np.divmod(neurons, atoms(fan.connection))
    axon = np.searchsorted(fan.source, pixel)
    axon = np.minimum(axon, len(fan.source) - 1)
    axon[fan.source[axon] != pixel] = -1
    used = np.unique(axon[axon >= 0])
    if used.size:
        group = Axon(used.size, label=synapse.label)
        group.target = synapse
        group.set_compartment_axon_map(axon, atoms=atom)
        sender.add_axon(group)
