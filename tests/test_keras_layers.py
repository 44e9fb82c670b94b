"""Every layer that Keras networks are made of gives Keras' numbers, drawn ones too."""

from __future__ import annotations

import numpy as np
import pytest

from snn_deploy.toolchain.frontends.keras.keras import from_keras, read_keras
from snn_deploy.toolchain.frontends.keras.layers.table import LAYERS
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.interpret import interpret
from snn_deploy.toolchain.graph.preparation import ChannelsLast

tf = pytest.importorskip("tensorflow", reason="tensorflow is not installed")
from keras_models import KERAS, SUFFIXES, assert_same, chain, layers, randomised  # noqa: E402

keras = tf.keras
IMAGE, LINE = (7, 6, 3), (9, 4)
PICTURES = {
    "depthwise": [layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)],
    "depthwise, stride 2": [layers.DepthwiseConv2D(2, 2, use_bias=False)],
    "separable": [layers.SeparableConv2D(4, (3, 2), padding="same", activation="relu")],
    "separable, multiplied": [layers.SeparableConv2D(4, 3, 2, depth_multiplier=2)],
    "grouped": [layers.Conv2D(6, 2, groups=3)],
    "dilated": [layers.Conv2D(4, 3, dilation_rate=(2, 1), padding="same")],
    "dilated, valid": [layers.Conv2D(4, 2, dilation_rate=3)],
    "transposed, output padding": [
        layers.Conv2DTranspose(4, 3, 2, padding="same", output_padding=1)
    ],
    "transposed, less": [
        layers.Conv2DTranspose(4, 3, 2, padding="same", output_padding=0)
    ],
    "transposed, valid, output padding": [
        layers.Conv2DTranspose(4, (2, 3), (3, 2), output_padding=(1, 1))
    ],
    "transposed, dilated": [layers.Conv2DTranspose(4, 3, dilation_rate=2)],
    "transposed, dilated, same": [
        layers.Conv2DTranspose(4, 3, dilation_rate=2, padding="same")
    ],
    "pool same": [layers.AveragePooling2D(3, 2, padding="same")],
    "pool same, stride 1": [layers.AveragePooling2D((2, 3), 1, padding="same")],
    "max pool": [layers.MaxPooling2D(2)],
    "max pool same": [layers.MaxPooling2D(3, 2, padding="same")],
    "global average": [layers.GlobalAveragePooling2D(), layers.Dense(2)],
    "global average, kept": [layers.GlobalAveragePooling2D(keepdims=True)],
    "global max": [layers.GlobalMaxPooling2D()],
    "padding": [layers.ZeroPadding2D(((0, 1), (2, 3))), layers.Conv2D(2, 3)],
    "padding, both": [layers.ZeroPadding2D((1, 2))],
    "cropping": [layers.Cropping2D(((0, 1), (2, 1)))],
    "relu6": [layers.Conv2D(4, 3, activation="relu6")],
    "bounded relu": [layers.ReLU(0.5)],
    "leaky": [layers.Conv2D(4, 3), layers.LeakyReLU(0.1)],
    "leaky relu": [layers.ReLU(negative_slope=0.1)],
    "leaky activation": [layers.Conv2D(4, 3, activation=tf.nn.leaky_relu)],
    "leaky layer inside": [layers.Dense(4, activation=layers.LeakyReLU(0.3))],
    "prelu": [layers.PReLU()],
    "prelu, shared": [layers.PReLU(shared_axes=[1, 2])],
    "elu": [layers.ELU()],
    "elu, alpha": [layers.ELU(0.4)],
    "permute": [layers.Permute((3, 1, 2)), layers.Flatten(), layers.Dense(2)],
    "permute rows": [layers.Permute((2, 1, 3)), layers.Conv2D(2, 3)],
    "permute twice": [layers.Permute((3, 1, 2)), layers.Permute((2, 3, 1))],
    "norm of rows": [layers.BatchNormalization(axis=1), layers.Conv2D(2, 2)],
    "norm of columns": [layers.BatchNormalization(axis=2)],
    "softmax of rows": [layers.Softmax(axis=1)],
    "softmax of all": [layers.Softmax(axis=[1, 2])],
    "rescaling between": [layers.ReLU(), layers.Rescaling(2.0, -1.0)],
    "noise": [layers.GaussianNoise(0.1), layers.SpatialDropout2D(0.1)],
    "regularised": [layers.ActivityRegularization(0.1), layers.AlphaDropout(0.1)],
    "each row": [layers.TimeDistributed(layers.Dense(5, activation="relu"))],
    "each row, flat": [layers.TimeDistributed(layers.Flatten()), layers.Dense(2)],
    "each row, convolved": [
        layers.TimeDistributed(layers.Conv1D(2, 3, activation="relu")),
        layers.TimeDistributed(layers.GlobalAveragePooling1D()),
    ],
    "fixed normalization": [
        layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0])
    ],
    "channels first": [
        layers.ZeroPadding2D(1, data_format="channels_first"),
        layers.Permute((2, 3, 1)),
    ],
}
SEQUENCES = {
    "conv": [layers.Conv1D(5, 3, padding="same", activation="relu")],
    "conv, stride": [layers.Conv1D(5, 4, 2), layers.Flatten(), layers.Dense(2)],
    "conv, causal": [layers.Conv1D(5, 3, dilation_rate=2, padding="causal")],
    "conv, grouped": [layers.Conv1D(4, 3, groups=2)],
    "depthwise": [layers.DepthwiseConv1D(3, depth_multiplier=2)],
    "separable": [layers.SeparableConv1D(4, 3, padding="same")],
    "transposed": [layers.Conv1DTranspose(4, 3, 2, padding="same")],
    "transposed, output padding": [layers.Conv1DTranspose(4, 3, 2, output_padding=1)],
    "pool": [layers.AveragePooling1D(2)],
    "pool same": [layers.AveragePooling1D(3, 2, padding="same")],
    "max pool": [layers.MaxPooling1D(2)],
    "global average": [layers.Conv1D(5, 3), layers.GlobalAveragePooling1D()],
    "global average, kept": [layers.GlobalAveragePooling1D(keepdims=True)],
    "global max": [layers.GlobalMaxPooling1D()],
    "upsampling": [layers.UpSampling1D(2)],
    "padding": [layers.ZeroPadding1D((1, 2)), layers.Conv1D(2, 3)],
    "cropping": [layers.Cropping1D((1, 2))],
    "norm": [layers.Conv1D(5, 3), layers.BatchNormalization(), layers.ReLU()],
    "norm of places": [layers.BatchNormalization(axis=1)],
    "turned round": [layers.Permute((2, 1)), layers.Conv1D(2, 2)],
    "dense at each place": [layers.Conv1D(5, 3), layers.Dense(3, activation="relu")],
    "softmax": [layers.Conv1D(5, 3, activation="softmax")],
    "softmax of places": [layers.Conv1D(5, 3), layers.Softmax(axis=1)],
    "prelu": [layers.Conv1D(5, 3), layers.PReLU()],
    "reshaped": [layers.Conv1D(5, 4), layers.Reshape((5, 6))],
    "noise": [layers.SpatialDropout1D(0.1)],
    "each place": [layers.TimeDistributed(layers.BatchNormalization())],
}
VECTORS = {
    "repeated": [layers.RepeatVector(3), layers.Conv1D(2, 2)],
    "repeated, then flat": [layers.RepeatVector(3), layers.Flatten()],
    "norm": [layers.BatchNormalization(), layers.Dense(3)],
    "prelu": [layers.PReLU()],
}
SAID = {
    **{("picture", name): (IMAGE, stack) for name, stack in PICTURES.items()},
    **{("sequence", name): (LINE, stack) for name, stack in SEQUENCES.items()},
    **{("vector", name): ((5,), stack) for name, stack in VECTORS.items()},
}


@pytest.mark.parametrize("what", SAID, ids=" ".join)
def test_every_layer_gives_keras_numbers(what):
    shape, stack = SAID[what]
    model = chain(shape, *stack)
    assert_same(model, from_keras(model))


def test_no_layer_that_is_read_is_left_out_here():
    seen = {type(layer).__name__ for _, stack in SAID.values() for layer in stack}
    elsewhere = {"Activation", "Add", "Average", "Concatenate", "Subtract"}
    elsewhere |= {
        "Normalization",
        "SoftLIF",
        "UpSampling2D",
    }  # below, and in test_keras
    assert set(LAYERS) - elsewhere - seen == set()


SMOOTH = ["elu", "exponential", "gelu", "selu", "softplus", "softsign", "swish"]
SMOOTH += ["hard_sigmoid", *(["mish"] if hasattr(keras.activations, "mish") else [])]
if KERAS == "3":
    SMOOTH += ["silu", "hard_silu", "hard_swish", "hard_tanh", "log_sigmoid"]
    SMOOTH += ["leaky_relu", "relu6"]


@pytest.mark.parametrize("name", SMOOTH)
def test_activations_are_read_as_they_are(name):
    model = chain((5,), layers.Dense(4, activation=name), layers.Activation(name))
    assert_same(model, from_keras(model))


@pytest.mark.parametrize("axis", [-1, None, 1, (1, 2)])
def test_normalization_is_what_it_was_adapted_to(axis, tmp_path):
    norm, data = (
        layers.Normalization(axis),
        np.random.default_rng(0).normal(2, 3, (9, 4, 5)),
    )
    norm.adapt(data.astype("f4"))
    model = keras.Sequential([keras.Input((4, 5)), norm, layers.Flatten()])
    assert_same(model, from_keras(model))
    for suffix in SUFFIXES:
        model.save(tmp_path / f"net{suffix}")
        assert_same(model, read_keras(tmp_path / f"net{suffix}"))


def made(shape, function):
    image = keras.Input(shape)
    return randomised(keras.Model(image, function(image)))


EACH = np.array([1.0, 2.0, 3.0], "f4")
FUNCTIONS = {
    "times a number": lambda x: x * 2.0,
    "times one each": lambda x: x * EACH,
    "a number times": lambda x: 2.0 * x,
    "divided": lambda x: x / 4.0,
    "plus": lambda x: x + 1.5,
    "plus a picture": lambda x: x + np.arange(126, dtype="f4").reshape(7, 6, 3),
    "minus": lambda x: x - EACH,
    "from": lambda x: 1.0 - x,
    "negative": lambda x: -x,
    "a sum": lambda x: layers.Conv2D(3, 1)(x) + x,
    "a difference": lambda x: x - layers.Conv2D(3, 1)(x),
    "twice": lambda x: x + x,
    "a part": lambda x: x[:, 1:5, :-1],
    "one of them": lambda x: x[:, :, 2],
    "the last": lambda x: x[:, :, :, -1],
    "of a sequence": lambda x: layers.Conv1D(3, 2)(x[:, 0]) * EACH,
    "of channels first": lambda x: layers.Permute((3, 1, 2))(x) * EACH[:, None, None],
}
if KERAS == "3":
    ops = keras.ops
    FUNCTIONS |= {
        "mean": lambda x: ops.mean(x, axis=(1, 2)),
        "mean, kept": lambda x: ops.mean(x, axis=[1, 2], keepdims=True),
        "mean behind": lambda x: ops.mean(x, axis=[2, 3]),
        "concatenated": lambda x: ops.concatenate([x, x], axis=2),
        "reshaped": lambda x: ops.reshape(x, (-1, 14, 9)),
        "transposed": lambda x: ops.transpose(x, (0, 3, 1, 2)),
        "padded": lambda x: ops.pad(x, [[0, 0], [1, 2], [0, 1], [0, 0]]),
        "clipped": lambda x: ops.clip(x, 0, 0.5),
        "rectified": lambda x: keras.activations.relu(x, max_value=0.7),
        "leaky": lambda x: ops.leaky_relu(x, 0.3),
        "gelu": lambda x: ops.gelu(x),
        "silu": lambda x: ops.silu(x),
        "cast": lambda x: ops.cast(x, "float32"),
    }
else:
    FUNCTIONS |= {
        "mean": lambda x: tf.reduce_mean(x, [1, 2]),
        "mean, kept": lambda x: tf.reduce_mean(x, [1, 2], keepdims=True),
        "mean behind": lambda x: tf.reduce_mean(x, [2, 3]),
        "concatenated": lambda x: tf.concat([x, x], axis=2),
        "reshaped": lambda x: tf.reshape(x, (-1, 14, 9)),
        "transposed": lambda x: tf.transpose(x, (0, 3, 1, 2)),
        "padded": lambda x: tf.pad(x, [[0, 0], [1, 2], [0, 1], [0, 0]]),
        "clipped": lambda x: tf.clip_by_value(x, 0, 0.5),
        "bounded": lambda x: keras.activations.relu(x, max_value=6.0),
        "leaky": lambda x: tf.nn.leaky_relu(x, 0.3),
        "gelu": lambda x: tf.nn.gelu(x),
        "silu": lambda x: tf.nn.silu(x),
        "multiplied": lambda x: tf.multiply(2.0, x),
        "all added": lambda x: tf.add_n([x, x]),
    }


@pytest.mark.parametrize("what", FUNCTIONS)
def test_functions_of_constants_are_read(what, tmp_path):
    model = made(IMAGE, FUNCTIONS[what])
    assert_same(model, from_keras(model))
    for suffix in SUFFIXES:
        model.save(tmp_path / f"net{suffix}")
        assert_same(model, read_keras(tmp_path / f"net{suffix}"))


def forks(join, other=None):
    """Two branches of a picture, joined."""

    def build(image):
        one = layers.Conv2D(3, 3, padding="same", activation="relu")(image)
        return join([one, (other or layers.Conv2D(3, 1))(image)])

    return build


MERGED = {
    "average": forks(layers.Average()),
    "difference": forks(layers.Subtract()),
    "rows": forks(layers.Concatenate(axis=1)),
    "columns": forks(layers.Concatenate(axis=2)),
    "a pixel to each": forks(
        layers.Add(), lambda x: layers.GlobalAveragePooling2D(keepdims=True)(x)
    ),
    "of channels first": lambda x: layers.Concatenate(axis=1)(
        [layers.Permute((3, 1, 2))(x), layers.Permute((3, 1, 2))(x)]
    ),
    "first and last": lambda x: layers.Permute((2, 3, 1))(
        layers.Add()([layers.Permute((3, 1, 2))(x), layers.Permute((3, 1, 2))(x)])
    ),
}


@pytest.mark.parametrize("what", MERGED)
def test_branches_are_joined_as_keras_does(what):
    model = made(IMAGE, MERGED[what])
    assert_same(model, from_keras(model))


FIRST = {"data_format": "channels_first"}


def channels(form):
    """A network in either of Keras' forms, its weights alike."""
    first = form == "channels_first"
    how, axis = {"data_format": form}, 1 if first else -1
    image = keras.Input((3, 8, 6) if first else (8, 6, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", **how)(image)
    y = layers.BatchNormalization(axis=axis)(
        layers.DepthwiseConv2D(3, padding="same", **how)(x)
    )
    x = layers.Concatenate(axis=axis)([layers.Add()([x, y]), x])
    x = layers.PReLU(shared_axes=[2, 3] if first else [1, 2])(x)
    x = layers.AveragePooling2D(2, **how)(layers.ZeroPadding2D(1, **how)(x))
    x = layers.UpSampling2D(2, **how)(layers.Cropping2D(1, **how)(x))
    x = layers.Conv2DTranspose(3, 2, 2, **how)(x)
    x = layers.Softmax(axis=axis)(x)
    return keras.Model(image, x)


@pytest.mark.parametrize("end", ["picture", "flat", "flat in its order", "global"])
def test_channels_first_says_what_channels_last_says(end):
    """TensorFlow computes few of these layers on a CPU; Keras knows their twins."""
    models = []
    for form in ("channels_first", "channels_last"):
        model = channels(form)
        x = model.output
        if end == "flat":
            x = layers.Flatten(data_format=form)(x)
        elif end == "flat in its order":
            turned = form == "channels_last"
            x = layers.Flatten()(layers.Permute((3, 1, 2))(x) if turned else x)
        elif end == "global":
            x = layers.GlobalAveragePooling2D(data_format=form)(x)
        models.append(keras.Model(model.input, x))
    first, last = models
    randomised(last)
    weights = [w[0, 0][:, None, None] if w.ndim == 3 else w for w in last.get_weights()]
    first.set_weights(weights)
    graph = from_keras(first)
    assert graph.input.shape == (3, 8, 6)
    assert isinstance(graph.prepared, ChannelsLast)
    x = np.random.default_rng(0).normal(size=(2, 8, 6, 3))
    wanted = np.asarray(last(x.astype("f4"), training=False))
    got = interpret(graph, x.transpose(0, 3, 1, 2))[graph.output.name]
    if end == "picture":
        got = got.transpose(0, 2, 3, 1)
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize(
    "make", [lambda: layers.LeakyReLU(0.0), layers.PReLU, lambda: layers.ReLU()]
)
def test_a_slope_of_0_is_a_relu(make):
    """PReLU begins with slopes of 0."""
    graph = from_keras(keras.Sequential([keras.Input((4, 4, 2)), make()]))
    assert [type(node) for node in graph.nodes] == [n.Input, n.ReLU, n.Output]
