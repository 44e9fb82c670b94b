"""Losses by name, each with the score that training is judged by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ...toolchain.errors import DataError
from ..data.boxes import iou
from ..data.masks import dice

Array = npt.NDArray[Any]
BETA = 0.05  # of the smooth L1: linear beyond so many units of output
TINY = 1e-7


@dataclass(frozen=True)
class Loss:
    """What training makes small, and what it is judged by.

    Attributes:
        value: (predicted, wanted) → scalar.
        score: (predicted, wanted) → number; the higher the better.
        label: name of the score.
    """

    value: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    score: Callable[[Array, Array], float]
    label: str


def find_loss(name: str) -> Loss:
    """The loss of this name.

    Raises:
        DataError: there is none.
    """
    if name not in LOSSES:
        raise DataError(f"loss {name!r} is unknown; there are: {', '.join(LOSSES)}")
    return LOSSES[name]


def mse(predicted: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """Mean squared error."""
    return tf.reduce_mean(tf.square(predicted - wanted))


def smooth_l1(predicted: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """Mean of e² / (2 · BETA) up to |e| = BETA, |e| − BETA / 2 beyond.

    Source: Girshick 2015 (arXiv 1504.08083), equation 3, with a width.
    """
    error = tf.abs(predicted - wanted)
    small = tf.square(error) / (2 * BETA)
    return tf.reduce_mean(tf.where(error < BETA, small, error - BETA / 2))


def box_loss(predicted: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """smooth L1 + 0.1 · (1 − mean GIoU); boxes (samples, 4) as in ``boxes``.

    GIoU = IoU − (hull − union) / hull. Source: Rezatofighi et al. 2019 (arXiv
    1902.09630), algorithm 1.
    """
    low = tf.maximum(predicted[:, :2], wanted[:, :2])
    high = tf.minimum(predicted[:, 2:], wanted[:, 2:])
    common = tf.reduce_prod(tf.maximum(high - low, 0.0), axis=1)
    union = _area(predicted) + _area(wanted) - common
    low = tf.minimum(predicted[:, :2], wanted[:, :2])
    high = tf.maximum(predicted[:, 2:], wanted[:, 2:])
    hull = tf.reduce_prod(tf.maximum(high - low, TINY), axis=1)
    giou = common / tf.maximum(union, TINY) - (hull - union) / hull
    return smooth_l1(predicted, wanted) + 0.1 * tf.reduce_mean(1 - giou)


def _area(boxes: tf.Tensor) -> tf.Tensor:
    return tf.reduce_prod(tf.maximum(boxes[:, 2:] - boxes[:, :2], 0.0), axis=1)


def bce_dice(predicted: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """0.5 · binary cross-entropy + 0.5 · (1 − Dice); masks of probabilities, 0 … 1.

    Source: arXiv 2303.12738, section 3.2; Dice over the whole batch.
    """
    p = tf.clip_by_value(predicted, TINY, 1 - TINY)
    entropy = wanted * tf.math.log(p) + (1 - wanted) * tf.math.log(1 - p)
    both = tf.reduce_sum(predicted) + tf.reduce_sum(wanted)
    overlap = (2 * tf.reduce_sum(predicted * wanted) + 1) / (both + 1)
    return -0.5 * tf.reduce_mean(entropy) + 0.5 * (1 - overlap)


def dice_of_probabilities(predicted: Array, wanted: Array) -> float:
    """Dice of all masks taken together, a pixel belonging where its value is > 0.5."""
    return dice(predicted > 0.5, wanted > 0.5)


def crossentropy(predicted: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """Of the softmax of (samples, classes), the wanted class a number or one-hot."""
    if wanted.shape.rank == predicted.shape.rank:
        wanted = tf.argmax(wanted, axis=-1)
    labels = tf.cast(wanted, tf.int32)
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels, predicted)
    )


def accuracy(predicted: Array, wanted: Array) -> float:
    """Share of samples whose largest output is the wanted class."""
    classes = wanted.argmax(-1) if wanted.ndim == predicted.ndim else wanted
    return float(np.mean(predicted.argmax(-1) == classes))


def _minus(loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> Callable[..., float]:
    return lambda a, b: -float(loss(tf.constant(a), tf.constant(b, a.dtype)))


def _mean_iou(predicted: Array, wanted: Array) -> float:
    return float(iou(predicted, wanted).mean())


LOSSES = {
    "mse": Loss(mse, _minus(mse), "−mse"),
    "smooth_l1": Loss(smooth_l1, _minus(smooth_l1), "−smooth L1"),
    "iou": Loss(box_loss, _mean_iou, "IoU"),
    "bce_dice": Loss(bce_dice, dice_of_probabilities, "Dice"),
    "crossentropy": Loss(crossentropy, accuracy, "accuracy"),
}
