"""Reading: what a board measured of itself."""

from __future__ import annotations

from dataclasses import dataclass, replace


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
