"""How networks are made: their sizes, and how they are trained."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...toolchain.errors import DataError
from ..data.boxes import Size

SIZE: Size = (32, 48, 3)
CHANNELS = (8, 16, 32)
WIDTHS = (128, 64, 32)
BOX_LOSSES = ("mse", "smooth_l1", "iou")
AMPLITUDE = 0.01  # output of a neuron at 100 Hz: 1
CAE_SIZE: Size = (48, 64, 1)
CAE_CHANNELS = (8, 16, 32)
PLAIN_SIZES = {"small": (8, 32), "middle": (16, 64), "large": (32, 128)}
"""Filters of the first convolution and neurons of a dense layer, the smallest first."""
MIDDLE = "middle"  # of these, where nobody asks what fits


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
    loss: str = "mse"  # of the boxes, by name; see ``losses``
    target_rate: float = 100.0  # Hz
    output_weight: float = 1.0  # of that loss
    rate_weight: float = 0.01  # of each layer's deviation from the target rate
    rate_noise: float = 25.0  # Hz, added to each neuron's rate while training
    crops: float = 1.0  # how much of the random crops; 0: whole pictures
    averaging: float = 0.0  # epochs that kept weights are a mean over; 0: none
    seed: int = 0
    block: int = 1  # neighbouring names that stay in one part of the split

    def check(self) -> None:
        """Raise DataError for a number that cannot be trained with."""
        _demand_positive(self, "epochs", "batch", "block")
        _demand_positive(self, "learning_rate", "target_rate", "amplitude")
        _demand_none_below_0(
            self, "output_weight", "rate_weight", "rate_noise", "averaging"
        )
        if self.loss not in BOX_LOSSES:
            raise DataError(
                f"loss is {self.loss!r}; of boxes there are: {', '.join(BOX_LOSSES)}"
            )
        if not 0 <= self.crops <= 1:
            raise DataError(f"crops is {self.crops}; 0 … 1 is allowed")
        _demand_seed(self.seed)
        if self.target_rate >= 500:
            raise DataError(
                f"target_rate is {self.target_rate} Hz; neurons with a refractory "
                "period of 2 ms stay below 500 Hz"
            )


@dataclass(frozen=True, kw_only=True)
class CaeRecipe:
    """How a CAE is made. Same recipe, same slices: same network.

    The paper (arXiv 2303.12738, section 3.2) trains 100 epochs at 1e-5, without
    normalisation.
    """

    size: Size = CAE_SIZE
    channels: tuple[int, ...] = CAE_CHANNELS
    normalised: bool = True
    epochs: int = 100
    batch: int = 32  # slices
    learning_rate: float = 0.003  # of the first epoch; falls to 0 as half a cosine
    averaging: float = 0.0  # epochs that kept weights are a mean over; 0: none
    seed: int = 0
    block: int = 1  # subjects with neighbouring names that stay in one part

    def check(self) -> None:
        """Raise DataError for a number that cannot be trained with."""
        _demand_positive(self, "epochs", "batch", "block", "learning_rate")
        _demand_none_below_0(self, "averaging")
        _demand_seed(self.seed)
        fold = 2 ** len(self.channels)
        if not self.channels or min(self.channels) < 1:
            raise DataError(f"channels are {self.channels}; give one or more a stage")
        if self.size[0] % fold or self.size[1] % fold or min(self.size) < 1:
            raise DataError(
                f"size is {self.size}; {len(self.channels)} stages halve height and "
                f"width that often, so both must be multiples of {fold}"
            )


@dataclass(frozen=True, kw_only=True)
class PlainRecipe:
    """How a first network for a user's data is made. Same recipe, same data: same
    network."""

    size: str = MIDDLE  # of PLAIN_SIZES
    epochs: int = 60
    batch: int = 32  # samples
    learning_rate: float = 0.003  # of the first epoch; falls to 0 as half a cosine
    averaging: float = 0.0  # epochs that kept weights are a mean over; 0: none
    seed: int = 0

    def check(self) -> None:
        """Raise DataError for a number that cannot be trained with."""
        _demand_positive(self, "epochs", "batch", "learning_rate")
        _demand_none_below_0(self, "averaging")
        _demand_seed(self.seed)
        if self.size not in PLAIN_SIZES:
            raise DataError(
                f"size is {self.size!r}; there are: {', '.join(PLAIN_SIZES)}"
            )

    @property
    def filters(self) -> int:
        """Of the first convolution."""
        return PLAIN_SIZES[self.size][0]

    @property
    def width(self) -> int:
        """Neurons of a dense layer."""
        return PLAIN_SIZES[self.size][1]


def _demand_positive(recipe: Recipe | CaeRecipe | PlainRecipe, *names: str) -> None:
    for name in names:
        value = getattr(recipe, name)
        if not (math.isfinite(value) and value > 0):
            raise DataError(f"{name} is {value}; it must be greater than 0")


def _demand_none_below_0(recipe: Recipe | CaeRecipe | PlainRecipe, *names: str) -> None:
    for name in names:
        value = getattr(recipe, name)
        if not (math.isfinite(value) and value >= 0):
            raise DataError(f"{name} is {value}; it must be 0 or greater")


def _demand_seed(seed: int) -> None:
    if not 0 <= seed < 2**32:
        raise DataError(f"seed is {seed}; 0 … 2^32 − 1 is allowed")
