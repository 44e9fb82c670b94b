"""How a LocNet is made: its sizes, and how it is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..toolchain.errors import DataError
from .boxes import Size

SIZE: Size = (32, 48, 3)
CHANNELS = (8, 16, 32)
WIDTHS = (128, 64, 32)
AMPLITUDE = 0.01  # output of a neuron at 100 Hz: 1


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a LocNet is made. Same recipe, same pictures: same network."""

    size: Size = SIZE
    channels: tuple[int, ...] = CHANNELS
    widths: tuple[int, ...] = WIDTHS
    amplitude: float = AMPLITUDE
    epochs: int = 400
    batch: int = 32  # pictures
    learning_rate: float = 0.01  # of the first epoch; falls to 0 as half a cosine
    target_rate: float = 100.0  # Hz
    output_weight: float = 1.0  # of the boxes' mean squared error
    rate_weight: float = 0.01  # of each layer's deviation from the target rate
    rate_noise: float = 25.0  # Hz, added to each neuron's rate while training
    seed: int = 0
    block: int = 1  # neighbouring names that stay in one part of the split

    def check(self) -> None:
        """Raise DataError for a number that cannot be trained with."""
        counts = ("epochs", "batch", "block")
        amounts = ("learning_rate", "target_rate", "amplitude")
        for name in (*counts, *amounts):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise DataError(f"{name} is {value}; it must be greater than 0")
        for name in ("output_weight", "rate_weight", "rate_noise"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise DataError(f"{name} is {value}; it must be 0 or greater")
        if not 0 <= self.seed < 2**32:
            raise DataError(f"seed is {self.seed}; 0 … 2^32 − 1 is allowed")
        if self.target_rate >= 500:
            raise DataError(
                f"target_rate is {self.target_rate} Hz; neurons with a refractory "
                "period of 2 ms stay below 500 Hz"
            )
