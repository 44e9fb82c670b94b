"""What a user says of data beside where they lie."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

STEPS = 32  # that event lists are binned into, where nobody says so


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How data are to be read, where more than one way is right.

    Attributes:
        kind: of task that the answers are for; None: as their form says.
        answer: columns of a table that are answers; none: the one named y, label, ….
        unlabelled: a table without any of these columns has no labels; False: that is
            an error.
        window: of event lists, s that one step covers; None: each recording, whatever
            it lasts, fills all steps.
        steps: that event lists are binned into; a network that takes no time sees the
            mean over these. None: ``STEPS``.
    """

    kind: str | None = None
    answer: tuple[str, ...] = ()
    unlabelled: bool = False
    window: float | None = None
    steps: int | None = None

    @property
    def bins(self) -> int:
        """The steps of event lists."""
        return self.steps or STEPS

    def noted(self) -> dict[str, Any]:
        """What a network that was trained with it must be given again, as JSON."""
        return {"answer": list(self.answer), "window": self.window, "steps": self.steps}


def completed(reading: Reading, metadata: Mapping[str, Any]) -> Reading:
    """The reading, and where it leaves something out, that of the network's training.

    Args:
        reading: as the user says.
        metadata: of the network; ``Reading.noted`` at "reading", its kind at "task".
            What is damaged counts as not said.
    """
    known = metadata.get("reading")
    known = known if isinstance(known, Mapping) else {}
    kind, answer = metadata.get("task"), known.get("answer")
    window, steps = known.get("window"), known.get("steps")
    named = isinstance(answer, list) and all(isinstance(name, str) for name in answer)
    timed = isinstance(window, float | int) and math.isfinite(window) and window > 0
    counted = type(steps) is int and steps > 0
    return Reading(
        kind=reading.kind or (kind if isinstance(kind, str) else None),
        answer=reading.answer or (tuple(answer or ()) if named else ()),
        unlabelled=reading.unlabelled,
        window=reading.window or (float(window or 0) if timed else None),
        steps=reading.steps or (steps if counted else None),
    )
