"""Small Keras models, and their files: run it to write those of the Keras installed.

    python tests/keras_models.py tests/keras3

writes each as model.save does (.keras and .h5 under Keras 3; .h5 and SavedModel under
Keras 2) beside NAME.npz, which holds samples x and Keras' own answers y.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from snn_deploy.models.networks.neurons import SoftLIF
from snn_deploy.toolchain.graph.interpret import interpret

layers = tf.keras.layers
KERAS = tf.keras.__version__.split(".")[0]
SUFFIXES = {"2": (".h5", ""), "3": (".keras", ".h5")}[KERAS]


def randomised(model, seed=0):
    """The model with random biases and batch statistics, where Keras starts at 0."""
    draw = np.random.default_rng(seed)
    for variable in model.weights:
        if "float" in str(variable.dtype):
            low = 0.3 if "variance" in variable.name or "gamma" in variable.name else -1
            variable.assign(draw.uniform(low, 1, variable.shape))
    return model


def assert_same(model, graph, seed=1):
    """Graph and model agree to 1e-5 of the largest output."""
    shape = model.input_shape[1:]
    x = np.random.default_rng(seed).normal(size=(3, *shape)).astype(np.float32)
    try:
        wanted = np.asarray(model(x, training=False))
    except tf.errors.InvalidArgumentError as error:
        if "CPU implementations do not yet support" not in str(error):
            raise
        pytest.skip("TensorFlow has no such layer on this processor (without oneDNN)")
    got = interpret(graph, x)[graph.output.name]
    assert got.shape == wanted.shape
    scale = np.abs(wanted).max()
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5 * scale)


def chain(shape, *stack):
    return randomised(tf.keras.Sequential([tf.keras.Input(shape), *stack]))


def branches():
    """Two convolutions whose names are not their order, a norm, Add and Concatenate."""
    image = tf.keras.Input((5, 4, 2), name="image")
    x = layers.Conv2D(2, 3, 2, "same", activation="relu", name="z")(image)
    y = layers.BatchNormalization(name="norm", scale=False)(x)
    y = layers.Conv2D(2, 2, padding="same", use_bias=False, name="a")(y)
    x = layers.Concatenate()([y, layers.Add()([x, y])])
    x = layers.Dense(3, name="last")(layers.Flatten()(x))
    return randomised(tf.keras.Model(image, layers.Softmax(name="classes")(x)))


def sequence():
    """A Dense on every place of a sequence, then on all."""
    return chain(
        *((4, 3), layers.Dense(4, "relu"), layers.Dropout(0.5), layers.Flatten()),
        layers.Dense(2, "tanh"),
    )


def pixels():
    """Soft LIF neurons, and a class for every pixel."""
    return chain(
        *((3, 3, 1), layers.Conv2DTranspose(2, 2, 2), SoftLIF(amplitude=0.01)),
        layers.Conv2D(3, 1, activation="log_softmax"),
    )


def nested():
    """A model in a model, with what is frozen in it, used twice."""
    image = tf.keras.Input((4, 4, 2), name="inner_image")
    x = layers.Conv2D(2, 3, padding="same", name="inner_conv")(image)
    x = layers.BatchNormalization(name="inner_norm")(x)
    x = layers.ReLU(name="inner_relu")(layers.Conv2D(2, 1, name="inner_end")(x))
    inner = tf.keras.Model(image, x, name="inner")
    inner.get_layer("inner_conv").trainable = False
    image = tf.keras.Input((4, 4, 2), name="image")
    x = layers.Flatten(name="flat")(inner(inner(image)))
    return randomised(tf.keras.Model(image, layers.Dense(2, name="last")(x)))


def shared():
    """A layer used twice, the second time before others in the list; constants."""
    image, both = tf.keras.Input((4,), name="vector"), layers.Dense(4, name="both")
    x = layers.Dense(4, "relu", name="other")(both(image) * 0.5 + 1.0)
    x = layers.Concatenate(name="joined")([both(x), x])
    return randomised(tf.keras.Model(image, x))


def separable():
    """Channels by themselves, slopes, padding and a mean over all."""
    return chain(
        *((6, 5, 2), layers.SeparableConv2D(3, 3, 2, "same", activation="relu")),
        *(layers.ZeroPadding2D(((0, 1), (1, 0))), layers.DepthwiseConv2D(2)),
        *(layers.PReLU(shared_axes=[1, 2]), layers.GlobalAveragePooling2D()),
    )


def signal():
    """A sequence."""
    return chain(
        *((12, 2), layers.Conv1D(3, 3, 2, "causal"), layers.BatchNormalization()),
        *(layers.ReLU(0.8), layers.AveragePooling1D(2), layers.UpSampling1D(2)),
        *(layers.TimeDistributed(layers.Dense(2)), layers.Flatten(), layers.Dense(2)),
    )


MODELS = {
    **{"branches": branches, "sequence": sequence, "pixels": pixels},
    **{"nested": nested, "shared": shared, "separable": separable, "signal": signal},
}


def write(folder: Path) -> None:
    """Every model in every form that this Keras writes, with its answers."""
    for name, make in MODELS.items():
        model = make()
        shape = model.input_shape[1:]
        x = np.random.default_rng(1).normal(size=(3, *shape)).astype(np.float32)
        y = np.asarray(model(x, training=False))
        np.savez(folder / f"{name}.npz", x=x, y=y)
        for suffix in SUFFIXES:
            model.save(folder / f"{name}{suffix}")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
