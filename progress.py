"""Progress: how a run of many samples stands, said now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

EVERY = 5.0  # s


@dataclass
class Progress:
    """Called with how many of the samples are done.

    Attributes:
        samples: how many there are.
        announce: is told, at most every ``EVERY`` s.
    """

    samples: int
    announce: Callable[[str], None]
    start: float = field(default_factory=lambda: time.monotonic())
    told: float = 0.0  # s after the start

    def __call__(self, done: int) -> None:
        """So many are done."""
        since = time.monotonic() - self.start
        if since < self.told + EVERY:
            return
        self.told = since
        rate = done / since
        left = (self.samples - done) / rate
        self.announce(
            f"{done} of {self.samples} samples, {rate:.3g} a second, {left:.0f} s left"
        )
