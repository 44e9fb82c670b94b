"""What a target knows of itself: what a board measured, what a compiler made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Time and energy of the samples that were run; None: power was not measured."""

    samples: int
    seconds: float  # on the chip, of all samples
    joules: float | None  # of all samples
    source: str  # what measured

    def __add__(self, other: Reading) -> Reading:
        """Of both; the energy is known where both are."""
        known = self.joules is not None and other.joules is not None
        return replace(
            self,
            samples=self.samples + other.samples,
            seconds=self.seconds + other.seconds,
            joules=(self.joules or 0.0) + (other.joules or 0.0) if known else None,
        )


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """What was made of a Program for a processor.

    Attributes:
        device: that it was made for.
        flash, ram: bytes.
        by_layer: bytes of RAM, were each population run through all steps in turn.
        how: the bytes were counted.
        instructions: of each sample so far, in order; none are known where it is empty.
        missing: figure that there is none of → why.
    """

    device: str
    flash: int
    ram: int
    by_layer: int
    how: str
    instructions: tuple[int, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
