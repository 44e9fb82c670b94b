"""A Program for a board: our cores, probes of all neurons, and one sample's input.

State is fresh for every sample because the board is: nengo-loihi has nothing that
resets it. Public reset programs for the chip's x86 cores write 0 into u and v; what
becomes of refractory phases and of the spikes under way, no public text says.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from nengo_loihi.block import LoihiBlock  # type: ignore
from nengo_loihi.builder import Model  # type: ignore
from nengo_loihi.hardware.allocators import Allocator  # type: ignore
from nengo_loihi.hardware.nxsdk_objects import Board  # type: ignore
from nengo_loihi.probe import LoihiProbe  # type: ignore

from ...toolchain.passes.place.place import Placement
from ...toolchain.program.arithmetic import IntArray
from ...toolchain.program.host import Stimulus
from ...toolchain.program.program import Program
from .blocks import Assembly


class PlacedCores(Allocator):  # type: ignore[misc]
    """Each block on the core that our placement gave it, in place of GreedyInterchip.

    Core n of chip m is the n-th that NxSDK hands out of its m-th chip.
    """

    def __init__(self, placement: Placement) -> None:
        self.placement = placement

    def __call__(self, model: Model, n_chips: int) -> Board:
        """The board: as many chips and cores as are used, chip by chip.

        Inputs without axons are left out, since NxSDK's builder takes none.
        """
        board = Board()
        for given in model.inputs:
            if given.axons:
                board.add_input(given)
        for _ in range(self.placement.chips):
            board.new_chip()
        for core, block in zip(self.placement.cores, model.blocks):
            self.block_to_new_core(block, board.chips[core.chip])
        board.probes.extend(model.probes)
        return board


def add_probes(
    assembly: Assembly, neurons: Mapping[str, IntArray]
) -> dict[str, LoihiProbe]:
    """Population → a probe of its spikes, (steps, neurons) in the population's order.

    Args:
        assembly: they are added to its model.
        neurons: of each population, in the order of its compartments.
    """
    probes = {}
    for name, blocks in assembly.blocks.items():
        probes[name] = LoihiProbe(
            target=blocks, key="spiked", reindexing=np.argsort(neurons[name])
        )
        assembly.model.add_probe(probes[name])
    return probes


def present(
    program: Program,
    placement: Placement,
    assembly: Assembly,
    stimulus: Stimulus,
    sample: int,
) -> None:
    """Set a sample's biases, and its input spikes, before the board is built.

    NxSDK counts steps from 1, and a spike of its step t acts at t + 1, as in nengo-
    loihi's emulator.
    """
    for p in program.populations:
        bias = stimulus.bias[p.name][sample] if p.name in stimulus.bias else p.bias
        for place, block in zip(placement.blocks(p.name), assembly.blocks[p.name]):
            _set_bias(block, bias[place.neurons])
    for name, spike_input in assembly.inputs.items():
        spike_input.spikes.clear()
        for step, active in enumerate(stimulus.spikes[name][sample]):
            if active.any():
                spike_input.add_spikes(step + 1, np.flatnonzero(active))


def _set_bias(block: LoihiBlock, bias: IntArray) -> None:
    block.compartment.bias = bias.astype(np.int32)
