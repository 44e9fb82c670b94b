"""What can go wrong: a message says object, what it is, what is allowed, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """A layer that stands in the way of a network, and how to change it."""

    id: str  # of the advice, the same for the same kind of obstacle: "max-pooling"
    layer: str  # its name in the network
    kind: str  # its class, or operator
    why: str
    fix: str

    def __str__(self) -> str:
        return f"{self.kind} {self.layer!r}: {self.why}; {self.fix}"


class SnnDeployError(Exception):
    """Root of all errors that are the input's fault; the command line exits with 2."""


class ModelError(SnnDeployError):
    """A model file or a Graph is missing, damaged or inconsistent."""


class UnsupportedLayer(ModelError):
    """A layer, or a chain of layers, has no equivalent here.

    ``obstacles`` are all of them that were found, where they were counted.
    """

    def __init__(self, message: str, obstacles: Iterable[Obstacle] = ()) -> None:
        super().__init__(message)
        self.obstacles = tuple(obstacles)

    @classmethod
    def of(cls, obstacles: Iterable[Obstacle]) -> UnsupportedLayer:
        """The error of these obstacles, a line each."""
        found = tuple(obstacles)
        return cls("\n".join(map(str, found)), found)


class DoesNotFit(SnnDeployError):
    """A number exceeds what the arithmetic or the chip can hold."""


class BundleError(SnnDeployError):
    """A bundle is missing, damaged, hostile or of a newer schema."""


class TargetUnavailable(SnnDeployError):
    """A target is unknown, or its library is missing here."""


class DataError(SnnDeployError):
    """Samples, images or boxes are missing, damaged or of the wrong shape."""
