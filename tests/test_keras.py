"""A Keras model and its Graph say the same, whichever door the model came through."""

from __future__ import annotations

import json
import shutil
import sys

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_deploy.toolchain.errors import ModelError, UnsupportedLayer
from snn_deploy.toolchain.frontends.keras import from_keras, read_keras, to_graph
from snn_deploy.toolchain.frontends.keras_files import KerasModel
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.interpret import interpret

tf = pytest.importorskip("tensorflow", reason="tensorflow is not installed")
neurons = pytest.importorskip("snn_deploy.models.networks.neurons")
layers = tf.keras.layers
SoftLIF = neurons.SoftLIF


def randomised(model, seed=0):
    """The model with random biases and batch statistics, where Keras starts at 0."""
    draw = np.random.default_rng(seed)
    for variable in model.weights:
        low = 0.3 if "variance" in variable.name or "gamma" in variable.name else -0.5
        variable.assign(draw.uniform(low, 1, variable.shape))
    return model


def chain(shape, *stack):
    return randomised(tf.keras.Sequential([tf.keras.Input(shape), *stack]))


def assert_same(model, graph, seed=1):
    """Graph and model agree to 1e-5 of the largest output."""
    shape = model.input_shape[1:]
    x = np.random.default_rng(seed).normal(size=(3, *shape)).astype(np.float32)
    wanted = model(x, training=False).numpy()
    got = interpret(graph, x)[graph.output.name]
    assert got.shape == wanted.shape
    scale = np.abs(wanted).max()
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5 * scale)


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
    "dense": [layers.Flatten(), layers.Dense(5)],
    "reshape": [layers.Reshape((3, -1, 7)), layers.Conv2D(2, 2)],
    "dropout": [layers.Dropout(0.5), layers.Conv2D(2, 2), layers.Dropout(0.1)],
    "relu layer": [layers.Conv2D(4, 3), layers.ReLU()],
    "activation layer": [layers.Conv2D(4, 3), layers.Activation("relu")],
    "linear activation": [layers.Activation("linear"), layers.Conv2D(4, 3)],
    "inline relu": [layers.Conv2D(4, 3, activation="relu"), layers.Conv2D(2, 3)],
    "inline sigmoid": [layers.Flatten(), layers.Dense(3, activation="sigmoid")],
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
    model.save(tmp_path / "model.h5")
    model.save(tmp_path / "model")
    graph = from_keras(model)
    assert_same(model, graph)
    x = np.random.default_rng(2).normal(size=(2, *graph.input.shape))
    wanted = interpret(graph, x)[graph.output.name]
    for path in (tmp_path / "model.h5", tmp_path / "model"):
        read = read_keras(str(path))
        assert [node.name for node in read.nodes] == [node.name for node in graph.nodes]
        np.testing.assert_array_equal(interpret(read, x)[read.output.name], wanted)


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


REFUSED = {
    "max pooling": (
        [layers.MaxPooling2D(name="pool")],
        r"Layer 'pool' \(MaxPooling2D\): .*allowed are .*AveragePooling2D, or stride 2",
    ),
    "lambda": ([layers.Lambda(lambda x: x)], "its code is not read and never run"),
    "dilation": ([layers.Conv2D(2, 2, dilation_rate=2)], r"dilation_rate is \(2, 2\)"),
    "groups": ([layers.Conv2D(3, 2, groups=3)], "groups is 3; 1 or None is allowed"),
    "clipped relu": ([layers.ReLU(6.0)], "max_value is 6.0; a plain"),
    "leaky relu": ([layers.ReLU(negative_slope=0.1)], "negative_slope is 0.1"),
    "raised relu": ([layers.ReLU(threshold=0.5)], "threshold is 0.5"),
    "softmax": ([layers.Flatten(), layers.Dense(2, "softmax")], "'softmax'; allowed"),
    "bilinear": (
        [layers.UpSampling2D(interpolation="bilinear")],
        "'nearest' is allowed",
    ),
    "padded pool": ([layers.AveragePooling2D(2, padding="same")], "'same' adds pixels"),
    "dense on a picture": (
        [layers.Dense(2, name="d")],
        "'d' .*put a Flatten before it",
    ),
    "norm of rows": ([layers.BatchNormalization(axis=1)], "axis is 1; the last one"),
    "model in a model": (
        [tf.keras.Sequential([layers.Dense(2)], name="inner")],
        "'inner' .*a model inside a model",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_layers_without_an_equivalent_are_refused_by_name(what):
    stack, message = REFUSED[what]
    with pytest.raises(UnsupportedLayer, match=message):
        from_keras(chain(IMAGE, *stack))


def test_models_without_one_straight_flow_are_refused():
    image = tf.keras.Input((4,), name="image")
    shared = layers.Dense(4, name="shared")
    with pytest.raises(
        UnsupportedLayer, match=r"'shared' \(Dense\): it is used 2 times"
    ):
        from_keras(tf.keras.Model(image, shared(shared(image))))
    with pytest.raises(ModelError, match="2 output layers; one is allowed"):
        from_keras(tf.keras.Model(image, [shared(image), layers.Dense(2)(image)]))
    open_size = tf.keras.Input((None, 8, 1))
    with pytest.raises(UnsupportedLayer, match=r"its shape \(None, 8, 1\) is open"):
        from_keras(tf.keras.Model(open_size, layers.ReLU()(open_size)))

    class Subclassed(tf.keras.Model):
        def call(self, x):
            return x

    for model in (Subclassed(), tf.keras.Sequential([layers.Dense(2)]), object()):
        with pytest.raises(
            ModelError, match="built functional or|never built|no layers"
        ):
            from_keras(model)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small model as .h5 and as SavedModel."""
    folder = tmp_path_factory.mktemp("saved")
    model = chain((4,), layers.Dense(3, name="dense"), SoftLIF())
    model.save(folder / "model.h5")
    model.save(folder / "model")
    model.save_weights(folder / "weights.h5")
    return folder


@pytest.fixture
def h5(saved, tmp_path):
    """A copy of the .h5 to damage."""
    return shutil.copy(saved / "model.h5", tmp_path / "model.h5")


def test_files_that_are_no_model_are_refused(saved, tmp_path):
    with pytest.raises(ModelError, match="'.*gone.h5': no such file"):
        read_keras(tmp_path / "gone.h5")
    (tmp_path / "empty.h5").touch()
    (tmp_path / "text.h5").write_text("model: none")
    for name in ("empty", "text"):
        with pytest.raises(ModelError, match=f"{name}.h5': it is no HDF5 file"):
            read_keras(tmp_path / f"{name}.h5")
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"] = [1, 2]
    with pytest.raises(ModelError, match="it holds no Keras model"):
        read_keras(tmp_path / "data.h5")
    with pytest.raises(ModelError, match="weights only; .*not save_weights"):
        read_keras(saved / "weights.h5")
    with pytest.raises(ModelError, match="the folder holds no keras_metadata.pb"):
        read_keras(tmp_path)


@pytest.mark.parametrize("left", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_h5_is_refused(h5, left):
    data = h5.read_bytes()
    h5.write_bytes(data[: int(left * len(data))])
    with pytest.raises(ModelError, match="model.h5': it is damaged"):
        read_keras(h5)


def test_a_flipped_bit_of_the_description_is_refused_or_harmless(h5):
    """Never another exception than ModelError, wherever it lies."""
    data, draw = h5.read_bytes(), np.random.default_rng(0)
    start = data.index(b'{"class_name"')
    with h5py.File(h5) as file:
        end = start + len(file.attrs["model_config"])
    outcomes = set()
    for place in draw.integers(start, end, 150):
        damaged = bytearray(data)
        damaged[place] ^= 1 << draw.integers(8)
        h5.write_bytes(damaged)
        try:
            read_keras(h5)
            outcomes.add("harmless")
        except ModelError:
            outcomes.add("refused")
    assert outcomes == {"harmless", "refused"}


def test_nan_weights_are_refused_by_layer(h5):
    with h5py.File(h5, "a") as file:
        file["model_weights/dense/dense/kernel:0"][0, 1] = np.nan
    with pytest.raises(ModelError, match="'dense': weight holds 1 NaN"):
        read_keras(h5)


def test_weights_that_do_not_fit_are_refused_by_layer(h5):
    with h5py.File(h5, "a") as file:
        group = file["model_weights/dense"]
        del group["dense/bias:0"]
        group["dense/bias:0"] = np.zeros(2)
    with pytest.raises(
        ModelError, match=r"'dense': weight is \(4, 3\) and bias \(2,\)"
    ):
        read_keras(h5)
    with h5py.File(h5, "a") as file:
        file["model_weights/dense"].attrs["weight_names"] = [b"dense/kernel:0"]
    with pytest.raises(ModelError, match="'dense' .*no 'bias' for it, only .*kernel"):
        read_keras(h5)


def test_another_keras_is_refused(h5):
    with h5py.File(h5, "a") as file:
        file.attrs["keras_version"] = "3.4.1"
    with pytest.raises(ModelError, match="Keras 3.4.1 wrote it; Keras 2 is allowed"):
        read_keras(h5)


def test_a_damaged_description_is_refused(h5):
    with h5py.File(h5, "a") as file:
        config = json.loads(file.attrs["model_config"])
        del config["config"]["layers"][1]["config"]["use_bias"]
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(
        ModelError, match=r"'dense' \(Dense\): its description .*use_bias"
    ):
        read_keras(h5)
    with h5py.File(h5, "a") as file:
        file.attrs["model_config"] = '{"class_name": "Seq'
    with pytest.raises(ModelError, match="model.h5': it is damaged"):
        read_keras(h5)
    with pytest.raises(ModelError, match="description cannot be read"):
        to_graph(KerasModel({"layers": [{"class_name": 3}]}, {}))


def test_a_damaged_saved_model_is_refused(saved, tmp_path):
    for part in ("keras_metadata.pb", "variables/variables.index"):
        folder = shutil.copytree(saved / "model", tmp_path / part.replace("/", "-"))
        (folder / part).write_bytes((folder / part).read_bytes()[:40])
        with pytest.raises(ModelError, match="it is damaged"):
            read_keras(folder)


def test_an_h5_needs_no_tensorflow_and_a_saved_model_says_so(saved, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    assert read_keras(saved / "model.h5").input.shape == (4,)
    with pytest.raises(ModelError, match=r"pip install 'snn-deploy\[keras\]', or save"):
        read_keras(saved / "model")
