"""A format that networks come in: how its files are told apart, and read."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from ..graph.graph import Graph

ALL = "all"
"""In place of an output's name: all outputs, each flattened, one after the other."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Imported:
    """A network as a file holds it."""

    graph: Graph
    notes: tuple[str, ...] = ()  # what a reader of its report must know of the reading


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
