"""Train a CAE on slices with masks: Adam, half cross-entropy and half Dice."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from ..data import augment
from ..data.boxes import ImageArray
from ..data.masks import (
    MaskData,
    dice,
    dice_of_volumes,
    mean_mask,
    split_subjects,
)
from ..data.parts import joined
from ..data.split import Split
from ..networks.cae import cae
from ..networks.recipe import CaeRecipe
from .losses import bce_dice
from .trainer import Progress, Scores, Trainer, answers, run, split_notes


def train_cae(
    data: MaskData,
    out: str | os.PathLike[str],
    recipe: CaeRecipe = CaeRecipe(),  # noqa: B008  frozen
    *,
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
    source: str = "",
    command: str = "",
) -> dict[str, Any]:
    """Train a CAE and write it to ``out``, metadata included.

    The split is by subject (``split_subjects``), the score pooled Dice. For the rest
    see ``trainer.run``.

    Args:
        data: slices of ``recipe.size``.
        out: where the model goes: .h5, or Keras 3's .keras.
        recipe: how to train.
        resume: go on from the checkpoint.
        progress: called after each epoch.
        source: the data in words, for the metadata.
        command: how the user asked for this, for the metadata.

    Raises:
        DataError: a number of the recipe, the data or ``out`` is wrong.
        ModelError: the checkpoint is missing, damaged or of another recipe.
    """
    recipe.check()
    parts = split_subjects(data, recipe.seed, recipe.block)
    return run(
        lambda: _CaeTrainer(recipe, data, parts, source),
        recipe.seed,
        out,
        resume=resume,
        progress=progress,
        command=command,
    )


class _CaeTrainer(Trainer):
    """Masks by cross-entropy and Dice."""

    name, label = "cae", "Dice"

    def __init__(
        self, recipe: CaeRecipe, data: MaskData, parts: Split, source: str
    ) -> None:
        model = cae(recipe.size, recipe.channels, normalised=recipe.normalised)
        slices = np.bincount(data.volume)
        units = {
            name: joined([digest] * count)
            for name, digest, count in zip(data.names, data.digests, slices)
        }
        notes = split_notes(parts, units) | {"task": "masks", "data": source}
        super().__init__(recipe, model, notes, _fingerprint(data))
        self.data, self.parts, self.batch = data, parts, recipe.batch
        learn = data.take(parts.train)
        both = np.concatenate([learn.images, learn.masks], axis=-1, dtype=np.float32)
        self.slices = augment.widen(both)
        self.size = recipe.size[:2]
        self.validation = data.take(parts.validation)

    def batches(self, rng: np.random.Generator) -> Iterator[tuple[ImageArray, Any]]:
        """Slices cut, mirrored and lit at random, and their masks."""
        order = rng.permutation(len(self.slices))
        for chosen in np.array_split(order, math.ceil(len(order) / self.batch)):
            yield augment.with_masks(self.slices[chosen], rng, size=self.size)

    def loss(self, *batch: tf.Tensor) -> tf.Tensor:
        images, masks = batch
        return bce_dice(self.model(images, training=True), masks)

    def judge(self) -> tuple[float, None]:
        (values,) = answers(self.model, self.validation.images)
        self.demand_finite("a mask that the network gives", values)
        return dice(values > 0.5, self.validation.masks), None

    def deployable(self) -> tf.keras.Model:
        return self.model

    def scores(self, model: tf.keras.Model) -> Scores:
        constant = mean_mask(self.data.take(self.parts.train).masks)
        scores: Scores = {}
        for name in ("validation", "test"):
            part = self.data.take(getattr(self.parts, name))
            found = answers(model, part.images)[0] > 0.5
            trivial = np.broadcast_to(constant, part.masks.shape)
            each = dice_of_volumes(found, part.masks, part.volume)
            scores[name] = {
                "mean_mask_dice": dice(trivial, part.masks),
                "ann_dice": dice(found, part.masks),
                "ann_dice_of_volumes": float(each.mean()),
            }
        return scores


def _fingerprint(data: MaskData) -> str:
    digest = hashlib.sha256("\n".join((*data.names, *data.subjects)).encode())
    for array in (data.images, data.masks, data.volume):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
