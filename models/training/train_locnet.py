"""Train LocNet on pictures with boxes: Adam, a loss by name, and firing rates."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from ..data import augment
from ..data.boxes import BoxData, ImageArray, iou, mean_box, median_box
from ..data.split import Split, split
from ..networks.locnet import fold, locnet, populations
from ..networks.neurons import RateNoise
from ..networks.recipe import Recipe
from .losses import find_loss
from .trainer import Progress, Scores, Trainer, answers, run, split_notes


def train(
    data: BoxData,
    out: str | os.PathLike[str],
    recipe: Recipe = Recipe(),  # noqa: B008  frozen
    *,
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
    source: str = "",
    command: str = "",
) -> dict[str, Any]:
    """Train a LocNet and write it to ``out``, metadata included.

    The score is mean IoU. For the rest see ``trainer.run``.

    Args:
        data: pictures and boxes.
        out: where the model goes: .h5, or Keras 3's .keras.
        recipe: how to train.
        resume: go on from the checkpoint.
        progress: called after each epoch.
        source: the data in words, for the metadata.
        command: how the user asked for this, for the metadata.

    Returns:
        The metadata (``metadata.read_metadata``).

    Raises:
        DataError: a number of the recipe, a picture or ``out`` is wrong.
        ModelError: the checkpoint is missing, damaged or of another recipe.
    """
    recipe.check()
    parts = split(data.names, recipe.seed, recipe.block)
    return run(
        lambda: _LocNetTrainer(recipe, data, parts, source),
        recipe.seed,
        out,
        resume=resume,
        progress=progress,
        command=command,
    )


class _LocNetTrainer(Trainer):
    """Boxes by a loss, the layers' rates held to a target."""

    name, label = "locnet", "IoU"

    def __init__(
        self, recipe: Recipe, data: BoxData, parts: Split, source: str
    ) -> None:
        self.recipe, self.data, self.parts = recipe, data, parts
        self.error = find_loss(recipe.loss).value
        model = self._network(
            normalised_to=recipe.target_rate, rate_noise=recipe.rate_noise
        )
        notes = split_notes(parts, dict(zip(data.names, data.digests)))
        notes |= {"task": "boxes", "data": source}
        super().__init__(recipe, model, notes, _fingerprint(data))
        height, width, channels = recipe.size
        fine = (height * augment.FINENESS, width * augment.FINENESS, channels)
        learn, validation = data.take(parts.train), data.take(parts.validation)
        self.pictures, self.boxes = augment.widen(learn.images(fine)), learn.boxes
        self.validation = validation.images(recipe.size), validation.boxes
        self.rates = tf.keras.Model(
            model.input, [model.output, *(layer.output for layer in populations(model))]
        )

    def _network(self, **options: Any) -> tf.keras.Model:
        recipe = self.recipe
        sizes = recipe.size, recipe.channels, recipe.widths
        return locnet(*sizes, recipe.amplitude, **options)

    def deployable(self) -> tf.keras.Model:
        """The network without its normalisation."""
        plain = self._network()
        fold(self.model, plain)
        return plain

    def judge(self) -> tuple[float, float]:
        images, boxes = self.validation
        predicted, *activities = answers(self.rates, images)
        self.demand_finite("a box that the network gives", predicted)
        rate = np.mean([a.mean() for a in activities]) / self.recipe.amplitude
        return float(iou(predicted, boxes).mean()), float(rate)

    def batches(self, rng: np.random.Generator) -> Iterator[tuple[ImageArray, Any]]:
        """Pictures cut and lit at random, and the boxes in them."""
        for layer in self.model.layers:
            if isinstance(layer, RateNoise):
                layer.generator.reset_from_seed(int(rng.integers(2**31)))
        order = rng.permutation(len(self.pictures))
        for chosen in np.array_split(order, math.ceil(len(order) / self.recipe.batch)):
            pictures, boxes = self.pictures[chosen], self.boxes[chosen]
            size, crops = self.recipe.size[:2], self.recipe.crops
            yield augment.with_boxes(pictures, boxes, rng, size=size, crops=crops)

    def loss(self, *batch: tf.Tensor) -> tf.Tensor:
        images, boxes = batch
        predicted, *activities = self.rates(images, training=True)
        target = self.recipe.target_rate * self.recipe.amplitude
        deviation = tf.add_n([rate_deviation(a, target) for a in activities])
        loss = self.recipe.output_weight * self.error(predicted, boxes)
        return loss + self.recipe.rate_weight * deviation

    def scores(self, model: tf.keras.Model) -> Scores:
        learned = self.data.boxes[self.parts.train]
        constant, mean = median_box(learned), mean_box(learned)
        scores: Scores = {}
        for name in ("validation", "test"):
            part = self.data.take(getattr(self.parts, name))
            (predicted,) = answers(model, part.images(self.recipe.size))
            scores[name] = {
                "constant_box_iou": float(iou(constant, part.boxes).mean()),
                "mean_box_iou": float(iou(mean, part.boxes).mean()),
                "ann_iou": float(iou(predicted, part.boxes).mean()),
            }
        return scores


def _fingerprint(data: BoxData) -> str:
    text = "\n".join((*data.names, *data.digests)).encode() + data.boxes.tobytes()
    return hashlib.sha256(text).hexdigest()


def rate_deviation(activity: tf.Tensor, target: float) -> tf.Tensor:
    """Mean over a layer's channels of (mean activity / target − 1)².

    The mean over pictures and places is held to the target, so no channel falls silent
    or saturates, while the neurons within it are free to tell pictures apart.
    The paper (arXiv 2303.12738, section 3.1) names a regularisation towards a target
    rate and its weight, no formula.
    """
    channels = tf.reduce_mean(activity, axis=tuple(range(len(activity.shape) - 1)))
    return tf.reduce_mean(tf.square(channels / target - 1))
