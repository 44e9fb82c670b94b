"""CAE: a convolutional auto-encoder that marks an object's pixels, through ReLUs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import tensorflow as tf

from ..data.boxes import Size
from .recipe import CAE_CHANNELS, CAE_SIZE

MOMENTUM = 0.9  # of the running mean and variance, per batch


def cae(
    size: Size = CAE_SIZE,
    channels: Sequence[int] = CAE_CHANNELS,
    *,
    normalised: bool = True,
) -> tf.keras.Model:
    """The network of "Joint ANN-SNN Co-training" (arXiv 2303.12738), section 3.2.

    A stage halves height and width by a convolution of stride 2, which takes the place
    of pooling, and adds a convolution of stride 1, but for the innermost one; each is
    mirrored by a transposed convolution of stride 2 and a convolution. A last
    transposed convolution gives a value for every pixel. With three stages these are
    the paper's ten convolutional layers. No connection skips a layer. Rectified linear
    neurons follow every layer but the last; that one is linear, and it and the sigmoid
    after it are read-out: the host computes the mask from the rates of the last
    neurons.

    The paper names neither sizes nor widths. The defaults make 38,400 neurons, of which
    Loihi holds 131,072. It scales the inputs of all neurons by 1000 and their outputs
    back, so that they fire enough in a short presentation; here ``balance`` does that
    when the network is built, with each layer's own factor, found from data.

    Args:
        size: (height, width, channels) of the slices; height and width are multiples of
            2 to the number of stages.
        channels: filters of each stage's layers, the outermost first.
        normalised: whether currents are normalised over the batch in training; when
            the network is built, ``toolchain.fold`` takes this into the weights.
    """
    inputs = tf.keras.Input(size, name="image")
    x = pixels(inputs, channels, normalised=normalised)
    x = tf.keras.layers.Activation("sigmoid", name="mask")(x)
    return tf.keras.Model(inputs, x, name="cae")


def pixels(
    x: tf.Tensor, channels: Sequence[int], outputs: int = 1, *, normalised: bool = True
) -> tf.Tensor:
    """The layers between input and read-out: a number for each output of each pixel."""
    same = {"padding": "same", "kernel_initializer": "he_normal"}
    conv = partial(tf.keras.layers.Conv2D, kernel_size=3, **same)
    grow = partial(tf.keras.layers.Conv2DTranspose, kernel_size=4, strides=2, **same)

    def layer(x: tf.Tensor, kind: partial[Any], name: str) -> tf.Tensor:
        x = kind(name=name)(x)
        if normalised:
            norm = tf.keras.layers.BatchNormalization
            x = norm(momentum=MOMENTUM, name=f"{name}_norm")(x)
        return tf.keras.layers.ReLU(name=f"{name}_neurons")(x)

    *outer, inner = channels
    for stage, filters in enumerate(outer, 1):
        x = layer(x, partial(conv, filters, strides=2), f"down{stage}")
        x = layer(x, partial(conv, filters), f"encode{stage}")
    x = layer(x, partial(conv, inner, strides=2), f"down{len(channels)}")
    for stage, filters in reversed(list(enumerate(outer, 1))):
        x = layer(x, partial(grow, filters), f"up{stage}")
        x = layer(x, partial(conv, filters), f"decode{stage}")
    return grow(outputs, name="pixels")(x)
