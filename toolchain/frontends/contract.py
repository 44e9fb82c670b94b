"""A format that networks come in: how its files are told apart, and read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import ModelError, Obstacle, UnsupportedLayer
from ..graph.graph import STEP, Graph
from ..graph.nodes import RESETS
from ..program.program import Program
from ..program.scales import Scales

ALL = "all"
"""In place of an output's name: all outputs, each flattened, one after the other."""


class ReadInPart(UnsupportedLayer):
    """Layers have no equivalent here; ``graph`` is what was read of the others.

    An Input of its name stands in it for a layer that was not read.
    """

    def __init__(self, obstacles: Iterable[Obstacle], graph: Graph) -> None:
        found = tuple(obstacles)
        super().__init__("\n".join(map(str, found)), found)
        self.graph = graph


@dataclass(frozen=True, eq=False, kw_only=True)
class Imported:
    """A network as a file holds it."""

    graph: Graph
    notes: tuple[str, ...] = ()  # what a reader of its report must know of the reading
    scales: Mapping[str, Scales] | None = None
    """Population → scales, of a file that holds integers: with them its Program has
    these integers again."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What a file of differential equations leaves open, and its reader must be told.

    NIR says tau · dv/dt = v_leak − v + r · i, and neither how long a step is nor what a
    spike leaves of v: tools differ, and so do the spikes of one and the same file.
    """

    dt: float = 0.001  # s, a step
    reset: str = "zero"  # of RESETS: to v_reset, or v_threshold − v_reset is taken
    tau_ref: float = 0.0  # s, refractory period of every leaky neuron
    grid: str = "exponential"  # of GRIDS

    def check(self) -> None:
        """Raise ModelError where a neuron of ours cannot have it."""
        shortest, longest = STEP
        if not shortest <= self.dt <= longest:
            raise ModelError(
                f"Timing: a step of {self.dt} s; {shortest:g} to {longest:g} s is "
                "allowed"
            )
        for what, name, allowed in (
            ("reset", self.reset, RESETS),
            ("grid", self.grid, GRIDS),
        ):
            if name not in allowed:
                raise ModelError(
                    f"Timing: {what} {name!r} is unknown; {', '.join(allowed)} is "
                    "allowed"
                )
        if not 0 <= self.tau_ref <= longest:
            raise ModelError(
                f"Timing: a refractory period of {self.tau_ref} s; 0 to {longest:g} s "
                "is allowed"
            )


GRIDS = ("exponential", "euler")
"""How tau · dx/dt = y − x becomes x[t] = a · x[t−1] + (1 − a) · y[t]: with a =
e^(−dt / tau), exact while y is constant, or with a = 1 − dt / tau."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Written:
    """A network as the bytes of a file."""

    content: bytes
    notes: tuple[str, ...] = ()  # what the format cannot hold of it


@dataclass(frozen=True, kw_only=True)
class Format:
    """How files of one format are told apart and read."""

    shown: str  # "a Keras .keras, .h5 or SavedModel folder"
    recognises: Callable[[Path], bool]  # without the format's library
    read: Callable[[Path, str | None, Timing], Imported]
    """Path, which of several outputs to read: a name, ``ALL`` of them, or None for the
    only one; and the Timing, of a format that leaves it open."""
    operations: Callable[[], Collection[str]]
    """Names of the layers, or operators, that are read."""
    write: Callable[[Graph], Written] | None = None
    """The network as such a file; None: it is only read."""
    write_program: Callable[[Program], Written] | None = None
    """The integers as such a file; None: it holds floats."""
    leaves_timing_open: bool = False
    """Whether its files say nothing of ``Timing``."""
