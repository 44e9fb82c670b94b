"""LoihiEmulator: Loihi 1, emulated by nengo-loihi with our own integers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...toolchain.passes.place.limits import CONNECTIONS, CoreLimits, Limits
from ...toolchain.passes.place.place import Placement, place
from ...toolchain.program.host import BoolArray, Stimulus
from ...toolchain.program.program import Program
from ..contract import Session, Target
from .placed import PlacedSession, nengo_loihi

LOIHI1_CORE = CoreLimits(  # nengo_loihi block.py; Davies et al. 2018, IEEE Micro 38(1)
    compartments=1024,
    input_axons=4096,
    output_axons=4096,
    synapse_bits=16384 * 64,
)
LOIHI1_CORES = 128  # of a chip
LOIHI1_CHIPS = 768  # Pohoiki Springs, the largest board (Intel newsroom, 18 March 2020)


class LoihiEmulator(Target):
    """nengo-loihi's emulator of Loihi 1, run directly on blocks that we assemble."""

    name = "loihi-emulator"
    kind = "integer emulation"
    library = "nengo-loihi"
    extra = "loihi"
    limits = Limits(
        connections=CONNECTIONS,
        max_delay=1,
        recurrent=True,
        core=LOIHI1_CORE,
        cores=LOIHI1_CORES,
        chips=LOIHI1_CHIPS,
    )

    def open(self, program: Program) -> Session:
        """A session, after placing the Program; importing nengo-loihi takes seconds."""
        assert self.limits.core is not None and self.limits.cores is not None
        placement = place(
            program, self.limits.core, self.limits.cores, self.limits.chips
        )
        return EmulatorSession(self, program, placement)


class EmulatorSession(PlacedSession):
    """A Program in nengo-loihi's emulator; its state is zeroed for every sample."""

    def __init__(self, target: Target, program: Program, placement: Placement) -> None:
        super().__init__(target, program, placement)
        with nengo_loihi(target):
            from nengo_loihi.emulator import EmulatorInterface  # type: ignore

            from .blocks import assemble

            self.assembly = assemble(program, placement)
            self._emulator = EmulatorInterface(self.assembly.model, seed=0)

    def simulate(self, stimulus: Stimulus) -> Mapping[str, BoolArray]:
        """Population → spikes (samples, steps, neurons)."""
        size = (stimulus.samples, stimulus.steps)
        spikes = {
            p.name: np.zeros((*size, p.size), bool) for p in self.program.populations
        }
        fired = np.zeros((stimulus.steps, self.program.neurons), bool)
        for sample in range(stimulus.samples):
            self._reset(stimulus, sample)
            for step in range(stimulus.steps):
                self._emulator.step()
                fired[step] = self._emulator.compartment.spiked
            start = 0
            for name, indices in self.neurons.items():
                stop = start + indices.size
                spikes[name][sample][:, indices] = fired[:, start:stop]
                start = stop
        return spikes

    def _reset(self, stimulus: Stimulus, sample: int) -> None:
        """Zero the state, set the biases, and hand over the input spikes.

        The emulator counts steps from 1; an input spike of its step t acts at t + 1.
        """
        state = self._emulator.compartment
        for array in (
            state.input,
            state.current,
            state.voltage,
            state.spiked,
            state.spike_count,
            state.ref_count,
        ):
            array[...] = 0
        self._emulator.t = 0
        bias = [
            (stimulus.bias[p.name][sample] if p.name in stimulus.bias else p.bias)[
                self.neurons[p.name]
            ]
            for p in self.program.populations
        ]
        state.bias[:] = np.concatenate(bias)
        for name, spike_input in self.assembly.inputs.items():
            spike_input.spikes.clear()
            for step, active in enumerate(stimulus.spikes[name][sample]):
                spike_input.add_spikes(step + 1, np.flatnonzero(active))
