"""Playback: spikes that were recorded elsewhere, handed back as if they were run here.

So a Recording from another machine is reported and compared as any other.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..toolchain.errors import DataError
from ..toolchain.graph.nodes import Array
from ..toolchain.passes.place.limits import CONNECTIONS, Limits
from ..toolchain.program.host import BoolArray, Stimulus, decode
from ..toolchain.program.program import Program
from ..toolchain.program.recording import Recording, counted
from .contract import Session, Target
from .reading import Reading


class Playback(Target):
    """A target that was run elsewhere, on the first samples of a packed bundle."""

    limits = Limits(connections=CONNECTIONS, max_delay=63)

    def __init__(
        self,
        name: str,
        kind: str,
        spikes: Mapping[str, Array],
        wall_time: float,
        reading: Reading | None = None,
    ) -> None:
        """What was recorded.

        Args:
            name: of the target.
            kind: of the target.
            spikes: population → (samples, steps, neurons).
            wall_time: s, of all samples.
            reading: what a board measured of them.
        """
        self.name, self.kind = name, kind
        self.spikes, self.wall_time, self.reading = spikes, wall_time, reading

    def open(self, program: Program) -> PlaybackSession:
        """A session.

        Raises:
            DataError: what was recorded is not of this Program.
        """
        return PlaybackSession(self, program)


class PlaybackSession(Session):
    """Hands back what was recorded of the samples asked for, by their order."""

    target: Playback

    def __init__(self, target: Playback, program: Program) -> None:
        super().__init__(target, program)
        sizes = {p.name: p.size for p in program.members}
        spikes = target.spikes
        held = {name: array.shape[2] for name, array in spikes.items()}
        if held != sizes or len({array.shape[:2] for array in spikes.values()}) != 1:
            raise DataError(
                f"Recording of {target.name!r}: it is not of this Program's "
                f"populations, {sizes}, in the same samples and steps"
            )

    @property
    def reading(self) -> Reading | None:
        """What was measured there."""
        return self.target.reading

    def simulate(self, stimulus: Stimulus) -> Mapping[str, BoolArray]:
        """Nothing is simulated here.

        Raises:
            DataError: always.
        """
        raise DataError(f"Recording of {self.target.name!r}: it cannot be run again")

    def _run(self, samples: Array, steps: int, record: str, number: int) -> Recording:
        part = slice(number, number + len(samples))
        spikes = {name: array[part] for name, array in self.target.spikes.items()}
        whole = next(iter(self.target.spikes.values())).shape
        if (part.stop, steps) != (min(part.stop, whole[0]), whole[1]):
            raise DataError(
                f"Recording of {self.target.name!r}: it holds {whole[0]} samples of "
                f"{whole[1]} steps; {part.stop} of {steps} are asked for"
            )
        dt = self.program.timing.dt
        return Recording(
            target=self.target.name,
            kind=self.target.kind,
            dt=dt,
            steps=steps,
            counts={n: counted(s) for n, s in spikes.items()},
            spikes=spikes if record == "spikes" else {},
            output=decode(self.decoder, spikes, dt),
            wall_time=self.target.wall_time * len(samples) / whole[0],
        )
