"""Each layer class of Keras as the nodes of a Graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...errors import ModelError, UnsupportedLayer
from ...graph import nodes as n
from ...graph.nodes import Array, FloatArray, Node, Padding, Shape
from ...graph.preparation import Rescale

Pair = tuple[int, int]
Nodes = tuple[Node, ...]
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
        array = np.asarray(self.weights[name])
        if f"lora_{name}_a" in self.weights:
            raise self.unsupported(
                f"its {name!r} has a LoRA beside it; save the model with "
                "model.save('name.keras'), which adds them up"
            )
        return np.asarray(array, np.float64)

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


def convert(layer: Layer) -> Nodes:
    """The nodes of a layer in order of flow; none where the layer only passes on.

    Raises:
        UnsupportedLayer: the layer, or one of its options, has no equivalent.
        ModelError: a weight is missing.
    """
    if layer.kind in IDENTITIES:
        return ()
    _refuse_quantized(layer)
    nodes = CONVERTERS[layer.kind](layer)
    if layer.kind == "Activation" or layer.config.get("activation") is None:
        return nodes
    name = f"{layer.name}_{_activation(layer)}"
    return nodes + _activate(layer, name, (nodes[-1].name,))


def _refuse_quantized(layer: Layer) -> None:
    policy = layer.config.get("dtype") or ""
    name = policy["class_name"] if isinstance(policy, Mapping) else str(policy)
    if "Quantized" in name or "_from_" in name:  # Keras 3.3: int8_from_float32
        raise layer.unsupported(
            "Keras has quantized it; give the model as it was before model.quantize"
        )


def _input(layer: Layer) -> Nodes:
    config = layer.config
    _, *shape = config.get("batch_shape") or config["batch_input_shape"]
    if None in shape:
        raise layer.unsupported(
            f"its shape {tuple(shape)} is open; a fixed one is allowed, say "
            "keras.Input((height, width, channels))"
        )
    return (n.Input(layer.name, (), tuple(int(size) for size in shape)),)


def _bias(layer: Layer, outputs: int) -> FloatArray:
    return layer.weight("bias") if layer.config["use_bias"] else np.zeros(outputs)


def _dense(layer: Layer) -> Nodes:
    """Of a sequence or picture: the same for every place, a convolution of size 1."""
    shape, weight = layer.shapes[0], layer.weight("kernel")
    bias = _bias(layer, weight.shape[-1])
    if len(shape) == 1:
        return (n.Dense(layer.name, layer.inputs, weight=weight, bias=bias),)
    each = n.Conv2D(layer.name, layer.inputs, weight=weight[None, None], bias=bias)
    if len(shape) == 3:
        return (each,)
    image = (math.prod(shape[:-2]), *shape[-2:])
    before = n.Reshape(f"{layer.name}.in", layer.inputs, shape=image)
    each = replace(each, name=f"{layer.name}.each", inputs=(before.name,))
    shape = (*shape[:-1], weight.shape[-1])
    return before, each, n.Reshape(layer.name, (each.name,), shape=shape)


def _demand_image(layer: Layer) -> None:
    layer.demand("data_format", "channels_last")
    if len(layer.shapes[0]) != 3:
        raise layer.unsupported(
            f"its input is {layer.shapes[0]}; (height, width, channels) is allowed"
        )


def _conv(layer: Layer) -> Nodes:
    _demand_image(layer)
    layer.demand("dilation_rate", (1, 1))
    layer.demand("groups", 1, None)
    layer.demand("padding", "same", "valid")
    weight, stride = layer.weight("kernel"), layer.pair("strides")
    rows, columns, _, filters = weight.shape
    conv = n.Conv2D(
        layer.name,
        layer.inputs,
        weight=weight,
        bias=_bias(layer, filters),
        stride=stride,
        padding=_same_padding(layer, (rows, columns), stride),
    )
    return (conv,)


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


def _conv_transpose(layer: Layer) -> Nodes:
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
    conv = n.ConvTranspose2D(
        layer.name,
        layer.inputs,
        weight=weight,
        bias=_bias(layer, weight.shape[3]),
        stride=stride,
        padding=padding,
    )
    return (conv,)


def _pool(layer: Layer) -> Nodes:
    _demand_image(layer)
    layer.demand("padding", "same", "valid")
    pool = layer.pair("pool_size")
    stride = layer.pair("strides") if layer.config["strides"] else pool
    if _same_padding(layer, pool, stride) != NO_PADDING:
        raise layer.unsupported(
            f"padding 'same' adds pixels to its input of {layer.shapes[0]}; windows "
            "that fit are allowed, use padding='valid' and train again"
        )
    return (n.AvgPool2D(layer.name, layer.inputs, pool=pool, stride=stride),)


def _upsample(layer: Layer) -> Nodes:
    _demand_image(layer)
    layer.demand("interpolation", "nearest")
    return (n.Upsample2D(layer.name, layer.inputs, factor=layer.pair("size")),)


def _batch_norm(layer: Layer) -> Nodes:
    _demand_last_axis(layer)
    mean = layer.weight("moving_mean")
    scale, center = layer.config["scale"], layer.config["center"]
    norm = n.BatchNorm(
        layer.name,
        layer.inputs,
        gamma=layer.weight("gamma") if scale else np.ones_like(mean),
        beta=layer.weight("beta") if center else np.zeros_like(mean),
        mean=mean,
        variance=layer.weight("moving_variance"),
        epsilon=float(layer.config["epsilon"]),
    )
    return (norm,)


def _rescaling(layer: Layer) -> Nodes:
    """One number for all channels, or one each, on the host behind the Input."""
    scale, offset = (_numbers(layer.config[name]) for name in ("scale", "offset"))
    size = np.broadcast_shapes(scale.shape, offset.shape)
    scale, offset = np.broadcast_to(scale, size), np.broadcast_to(offset, size)
    return (
        Rescale(layer.name, layer.inputs, scale=scale.copy(), offset=offset.copy()),
    )


def _numbers(given: Any) -> FloatArray:
    """A number, a list, or an array as Keras 3 writes it down."""
    if isinstance(given, Mapping):
        given = given["config"]["value"]
    return np.atleast_1d(np.asarray(given, np.float64))


def _demand_last_axis(layer: Layer) -> None:
    """Keras counts axes with that of the samples; most layers may name several."""
    given = layer.config["axis"]
    axes = list(given) if isinstance(given, list | tuple) else [given]
    if axes not in ([-1], [len(layer.shapes[0])]):
        raise layer.unsupported(
            f"axis is {', '.join(map(str, axes))}; -1 is allowed, the channels lie last"
        )


def _flatten(layer: Layer) -> Nodes:
    layer.demand("data_format", "channels_last", None)
    return (n.Flatten(layer.name, layer.inputs),)


def _reshape(layer: Layer) -> Nodes:
    """One size of the target shape may be −1: what is left."""
    shape = [int(size) for size in layer.config["target_shape"]]
    if -1 in shape:
        rest = int(np.prod(layer.shapes[0])) // max(-int(np.prod(shape)), 1)
        shape[shape.index(-1)] = rest
    return (n.Reshape(layer.name, layer.inputs, shape=tuple(shape)),)


def _concat(layer: Layer) -> Nodes:
    _demand_last_axis(layer)
    return (n.Concat(layer.name, layer.inputs),)


def _activate(layer: Layer, name: str, inputs: tuple[str, ...]) -> Nodes:
    """The node of ``activation``; none for 'linear'."""
    activation = _activation(layer)
    if activation == "linear":
        return ()
    if activation not in ACTIVATIONS:
        raise layer.unsupported(
            f"activation is {activation!r}; allowed are 'linear', 'relu' and, after "
            f"the last population, {', '.join(map(repr, list(ACTIVATIONS)[1:]))}; "
            "say 'relu' and train again"
        )
    return (ACTIVATIONS[activation](name, inputs),)


def _activation(layer: Layer) -> str:
    """Keras' name of it; of an object (a layer, a function of one's own) its class."""
    given = layer.config["activation"]
    if isinstance(given, Mapping):
        known = given["class_name"] == "function" and given["config"] in TENSORFLOWS
        given = given["config" if known else "class_name"]
    return TENSORFLOWS.get(given, str(given))


def _relu(layer: Layer) -> Nodes:
    for option in ("max_value", "negative_slope", "threshold"):
        if layer.config.get(option):
            raise layer.unsupported(
                f"{option} is {layer.config[option]}; a plain ReLU() is allowed, use "
                "it and train again"
            )
    return (n.ReLU(layer.name, layer.inputs),)


def _readout(kind: type[n.Readout]) -> Callable[[Layer], Nodes]:
    def convert(layer: Layer) -> Nodes:
        if "axis" in layer.config:
            _demand_last_axis(layer)
        layer.demand("keepdims", False, None)
        return (kind(layer.name, layer.inputs),)

    return convert


def _soft_lif(layer: Layer) -> Nodes:
    names = ("amplitude", "tau_rc", "tau_ref", "sigma")
    values = {name: float(layer.config[name]) for name in names}
    return (n.SoftLIF(layer.name, layer.inputs, **values),)


ACTIVATIONS: Mapping[str, type[Node]] = {
    "relu": n.ReLU,
    "sigmoid": n.Sigmoid,
    "tanh": n.Tanh,
    "softmax": n.Softmax,
    "log_softmax": n.LogSoftmax,
}
TENSORFLOWS = {"softmax_v2": "softmax", "log_softmax_v2": "log_softmax"}  # tf.nn's
IDENTITIES = frozenset(
    ("Dropout", "SpatialDropout2D", "GaussianDropout", "GaussianNoise")
)
"""Layers that only act in training."""

LAYERS: Mapping[str, Callable[[Layer], Nodes]] = {
    "InputLayer": _input,
    "Dense": _dense,
    "Conv2D": _conv,
    "Conv2DTranspose": _conv_transpose,
    "AveragePooling2D": _pool,
    "UpSampling2D": _upsample,
    "BatchNormalization": _batch_norm,
    "Rescaling": _rescaling,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Add": lambda layer: (n.Add(layer.name, layer.inputs),),
    "Concatenate": _concat,
    "Activation": lambda layer: _activate(layer, layer.name, layer.inputs),
    "ReLU": _relu,
    "Softmax": _readout(n.Softmax),
    "SoftLIF": _soft_lif,
}
CONVERTERS: Mapping[str, Callable[[Layer], Nodes]] = {
    **LAYERS,
    "snn_deploy>SoftLIF": _soft_lif,  # as Keras registers it
    # functions: keras.ops of Keras 3, TensorFlow's in Keras 2
    **dict.fromkeys(("Sigmoid", "tf.math.sigmoid"), _readout(n.Sigmoid)),
    **dict.fromkeys(("Tanh", "tf.math.tanh"), _readout(n.Tanh)),
    **dict.fromkeys(("tf.nn.softmax",), _readout(n.Softmax)),
    **dict.fromkeys(("LogSoftmax", "tf.nn.log_softmax"), _readout(n.LogSoftmax)),
    **dict.fromkeys(("Argmax", "tf.math.argmax"), _readout(n.Argmax)),
}
