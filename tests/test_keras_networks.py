"""Networks as people build them, from Keras to a Program that answers as they do.

Vectors, pictures without channels, signals as thin pictures, pools that overlap, event
pictures of two channels, answers of both signs: shapes and layers after public reports.
"""

from __future__ import annotations

import numpy as np
import pytest

from snn_deploy.deploy import Settings, Steps, compile_program
from snn_deploy.targets.contract import find_target
from snn_deploy.toolchain.frontends.keras.keras import from_keras
from snn_deploy.toolchain.graph.interpret import interpret

tf = pytest.importorskip("tensorflow", reason="tensorflow is not installed")
from keras_models import assert_same, layers, randomised  # noqa: E402

Input = tf.keras.Input


def vector():
    """Features in, classes out, activations as TensorFlow's functions."""
    x = layers.Dense(12, tf.nn.relu)(image := Input((20,)))
    return tf.keras.Model(image, layers.Dense(5, "softmax")(x))


def flat_picture():
    """A picture without a channel axis, and no bias anywhere."""
    return stack(
        *((8, 8), layers.Flatten(), layers.Dense(16, "relu", use_bias=False)),
        layers.Dense(6, "softmax", use_bias=False),
    )


def signal():
    """A heartbeat as a picture one pixel wide, normalised behind its neurons."""
    return stack(
        *((47, 1, 1), layers.Conv2D(4, (5, 1), (2, 1), activation="relu")),
        *(layers.BatchNormalization(), layers.Conv2D(4, (5, 1), (2, 1))),
        *(layers.ReLU(), layers.BatchNormalization(), layers.Flatten()),
        *(layers.Dense(8, "relu"), layers.Dense(5, "softmax")),
    )


def overlapping_pool():
    """An EEG of two electrodes: pools of 30 steps, every 10."""
    return stack(
        *((101, 2, 1), layers.Conv2D(4, (20, 2), use_bias=False)),
        *(layers.BatchNormalization(), layers.ReLU()),
        *(layers.AveragePooling2D((30, 1), strides=(10, 1)), layers.Flatten()),
        *(layers.Dropout(0.5), layers.Dense(2, "softmax")),
    )


def regression():
    """Values of both signs."""
    return stack(
        *((12, 12, 1), layers.Conv2D(4, 3, activation="relu")),
        *(layers.AveragePooling2D(2), layers.Flatten()),
        *(layers.Dense(16, "relu"), layers.Dense(3)),
    )


def bounded():
    """Inputs and answers of both signs."""
    return stack((8,), layers.Dense(16, "relu"), layers.Dense(2, "tanh"))


def auto_encoder():
    return stack((24,), layers.Dense(12, "relu"), layers.Dense(24, "sigmoid"))


def events():
    """Pictures of an event camera: a channel for each polarity."""
    return stack(
        *((16, 16, 2), layers.Conv2D(4, 3, 2, "same", activation="relu")),
        *(layers.AveragePooling2D(2), layers.Flatten()),
        layers.Dense(4, use_bias=False),
    )


def stack(shape, *rest):
    return tf.keras.Sequential([Input(shape), *rest])


def softmax_behind_a_reshape():
    """Two classes for each of three questions."""
    return stack(
        *((10,), layers.Dense(12, "relu"), layers.Dense(6)),
        *(layers.Reshape((3, 2)), layers.Softmax()),
    )


NETWORKS = (
    *(vector, flat_picture, signal, overlapping_pool, regression, bounded),
    *(auto_encoder, events, softmax_behind_a_reshape),
)


@pytest.mark.parametrize("make", NETWORKS, ids=lambda make: make.__name__)
def test_a_network_becomes_a_program_that_answers_as_it_does(make):
    model = randomised(make(), seed=3)
    graph = from_keras(model)
    assert_same(model, graph)
    draw = np.random.default_rng(0)
    x = draw.random((24, *graph.input.shape))
    if make is bounded:
        x = draw.normal(size=x.shape)
    if make is events:
        x = (x < 0.1).astype(float)
    settings = Settings(steps=200)
    program, _ = compile_program(graph, x, settings, Steps(lambda name, seconds: None))
    with find_target("reference").load(program) as session:
        got = session.run(x).output
    wanted = interpret(graph, x)[graph.output.name]
    assert got.shape == wanted.shape
    centred = [values - values.mean(axis=0) for values in (got, wanted)]
    assert np.corrcoef(*map(np.ravel, centred))[0, 1] > 0.95  # of how samples differ
