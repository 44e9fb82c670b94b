"""What a Keras model is refused for, and that the advice in the message is right.

Every advice is followed: the network built as it says is read, and where it says no
"train again" it computes the same as the one that was refused.
"""

from __future__ import annotations

import numpy as np
import pytest

from snn_deploy.toolchain.errors import ModelError, UnsupportedLayer
from snn_deploy.toolchain.frontends.keras.keras import from_keras, read_keras

tf = pytest.importorskip("tensorflow", reason="tensorflow is not installed")
from keras_models import KERAS, assert_same, chain, layers, randomised  # noqa: E402

keras = tf.keras
IMAGE = (7, 6, 3)
NEW = pytest.mark.skipif(KERAS == "2", reason="Keras 3 has it")


def inner():
    return keras.Sequential([keras.Input((3,)), layers.Dense(2)], name="inner")


REFUSED = {  # what → layers, message, layers as the message advises
    "max pooling": (
        [layers.MaxPooling2D(2, name="pool")],
        r"Layer 'pool' \(MaxPooling2D\): .*allowed are .*AveragePooling2D, or stride 2",
        [layers.AveragePooling2D(2)],
    ),
    "max pooling behind a convolution": (
        [layers.Conv2D(2, 3), layers.MaxPooling2D(2)],
        "stride 2 in the convolution before it, and train again",
        [layers.Conv2D(2, 3, 2)],
    ),
    "zero padding": (
        [layers.ZeroPadding2D(((0, 1), (0, 1))), layers.Conv2D(2, 3, 2)],
        "leave it out, say padding='same' in the convolution after it and train again",
        [layers.Conv2D(2, 3, 2, padding="same")],
    ),
    "lambda": (
        [layers.Lambda(lambda x: x)],
        "its code is not read and never run, put layers in its place",
        [layers.Activation("linear"), layers.ReLU()],
    ),
    "another layer": (
        [layers.PReLU()],
        r"\(PReLU\): it has no equivalent; .*build the network of these and train it",
        [layers.ReLU()],
    ),
    "leaky": (
        [layers.LeakyReLU()],
        "a firing rate is never negative, use ReLU and train again",
        [layers.ReLU()],
    ),
    "activation": (
        [layers.Conv2D(2, 3, activation="elu")],
        "activation is 'elu'; .*'softmax', 'log_softmax'; say 'relu' and train again",
        [layers.Conv2D(2, 3, activation="relu")],
    ),
    "dilation": (
        [layers.Conv2D(2, 2, dilation_rate=2)],
        r"dilation_rate is \(2, 2\); \(1, 1\) is allowed",
        [layers.Conv2D(2, 2, dilation_rate=(1, 1))],
    ),
    "groups": (
        [layers.Conv2D(3, 2, groups=3)],
        "groups is 3; 1 or None is allowed",
        [layers.Conv2D(3, 2, groups=1)],
    ),
    "clipped relu": (
        [layers.ReLU(6.0)],
        r"max_value is 6.0; a plain ReLU\(\) is allowed, use it and train again",
        [layers.ReLU()],
    ),
    "leaky relu": ([layers.ReLU(negative_slope=0.1)], "negative_slope is 0.1", None),
    "raised relu": ([layers.ReLU(threshold=0.5)], "threshold is 0.5", None),
    "bilinear": (
        [layers.UpSampling2D(interpolation="bilinear")],
        "interpolation is 'bilinear'; 'nearest' is allowed",
        [layers.UpSampling2D(interpolation="nearest")],
    ),
    "padded pool": (
        [layers.AveragePooling2D(2, padding="same")],
        "'same' adds pixels .*use padding='valid' and train again",
        [layers.AveragePooling2D(2, padding="valid")],
    ),
    "norm of rows": (
        [layers.BatchNormalization(axis=1)],
        "axis is 1; -1 is allowed, the channels lie last",
        [layers.BatchNormalization(axis=-1)],
    ),
    "softmax of rows": (
        [layers.Softmax(axis=1)],
        "axis is 1; -1 is allowed, the channels lie last",
        [layers.Softmax(axis=-1)],
    ),
    "softmax of all": ([layers.Softmax(axis=[1, 2])], "axis is 1, 2; -1 is", None),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_refused_layer_is_named_and_what_is_advised_is_read(what):
    stack, message, advised = REFUSED[what]
    with pytest.raises(UnsupportedLayer, match=message):
        from_keras(chain(IMAGE, *stack))
    if advised:
        model = chain(IMAGE, *advised)
        assert_same(model, from_keras(model))


def test_global_pooling_is_a_pool_of_the_pictures_size():
    with pytest.raises(UnsupportedLayer, match="AveragePooling2D of the picture's siz"):
        from_keras(refused := chain(IMAGE, layers.GlobalAveragePooling2D()))
    pool = chain(IMAGE, layers.AveragePooling2D(IMAGE[:2]), layers.Flatten())
    assert_same(refused, from_keras(pool))


def test_a_model_in_a_model_may_be_taken_out():
    nested = chain((5,), layers.Dense(3, "relu"), part := inner())
    with pytest.raises(
        UnsupportedLayer, match="'inner' .*put its layers into the outer"
    ):
        from_keras(nested)
    flat = keras.Sequential([keras.Input((5,)), nested.layers[0], *part.layers])
    assert_same(nested, from_keras(flat))


def test_a_layer_used_twice_may_be_two():
    image, shared = keras.Input((4,)), layers.Dense(4, name="shared")
    twice = randomised(keras.Model(image, shared(shared(image))))
    with pytest.raises(
        UnsupportedLayer, match=r"'shared' \(Dense\): it is used 2 time"
    ):
        from_keras(twice)
    two = chain((4,), layers.Dense(4), layers.Dense(4))
    two.set_weights(2 * twice.get_weights())
    assert_same(twice, from_keras(two))


def test_one_of_several_outputs_may_be_chosen():
    image = keras.Input((4,), name="image")
    x = layers.Dense(3, "relu", name="hidden")(image)
    ends = [layers.Dense(2, name=name)(x) for name in ("a", "b")]
    model = randomised(keras.Model(image, ends))
    with pytest.raises(
        ModelError, match=r"outputs \['a', 'b'\]; .*model.get_layer\(NA"
    ):
        from_keras(model)
    one = keras.Model(model.input, model.get_layer("b").output)
    assert_same(one, from_keras(one))


def test_several_inputs_may_be_one():
    a, b = keras.Input((4,), name="a"), keras.Input((2,), name="b")
    x = layers.Dense(2)(layers.Concatenate()([a, b]))
    with pytest.raises(
        ModelError, match=r"inputs \['a', 'b'\]; one is allowed, make o"
    ):
        from_keras(keras.Model([a, b], x))
    model = chain((6,), layers.Dense(2))
    assert_same(model, from_keras(model))


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
        UnsupportedLayer, match="called with {'training': True}; calls w"
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
def test_a_constant_is_not_left_out():
    image = keras.Input((4,))
    for constant in (1.0, np.ones(4, np.float32)):
        with pytest.raises(UnsupportedLayer, match=r"\(Add\): .*called with {'a const"):
            from_keras(keras.Model(image, keras.ops.add(image, constant)))


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
