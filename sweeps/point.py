"""Point: a build's options, and the figures that came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..calibration.report.report import revive


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one build was found to do, on samples that are not the test's.

    Attributes:
        metric: name of the score.
        better: 1 where more of it is better, −1 where less is.
        score: of the integers' answers.
        spikes: an inference, counted.
        synaptic_operations: an inference, counted.
        energy: an inference, J, estimated (proxy); None: the device has no figure.
        latency: s, steps · dt.
        cores: of Loihi 1; None where nobody asked.
        trivial: score of the best constant answer; None: it is not known.
        samples: how many it was judged on.
        part: of the data that they are of, in words.
    """

    metric: str
    better: int
    score: float
    spikes: float
    synaptic_operations: float
    energy: float | None
    latency: float
    cores: int | None
    trivial: float | None
    samples: int
    part: str

    @property
    def trivially(self) -> bool:
        """Whether it answers no better than a constant, as one without spikes does."""
        if self.trivial is None:
            return False
        return self.better * self.score <= self.better * self.trivial

    def of(self, objective: str) -> float | None:
        """The figure of ``front.OBJECTIVES`` of this name."""
        value: float | None = getattr(self, objective.replace("-", "_"))
        return value


@dataclass(frozen=True, kw_only=True)
class Point:
    """A build that a sweep tries: its options as one types them."""

    number: int
    options: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A point that is finished: its figures, or what went wrong."""

    number: int
    options: Mapping[str, str]
    figures: Figures | None
    error: str  # "" where there are figures
    seconds: float  # that it took

    @property
    def words(self) -> str:
        """What it was judged on, in words."""
        found = self.figures
        if found is None:
            return "failed"
        score = f"{found.metric} {found.score:.3f}"
        return f"{score} on {found.samples} samples of the {found.part}"

    @classmethod
    def of(
        cls, point: Point, figures: Figures | None, error: str, seconds: float
    ) -> Outcome:
        """What became of a point."""
        return cls(
            number=point.number,
            options=point.options,
            figures=figures,
            error=error,
            seconds=seconds,
        )

    def to_json(self) -> dict[str, Any]:
        """As its file holds it."""
        return asdict(self)

    @classmethod
    def from_json(cls, table: object) -> Outcome:
        """The outcome that ``to_json`` wrote.

        Raises:
            ValueError: it is damaged.
        """
        found: Outcome = revive(cls, table, "point")
        return found
