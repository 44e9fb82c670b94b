"""Budget: what a network may take and must reach, and how far one is from that."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from ...toolchain.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a network reaches and takes, on the validation samples."""

    score: float  # the higher the better
    rate: float  # Hz, mean over the neurons of the core
    synops: float  # synaptic operations per inference
    energy: float | None = None  # µJ per inference, a proxy; None where nobody asks


@dataclass(frozen=True, kw_only=True)
class Missed:
    """A bound that a network does not keep to."""

    option: str  # of the command line
    bound: float
    found: float

    @property
    def share(self) -> float:
        """By how much, of the bound."""
        return abs(self.found - self.bound) / max(abs(self.bound), 1e-12)

    def __str__(self) -> str:
        side = "more" if self.found > self.bound else "less"
        share = float(f"{100 * self.share:.2g}")
        return (
            f"{self.option} is {self.bound:g}, and it has {self.found:.4g}, "
            f"{share:g} % {side}"
        )


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Bounds that a network is to keep to, all of them together; None: no bound."""

    max_rate_hz: float | None = None  # Hz, mean over the neurons of the core
    max_synops: float | None = None  # synaptic operations per inference
    max_energy_uj: float | None = None  # µJ per inference, a proxy
    min_score: float | None = None  # of the task; training ends where all is kept to

    @property
    def taking(self) -> Budget:
        """The bounds on what a network may take, without that on what it must reach."""
        return replace(self, min_score=None)

    def check(self) -> None:
        """Raise DataError for a bound that nothing could keep to."""
        for name, bound in asdict(self).items():
            positive = name == "min_score" or bound is None or bound > 0
            if bound is not None and not (math.isfinite(bound) and positive):
                more = "" if name == "min_score" else " greater than 0"
                raise DataError(f"{name} is {bound}; it must be a number{more}")

    def missed(self, now: Measured) -> tuple[Missed, ...]:
        """The bounds that a network does not keep to."""
        found = {
            "max_rate_hz": now.rate,
            "max_synops": now.synops,
            "max_energy_uj": now.energy,
            "min_score": now.score,
        }
        return tuple(
            Missed(option=f"--{name.replace('_', '-')}", bound=bound, found=value)
            for name, bound in asdict(self).items()
            for value in [found[name]]
            if bound is not None and value is not None
            if (value < bound if name == "min_score" else value > bound)
        )


def distance(missed: Iterable[Missed]) -> float:
    """How far from a budget: the sum of what each bound is missed by, as shares.

    >>> distance([Missed(option="--max-rate-hz", bound=50.0, found=60.0)])
    0.2
    """
    return sum(each.share for each in missed)


def unmet(missed: Iterable[Missed], epoch: int) -> str | None:
    """What must be said where no epoch kept to the budget; None where one did."""
    each = "; ".join(map(str, missed))
    if not each:
        return None
    return (
        f"no epoch kept to its budget; the nearest, epoch {epoch}, is kept: {each}; "
        "allow more, ask for less, or train for more --epochs"
    )
