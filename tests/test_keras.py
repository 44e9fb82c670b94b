"""A Keras model and its Graph say the same, whichever door the model came through."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_deploy.toolchain.frontends.keras.keras import from_keras, read_keras
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.interpret import evaluate, interpret
from snn_deploy.toolchain.graph.preparation import Rescale
from snn_deploy.toolchain.passes.legalize.legalize import legalize

tf = pytest.importorskip("tensorflow", reason="tensorflow is not installed")
from keras_models import SUFFIXES, SoftLIF, assert_same, chain, layers, randomised  # noqa: E402

IMAGE = (7, 6, 3)
KINDS = {
    "conv": [layers.Conv2D(4, 3)],
    "conv same": [layers.Conv2D(4, 3, padding="same")],
    "conv same, stride 2": [layers.Conv2D(4, 3, strides=2, padding="same")],
    "conv same, stride (3, 2)": [layers.Conv2D(4, (2, 4), (3, 2), padding="same")],
    "conv, no bias": [layers.Conv2D(4, (1, 2), use_bias=False)],
    "conv transpose": [layers.Conv2DTranspose(4, 3)],
    "conv transpose same, stride 2": [layers.Conv2DTranspose(4, 3, 2, "same")],
    "conv transpose, stride (2, 3)": [layers.Conv2DTranspose(4, (4, 3), (2, 3))],
    "conv transpose same, gaps": [layers.Conv2DTranspose(2, (1, 2), (3, 3), "same")],
    "conv transpose, gaps": [layers.Conv2DTranspose(2, (1, 2), 3, use_bias=False)],
    "pool": [layers.AveragePooling2D((2, 3))],
    "pool, stride 1": [layers.AveragePooling2D(2, strides=1)],
    "pool same, that fits": [layers.AveragePooling2D((1, 2), padding="same")],
    "upsample": [layers.UpSampling2D((2, 3))],
    "batch norm": [layers.BatchNormalization()],
    "batch norm, bare": [layers.BatchNormalization(scale=False, center=False)],
    "rescaling": [layers.Rescaling(1 / 127.5, offset=-1), layers.Conv2D(4, 3)],
    "rescaling, each channel": [layers.Rescaling([0.1, 0.2, 0.3], [0.0, 1.0, 2.0])],
    "rescaling by one, to each": [layers.Rescaling(0.1, [0.0, 1.0, 2.0])],
    "dense": [layers.Flatten(), layers.Dense(5)],
    "reshape": [layers.Reshape((3, -1, 7)), layers.Conv2D(2, 2)],
    "dropout": [layers.Dropout(0.5), layers.Conv2D(2, 2), layers.Dropout(0.1)],
    "relu layer": [layers.Conv2D(4, 3), layers.ReLU()],
    "activation layer": [layers.Conv2D(4, 3), layers.Activation("relu")],
    "linear activation": [layers.Activation("linear"), layers.Conv2D(4, 3)],
    "inline relu": [layers.Conv2D(4, 3, activation="relu"), layers.Conv2D(2, 3)],
    "inline sigmoid": [layers.Flatten(), layers.Dense(3, activation="sigmoid")],
    "inline softmax": [layers.Flatten(), layers.Dense(3, activation="softmax")],
    "inline log-softmax": [layers.Conv2D(3, 2, activation="log_softmax")],
    "inline tanh": [layers.Flatten(), layers.Dense(3, activation="tanh")],
    "softmax layer": [layers.Conv2D(4, 3), layers.Softmax()],
    "softmax behind a reshape": [layers.Reshape((9, 14)), layers.Softmax(axis=2)],
    "softmax behind a flatten": [layers.Flatten(), layers.Softmax()],
    "softmax activation": [layers.Flatten(), layers.Activation("softmax")],
    "TensorFlow's log-softmax": [layers.Dense(4, activation=tf.nn.log_softmax)],
    "dense on a picture": [layers.Dense(5, "relu")],
    "dense on a sequence": [layers.Reshape((7, 18)), layers.Dense(5, "relu")],
    "dense on blocks": [layers.Reshape((7, 3, 2, 3)), layers.Dense(5)],
    "soft LIF": [layers.Conv2D(4, 3), SoftLIF(0.03, 0.001, 0.02, 0.01)],
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_kind_gives_keras_numbers(kind):
    model = chain(IMAGE, *KINDS[kind])
    assert_same(model, from_keras(model))


def branched():
    x = image = tf.keras.Input((8, 6, 3), name="image")
    x = layers.Conv2D(4, 3, 2, "same", activation="relu", name="conv")(x)
    y = layers.BatchNormalization(name="norm")(layers.Dropout(0.2)(x))
    x = layers.Concatenate(name="both")([x, layers.Add(name="sum")([x, y, y])])
    x = SoftLIF(amplitude=0.01, name="neurons")(layers.Conv2DTranspose(3, 3, 2)(x))
    x = layers.Dense(2, activation="sigmoid", name="out")(layers.Flatten()(x))
    return randomised(tf.keras.Model(image, x))


def stacked():
    return chain(
        *(IMAGE, layers.Conv2D(4, 3, padding="same", use_bias=False)),
        *(layers.BatchNormalization(), layers.ReLU(), layers.AveragePooling2D(2)),
        *(layers.Flatten(), layers.Dense(6), SoftLIF(amplitude=0.01), layers.Dense(2)),
    )


@pytest.mark.parametrize("make", [branched, stacked])
def test_all_three_doors_give_the_same_graph(make, tmp_path):
    model = make()
    model.compile("adam", "mse")
    shapes = model.input_shape[1:], model.output_shape[1:]
    model.train_on_batch(*(np.ones((2, *shape)) for shape in shapes))
    for suffix in SUFFIXES:
        model.save(tmp_path / f"model{suffix}")
    graph = from_keras(model)
    assert_same(model, graph)
    x = np.random.default_rng(2).normal(size=(2, *graph.input.shape))
    wanted = interpret(graph, x)[graph.output.name]
    for suffix in SUFFIXES:
        read = read_keras(str(tmp_path / f"model{suffix}"))
        assert [node.name for node in read.nodes] == [node.name for node in graph.nodes]
        np.testing.assert_array_equal(interpret(read, x)[read.output.name], wanted)


if hasattr(tf.keras, "ops"):  # as functions, in the way of this Keras
    ops = tf.keras.ops
    FUNCTIONS = [ops.softmax, ops.log_softmax, ops.sigmoid, ops.tanh]
    FUNCTIONS.append(lambda x: ops.argmax(x, axis=-1))
else:
    FUNCTIONS = [tf.nn.softmax, tf.nn.log_softmax, tf.nn.sigmoid, tf.nn.tanh]
    FUNCTIONS.append(lambda x: tf.argmax(x, axis=-1))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_read_outs_may_be_functions(function, tmp_path):
    x = layers.Dense(5)(image := tf.keras.Input((4,)))
    model = randomised(tf.keras.Model(image, function(x)))
    assert_same(model, from_keras(model))
    model.save(tmp_path / "model.h5")
    assert_same(model, read_keras(tmp_path / "model.h5"))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rescaling_is_the_hosts_however_it_was_saved(suffix, tmp_path):
    """Behind the Input; between populations it becomes part of weights and biases."""
    rescaling = layers.Rescaling([1 / 255], np.array([0.5], "f4"))
    model = chain(IMAGE, rescaling, layers.Conv2D(4, 3, padding="same"), layers.ReLU())
    file = tmp_path / f"net{suffix}"
    model.save(file)
    graph = read_keras(file)
    assert_same(model, graph)
    assert isinstance(graph.prepared, Rescale)
    legalize(graph)
    between = [layers.Conv2D(4, 3), layers.ReLU(), layers.Rescaling(2.0)]
    graph = from_keras(chain(IMAGE, *between, layers.Conv2D(2, 2), layers.ReLU()))
    x = np.random.default_rng(0).random((2, *graph.input.shape))
    np.testing.assert_allclose(evaluate(legalize(graph), x), evaluate(graph, x))


def test_nodes_are_named_as_their_layers():
    model = branched()
    graph = from_keras(model)
    names = [node.name for node in graph.nodes]
    assert names[:4] == ["image", "conv", "conv_relu", "norm"]
    assert names[-3:] == ["out", "out_sigmoid", "out_output"]
    assert graph["norm"].inputs == ("conv_relu",), "Dropout is left out"
    assert graph["both"].inputs == ("conv_relu", "sum")
    assert isinstance(graph["neurons"], n.SoftLIF)
    assert graph["neurons"].amplitude == 0.01


SIDES = st.integers(1, 4)


def small_model(draw):
    """A picture, one or two convolutions or pools, and a dense layer."""
    x = image = tf.keras.Input((draw(st.integers(4, 9)), draw(st.integers(4, 9)), 2))
    for _ in range(draw(st.integers(1, 2))):
        window = (draw(SIDES), draw(SIDES))
        stride = draw(st.integers(1, 3))
        padding = draw(st.sampled_from(("same", "valid")))
        if padding == "valid" and any(k > s for k, s in zip(window, x.shape[1:3])):
            padding = "same"
        options = {"use_bias": draw(st.booleans())}
        options["activation"] = draw(st.sampled_from((None, "relu", "sigmoid")))
        conv = draw(st.sampled_from((layers.Conv2D, layers.Conv2DTranspose)))
        x = conv(3, window, stride, padding, **options)(x)
        if draw(st.booleans()):
            x = layers.BatchNormalization()(x)
    model = tf.keras.Model(image, layers.Dense(2)(layers.Flatten()(x)))
    return randomised(model, draw(st.integers(0, 100)))


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_random_models_give_keras_numbers(data):
    model = small_model(data.draw)
    assert_same(model, from_keras(model))


def test_locnet_gives_keras_numbers():
    locnet = pytest.importorskip("snn_deploy.models.networks.locnet").locnet
    model = randomised(locnet((16, 24, 3), (2, 3, 4), (8, 6)))
    assert_same(model, from_keras(model))
