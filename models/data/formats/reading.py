"""What a user says of data beside where they lie."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How data are to be read, where more than one way is right.

    Attributes:
        kind: of task that the answers are for; None: as their form says.
        answer: columns of a table that are answers; none: the one named y, label, ….
        window: of event lists, s that one step covers; None: each recording, whatever
            it lasts, fills all steps.
        steps: of event lists: a network that takes no time sees the mean over these.
    """

    kind: str | None = None
    answer: tuple[str, ...] = ()
    window: float | None = None
    steps: int = 32
