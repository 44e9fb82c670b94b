"""Each layer class of Keras as the nodes of a Graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ModelError, UnsupportedLayer
from ..graph import nodes as n
from ..graph.nodes import Array, FloatArray, Node, Padding, Shape

Pair = tuple[int, int]
NO_PADDING: Padding = ((0, 0), (0, 0))


@dataclass(frozen=True, eq=False, kw_only=True)
class Layer:
    """A layer, its weights, and the nodes it takes its input from."""

    kind: str  # class name
    name: str
    config: Mapping[str, Any]
    weights: Mapping[str, Array]  # "kernel", "bias", …
    inputs: tuple[str, ...]
    shapes: tuple[Shape, ...]  # of the inputs

    @property
    def title(self) -> str:
        """What a message calls it."""
        return f"Layer {self.name!r} ({self.kind})"

    def weight(self, name: str) -> FloatArray:
        """The weight of this name as float64. Raises ModelError where it is missing."""
        if name not in self.weights:
            raise ModelError(
                f"{self.title}: the model holds no {name!r} for it, only "
                f"{sorted(self.weights)}; save the whole model with model.save"
            )
        return np.asarray(self.weights[name], np.float64)

    def pair(self, name: str) -> Pair:
        """Two whole numbers of the config."""
        rows, columns = self.config[name]
        return int(rows), int(columns)

    def demand(self, name: str, *allowed: Any) -> None:
        """Raise UnsupportedLayer unless the config has one of these values here."""
        value = self.config.get(name)
        value = tuple(value) if isinstance(value, list) else value
        if value not in allowed:
            choices = " or ".join(repr(choice) for choice in allowed)
            raise self.unsupported(f"{name} is {value!r}; {choices} is allowed")

    def unsupported(self, message: str) -> UnsupportedLayer:
        """An error that names this layer."""
        return UnsupportedLayer(f"{self.title}: {message}")


def convert(layer: Layer) -> tuple[Node, ...]:
    """The nodes of a layer in order of flow; none where the layer only passes on.

    Raises:
        UnsupportedLayer: the layer, or one of its options, has no equivalent.
        ModelError: a weight is missing.
    """
    if layer.kind in IDENTITIES:
        return ()
    node = CONVERTERS[layer.kind](layer)
    if node is None:
        return ()
    activation = layer.config.get("activation")
    if layer.kind == "Activation" or activation is None:
        return (node,)
    after = _activate(layer, f"{layer.name}_{activation}", (node.name,))
    return (node,) if after is None else (node, after)


def problem(kind: str) -> str | None:
    """Why a layer class cannot be converted and what to do; None where it can."""
    if kind in CONVERTERS or kind in IDENTITIES:
        return None
    allowed = ", ".join(sorted({*CONVERTERS, *IDENTITIES} - {OURS}))
    advice = ADVICE.get(kind, "use these instead")
    return f"it has no equivalent; allowed are {allowed}; {advice}"


def _input(layer: Layer) -> Node:
    _, *shape = layer.config["batch_input_shape"]
    if None in shape:
        raise layer.unsupported(
            f"its shape {tuple(shape)} is open; a fixed one is allowed, say "
            "keras.Input((height, width, channels))"
        )
    return n.Input(layer.name, (), tuple(int(size) for size in shape))


def _bias(layer: Layer, outputs: int) -> FloatArray:
    return layer.weight("bias") if layer.config["use_bias"] else np.zeros(outputs)


def _dense(layer: Layer) -> Node:
    if len(layer.shapes[0]) != 1:
        raise layer.unsupported(
            f"its input is {layer.shapes[0]}; (features,) is allowed, put a Flatten "
            "before it"
        )
    weight = layer.weight("kernel")
    bias = _bias(layer, weight.shape[-1])
    return n.Dense(layer.name, layer.inputs, weight=weight, bias=bias)


def _demand_image(layer: Layer) -> None:
    layer.demand("data_format", "channels_last")
    if len(layer.shapes[0]) != 3:
        raise layer.unsupported(
            f"its input is {layer.shapes[0]}; (height, width, channels) is allowed"
        )


def _conv(layer: Layer) -> Node:
    _demand_image(layer)
    layer.demand("dilation_rate", (1, 1))
    layer.demand("groups", 1, None)
    layer.demand("padding", "same", "valid")
    weight, stride = layer.weight("kernel"), layer.pair("strides")
    rows, columns, _, filters = weight.shape
    return n.Conv2D(
        layer.name,
        layer.inputs,
        weight=weight,
        bias=_bias(layer, filters),
        stride=stride,
        padding=_same_padding(layer, (rows, columns), stride),
    )


def _same_padding(layer: Layer, kernel: Pair, stride: Pair) -> Padding:
    """What TensorFlow adds: ⌈size / stride⌉ windows fit, the odd pixel comes last.

    Source: "Notes on padding", www.tensorflow.org/api_docs/python/tf/nn.
    """
    if layer.config["padding"] == "valid":
        return NO_PADDING
    sides = []
    for size, k, step in zip(layer.shapes[0], kernel, stride):
        total = max((-(-size // step) - 1) * step + k - size, 0)
        sides.append((total // 2, total - total // 2))
    return sides[0], sides[1]


def _conv_transpose(layer: Layer) -> Node:
    _demand_image(layer)
    layer.demand("dilation_rate", (1, 1))
    layer.demand("output_padding", None)
    layer.demand("padding", "same", "valid")
    stride = layer.pair("strides")
    weight = layer.weight("kernel").transpose(0, 1, 3, 2)
    grow = [max(step - k, 0) for step, k in zip(stride, weight.shape)]
    # Keras fills the gaps between windows, also after the last one, with zeros.
    weight = np.pad(weight, ((0, grow[0]), (0, grow[1]), (0, 0), (0, 0)))
    padding = NO_PADDING
    if layer.config["padding"] == "same":  # the output is stride times the input
        rows, columns = (k - step for k, step in zip(weight.shape, stride))
        padding = (
            (rows // 2, rows - rows // 2),
            (columns // 2, columns - columns // 2),
        )
    return n.ConvTranspose2D(
        layer.name,
        layer.inputs,
        weight=weight,
        bias=_bias(layer, weight.shape[3]),
        stride=stride,
        padding=padding,
    )


def _pool(layer: Layer) -> Node:
    _demand_image(layer)
    layer.demand("padding", "same", "valid")
    pool = layer.pair("pool_size")
    stride = layer.pair("strides") if layer.config["strides"] else pool
    if _same_padding(layer, pool, stride) != NO_PADDING:
        raise layer.unsupported(
            f"padding 'same' adds pixels to its input of {layer.shapes[0]}; windows "
            "that fit are allowed, use padding='valid' or a stride that divides it"
        )
    return n.AvgPool2D(layer.name, layer.inputs, pool=pool, stride=stride)


def _upsample(layer: Layer) -> Node:
    _demand_image(layer)
    layer.demand("interpolation", "nearest")
    return n.Upsample2D(layer.name, layer.inputs, factor=layer.pair("size"))


def _batch_norm(layer: Layer) -> Node:
    rank = len(layer.shapes[0])
    axis = layer.config["axis"]
    (axis,) = axis if isinstance(axis, (list, tuple)) else (axis,)
    if axis not in (-1, rank):
        raise layer.unsupported(f"axis is {axis}; the last one, -1, is allowed")
    mean = layer.weight("moving_mean")
    scale, center = layer.config["scale"], layer.config["center"]
    return n.BatchNorm(
        layer.name,
        layer.inputs,
        gamma=layer.weight("gamma") if scale else np.ones_like(mean),
        beta=layer.weight("beta") if center else np.zeros_like(mean),
        mean=mean,
        variance=layer.weight("moving_variance"),
        epsilon=float(layer.config["epsilon"]),
    )


def _flatten(layer: Layer) -> Node:
    layer.demand("data_format", "channels_last", None)
    return n.Flatten(layer.name, layer.inputs)


def _reshape(layer: Layer) -> Node:
    """One size of the target shape may be −1: what is left."""
    shape = [int(size) for size in layer.config["target_shape"]]
    if -1 in shape:
        rest = int(np.prod(layer.shapes[0])) // max(-int(np.prod(shape)), 1)
        shape[shape.index(-1)] = rest
    return n.Reshape(layer.name, layer.inputs, shape=tuple(shape))


def _concat(layer: Layer) -> Node:
    axis = layer.config["axis"]
    if axis not in (-1, len(layer.shapes[0])):
        raise layer.unsupported(f"axis is {axis}; the last one, -1, is allowed")
    return n.Concat(layer.name, layer.inputs)


def _activate(layer: Layer, name: str, inputs: tuple[str, ...]) -> Node | None:
    """The node of ``activation``; None for 'linear'."""
    activation = layer.config["activation"]
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise layer.unsupported(
            f"activation is {activation!r}; allowed are "
            f"{', '.join(map(repr, ACTIVATIONS))}, or a SoftLIF layer after it"
        )
    kind = ACTIVATIONS[activation]
    return None if kind is None else kind(name, inputs)


def _relu(layer: Layer) -> Node:
    for option in ("max_value", "negative_slope", "threshold"):
        if layer.config.get(option):
            raise layer.unsupported(
                f"{option} is {layer.config[option]}; a plain ReLU() is allowed"
            )
    return n.ReLU(layer.name, layer.inputs)


def _soft_lif(layer: Layer) -> Node:
    names = ("amplitude", "tau_rc", "tau_ref", "sigma")
    values = {name: float(layer.config[name]) for name in names}
    return n.SoftLIF(layer.name, layer.inputs, **values)


OURS = "snn_deploy>SoftLIF"  # as Keras registers it
ACTIVATIONS: Mapping[str, type[Node] | None] = {
    "linear": None,
    "relu": n.ReLU,
    "sigmoid": n.Sigmoid,
}
IDENTITIES = frozenset(
    ("Dropout", "SpatialDropout2D", "GaussianDropout", "GaussianNoise")
)
"""Layers that only act in training."""

CONVERTERS: Mapping[str, Callable[[Layer], Node | None]] = {
    "InputLayer": _input,
    "Dense": _dense,
    "Conv2D": _conv,
    "Conv2DTranspose": _conv_transpose,
    "AveragePooling2D": _pool,
    "UpSampling2D": _upsample,
    "BatchNormalization": _batch_norm,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Add": lambda layer: n.Add(layer.name, layer.inputs),
    "Concatenate": _concat,
    "Activation": lambda layer: _activate(layer, layer.name, layer.inputs),
    "ReLU": _relu,
    "SoftLIF": _soft_lif,
    OURS: _soft_lif,
}

ADVICE: Mapping[str, str] = {
    "MaxPooling2D": "use AveragePooling2D, or stride 2 in the convolution before it",
    "GlobalAveragePooling2D": "use AveragePooling2D of the picture's size and Flatten",
    "Softmax": "read the layer before it, the largest value is the same",
    "LeakyReLU": "use ReLU, a firing rate is never negative",
    "ZeroPadding2D": "use padding='same' in the convolution after it",
    "Lambda": "its code is not read and never run",
    **dict.fromkeys(
        ("Functional", "Sequential", "Model"),
        "it is a model inside a model, put its layers into the outer one",
    ),
}
