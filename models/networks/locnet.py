"""LocNet: one picture in, the box of the object in it out, through soft LIF neurons."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from ..data.boxes import Size
from .neurons import RateNoise, SoftLIF, current_for
from .recipe import AMPLITUDE, CHANNELS, SIZE, WIDTHS

MOMENTUM = 0.9  # of the running mean and variance, per batch


def locnet(
    size: Size = SIZE,
    channels: Sequence[int] = CHANNELS,
    widths: Sequence[int] = WIDTHS,
    amplitude: float = AMPLITUDE,
    *,
    normalised_to: float | None = None,
    rate_noise: float = 0.0,
) -> tf.keras.Model:
    """The network of "Joint ANN-SNN Co-training" (arXiv 2303.12738), section 3.1.

    For each of ``channels``: a 3×3 convolution and a 3×3 convolution of stride 2 that
    takes the place of pooling, both padded to "same". Then four dense layers, to
    ``widths`` and to the four coordinates x_min, y_min, x_max, y_max. Soft LIF neurons
    follow every layer but the last, which is linear: a box is a number to be read, not
    a rate to be sent on, and the host computes it from the rates of the last neurons.

    The paper names neither sizes nor widths. The defaults make 27,104 neurons, of which
    Loihi holds 131,072: colour costs none, since the first layer's currents are
    computed on the host.

    Args:
        size: (height, width, channels) of the pictures.
        channels: filters of both convolutions of each stage.
        widths: neurons of each dense layer but the last.
        amplitude: of the neurons.
        normalised_to: for training, a rate in Hz. Currents are then normalised over
            the batch, each channel starting at the mean that fires at this rate and
            half of its distance from the threshold as standard deviation: neurons
            below it are silent and learn nothing. ``fold`` takes this out again.
        rate_noise: for training, standard deviation in Hz of ``RateNoise`` on every
            neuron's rate.
    """

    def neurons(x: tf.Tensor, name: str) -> tf.Tensor:
        if normalised_to is not None:
            above = current_for(normalised_to) - 1
            x = tf.keras.layers.BatchNormalization(
                momentum=MOMENTUM,
                beta_initializer=tf.keras.initializers.Constant(1 + above),
                gamma_initializer=tf.keras.initializers.Constant(above / 2),
                name=f"{name}_norm",
            )(x)
        x = SoftLIF(amplitude=amplitude, name=f"{name}_neurons")(x)
        if rate_noise:
            x = RateNoise(rate_noise * amplitude, name=f"{name}_noise")(x)
        return x

    x = inputs = tf.keras.Input(size, name="image")
    for stage, filters in enumerate(channels, 1):
        for part, stride in (("conv", 1), ("pool", 2)):
            name = f"{part}{stage}"
            x = tf.keras.layers.Conv2D(filters, 3, stride, "same", name=name)(x)
            x = neurons(x, name)
    x = tf.keras.layers.Flatten(name="flatten")(x)
    for number, width in enumerate(widths, 1):
        x = tf.keras.layers.Dense(width, name=f"dense{number}")(x)
        x = neurons(x, f"dense{number}")
    middle = tf.keras.initializers.Constant(0.5)
    x = tf.keras.layers.Dense(
        4, kernel_initializer="zeros", bias_initializer=middle, name="box"
    )(x)
    return tf.keras.Model(inputs, x, name="locnet")


def populations(model: tf.keras.Model) -> list[SoftLIF]:
    """The model's soft LIF layers, in order of flow."""
    return [layer for layer in model.layers if isinstance(layer, SoftLIF)]


def fold(trained: tf.keras.Model, plain: tf.keras.Model) -> None:
    """Give ``plain`` the weights with which it computes what ``trained`` does.

    Args:
        trained: a ``locnet`` that is ``normalised_to`` a rate; its running means and
            variances go into the weights and biases before them.
        plain: the same network without.
    """
    norms = {layer.name: layer for layer in trained.layers}
    for layer in plain.layers:
        if not layer.weights:
            continue
        kernel, bias = norms[layer.name].get_weights()
        norm = norms.get(f"{layer.name}_norm")
        if norm is not None:
            gamma, beta, mean, variance = norm.get_weights()
            scale = gamma / (variance + norm.epsilon) ** 0.5
            kernel, bias = kernel * scale, (bias - mean) * scale + beta
        layer.set_weights([kernel, bias])
