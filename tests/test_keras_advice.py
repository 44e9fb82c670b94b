"""What a Keras model is refused for, and that the advice in the message is right.

Every advice is followed: the network built as it says is read, and where it says no
"train again" it computes the same as the one that was refused.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snn_deploy.toolchain.errors import ModelError, UnsupportedLayer
from snn_deploy.toolchain.frontends.keras.keras import from_keras, read_keras
from snn_deploy.toolchain.graph.interpret import interpret

tf = pytest.importorskip("tensorflow", reason="tensorflow is not installed")
from keras_models import KERAS, SUFFIXES, assert_same, chain, layers, randomised  # noqa: E402

keras = tf.keras
IMAGE = (7, 6, 3)
NEW = pytest.mark.skipif(KERAS == "2", reason="Keras 3 has it")


LINE = (6, 4)
PICTURES = {  # what → layers, id, message, layers as the message advises
    "lambda": (
        [layers.Lambda(lambda x: x)],
        "lambda-layer",
        "its? .*code, which is not read and never run; put layers in its place",
        [layers.Activation("linear"), layers.ReLU()],
    ),
    "another layer": (
        [layers.UnitNormalization()],
        "sample-normalization",
        "it divides by what it measures in each sample.*put BatchNormalization",
        [layers.BatchNormalization()],
    ),
    "layer norm": (
        [layers.LayerNormalization(), layers.ReLU()],
        "sample-normalization",
        "weights are the same for all samples; put BatchNormalization in its place",
        [layers.BatchNormalization(), layers.ReLU()],
    ),
    "activation": (
        [layers.Conv2D(2, 3, activation=tf.math.sin)],
        "activation",
        "activation is .*; allowed are 'relu', .*say 'relu' and train again",
        [layers.Conv2D(2, 3, activation="relu")],
    ),
    "raised relu": (
        [layers.ReLU(threshold=0.5)],
        "relu-threshold",
        r"threshold is 0.5, where it jumps; .*a plain ReLU\(\) and train again",
        [layers.ReLU()],
    ),
    "leaky and bounded": (
        [layers.ReLU(6.0, negative_slope=0.1)],
        "leaky-relu-bound",
        r"a negative_slope, 0.1.*, and a max_value, 6.0; say ReLU\(max_value\) and tra",
        [layers.ReLU(6.0)],
    ),
    "bilinear": (
        [layers.UpSampling2D(interpolation="bilinear")],
        "interpolation",
        "interpolation is 'bilinear'; 'nearest' is allowed",
        [layers.UpSampling2D(interpolation="nearest")],
    ),
    "resizing": (
        [layers.Resizing(4, 4)],
        "data-preparation",
        "of that only numbers are rescaled here; leave it out, and give data that it",
        [layers.Rescaling(2.0)],
    ),
    "volumes": (
        [layers.Reshape((7, 6, 3, 1)), layers.Conv3D(2, 2)],
        "volumes",
        "works on volumes.* make the depth a part of the channels, with a 2D layer",
        [layers.Reshape((7, 6, 3)), layers.Conv2D(2, 2)],
    ),
    "every row by a model": (
        [layers.TimeDistributed(keras.Sequential([layers.Dense(2), layers.ReLU()]))],
        "time-distributed",
        "repeat layers one by one, each with a TimeDistributed of its own",
        [
            layers.TimeDistributed(layers.Dense(2)),
            layers.TimeDistributed(layers.ReLU()),
        ],
    ),
}
GATES = "keeps a state .*put Conv1D layers, or Flatten and Dense, in its place and tr"
LOOPS = "feeds its output back.*put Conv1D layers, or Flatten and Dense, in its place"
SEQUENCES = {
    "LSTM": ([layers.LSTM(3)], "recurrent-layer", GATES, [layers.Conv1D(3, 3)]),
    "GRU": (
        [layers.GRU(3, return_sequences=True), layers.Flatten()],
        "recurrent-layer",
        GATES,
        [layers.Flatten(), layers.Dense(3)],
    ),
    "RNN": (
        [layers.SimpleRNN(3, activation="relu")],
        "recurrent-layer",
        LOOPS,
        [layers.Conv1D(3, 3, activation="relu")],
    ),
    "both ways": (
        [layers.Bidirectional(layers.LSTM(3)), layers.Dense(2)],
        "recurrent-layer",
        LOOPS,
        [layers.Conv1D(3, 3), layers.Flatten(), layers.Dense(2)],
    ),
}
REFUSED = {
    **{name: (IMAGE, *case) for name, case in PICTURES.items()},
    **{name: (LINE, *case) for name, case in SEQUENCES.items()},
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_refused_layer_is_named_and_what_is_advised_is_read(what):
    shape, stack, id, message, advised = REFUSED[what]
    model = keras.Sequential([keras.Input(shape), *stack])
    with pytest.raises(UnsupportedLayer, match=message) as found:
        from_keras(model)
    (obstacle,) = found.value.obstacles
    assert obstacle.id == id
    assert obstacle.layer in [layer.name for layer in stack]
    model = chain(shape, *advised)
    assert_same(model, from_keras(model))


def joined(join):
    """Two signals in one layer."""
    image = keras.Input((4,))
    both = [layers.Dense(3, activation="relu")(image), layers.Dense(3)(image)]
    return randomised(keras.Model(image, join(both)))


JOINED = {
    "product": layers.Multiply(),
    "largest-of-tensors": layers.Maximum(),
    "attention": layers.Attention(),
    "division": lambda both: both[0] / both[1],
    "broadcasting": lambda both: layers.Add()([both[0], both[1][:, :1]]),
}


@pytest.mark.parametrize("id", JOINED)
def test_signals_are_added_and_not_multiplied(id):
    advised = r"(Add|Dense|same shape|one shape|divide by constants)"
    with pytest.raises(UnsupportedLayer, match=advised) as found:
        from_keras(joined(JOINED[id]))
    assert [obstacle.id for obstacle in found.value.obstacles] == [id]
    for instead in (layers.Add(), layers.Concatenate(), lambda both: both[0] / 2.0):
        model = joined(instead)
        assert_same(model, from_keras(model))


def test_an_embeddings_rows_may_be_the_data():
    table = layers.Embedding(20, 3)
    rest = [layers.Flatten(), layers.Dense(4, activation="relu"), layers.Dense(2)]
    model = randomised(keras.Sequential([keras.Input((5,)), table, *rest]))
    with pytest.raises(UnsupportedLayer, match="begin the network behind it, with ker"):
        from_keras(model)
    behind = keras.Sequential([keras.Input((5, 3)), *rest])
    words = np.random.default_rng(0).integers(0, 20, (4, 5))
    rows = np.asarray(table(words))
    graph = from_keras(behind)
    got = interpret(graph, rows)[graph.output.name]
    np.testing.assert_allclose(got, np.asarray(model(words)), rtol=1e-5, atol=1e-5)


def test_all_obstacles_are_said_at_once():
    """Those of a class, of an option, behind another one, and in a model inside."""
    inner = keras.Sequential(
        [keras.Input((3,)), layers.Lambda(lambda x: x, name="own"), layers.Dense(2)],
        name="inner",
    )
    model = keras.Sequential(
        [
            *(keras.Input((8,)), layers.Embedding(9, 4, name="words")),
            *(layers.LSTM(6, name="state", return_sequences=True),),
            *(layers.Conv1D(4, 3, activation=tf.math.sin, name="wave"),),
            *(layers.LayerNormalization(name="norm"), layers.GRU(3, name="end")),
            *(layers.ReLU(threshold=1.0, name="jump"), inner),
        ]
    )
    with pytest.raises(UnsupportedLayer) as found:
        from_keras(model)
    said = [(obstacle.layer, obstacle.id) for obstacle in found.value.obstacles]
    assert said == [
        ("words", "embedding"),
        ("state", "recurrent-layer"),
        ("wave", "activation"),
        ("norm", "sample-normalization"),
        ("end", "recurrent-layer"),
        ("jump", "relu-threshold"),
        ("inner/own", "lambda-layer"),
    ]
    assert str(found.value).splitlines() == list(map(str, found.value.obstacles))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_lambda_or_a_class_of_ones_own_is_never_run(suffix, tmp_path):
    flag = str(tmp_path / "ran")

    class Mine(layers.Layer):
        def call(self, x):
            open(flag, "w").close()
            return x

    own = layers.Lambda(lambda x: (open(flag, "w").close(), x)[1])
    stack = [own, Mine(), layers.Dense(2)]
    model = keras.Sequential([keras.Input((4,)), *stack])
    model.save(tmp_path / f"net{suffix}")
    Path(flag).unlink()
    with pytest.raises(UnsupportedLayer) as found:
        read_keras(tmp_path / f"net{suffix}")
    assert not Path(flag).exists()
    assert [obstacle.layer for obstacle in found.value.obstacles] == [
        layer.name for layer in stack[:2]
    ]


def test_the_shape_of_the_input_is_fixed():
    image = keras.Input((None, 8, 1))
    with pytest.raises(
        UnsupportedLayer, match=r"shape \(None, 8, 1\) is open; .*Input"
    ):
        from_keras(keras.Model(image, layers.ReLU()(image)))
    image = keras.Input((9, 8, 1))
    assert from_keras(keras.Model(image, layers.ReLU()(image)))
    with pytest.raises(ModelError, match="never built .*begin it with keras.Input"):
        from_keras(keras.Sequential([layers.Dense(2)]))
    assert from_keras(keras.Sequential([keras.Input((4,)), layers.Dense(2)]))


def test_what_is_called_with_options_is_refused():
    image = keras.Input((4,))
    with pytest.raises(
        UnsupportedLayer, match="called with training=True; calls without"
    ):
        from_keras(keras.Model(image, layers.Dropout(0.5)(image, training=True)))
    assert from_keras(keras.Model(image, layers.Dense(2)(layers.Dropout(0.5)(image))))


def test_only_models_that_list_their_layers_are_read():
    class Subclassed(keras.Model):
        def call(self, x):
            return x

    for model in (Subclassed(), object()):
        with pytest.raises(ModelError, match="built functional or|no layers"):
            from_keras(model)


@NEW
def test_keras_quantized_and_low_rank_layers_are_refused(tmp_path):
    model = chain((4,), layers.Dense(3))
    model.layers[0].enable_lora(2)
    randomised(model)
    with pytest.raises(
        UnsupportedLayer, match=r"LoRA .*'name.keras'\), which adds the"
    ):
        from_keras(model)
    model.save(tmp_path / "net.keras")
    assert_same(model, read_keras(tmp_path / "net.keras"))
    model = chain((4,), layers.Dense(3))
    before = from_keras(model)
    model.quantize("int8")
    with pytest.raises(UnsupportedLayer, match="as it was before model.quantize"):
        from_keras(model)
    assert before


@NEW
def test_sixteen_bits_of_another_kind_are_refused(tmp_path):
    stack = [keras.Input((4,)), layers.Dense(3, dtype="bfloat16")]
    model = randomised(keras.Sequential(stack))
    for name in ("net.keras", "net.h5"):
        model.save(tmp_path / name)
        with pytest.raises(
            ModelError, match=r"under the dtype policy 'float32', set_we"
        ):
            read_keras(tmp_path / name)
    whole = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    whole.set_weights([np.asarray(w, np.float32) for w in model.get_weights()])
    whole.save(tmp_path / "net.keras")
    assert_same(whole, read_keras(tmp_path / "net.keras"))
