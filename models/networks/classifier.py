"""Plain networks for whoever has only data: convolutions, dense layers, ReLUs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from ...toolchain.graph.nodes import Array, Shape
from .cae import pixels

COARSE = 4  # pixels, or steps, at which the shorter side is no longer halved
STAGES = 3  # that have twice as many filters as the one before, the first aside
STEPS = 5  # of a series that a window covers
NEAR = 2.0  # values up to here are as networks like them
WIDE = 0.1  # if they spread so far at least


@dataclass(frozen=True)
class Standard:
    """How inputs are brought to the size that networks like: x · scale + offset.

    It is the network's first layer, whose numbers are not trained, so that the network
    takes samples as they are stored; once built, the host applies it.

    Attributes:
        scale, offset: one, or one a channel.
    """

    scale: list[float]
    offset: list[float]


def standard_of(x: Array) -> Standard | None:
    """That of these training samples (samples, *shape); None where their size is right.

    Pictures become 0 … 1, all channels alike. Of vectors and series each channel gets a
    mean of 0 and a spread of 1.
    """
    axes = tuple(range(x.ndim - 1))
    low, high, exact = float(x.min()), float(x.max()), x.astype(np.float64)
    near = max(-low, high) <= NEAR
    if is_picture(x.shape[1:]):
        if high - low >= WIDE and near or high == low:
            return None
        return Standard([1 / (high - low)], [-low / (high - low)])
    mean, spread = exact.mean(axes), exact.std(axes)
    if near and (spread[spread > 0] >= WIDE).all():
        return None
    scale = 1 / np.where(spread > 0, spread, 1.0)
    return Standard(scale.tolist(), (-mean * scale).tolist())


def is_picture(shape: Shape) -> bool:
    """Whether samples are (height, width, channels); a series is (steps, 1, …)."""
    return len(shape) == 3 and shape[1] > 1


def classifier(
    shape: Shape,
    outputs: int,
    filters: int,
    width: int,
    standard: Standard | None = None,
    *,
    softmax: bool = False,
) -> tf.keras.Model:
    """A vector, picture or series in, a number for each class or value out.

    Pictures and series are halved by convolutions of stride 2, which take the place of
    pooling, until their shorter side is ``COARSE`` or less, and flattened; vectors pass
    through one dense layer more instead. Then a dense layer, and a linear one that the
    host computes. Every weighted sum but the last is followed by rectified linear
    neurons.

    Args:
        shape: of a sample: (numbers,), (height, width, channels), or of a series
            (steps, 1, channels).
        outputs: classes or values.
        filters: of the first convolution; the second and third have twice as many as
            the one before.
        width: neurons of the dense layer.
        standard: of the inputs.
        softmax: whether the answers are probabilities, for deployment.
    """
    inputs = x = tf.keras.Input(shape, name="sample")
    x = _standardised(x, standard)
    if len(shape) == 3:
        x = tf.keras.layers.Flatten(name="flatten")(_convolved(x, shape, filters))
    else:
        x = _neurons(tf.keras.layers.Dense(width, **_he("dense0"))(x), "dense0")
    x = _neurons(tf.keras.layers.Dense(width, **_he("dense1"))(x), "dense1")
    x = tf.keras.layers.Dense(outputs, name="answer")(x)
    if softmax:
        x = tf.keras.layers.Activation("softmax", name="probabilities")(x)
    return tf.keras.Model(inputs, x, name="classifier")


def segmenter(
    size: tuple[int, int, int],
    classes: int,
    filters: int,
    standard: Standard | None = None,
    *,
    softmax: bool = False,
) -> tf.keras.Model:
    """A picture in, a number for each class of each pixel out: a ``cae``.

    Args:
        size: (height, width, channels), height and width even; each is halved up to
            three times, as long as it is.
        classes: of a pixel.
        filters: of the first stage; the others have twice as many as the one before.
        standard: of the inputs.
        softmax: whether the answers are probabilities, for deployment.
    """
    stages = min(STAGES, *map(_halvings, size[:2]))
    channels = [filters * 2**stage for stage in range(stages)]
    inputs = tf.keras.Input(size, name="sample")
    x = pixels(_standardised(inputs, standard), channels, classes)
    if softmax:
        x = tf.keras.layers.Activation("softmax", name="probabilities")(x)
    return tf.keras.Model(inputs, x, name="segmenter")


def _halvings(side: int) -> int:
    """How often a side can be halved.

    >>> _halvings(48), _halvings(7)
    (4, 0)
    """
    return (side & -side).bit_length() - 1


def _convolved(x: tf.Tensor, shape: Shape, filters: int) -> tf.Tensor:
    picture = is_picture(shape)
    window, stride = ((3, 3), (2, 2)) if picture else ((STEPS, 1), (2, 1))
    shorter = min(shape[:2]) if picture else shape[0]
    for stage in range(max(1, math.ceil(math.log2(shorter / COARSE)))):
        name, count = f"conv{stage + 1}", filters * 2 ** min(stage, STAGES - 1)
        conv = tf.keras.layers.Conv2D(count, window, stride, "same", **_he(name))
        x = _neurons(conv(x), name)
    return x


def _he(name: str) -> dict[str, str]:
    return {"kernel_initializer": "he_normal", "name": name}


def _neurons(x: tf.Tensor, name: str) -> tf.Tensor:
    return tf.keras.layers.ReLU(name=f"{name}_neurons")(x)


def _standardised(x: tf.Tensor, standard: Standard | None) -> tf.Tensor:
    if standard is None:
        return x
    scale, offset = standard.scale, standard.offset
    return tf.keras.layers.Rescaling(scale, offset, name="standard")(x)
