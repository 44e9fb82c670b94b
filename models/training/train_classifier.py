"""Train a plain network on any samples with answers: classes, values, or masks."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from ...toolchain.graph.nodes import Array, Shape
from ..networks.classifier import classifier, segmenter, standard_of
from ..networks.recipe import PlainRecipe
from .checkpoint import digest
from .losses import find_loss
from .trainer import Batch, Progress, Scores, Trainer, answers, run

Samples = tuple[Array, Array]
"""What the network takes, float32, and the answers as a loss takes them."""
Predict = Callable[[Array], Array]


@dataclass(frozen=True, eq=False, kw_only=True)
class Material:
    """What a network learns, and how its answers are judged.

    Attributes:
        task: "classes", "values" or "masks".
        output: shape of an answer: (outputs,), or (height, width, classes).
        train, validation: samples; never test samples.
        judge: name of the score, and (answers, wanted) → it; the higher the better.
        scores: (samples → the network's answers) → scores on each part.
        notes: for the metadata: the split, digests, where the data are from.
    """

    task: str
    output: Shape
    train: Samples
    validation: Samples
    judge: tuple[str, Callable[[Array, Array], float]]
    scores: Callable[[Predict], Scores]
    notes: Mapping[str, Any]


LOSSES = {"classes": "cross_entropy", "values": "mse", "masks": "ce_dice"}


def train_classifier(
    material: Material,
    out: str | os.PathLike[str],
    recipe: PlainRecipe = PlainRecipe(),  # noqa: B008  frozen
    *,
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
    command: str = "",
) -> dict[str, Any]:
    """Train a network for this material and write it to ``out``, metadata included.

    Args:
        material: samples and answers.
        out: where the model goes: .h5, or Keras 3's .keras.
        recipe: how to train.
        resume: go on from the checkpoint.
        progress: called after each epoch.
        command: how the user asked for this, for the metadata.

    Returns:
        The metadata (``metadata.read_metadata``).

    Raises:
        DataError: a number of the recipe or ``out`` is wrong, or training runs away.
        ModelError: the checkpoint is missing, damaged or of another run.
    """
    recipe.check()
    return run(
        lambda: _PlainTrainer(recipe, material),
        recipe.seed,
        out,
        resume=resume,
        progress=progress,
        command=command,
    )


def network(
    material: Material, recipe: PlainRecipe, *, softmax: bool = False
) -> tf.keras.Model:
    """The network for this material, not trained yet.

    Args:
        material: its training samples say how inputs are standardised.
        recipe: its size.
        softmax: whether classes are answered by probabilities, as deployed.
    """
    x, output = material.train[0], material.output
    standard, softmax = standard_of(x), softmax and material.task != "values"
    if material.task == "masks":
        size = (x.shape[1], x.shape[2], x.shape[3])
        return segmenter(size, output[-1], recipe.filters, standard, softmax=softmax)
    return classifier(
        *(x.shape[1:], output[-1], recipe.filters, recipe.width),
        standard=standard,
        softmax=softmax,
    )


class _PlainTrainer(Trainer):
    """Logits by cross-entropy; values, brought to a spread of 1, by their error."""

    def __init__(self, recipe: PlainRecipe, material: Material) -> None:
        self.name = {"values": "regressor", "masks": "segmenter"}.get(
            material.task, "classifier"
        )
        self.recipe, self.material = recipe, material
        self.label, self.score = material.judge
        self.error = find_loss(LOSSES[material.task]).value
        x, y = material.train
        self.middle, self.spread = np.zeros(1), np.ones(1)
        if material.task == "values":
            exact = y.astype(np.float64)
            self.middle, spread = exact.mean(0), exact.std(0)
            self.spread = np.where(spread > 0, spread, 1.0)
            y = ((y - self.middle) / self.spread).astype(np.float32)
        self.x, self.y = x, y
        fingerprint = digest([*material.train, *material.validation])
        super().__init__(recipe, network(material, recipe), material.notes, fingerprint)

    def batches(self, rng: np.random.Generator) -> Iterator[Batch]:
        """Each training sample once, in a random order."""
        order = rng.permutation(len(self.x))
        for chosen in np.array_split(order, math.ceil(len(order) / self.recipe.batch)):
            yield self.x[chosen], self.y[chosen]

    def loss(self, *batch: tf.Tensor) -> tf.Tensor:
        x, wanted = batch
        return self.error(self.model(x, training=True), wanted)

    def judge(self) -> tuple[float, None]:
        x, wanted = self.material.validation
        (found,) = answers(self.model, x)
        self.demand_finite("what the network gives", found)
        if self.material.task == "values":
            found = found * self.spread + self.middle
        return self.score(found, wanted), None

    def deployable(self) -> tf.keras.Model:
        """The network as it answers: probabilities, and values in their own units."""
        plain = network(self.material, self.recipe, softmax=True)
        weights = self.model.get_weights()
        if self.material.task == "values":
            kernel, bias = weights[-2:]
            weights[-2:] = kernel * self.spread, bias * self.spread + self.middle
        plain.set_weights(weights)
        return plain

    def scores(self, model: tf.keras.Model) -> Scores:
        return self.material.scores(lambda x: answers(model, x)[0])
