"""Loihi: the same blocks on a board of Loihi 1, through nengo-loihi and NxSDK."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec

import numpy as np

from ...toolchain.errors import TargetUnavailable
from ...toolchain.graph.nodes import FloatArray
from ...toolchain.passes.place.place import Placement, place
from ...toolchain.program.host import BoolArray, Stimulus
from ...toolchain.program.program import Program
from ..access import INRC, no_access
from ..contract import Session, Target
from ..reading import Reading
from .placed import PlacedSession, nengo_loihi
from .power import meter
from .registers import register_problems
from .target import LoihiEmulator

VERSIONS = "0.9.0 to 1.0.0 for nengo-loihi 1.1.0"  # hardware/interface.py
WHERE = (
    "look at SLURM, PARTITION and BOARD, or NXSDKHOST, and where the board measures no "
    "power set LMTOPTIONS=--skip-power=1"
)


class Loihi(Target):
    """A board of Loihi 1, chosen by NxSDK's own variables; never the emulator.

    NxSDK reads SLURM, PARTITION and BOARD, or NXSDKHOST, and LMTOPTIONS itself.
    """

    name = "loihi"
    kind = "hardware"
    library = "nxsdk"
    extra = "loihi"
    access = INRC
    limits = LoihiEmulator.limits

    def problems(self, program: Program) -> Iterator[str]:
        """Registers that do not hold the Program, known without NxSDK too."""
        return register_problems(program)

    def open(self, program: Program) -> Session:
        """A session, after placing the Program; no board is started.

        Raises:
            DoesNotFit: the cores do not hold the Program.
            TargetUnavailable: NxSDK or nengo-loihi is missing, or too old.
        """
        assert self.limits.core is not None and self.limits.cores is not None
        placement = place(
            program, self.limits.core, self.limits.cores, self.limits.chips
        )
        if find_spec("nxsdk") is None:
            raise no_access(self.name, f"NxSDK ({VERSIONS})", self.access)
        return BoardSession(self, program, placement)


class BoardSession(PlacedSession):
    """A Program on a board that is started anew for every sample.

    So every sample begins with the registers' own zeros, which is exact, and slow.
    """

    def __init__(self, target: Target, program: Program, placement: Placement) -> None:
        super().__init__(target, program, placement)
        self._reading: Reading | None = None
        with nengo_loihi(target):
            from nengo_loihi.hardware.interface import (  # type: ignore
                HardwareInterface,
            )

            from .blocks import assemble
            from .board import add_probes

        self._interface = HardwareInterface
        with vendor(target, f"install NxSDK {VERSIONS}"):
            HardwareInterface.check_nxsdk_version()
        self.assembly = assemble(program, placement)
        self.probes = add_probes(self.assembly, self.neurons)

    @property
    def reading(self) -> Reading | None:
        """What NxSDK's probes measured of all samples so far."""
        return self._reading

    def simulate(self, stimulus: Stimulus) -> Mapping[str, BoolArray]:
        """Population → spikes (samples, steps, neurons).

        Raises:
            TargetUnavailable: NxSDK or the board failed, or handed back too little.
        """
        from .board import present

        size = (stimulus.samples, stimulus.steps)
        spikes = {
            p.name: np.zeros((*size, p.size), bool) for p in self.program.populations
        }
        for sample in range(stimulus.samples):
            present(self.program, self.placement, self.assembly, stimulus, sample)
            with vendor(self.target, WHERE):
                found = self._once(stimulus.steps)
            for name, raster in found.items():
                if raster.shape != spikes[name][sample].shape:
                    raise TargetUnavailable(
                        f"Target {self.target.name!r}: the board handed back spikes "
                        f"{raster.shape} of population {name!r}; its steps and neurons "
                        f"are {spikes[name][sample].shape}; run it again"
                    )
                spikes[name][sample] = raster > 0
        return spikes

    def _once(self, steps: int) -> dict[str, FloatArray]:
        """Build the board as the model stands, start it, run it, give it back."""
        from .board import PlacedCores

        interface = self._interface(
            self.assembly.model,
            use_snips=False,  # their spike probes guess by potential (issue 170)
            seed=0,
            n_chips=self.placement.chips,
            allocator=PlacedCores(self.placement),
        )
        try:
            probe = meter(interface.nxsdk_board, steps)
            interface.connect()
            interface.run_steps(steps)
            found = {
                name: np.asarray(interface.collect_probe_output(each))
                for name, each in self.probes.items()
            }
            if probe is not None:
                reading = probe.read()
                known = self._reading
                self._reading = reading if known is None else known + reading
        finally:
            interface.close()
        return found


@contextmanager
def vendor(target: Target, remedy: str) -> Iterator[None]:
    """What nengo-loihi or NxSDK raise inside is one sentence, with the remedy."""
    try:
        yield
    except Exception as error:  # theirs, of any kind
        what = f"{type(error).__name__}: {error}".strip().rstrip(".:")
        raise TargetUnavailable(
            f"Target {target.name!r}: NxSDK or its board failed ({what}); {remedy}"
        ) from error
