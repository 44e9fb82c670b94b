"""What a network is asked, with samples, and how well an answer does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..calibration.report.picture import Answers, Boxes, Masks
from ..calibration.report.report import Score
from ..models.data.boxes import iou
from ..models.data.masks import MaskArray, dice, dice_of_volumes
from ..models.data.split import IndexArray
from ..toolchain.graph.nodes import Array, FloatArray

THRESHOLD = 0.5  # of a mask's probability


@dataclass(frozen=True, eq=False, kw_only=True)
class Task:
    """Samples to calibrate and to test with, and how well an answer does."""

    source: str  # the data, in words
    calibration: FloatArray  # of the training part
    test: FloatArray

    def scores(self, answers: Mapping[str, FloatArray]) -> tuple[Score, ...]:
        """How well each network does, and the trivial answer beside them.

        Args:
            answers: network, in words → its answers to the first test samples; no
                scores where they are no answers to this task.
        """
        raise NotImplementedError

    def picture(self, network: FloatArray) -> Answers | None:
        """The first samples with the network's answers; None where it gives none."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False, kw_only=True)
class BoxTask(Task):
    """Find the box of the one object in a picture."""

    truth: FloatArray  # boxes of the test samples, (samples, 4)
    constant: FloatArray  # median box of the training part, (4,)

    def scores(self, answers: Mapping[str, FloatArray]) -> tuple[Score, ...]:
        truth = _asked(self.truth, answers)
        if truth is None:
            return ()
        constant = {"constant box": np.broadcast_to(self.constant, truth.shape)}
        found = {
            name: float(iou(boxes, truth).mean())
            for name, boxes in {**answers, **constant}.items()
        }
        return _scored("mean IoU", found, f"{len(truth)} test samples")

    def picture(self, network: FloatArray) -> Boxes | None:
        truth = self.truth[: len(network)]
        if network.shape != truth.shape:
            return None
        return Boxes(
            images=self.test[: len(network)],
            true=truth,
            predicted=network,
            iou=iou(network, truth),
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class MaskTask(Task):
    """Mark the object's pixels in a slice: probabilities, above 0.5 they are its."""

    truth: MaskArray  # (samples, height, width, 1)
    volume: IndexArray  # of each test sample, (samples,)
    slices: IndexArray  # volume → slices it has
    constant: MaskArray  # mean mask of the training part, (height, width, 1)

    def scores(self, answers: Mapping[str, FloatArray]) -> tuple[Score, ...]:
        """Dice of all pixels pooled; of each volume where whole volumes were run."""
        truth = _asked(self.truth, answers)
        if truth is None:
            return ()
        volume = self.volume[: len(truth)]
        found = {name: answer > THRESHOLD for name, answer in answers.items()}
        found["mean mask"] = np.broadcast_to(self.constant, truth.shape)
        shown = np.bincount(volume, minlength=len(self.slices))
        pooled = {name: dice(masks, truth) for name, masks in found.items()}
        note = f"{len(truth)} test slices of {np.count_nonzero(shown)} volumes"
        scores = _scored("Dice", pooled, note)
        whole = (shown == self.slices)[volume]
        if not whole.any():
            return scores
        each = {
            name: dice_of_volumes(masks[whole], truth[whole], volume[whole])
            for name, masks in found.items()
        }
        means = {name: float(dices.mean()) for name, dices in each.items()}
        note = f"{len(each['mean mask'])} whole test volumes"
        return scores + _scored("mean Dice of a volume", means, note)

    def picture(self, network: FloatArray) -> Masks | None:
        truth = self.truth[: len(network)]
        if network.shape != truth.shape:
            return None
        masks = network > THRESHOLD
        return Masks(
            images=self.test[: len(network)],
            true=truth,
            predicted=masks,
            dice=np.array([dice(a, b) for a, b in zip(masks, truth)]),
        )


def _asked(truth: Array, answers: Mapping[str, FloatArray]) -> Array | None:
    """The truth of the samples that were answered; None where these are no answers."""
    shape = next(iter(answers.values())).shape
    asked = truth[: shape[0]]
    return asked if asked.shape == shape else None


def _scored(metric: str, found: Mapping[str, float], note: str) -> tuple[Score, ...]:
    return tuple(
        Score(name=name, metric=metric, value=value, label="counted", note=note)
        for name, value in found.items()
    )
