"""The networks of benchmarks/torch_networks.py, as Keras users write them."""

from __future__ import annotations

from cases import (
    Input,
    Model,
    block,
    conv,
    dense,
    keras,
    layers,
    norm,
    stack,
    through,
)


def bare(channels, size=3, stride=1):
    """A convolution before a norm."""
    return conv(channels, size, stride, activation=None, use_bias=False)


def resnet8():
    """ResNet-8 of He et al. 2016 (arXiv 1512.03385) for 32×32, half as wide."""
    x = through(image := Input((32, 32, 3)), bare(8), norm(), layers.ReLU())
    x = block(block(block(x, 8), 16, 2), 32, 2)
    mean = layers.GlobalAveragePooling2D()
    return Model(image, through(x, mean, layers.Dense(10)))


def separable(channels, stride=1):
    """A depthwise convolution and a pointwise one, each with norm and ReLU6."""
    by_itself = layers.DepthwiseConv2D(3, stride, "same", use_bias=False)
    return (
        *(by_itself, norm(), layers.ReLU(6.0)),
        *(bare(channels, 1), norm(), layers.ReLU(6.0)),
    )


def mobilenet():
    """After MobileNet (arXiv 1704.04861), four blocks of it."""
    return stack(
        *((32, 32, 3), bare(8, 3, 2), norm(), layers.ReLU(6.0)),
        *(*separable(16), *separable(24, 2), *separable(24), *separable(32, 2)),
        *(layers.GlobalAveragePooling2D(), layers.Dropout(0.2), layers.Dense(10)),
    )


def unet():
    """Down, up again, and the pictures of equal size one behind the other."""
    first = conv(6)(image := Input((16, 16, 1)))
    down = conv(12, 3, 2)(first)
    up = layers.Conv2DTranspose(12, 2, 2, activation="relu")
    deep = through(down, conv(12, 3, 2), up)
    middle = conv(6)(layers.Concatenate()([deep, down]))
    wide = layers.Concatenate()([layers.UpSampling2D(2)(middle), first])
    return Model(image, layers.Conv2D(2, 1)(wide))


def keywords():
    """1-D convolutions over a sequence of 20 features, as for spoken words."""
    return stack(
        *((48, 20), layers.Conv1D(16, 5, 2, "same"), norm(), layers.ReLU()),
        *(layers.AveragePooling1D(2), layers.Conv1D(24, 3, padding="same")),
        *(layers.ReLU(), layers.Flatten(), layers.Dense(12, "log_softmax")),
    )


def mlp():
    return stack((8, 8, 1), *dense(32, 16, 10), keras.layers.Softmax())


NETWORKS = (resnet8, mobilenet, unet, keywords, mlp)
