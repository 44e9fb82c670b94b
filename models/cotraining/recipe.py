"""How a network is fine-tuned, and how it stands meanwhile."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ...toolchain.errors import DataError
from ..training.losses import find_loss
from .budget import Budget, Measured, Missed, unmet
from .rate_control import Band
from .semantics import find_semantics

MOST_STEPS = 10**6  # a sample's presentation


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is fine-tuned. Same recipe, same data: same network."""

    semantics: str = "loihi"
    loss: str = "mse"
    label_smoothing: float = 0.0  # of cross_entropy
    teaching: float = 0.5  # share of the loss that is the teacher's, if there is one
    temperature: float = 2.0  # of teacher and network, where they tell classes apart
    unit: float = 1.0  # in which a loss of values takes outputs and answers
    steps: int = 32  # per sample
    epochs: int = 10  # 0: it is measured only
    more_epochs: int = 0  # at most, where none of these kept to what may be taken
    batch: int = 16  # samples
    learning_rate: float = 0.001  # of the first epoch; falls to 0 as half a cosine
    averaging: float = 0.0  # epochs that kept weights are a mean over; 0: none
    sparsity: float = 0.0  # share of each core connection's weights that become 0
    band: Band = Band()  # of every population without its own
    bands: Mapping[str, Band] | None = None  # population → its own band
    budget: Budget = Budget()  # on validation samples
    dual_rate: float = 0.02  # by which a bound's multiplier grows, each batch
    multipliers: Mapping[str, float] | None = None  # that bounds begin with
    patience: int = 0  # epochs without a better score before it ends; 0: never
    seed: int = 0

    def check(self) -> None:
        """Raise DataError for something that cannot be trained with."""
        find_semantics(self.semantics)
        find_loss(self.loss)
        positive = ("steps", "batch", "learning_rate", "temperature", "unit")
        for name in positive:
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise DataError(f"{name} is {value}; it must be greater than 0")
        for name in ("epochs", "more_epochs", "patience", "dual_rate", "averaging"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise DataError(f"{name} is {value}; it must be 0 or greater")
        if not 0 <= self.sparsity < 1:
            raise DataError(
                f"sparsity is {self.sparsity}; 0 or more and less than 1 is allowed"
            )
        for name in ("label_smoothing", "teaching"):
            if not 0 <= getattr(self, name) <= 1:
                raise DataError(f"{name} is {getattr(self, name)}; 0 … 1 is allowed")
        if self.label_smoothing and self.loss != "cross_entropy":
            raise DataError(
                f"label_smoothing is {self.label_smoothing} and the loss {self.loss}; "
                "labels are smoothed for cross_entropy; take that, or leave it out"
            )
        if self.steps > MOST_STEPS:
            raise DataError(f"steps is {self.steps:.3g}; at most {MOST_STEPS} are run")
        if not 0 <= self.seed < 2**32:
            raise DataError(f"seed is {self.seed}; 0 … 2^32 − 1 is allowed")
        self.budget.check()
        for band in (self.band, *(self.bands or {}).values()):
            band.check()


@dataclass(frozen=True, kw_only=True)
class Progress(Measured):
    """How fine-tuning stands after an epoch; epoch 0 is the network as it was given."""

    epoch: int
    epochs: int
    loss: float | None  # mean over the epoch's batches; None of epoch 0
    label: str  # name of the score
    best: Measured  # of the network that is kept so far
    best_epoch: int
    missed: tuple[Missed, ...]  # bounds that it does not keep to
    multipliers: Mapping[str, float]  # bound → its multiplier

    @property
    def over_budget(self) -> str | None:
        """What must be said where training did not bring it within its budget."""
        return unmet(self.missed, self.best_epoch) if self.epochs else None
