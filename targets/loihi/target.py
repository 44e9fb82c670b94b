"""LoihiEmulator: Loihi 1, emulated by nengo-loihi with our own integers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields

import numpy as np

from ...toolchain.errors import TargetUnavailable
from ...toolchain.passes.place.limits import (
    CHIP,
    CONNECTIONS,
    CoreLimits,
    Limits,
    Usage,
)
from ...toolchain.passes.place.place import Placement, place
from ...toolchain.program.arithmetic import IntArray
from ...toolchain.program.host import BoolArray, Stimulus
from ...toolchain.program.program import Program
from ..contract import Session, Target, Utilization
from ..silent_import import silent_import

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


class EmulatorSession(Session):
    """A Program in nengo-loihi's emulator; its state is zeroed for every sample."""

    def __init__(self, target: Target, program: Program, placement: Placement) -> None:
        super().__init__(target, program)
        self._placement = placement
        self._neurons: Mapping[str, IntArray] = {
            p.name: np.concatenate([b.neurons for b in placement.blocks(p.name)])
            for p in program.populations
        }  # in the order of the emulator's compartments
        with _known_warnings():
            try:
                with silent_import():  # nengo-loihi imports NengoDL where there is one
                    from nengo_loihi.emulator import EmulatorInterface  # type: ignore

                from .blocks import assemble
            except ImportError as error:
                raise TargetUnavailable(
                    f"Target {target.name!r}: {target.library} cannot be imported "
                    f"({error}); pip install 'snn-deploy[{target.extra}]'"
                ) from error
            self.assembly = assemble(program, placement)
            self._emulator = EmulatorInterface(self.assembly.model, seed=0)

    @property
    def placement(self) -> Placement:
        """Where the neurons are."""
        return self._placement

    @property
    def utilization(self) -> Utilization:
        """Cores; each resource on a population's fullest core, and of the used chips.

        Chips are named where there are several.
        """
        placement = self.placement
        limits, cores = placement.limits, placement.chips * placement.chip_cores
        table = {
            name: {"cores": (used.cores, cores), **_uses(used.worst, limits, 1)}
            for name, used in placement.utilization.items()
        }
        chips = {
            "chips": (placement.chips, self.target.limits.chips or placement.chips)
        }
        table[CHIP] = {
            **(chips if placement.chips > 1 else {}),
            "cores": (len(placement.cores), cores),
            **_uses(placement.total, limits, cores),
        }
        return table

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
            for name, indices in self._neurons.items():
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
                self._neurons[p.name]
            ]
            for p in self.program.populations
        ]
        state.bias[:] = np.concatenate(bias)
        for name, spike_input in self.assembly.inputs.items():
            spike_input.spikes.clear()
            for step, active in enumerate(stimulus.spikes[name][sample]):
                spike_input.add_spikes(step + 1, np.flatnonzero(active))


def _uses(usage: Usage, limits: CoreLimits, cores: int) -> dict[str, tuple[int, int]]:
    return {
        field.name.replace("_", " "): (
            getattr(usage, field.name),
            getattr(limits, field.name) * cores,
        )
        for field in fields(Usage)
    }


@contextmanager
def _known_warnings() -> Iterator[None]:
    """Without remarks on versions, and on placeholders that are overwritten."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*has not been tested with your")
        warnings.filterwarnings("ignore", ".*version of .*nengo.* has not been tested")
        warnings.filterwarnings("ignore", "invalid value encountered in cast")
        yield
