"""Layers used again, models inside models, several inputs and outputs."""

from __future__ import annotations

import numpy as np
import pytest

from snn_deploy.toolchain.errors import ModelError
from snn_deploy.toolchain.frontends.formats import read_network
from snn_deploy.toolchain.frontends.keras.keras import from_keras, read_keras
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.interpret import interpret

tf = pytest.importorskip("tensorflow", reason="tensorflow is not installed")
from keras_models import SUFFIXES, assert_same, layers, randomised  # noqa: E402

keras = tf.keras


def stack(*parts, name=None):
    return keras.Sequential(list(parts), name=name)


def block(name, trainable=True):
    """A model with what is trained, and what is not, in another order than they lie."""
    image = keras.Input((6, 6, 2), name=f"{name}_image")
    x = layers.Conv2D(2, 3, padding="same", name=f"{name}_conv")(image)
    x = layers.BatchNormalization(name=f"{name}_norm")(x)
    x = layers.ReLU(name=f"{name}_relu")(layers.DepthwiseConv2D(1, name=f"{name}_d")(x))
    model = keras.Model(image, x, name=name)
    model.get_layer(f"{name}_conv").trainable = trainable
    return model


def in_a_stack():
    """As transfer learning leaves it."""
    part = block("part", trainable=False)
    part.trainable = False
    return stack(part, layers.Flatten(), layers.Dense(3))


def in_a_stack_behind_an_input():
    parts = stack(keras.Input((6, 6, 2)), block("part"), layers.Flatten(), name="body")
    return stack(keras.Input((6, 6, 2)), parts, layers.Dense(3))


def deep():
    """A model in a model in a model, called twice, with a layer frozen."""
    inner = block("inner", trainable=False)
    image = keras.Input((6, 6, 2), name="middle_image")
    x = inner(inner(image))
    middle = keras.Model(image, layers.Conv2D(2, 1, name="middle_conv")(x), name="mid")
    image = keras.Input((6, 6, 2), name="image")
    x = layers.Add()([middle(image), middle(layers.AveragePooling2D(1)(image))])
    return keras.Model(image, layers.Dense(3, name="last")(layers.Flatten()(x)))


def two_ends():
    """A model inside that has two outputs, of which both are used."""
    image = keras.Input((4,), name="vector")
    a, b = layers.Dense(3, name="a")(image), layers.Dense(3, name="b")(image)
    inner = keras.Model(image, [a, b], name="inner")
    image = keras.Input((4,))
    a, b = inner(image)
    return keras.Model(image, layers.Subtract()([a, b]))


def used_again():
    image, shared = keras.Input((4,)), layers.Dense(4, activation="relu", name="shared")
    return keras.Model(image, layers.Dense(2)(shared(shared(image))))


def used_before():
    """A layer whose second call comes before others in the list of layers."""
    image, shared = keras.Input((4,)), layers.Dense(4, name="shared")
    x = layers.Dense(4, activation="relu", name="other")(shared(image))
    return keras.Model(image, layers.Concatenate()([shared(x), x]))


def never_called():
    """A stack that is a model's only layer."""
    image = keras.Input((4,))
    part = stack(layers.Dense(3, name="x"), layers.Dense(2, name="y"), name="part")
    return keras.Model(image, part(image))


MODELS = [in_a_stack, in_a_stack_behind_an_input, deep, two_ends, used_again]
MODELS += [used_before, never_called]


@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_models_inside_models_and_shared_layers_are_laid_open(make, tmp_path):
    model = randomised(make())
    graph = from_keras(model)
    assert_same(model, graph)
    for suffix in SUFFIXES:
        model.save(tmp_path / f"net{suffix}")
        read = read_keras(tmp_path / f"net{suffix}")
        assert [node.name for node in read.nodes] == [node.name for node in graph.nodes]
        assert_same(model, read)


def test_nodes_are_named_after_where_their_layers_lie():
    names = [node.name for node in from_keras(used_again()).nodes]
    assert names[1:5] == ["shared", "shared_relu", "shared.2", "shared.2_relu"]
    names = {node.name for node in from_keras(deep()).nodes}
    assert {"mid/inner/inner_conv", "mid/inner.2/inner_conv"} < names
    assert {"mid.2/inner/inner_conv", "mid.2/middle_conv"} < names


def branches():
    """A picture and a vector in; classes and a vector out."""
    image = keras.Input((3, 2, 1), name="image")
    vector = keras.Input((4,), name="vector")
    x = layers.Dense(5, activation="relu", name="hidden")(layers.Flatten()(image))
    y = layers.Dense(5, activation="relu")(vector)
    ends = [
        layers.Dense(2, name="one")(layers.Concatenate()([y, x])),
        layers.Dense(3, name="other", activation="softmax")(x),
    ]
    return randomised(keras.Model([image, vector], ends))


@pytest.mark.parametrize("name", ["one", "other"])
def test_of_several_inputs_a_sample_is_their_values_one_after_the_other(name, tmp_path):
    model = branches()
    draw = np.random.default_rng(0)
    image, vector = draw.normal(size=(5, 3, 2, 1)), draw.normal(size=(5, 4))
    answers = dict(
        zip(["one", "other"], model([image.astype("f4"), vector.astype("f4")]))
    )
    flat = np.concatenate([image.reshape(5, -1), vector], axis=1)
    graphs = [from_keras(model, name)]
    for suffix in SUFFIXES:
        model.save(tmp_path / f"net{suffix}")
        graphs.append(read_keras(tmp_path / f"net{suffix}", output=name))
    for graph in graphs:
        assert graph.input.shape == (10,)
        assert graph.output.name == f"{name}_output"
        got = interpret(graph, flat)[graph.output.name]
        np.testing.assert_allclose(got, answers[name], rtol=1e-5, atol=1e-5)
    assert isinstance(graphs[0]["image"], n.Reshape)


def test_what_only_another_output_needs_is_left_out():
    graph = from_keras(branches(), "other")
    assert not {"vector", "one"} & {node.name for node in graph.nodes}


def test_one_of_several_outputs_has_to_be_chosen(tmp_path):
    model = branches()
    model.save(tmp_path / "net.h5")
    with pytest.raises(
        ModelError,
        match="outputs 'one', 'other'; .* --output one, or --output all",
    ):
        read_network(tmp_path / "net.h5")
    assert read_network(tmp_path / "net.h5", "one").graph.output.name == "one_output"
    with pytest.raises(ModelError, match="'other' and no 'last'; name the one"):
        from_keras(model, "last")


def test_all_outputs_are_read_one_after_the_other(tmp_path):
    model = branches()
    model.save(tmp_path / "net.h5")
    flat = np.random.default_rng(0).normal(size=(5, 10)).astype("f4")
    wanted = model([flat[:, :6].reshape(5, 3, 2, 1), flat[:, 6:]])
    for graph in (from_keras(model, "all"), read_keras(tmp_path / "net.h5", "all")):
        got = interpret(graph, flat)[graph.output.name]
        whole = np.concatenate([np.reshape(y, (5, -1)) for y in wanted], axis=1)
        np.testing.assert_allclose(got, whole, rtol=1e-5, atol=1e-5)


def test_a_layer_may_give_an_output_and_feed_another():
    """As who looks at what a network's hidden layer says."""
    image = keras.Input((4,))
    hidden = layers.Dense(5, activation="relu", name="hidden")(image)
    model = randomised(
        keras.Model(image, [layers.Dense(1, name="out")(hidden), hidden])
    )
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("f4")
    for name, wanted in zip(["out", "hidden"], model(x)):
        graph = from_keras(model, name)
        got = interpret(graph, x)[graph.output.name]
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)
