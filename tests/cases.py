"""Networks as people bring them to a chip, in Keras, after what they reported.

Small, with weights drawn as training leaves them; ``CASES`` are those that are built
as they are, each with samples of its kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

keras, layers = tf.keras, tf.keras.layers
Input, Model = keras.Input, keras.Model


def trained(model, seed=0):
    """The model with weights and batch statistics as after training."""
    draw = np.random.default_rng(seed)
    for variable in model.weights:
        shape, name = tuple(variable.shape), variable.name
        if "kernel" in name or "embeddings" in name:
            inputs = shape[:2] if "depthwise" in name else shape[:-1]
            value = draw.normal(0, np.sqrt(2 / np.prod(inputs)), shape)
        elif "gamma" in name or "variance" in name:
            value = draw.uniform(0.6, 1.4, shape)
        else:
            value = draw.normal(0.05, 0.1, shape)
        variable.assign(value)
    return model


def stack(shape, *rest):
    return keras.Sequential([Input(shape), *rest])


def conv(channels, size=3, stride=1, padding="same", activation="relu", **more):
    return layers.Conv2D(channels, size, stride, padding, activation=activation, **more)


def pool(size):
    return layers.AveragePooling2D(size)


def dense(*sizes):
    """Flat, a Dense with ReLU for every size but the last."""
    hidden = [layers.Dense(size, "relu") for size in sizes[:-1]]
    return layers.Flatten(), *hidden, layers.Dense(sizes[-1])


def norm():
    return layers.BatchNormalization()


def through(x, *rest):
    """What layers make of a tensor, one after the other."""
    for layer in rest:
        x = layer(x)
    return x


# Answers as classes, vectors, signals, pools that overlap.


def features():
    """A vector, activations as TensorFlow's functions, classes."""
    hidden = [layers.Dense(12, tf.nn.relu), layers.Dense(12, tf.nn.relu)]
    return stack((20,), *hidden, layers.Dense(5, "softmax"))


def picture_without_channels():
    hidden = layers.Dense(16, "relu", use_bias=False)
    last = layers.Dense(6, "softmax", use_bias=False)
    return stack((8, 8), layers.Flatten(), hidden, last)


def two_classes_for_each_of_three():
    hidden = layers.Dense(12, "relu"), layers.Dense(6)
    return stack((10,), *hidden, layers.Reshape((3, 2)), layers.Softmax())


def heartbeat():
    """A signal as a picture one pixel wide, normalised behind its neurons."""
    first, second = (conv(4, (5, 1), (2, 1), "valid") for _ in range(2))
    ends = *dense(8, 5), layers.Softmax()
    return stack((47, 1, 1), first, norm(), second, norm(), *ends)


def overlapping_pools():
    """Two electrodes; a mean of 30 moments at every tenth."""
    return stack(
        *((101, 2, 1), conv(4, (20, 2), 1, "valid", None, use_bias=False), norm()),
        *(layers.ReLU(), layers.AveragePooling2D((30, 1), (10, 1)), layers.Flatten()),
        *(layers.Dropout(0.5), layers.Dense(2, "softmax")),
    )


def norm_before_convolution():
    rest = (conv(4, padding="valid"), norm(), pool(2), *dense(4))
    return stack((10, 10, 1), conv(4, padding="valid"), norm(), *rest)


def norm_before_padding():
    """What is padded is 0 behind the norm, not before it."""
    rest = (conv(4), norm(), pool(2), *dense(4))
    return stack((10, 10, 1), conv(4), norm(), *rest)


def norm_on_the_input():
    return stack((10, 10, 1), norm(), conv(4), pool(2), *dense(4))


def signal_up_and_down():
    """1-D: half as long, as long again, a value for each moment."""
    return stack(
        *((32, 1), layers.Conv1D(6, 5, padding="same", activation="relu")),
        *(layers.AveragePooling1D(2), layers.Conv1D(6, 3, padding="same")),
        *(layers.ReLU(), layers.UpSampling1D(2), layers.Conv1D(1, 3, padding="same")),
    )


# Branches.


def block(x, channels, stride=1, normed=True):
    """Two convolutions beside a shortcut."""
    bias, after = not normed, (lambda: [norm()]) if normed else (lambda: [])
    first = conv(channels, 3, stride, activation=None, use_bias=bias)
    second = conv(channels, 3, activation=None, use_bias=bias)
    y = through(x, first, *after(), layers.ReLU(), second, *after())
    if stride != 1 or x.shape[-1] != channels:
        one = conv(channels, 1, stride, activation=None, use_bias=bias)
        x = through(x, one, *after())
    return layers.ReLU()(layers.Add()([x, y]))


def residual():
    """Two blocks whose shortcut is what came in."""
    x = conv(6)(image := Input((8, 8, 3)))
    x = block(block(x, 6, normed=False), 6, normed=False)
    return Model(image, through(x, pool(4), *dense(4)))


def residual_body(image):
    x = through(image, conv(4, activation=None, use_bias=False), norm(), layers.ReLU())
    return block(block(block(x, 4), 8, 2), 8)


def residual_classes():
    """A mean over the whole picture, then classes."""
    x = residual_body(image := Input((10, 10, 3)))
    ends = layers.GlobalAveragePooling2D(), layers.Dense(5, "softmax")
    return Model(image, through(x, *ends))


def residual_values():
    x = residual_body(image := Input((10, 10, 3)))
    return Model(image, through(x, pool(5), *dense(5)))


def branch_at_the_input():
    """Two kernels of unlike size see the picture."""
    image = Input((10, 10, 1))
    x = layers.Concatenate()([conv(3)(image), conv(3, 5)(image)])
    return Model(image, through(x, conv(6, 3, 2, "valid"), *dense(4)))


def mean_of_all():
    two = conv(6, padding="valid"), conv(6, padding="valid")
    mean = layers.GlobalAveragePooling2D()
    return stack((10, 10, 1), *two, mean, layers.Dense(4))


def dense_net():
    """Norm and ReLU of all that came before."""
    x = conv(6)(image := Input((8, 8, 3)))
    for _ in range(2):
        y = through(x, norm(), layers.ReLU(), conv(3))
        x = layers.Concatenate()([x, y])
    return Model(image, through(x, pool(4), *dense(4)))


def u_net():
    """Down, up, and beside what it was; a probability for each pixel."""
    fine = conv(4)(image := Input((12, 12, 1)))
    coarse = through(fine, pool(2), conv(4), layers.UpSampling2D(2))
    x = layers.Concatenate()([fine, coarse])
    return Model(image, through(x, conv(4), conv(1, 1, activation="sigmoid")))


# Large fans.


def fan_in_of_channels():
    """512 channels, nine pixels: more inputs than a core has axons."""
    return stack((4, 4, 1), conv(512, 1), conv(8, padding="valid"), *dense(4))


def fan_in_of_a_picture():
    """A Dense on 4608 values."""
    return stack((24, 24, 1), conv(8), *dense(32, 4))


# Kinds of convolutions and of values.


def real_values():
    return stack((10, 10, 1), conv(4, padding="valid"), pool(2), *dense(16, 3))


def depthwise():
    by_itself = layers.DepthwiseConv2D(3, padding="same", activation="relu")
    return stack((10, 10, 1), conv(6), by_itself, conv(6, 1), *dense(4))


def bounded_answers():
    return stack((8,), layers.Dense(24, "relu"), layers.Dense(2, "tanh"))


def auto_encoder():
    return stack((24,), layers.Dense(12, "relu"), layers.Dense(24, "sigmoid"))


def uneven_kernels():
    """Height, width, strides and channels all differ."""
    first = conv(4, (3, 2), (2, 1), "valid")
    return stack((9, 7, 3), first, conv(5, (2, 3)), *dense(9, 3))


def small():
    return stack((6, 6, 1), conv(4, padding="valid"), *dense(8, 3))


def no_weights(model):
    """A layer of zeros: its neurons are silent and what follows is its biases."""
    hidden = model.layers[2]
    hidden.set_weights([0 * weight for weight in hidden.get_weights()])
    return model


def scales_of_all_sizes(model):
    """Weights of 1e6, 1e-9 and 1e5, one layer after the other."""
    for at, kernel, bias in ((0, 1e6, 1e6), (2, 1e-9, 1e-3), (3, 1e5, 1.0)):
        weight, offset = model.layers[at].get_weights()
        model.layers[at].set_weights([kernel * weight, bias * offset])
    return model


def event_pictures():
    """A channel for each polarity."""
    ends = layers.Flatten(), layers.Dense(5, use_bias=False)
    first = conv(4, 3, 2, use_bias=False)
    return stack((16, 16, 2), first, pool(2), conv(4, use_bias=False), *ends)


def dilated():
    wide = conv(6, padding="valid", dilation_rate=2)
    return stack((10, 10, 1), conv(6, padding="valid"), wide, *dense(4))


def grouped():
    halves = conv(6, padding="valid", groups=2)
    return stack((10, 10, 1), conv(6, padding="valid"), halves, *dense(4))


def rescaled():
    """Pixels of 0 … 255 go in."""
    first = conv(6, padding="valid")
    return stack((10, 10, 3), layers.Rescaling(1 / 255), first, *dense(4))


def shared():
    """A convolution that is used twice."""
    twice = conv(6)
    x = through(image := Input((10, 10, 1)), conv(6), twice, twice)
    return Model(image, through(x, *dense(4)))


# What is counted, chosen, joined.


def synapses_by_hand():
    first, second = conv(4), conv(6, 3, 2)
    return stack((10, 10, 1), first, second, *dense(8, 4))


def two_answers():
    """The second is what the neurons do."""
    x = layers.Dense(8, "relu", name="dense")(image := Input((4,)))
    return Model(image, [layers.Dense(1, name="out")(x), x])


def two_inputs():
    images = Input((8,)), Input((4,))
    both = layers.Concatenate()([layers.Dense(8, "relu")(x) for x in images])
    return Model(images, through(both, layers.Dense(8, "relu"), layers.Dense(2)))


def picture_of(form):
    """The same network with channels first, or last."""
    how = {"data_format": f"channels_{form}"}
    shape = (3, 8, 8) if form == "first" else (8, 8, 3)
    x = conv(6, padding="valid", **how)(image := Input(shape))
    return Model(image, through(x, layers.Flatten(**how), layers.Dense(4)))


def pictures(shape, seed=0, samples=8):
    """Patches of one brightness, with a little noise; values of 0 … 1."""
    draw = np.random.default_rng(seed)
    x = draw.random((samples, *shape))
    if len(shape) == 3:
        coarse = draw.random((samples, -(-shape[0] // 4), -(-shape[1] // 4), shape[2]))
        wide = coarse.repeat(4, axis=1).repeat(4, axis=2)
        x = 0.7 * wide[:, : shape[0], : shape[1]] + 0.3 * x
    return x


def events(shape):
    return (np.random.default_rng(0).random((8, *shape)) < 0.1).astype(float)


def pixels(shape):
    return np.round(255 * pictures(shape))


def of_both_signs(shape):
    return np.random.default_rng(0).normal(size=(8, *shape))


@dataclass(frozen=True)
class Case:
    """A network that is built as it is."""

    make: Callable
    samples: Callable = pictures
    seed: int = 0
    cores: int | None = None  # where they are the question
    after: Callable | None = None  # what is done to the weights

    @property
    def name(self):
        return (self.after or self.make).__name__

    def model(self):
        model = trained(self.make(), self.seed)
        return self.after(model) if self.after else model


CASES = (
    *map(Case, (features, two_classes_for_each_of_three, picture_without_channels)),
    *map(Case, (heartbeat, overlapping_pools)),
    *map(Case, (norm_before_convolution, norm_before_padding, norm_on_the_input)),
    *map(Case, (signal_up_and_down, branch_at_the_input, mean_of_all, dense_net)),
    *map(Case, (residual, residual_classes, residual_values)),
    Case(u_net),
    Case(fan_in_of_channels, cores=8 + 3),  # 8192 neurons; 270 kB of weights
    Case(fan_in_of_a_picture, cores=5 + 2),  # 4608 neurons; 160 kB of weights
    *map(Case, (real_values, auto_encoder, uneven_kernels, dilated, grouped, shared)),
    Case(depthwise, seed=2),
    Case(bounded_answers, of_both_signs),
    Case(small, after=no_weights),
    Case(small, after=scales_of_all_sizes),
    Case(event_pictures, events),
    Case(rescaled, pixels),
)
