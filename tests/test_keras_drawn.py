"""Drawn Keras models, of all layers that are read, give Keras' numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from snn_deploy.toolchain.frontends.keras.keras import from_keras, read_keras

tf = pytest.importorskip("tensorflow", reason="tensorflow is not installed")
from keras_models import SUFFIXES, assert_same, layers, randomised  # noqa: E402

keras = tf.keras
ACTIVATIONS = [None, "relu", "sigmoid", "tanh", "softmax", "elu", "gelu", "swish"]
SIDES, PADDINGS = st.integers(1, 3), st.sampled_from(("same", "valid"))


def window(draw, shape):
    """A kernel or pool that fits, its stride and padding."""
    size = tuple(min(draw(SIDES), side) for side in shape[:-1])
    step = draw(st.integers(1, 2))
    return size, step, draw(PADDINGS)


def options(draw):
    return {
        "use_bias": draw(st.booleans()),
        "activation": draw(st.sampled_from(ACTIVATIONS)),
    }


def convolutions(draw, shape, flat):
    size, step, padding = window(draw, shape)
    name, how = ("1D" if flat else "2D"), options(draw)
    kind = draw(st.sampled_from(["Conv", "Depthwise", "Separable", "Transpose"]))
    if kind == "Depthwise":
        times = draw(st.integers(1, 2))
        layer = getattr(layers, f"DepthwiseConv{name}")
        return layer(size, step, padding, depth_multiplier=times, **how)
    if kind == "Separable":
        return getattr(layers, f"SeparableConv{name}")(3, size, step, padding, **how)
    if kind == "Transpose":
        layer = getattr(layers, f"Conv{name}Transpose")
        if draw(st.booleans()) and step == 2:
            how["output_padding"] = 1  # with 0 TensorFlow refuses even kernels
        return layer(3, size, step, padding, **how)
    groups = draw(st.sampled_from([g for g in (1, 2, 3) if shape[-1] % g == 0]))
    layer = getattr(layers, f"Conv{name}")
    if step == 1:
        reach = [(side - 1) // max(k - 1, 1) for k, side in zip(size, shape)]
        how["dilation_rate"] = min(draw(st.integers(1, 3)), max(1, min(reach)))
    return layer(2 * groups, size, step, padding, groups=groups, **how)


def pools(draw, shape, flat):
    size, step, padding = window(draw, shape)
    name = "1D" if flat else "2D"
    size = size[0] if flat else size
    kind = draw(st.sampled_from(["AveragePooling", "MaxPooling"]))
    return getattr(layers, kind + name)(size, step, padding)


def sides(draw, shape, flat):
    """Padding, cropping, upsampling."""
    ends = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 1))) for _ in shape[:-1])
    ends = ends[0] if flat else ends
    name = "1D" if flat else "2D"
    kind = draw(st.sampled_from(["ZeroPadding", "Cropping", "UpSampling"]))
    if kind == "UpSampling":
        return getattr(layers, kind + name)(draw(st.integers(1, 2)))
    if kind == "Cropping" and min(shape[:-1]) < 4:
        kind = "ZeroPadding"
    return getattr(layers, kind + name)(ends)


def points(draw, shape, flat):
    """What works on values one by one, or on channels."""
    axes = list(range(1, len(shape)))
    kinds = [
        lambda: layers.BatchNormalization(draw(st.integers(1, len(shape)))),
        lambda: layers.Activation(draw(st.sampled_from(ACTIVATIONS[1:]))),
        lambda: layers.ReLU(draw(st.sampled_from((None, 0.5, 6.0)))),
        lambda: layers.ReLU(negative_slope=0.25),
        lambda: layers.LeakyReLU(0.1),
        lambda: layers.PReLU(shared_axes=axes if draw(st.booleans()) else None),
        lambda: layers.ELU(draw(st.sampled_from((0.5, 1.0)))),
        lambda: layers.Rescaling(0.5, draw(st.sampled_from((0.0, -1.0)))),
        lambda: layers.Softmax(draw(st.integers(1, len(shape)))),
        lambda: getattr(layers, draw(st.sampled_from(NOISE)))(0.1),
        lambda: layers.Dense(3, **options(draw)),
    ]
    return draw(st.sampled_from(kinds))()


NOISE = ["Dropout", "GaussianNoise", "GaussianDropout", "ActivityRegularization"]


def shapes(draw, shape, flat):
    """What gives the values another shape."""
    dims = draw(st.permutations(range(1, len(shape) + 1)))
    kinds = [
        layers.Flatten(),
        layers.Permute(tuple(dims)),
        layers.Reshape((-1, shape[-1])),
        layers.TimeDistributed(layers.Dense(2)),
    ]
    if len(shape) == 3:
        kinds += [
            layers.TimeDistributed(layers.Conv1D(2, 1)),
            layers.GlobalAveragePooling2D(keepdims=draw(st.booleans())),
            layers.GlobalMaxPooling2D(),
        ]
    else:
        kinds += [
            layers.GlobalAveragePooling1D(keepdims=draw(st.booleans())),
            layers.GlobalMaxPooling1D(),
        ]
    return draw(st.sampled_from(kinds))


def vectors(draw, shape):
    kinds = [
        layers.Dense(6, **options(draw)),
        layers.RepeatVector(2),
        layers.Reshape((1, 1, shape[0])),
        layers.BatchNormalization(),
        layers.PReLU(),
    ]
    return draw(st.sampled_from(kinds))


def joins(draw, x, old):
    """Two signals in one: of one shape, or that fit along an axis."""
    kinds = [layers.Add(), layers.Average(), layers.Subtract()]
    axis = draw(st.integers(1, len(x.shape) - 1))
    if old.shape == x.shape:
        kinds += [layers.Concatenate(axis), lambda both: both[0] - both[1] * 0.5]
        return draw(st.sampled_from(kinds))([x, old])
    both = draw(st.sampled_from([[2.0, 1.0], [-1.0, 0.25], [0.5, 3.0]]))
    return x * both[0] + both[1]


def drawn(draw):
    """Eight layers at most, each of those that its input allows."""
    shape = draw(st.sampled_from([(6, 5, 4), (7, 7, 1), (9, 4), (6,)]))
    x = image = keras.Input(shape)
    before = [x]
    for _ in range(draw(st.integers(1, 8))):
        shape = tuple(x.shape[1:])
        if len(shape) == 1:
            x = vectors(draw, shape)(x)
        elif draw(st.integers(0, 4)) == 0:
            x = joins(draw, x, draw(st.sampled_from(before)))
        else:
            kinds = (convolutions, pools, sides, points, points, shapes)
            layer = draw(st.sampled_from(kinds))(draw, shape, len(shape) == 2)
            x = layer(x)
            if tuple(x.shape[1:]) == shape and draw(st.integers(0, 3)) == 0:
                x = layer(x)
        assume(np.prod(x.shape[1:]) < 3000)
        before.append(x)
    assume(x is not image)
    return randomised(keras.Model(image, x), draw(st.integers(0, 100)))


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(st.data())
def test_drawn_models_give_keras_numbers(data):
    model = drawn(data.draw)
    assert_same(model, from_keras(model))


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_drawn_models_give_the_same_numbers_from_their_files(data, tmp_path_factory):
    model, folder = drawn(data.draw), tmp_path_factory.mktemp("net")
    suffix = data.draw(st.sampled_from(SUFFIXES))
    model.save(folder / f"net{suffix}")
    assert_same(model, read_keras(folder / f"net{suffix}"))
