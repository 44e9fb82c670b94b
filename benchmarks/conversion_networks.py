"""The networks of conversion.py: what each is, and how its ANN is trained."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")  # sums in the same order

import classifiers
import paper
import tensorflow as tf

from snn_deploy.models.networks.recipe import CaeRecipe, Recipe

layers = tf.keras.layers
DIGITS, CALTECH = "digits", "faces or airplanes"
WIDTH = 16  # channels of the plain networks


@dataclass(frozen=True)
class Case:
    """A kind of network, trained once for each seed.

    Attributes:
        data: of ``classifiers.data_of``, or a folder of ``paper.EXPERIMENTS``.
        recipe: of the paper's networks, or how a classifier of so many classes is made.
        epochs: of a classifier.
    """

    data: str
    recipe: Recipe | CaeRecipe | Callable[[int], tf.keras.Model]
    epochs: int = 0

    def source(self, given: Namespace) -> Path:
        """Where the data are."""
        if callable(self.recipe):
            return classifiers.data_of(self.data, given)
        return given.data / self.data

    def train(self, data: Path, seed: int, out: Path) -> None:
        """Write the trained ANN to ``out``, with the split it was trained with."""
        if callable(self.recipe):
            classifiers.fitted(self.recipe, data, seed, out, self.epochs)
        else:
            paper.trained(out, data, self.recipe, seed)


def like(name: str) -> Case:
    """The classifier of classifiers.py for these data."""

    def make(classes: int) -> tf.keras.Model:
        return classifiers.classifier(name, classes)

    return Case(name, make, classifiers.EPOCHS[name])


def of_paper(name: str) -> Case:
    """The ANN of paper.py for this task."""
    experiment = paper.EXPERIMENTS[name]
    return Case(experiment.folder, experiment.ann)


def plain(depth: int) -> Case:
    """So many 3×3 convolutions in a row, every third of which begins with stride 2."""

    def make(classes: int) -> tf.keras.Model:
        x = image = layers.Input((8, 8, 1))
        for number in range(depth):
            halved = number in (depth // 3, 2 * depth // 3)
            x = convolved(x, WIDTH, stride=2 if halved else 1)
        return tf.keras.Model(image, answered(layers.Flatten()(x), classes))

    return Case(DIGITS, make, epochs=40)


def residual(classes: int) -> tf.keras.Model:
    """ResNet-8 of He et al. 2016 (arXiv 1512.03385), half as wide, for 8×8 pictures."""
    x = convolved(image := layers.Input((8, 8, 1)), 8)
    for filters, stride in ((8, 1), (16, 2), (32, 2)):
        body = convolved(x, filters, stride=stride)
        body = convolved(body, filters, activation=None)
        if stride != 1:
            x = convolved(x, filters, size=1, stride=stride, activation=None)
        x = layers.ReLU()(layers.Add()([body, x]))
    return tf.keras.Model(image, answered(layers.GlobalAveragePooling2D()(x), classes))


def separable(classes: int) -> tf.keras.Model:
    """After MobileNet (arXiv 1704.04861), four blocks of it, with ReLU6."""
    relu6 = {"max_value": 6.0}
    x = convolved(image := layers.Input((8, 8, 1)), 8, activation=relu6)
    for filters, stride in ((16, 1), (24, 2), (24, 1), (32, 2)):
        x = layers.DepthwiseConv2D(3, stride, "same", use_bias=False)(x)
        x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
        x = convolved(x, filters, size=1, activation=relu6)
    return tf.keras.Model(image, answered(layers.GlobalAveragePooling2D()(x), classes))


def convolved(
    x: tf.Tensor,
    filters: int,
    *,
    size: int = 3,
    stride: int = 1,
    activation: dict[str, float] | None = {},  # noqa: B006  of ReLU, None: none
) -> tf.Tensor:
    """A convolution without bias, batch normalisation, and ReLU with these options."""
    x = layers.Conv2D(filters, size, stride, "same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return x if activation is None else layers.ReLU(**activation)(x)


def answered(x: tf.Tensor, classes: int) -> tf.Tensor:
    """The probability of each class."""
    return layers.Dense(classes, activation="softmax")(x)


CASES = {
    "digits": like(DIGITS),
    "plain6": plain(6),
    "plain12": plain(12),
    "plain20": plain(20),
    "caltech": like(CALTECH),
    "residual": Case(DIGITS, residual, epochs=60),
    "separable": Case(DIGITS, separable, epochs=60),
    "locnet": of_paper("faces"),
    "cae": of_paper("hippocampus"),
}
