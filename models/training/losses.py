"""Losses by name, each with the score that training is judged by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
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
        of_logits: predicted is what stands before a softmax or sigmoid.
    """

    value: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    score: Callable[[Array, Array], float]
    label: str
    of_logits: bool = False


def find_loss(name: str, smoothing: float = 0.0) -> Loss:
    """The loss of this name, or a function of the user's own, "package.module.name".

    Such a function takes (predicted, wanted) and gives a scalar, its own judge.

    Args:
        name: of the loss.
        smoothing: of its labels, for ``cross_entropy``.

    Raises:
        DataError: there is none.
    """
    if name in LOSSES:
        loss = LOSSES[name]
        if smoothing:
            return replace(loss, value=partial(cross_entropy, smoothing=smoothing))
        return loss
    module, _, function = name.rpartition(".")
    try:
        own = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise DataError(
            f"loss {name!r} is unknown; there are: {', '.join(LOSSES)}"
        ) from error
    return Loss(own, _minus(own), f"−{function}")


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


def huber(predicted: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """Mean of e² / 2 up to |e| = 1, |e| − ½ beyond. Source: Huber 1964."""
    error = tf.abs(predicted - wanted)
    return tf.reduce_mean(tf.where(error < 1, tf.square(error) / 2, error - 0.5))


def cross_entropy(
    predicted: tf.Tensor, wanted: tf.Tensor, smoothing: float = 0.0
) -> tf.Tensor:
    """Of the softmax of (…, classes), the wanted class a number (…) or one-hot.

    One output tells two classes apart through its sigmoid.

    Args:
        smoothing: share of the wanted distribution that is spread over all classes
            (Szegedy et al. 2016, arXiv 1512.00567, section 7).
    """
    classes = predicted.shape[-1]
    if wanted.shape.rank < predicted.shape.rank:
        depth = max(classes, 2)
        wanted = tf.one_hot(tf.cast(wanted, tf.int32), depth, dtype=predicted.dtype)
    wanted = (1 - smoothing) * wanted + smoothing / wanted.shape[-1]
    if classes == 1:
        second = wanted[..., 1:]
        error = tf.nn.sigmoid_cross_entropy_with_logits(second, predicted)
    else:
        error = tf.nn.softmax_cross_entropy_with_logits(wanted, predicted)
    return tf.reduce_mean(error)


def distillation(
    predicted: tf.Tensor, taught: tf.Tensor, temperature: float
) -> tf.Tensor:
    """T² · cross-entropy of a teacher's classes with the network's, both at T.

    Logits (…, classes), divided by T before the softmax: what the teacher holds
    possible beside its answer counts too. T² keeps the gradient's size. Source: Hinton,
    Vinyals & Dean 2015 (arXiv 1503.02531), section 2.
    """
    if predicted.shape[-1] == 1:  # its sigmoid tells two classes apart
        error = tf.nn.sigmoid_cross_entropy_with_logits(
            tf.sigmoid(taught / temperature), predicted / temperature
        )
    else:
        error = tf.nn.softmax_cross_entropy_with_logits(
            tf.nn.softmax(taught / temperature), predicted / temperature
        )
    return temperature**2 * tf.reduce_mean(error)


def ce_dice(predicted: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
    """0.5 · cross-entropy + 0.5 · (1 − mean soft Dice of the classes, over the batch).

    ``bce_dice`` for several classes: outputs (…, classes) before their softmax, the
    wanted classes (…).
    """
    classes = predicted.shape[-1]
    p = tf.nn.softmax(predicted)
    true = tf.one_hot(tf.cast(wanted, tf.int32), classes, dtype=p.dtype)
    p, true = tf.reshape(p, (-1, classes)), tf.reshape(true, (-1, classes))
    both = tf.reduce_sum(p, 0) + tf.reduce_sum(true, 0)
    overlap = (2 * tf.reduce_sum(p * true, 0) + 1) / (both + 1)
    entropy = cross_entropy(predicted, wanted)
    return 0.5 * entropy + 0.5 * (1 - tf.reduce_mean(overlap))


def accuracy(predicted: Array, wanted: Array) -> float:
    """Share of samples, or pixels, whose largest output is the wanted class."""
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
    "huber": Loss(huber, _minus(huber), "−huber"),
    "cross_entropy": Loss(cross_entropy, accuracy, "accuracy", of_logits=True),
    "ce_dice": Loss(ce_dice, accuracy, "accuracy of pixels", of_logits=True),
}
