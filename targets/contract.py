"""A target has limits and ``load(program) -> Session``; a Session runs samples."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import ClassVar

from ..toolchain.errors import DataError, DoesNotFit, TargetUnavailable
from ..toolchain.graph.interpret import Sliced
from ..toolchain.graph.nodes import IF, Array
from ..toolchain.memory import demand_memory
from ..toolchain.passes.place.limits import Limits
from ..toolchain.passes.place.place import Placement
from ..toolchain.program.host import BoolArray, Decoder, Stimulus, decode, encode
from ..toolchain.program.program import Program
from ..toolchain.program.recording import Recording, counted, join
from . import GROUP as GROUP
from .reading import Compiled, Reading

RASTER_BYTES = 512 << 20  # of spikes held at once where only counts are asked for
Utilization = Mapping[str, Mapping[str, tuple[int, int]]]
"""Population, or ``CHIP`` → resource → (used, max)."""


class Session(ABC):
    """A Program loaded on a target; a context manager, usable again and again."""

    def __init__(self, target: Target, program: Program) -> None:
        self.target = target
        self.program = program

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027  most sessions hold nothing
        """Give back what the session holds; safe to call twice."""

    @property
    def placement(self) -> Placement | None:
        """The Program's neurons on cores; None for a target without cores."""
        return None

    @property
    def utilization(self) -> Utilization:
        """How much of the chip is used; empty for a target without cores."""
        return {}

    @property
    def reading(self) -> Reading | None:
        """What a board measured of all samples so far; None: nothing was measured."""
        return None

    @property
    def compiled(self) -> Compiled | None:
        """What a compiler made of the Program; None for a target without one."""
        return None

    @property
    def decoder(self) -> Decoder:
        """The Program's; a float simulation loses nothing that it makes up for."""
        decoder = self.program.decoder
        if self.target.kind != "float simulation":
            return decoder
        return replace(decoder, gain=1.0)

    @abstractmethod
    def simulate(self, stimulus: Stimulus) -> Mapping[str, BoolArray]:
        """Population → spikes (samples, steps, neurons) of every core population.

        bool; a float simulation whose neurons may spike several times in a step hands
        back counts per step, uint8.
        """

    def run(
        self,
        samples: Sliced,
        steps: int | None = None,
        record: str = "spikes",
        *,
        first: int = 0,
    ) -> Recording:
        """Run samples (samples, …), each from a fresh state.

        Args:
            samples: as the network takes them.
            steps: steps per sample; the Program's where None.
            record: "spikes", or "counts" to drop the spikes after counting them; then
                so many samples run at a time that their spikes take up to 512 MiB (one
                sample at least); or "tally" to drop the counts too, once they are added
                up (``workers.run_all`` is for many samples).
            first: number of the first sample, for messages.

        Raises:
            DataError: the samples or the steps are not what the Program takes.
        """
        timing = self.program.timing
        steps = timing.steps if steps is None else steps
        if steps < 1:
            raise DataError(f"steps is {steps}; at least 1 is needed")
        size, neurons = len(samples), sum(p.size for p in self.program.members)
        if record != "spikes":
            size = max(1, RASTER_BYTES // (steps * neurons))
        self.demand_room(min(size, len(samples)), steps)
        starts = range(0, max(len(samples), 1), max(size, 1))
        parts = (
            self._run(samples[start : start + size], steps, record, first + start)
            for start in starts
        )
        if record == "tally":
            return join(part.tallied() for part in parts)
        return next(parts) if len(starts) == 1 else join(parts)

    def demand_room(self, samples: int, steps: int) -> None:
        """Raise DataError where the spikes of so many samples take too much memory."""
        neurons = sum(p.size for p in self.program.members)
        demand_memory(
            f"Target {self.target.name!r}: {samples} samples × {steps} steps × "
            f"{neurons} neurons",
            samples * steps * neurons,
            "run fewer steps or samples, or a smaller network",
        )

    def _run(self, samples: Array, steps: int, record: str, number: int) -> Recording:
        """Run samples at once; ``number`` is the first one's, for messages."""
        program, decoder = self.program, self.decoder
        dt = program.timing.dt
        stimulus = encode(program.encoder, samples, steps, dt, number)
        start = time.perf_counter()
        spikes = {**stimulus.spikes, **self.simulate(stimulus)}
        wall_time = time.perf_counter() - start
        return Recording(
            target=self.target.name,
            kind=self.target.kind,
            dt=dt,
            steps=steps,
            counts={n: counted(s) for n, s in spikes.items()},
            spikes=spikes if record == "spikes" else {},
            output=decode(decoder, spikes, dt),
            wall_time=wall_time,
        )


class Target(ABC):
    """Where a Program runs. One file, one class, one entry point."""

    name: str
    kind: str  # "float simulation" | "integer emulation" | "hardware"
    limits: ClassVar[Limits]
    library: ClassVar[str] = ""  # distribution that must be installed, "" for none
    extra: ClassVar[str] = ""  # the extra of snn-deploy that installs it
    access: ClassVar[str] = ""  # where one applies for what cannot be installed
    fast: ClassVar[bool] = False  # so that a build tests on all test samples

    def load(self, program: Program) -> Session:
        """A session that runs this Program.

        Raises:
            DoesNotFit: the Program is beyond the target's limits.
            TargetUnavailable: the target's library is missing here.
        """
        program.check()
        refuse(self, program)
        return self.open(program)

    def problems(self, program: Program) -> Iterator[str]:
        """What it cannot hold of a Program beside its limits, in words; registers'."""
        return iter(())

    @abstractmethod
    def open(self, program: Program) -> Session:
        """A session for a Program that is within the limits."""


def refuse(target: Target, program: Program) -> None:
    """Raise DoesNotFit, with the reason, where the Program is beyond the limits."""
    limits = target.limits
    order = {p.name: i for i, p in enumerate(program.populations)}
    encoder = type(program.encoder).__name__
    if encoder not in limits.encoders:
        raise DoesNotFit(
            f"Target {target.name!r}: no {encoder}; it takes {sorted(limits.encoders)}"
        )
    if limits.needs_graph and program.graph is None:
        raise DoesNotFit(
            f"Target {target.name!r}: it runs the float graph, which this Program "
            "lacks; build it from a model"
        )
    for node in program.graph.nodes if program.graph else ():
        if isinstance(node, IF) and node.ceiling is not None and not limits.ceilings:
            raise DoesNotFit(
                f"Target {target.name!r}: population {node.name!r} has a highest rate, "
                f"{node.ceiling:g} Hz, and its neurons have none; run it on an integer "
                "target"
            )
    for c in program.connections:
        what = f"Target {target.name!r}: connection {c.source!r} → {c.target!r}"
        if type(c).__name__ not in limits.connections:
            raise DoesNotFit(
                f"{what} is a {type(c).__name__}; it takes {sorted(limits.connections)}"
            )
        if c.delay > limits.max_delay:
            raise DoesNotFit(
                f"{what} has a delay of {c.delay} steps; allowed is "
                f"{limits.max_delay}; build it with --unroll-delays"
            )
        if not limits.recurrent and order.get(c.source, -1) >= order[c.target]:
            raise DoesNotFit(f"{what} is recurrent; this target runs none")
    for problem in target.problems(program):
        raise DoesNotFit(f"Target {target.name!r}: {problem}")


def list_targets() -> list[dict[str, str]]:
    """Every target's name, kind, library, and the version of it installed here."""
    names = sorted({entry.name for entry in entry_points(group=GROUP)})
    return [
        {
            "target": name,
            "kind": target.kind,
            "library": target.library or "none needed",
            "installed": _installed(target),
        }
        for name, target in zip(names, map(find_target, names))
    ]


def _installed(target: Target) -> str:
    if not target.library:
        return "yes"
    try:
        return version(target.library)
    except PackageNotFoundError:
        if target.access:
            return f"no access; apply at {target.access}"
        return f"no; pip install 'snn-deploy[{target.extra}]'"


def find_target(name: str) -> Target:
    """The target of this name.

    Raises:
        TargetUnavailable: there is none, its library is missing, or two have the name.
    """
    found = entry_points(group=GROUP)
    matches = [entry for entry in found if entry.name == name]
    if not matches:
        known = ", ".join(sorted({entry.name for entry in found}))
        raise TargetUnavailable(f"Target {name!r} is unknown; there are: {known}")
    if len(matches) > 1:
        where = ", ".join(entry.value for entry in matches)
        raise TargetUnavailable(
            f"Target {name!r} is offered twice ({where}); uninstall one"
        )
    try:
        target = matches[0].load()()
    except Exception as error:  # a plug-in's code may raise anything
        raise TargetUnavailable(
            f"Target {name!r}: {matches[0].value} cannot be loaded: "
            f"{type(error).__name__}: {error}; repair or uninstall its package"
        ) from error
    if not isinstance(target, Target):
        raise TargetUnavailable(f"Target {name!r}: {matches[0].value} is no Target")
    return target
