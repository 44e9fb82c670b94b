"""A format that networks come in: how its files are told apart, and read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import Obstacle, UnsupportedLayer
from ..graph.graph import Graph
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
    read: Callable[[Path, str | None], Imported]
    """Path, and which of several outputs to read: a name, ``ALL`` of them, or None for
    the only one."""
    operations: Callable[[], Collection[str]]
    """Names of the layers, or operators, that are read."""
    write: Callable[[Graph], bytes] | None = None
    """The rate network as such a file; None: it is only read."""
    write_program: Callable[[Program], Written] | None = None
    """The integers as such a file; None: it holds floats."""
