"""Which layer class of Keras is read, and what puts its nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ....errors import Obstacle
from ....graph import nodes as n
from ....graph.functions import MaxPool2D
from ....graph.rearranging import Slice
from ..config import kind_of
from . import activations as a
from . import arithmetic, convolutions, pooling, shaping
from .advice import ADVICE, CUSTOM, unknown
from .layer import Layer, Tensor

Convert = Callable[[Layer], Tensor]
LONGEST = 1024  # places of a sequence that are taken one by one


def obstacle(layer: Layer) -> Obstacle | None:
    """Why a layer has no equivalent by its class; None where it has one."""
    kind = layer.kind
    if kind in CONVERTERS or kind in IDENTITIES:
        return None
    advice = ADVICE.get(kind)
    if advice is None:
        own = ">" in kind
        advice = CUSTOM if own else unknown(", ".join(sorted({*LAYERS, *IDENTITIES})))
    found = {"id": advice.id, "why": advice.why, "fix": advice.fix}
    return Obstacle(layer=layer.name, kind=kind, **found)


def convert(layer: Layer) -> Tensor:
    """What a layer gives, its nodes put in order of flow; its input, if it has none.

    Raises:
        UnsupportedLayer: the layer, or one of its options, has no equivalent.
        ModelError: a weight is missing.
    """
    if layer.kind in IDENTITIES:
        return layer.inputs[0]
    _refuse_quantized(layer)
    tensor = CONVERTERS[layer.kind](layer)
    if layer.kind == "Activation" or layer.config.get("activation") is None:
        return tensor
    return a.activate(layer, tensor)


def _refuse_quantized(layer: Layer) -> None:
    policy = layer.config.get("dtype") or ""
    name = policy["class_name"] if isinstance(policy, Mapping) else str(policy)
    if "Quantized" in name or "_from_" in name:  # Keras 3.3: int8_from_float32
        raise layer.unsupported(
            "quantized-layer",
            "Keras has quantized it",
            "give the model as it was before model.quantize",
        )


def _time_distributed(layer: Layer) -> Tensor:
    """The same layer at every place of a sequence: at once, or a node for each."""
    entry = layer.config["layer"]
    inner = replace(layer, kind=kind_of(entry), config=entry["config"])
    if "layers" in inner.config or obstacle(inner):
        raise layer.unsupported(
            "time-distributed",
            f"it repeats {inner.kind}, which is no layer that can be read by itself",
            "repeat layers one by one, each with a TimeDistributed of its own",
        )
    tensor = layer.network.plain(layer.input)
    places, *shape = tensor.stored
    if inner.kind in AT_ONCE or inner.kind in IDENTITIES:
        return convert(replace(inner, arguments=(tensor,)))
    if places > LONGEST:
        raise layer.unsupported(
            "time-distributed",
            f"it repeats {inner.kind} {places} times",
            f"at most {LONGEST} are allowed",
        )
    ends = [0] * len(shape)
    given = []
    for place in range(places):
        each = replace(inner, name=f"{layer.name}.place{place}")
        box = {"start": (place, *ends), "stop": (place + 1, *shape)}
        one = each.put(Slice, tensor, part="in", **box)
        one = each.put(n.Reshape, one, part="one", shape=tuple(shape))
        one = layer.network.plain(convert(replace(each, arguments=(one,))))
        given.append(each.put(n.Flatten, one, part="flat"))
    together = layer.put(n.Concat, *given, part="whole")
    return layer.put(n.Reshape, together, shape=(places, *one.stored))


def _same(layer: Layer) -> Tensor:
    return layer.inputs[0]


IDENTITIES = frozenset(
    (
        *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianDropout"),
        *("GaussianNoise", "AlphaDropout", "ActivityRegularization", "Identity"),
        *("RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation"),
        *("RandomContrast", "RandomBrightness"),
    )
)
"""Layers that only act in training."""

LAYERS: Mapping[str, Convert] = {
    "Dense": convolutions.dense,
    **dict.fromkeys(("Conv1D", "Conv2D"), convolutions.conv),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), convolutions.depthwise),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), convolutions.separable),
    **dict.fromkeys(
        ("Conv1DTranspose", "Conv2DTranspose"), convolutions.conv_transpose
    ),
    **dict.fromkeys(("UpSampling1D", "UpSampling2D"), convolutions.upsample),
    "RepeatVector": convolutions.repeat,
    **dict.fromkeys(("AveragePooling1D", "AveragePooling2D"), pooling.average_pool),
    **dict.fromkeys(("MaxPooling1D", "MaxPooling2D"), pooling.max_pool),
    **dict.fromkeys(
        ("GlobalAveragePooling1D", "GlobalAveragePooling2D"),
        pooling.global_pool(n.AvgPool2D),
    ),
    **dict.fromkeys(
        ("GlobalMaxPooling1D", "GlobalMaxPooling2D"), pooling.global_pool(MaxPool2D)
    ),
    **dict.fromkeys(("ZeroPadding1D", "ZeroPadding2D"), pooling.pad),
    **dict.fromkeys(("Cropping1D", "Cropping2D"), pooling.crop),
    "BatchNormalization": arithmetic.batch_norm,
    "Normalization": arithmetic.normalization,
    "Rescaling": arithmetic.rescaling,
    "Add": arithmetic.add,
    "Average": arithmetic.average,
    "Subtract": arithmetic.minus,
    "Concatenate": shaping.concatenate,
    "Flatten": shaping.flatten,
    "Reshape": shaping.reshape,
    "Permute": shaping.permute,
    "TimeDistributed": _time_distributed,
    "Activation": a.activation_layer,
    "ReLU": a.relu,
    "LeakyReLU": a.leaky_relu,
    "PReLU": a.prelu,
    "ELU": a.elu,
    "Softmax": a.softmax(n.Softmax),
    "SoftLIF": a.soft_lif,
}
"""Layer class → what puts its nodes."""

PLAIN: Mapping[str, Any] = {
    "activation": "linear",
    "interpolation": "nearest",
    "negative_slope": 0.0,
    "threshold": 0.0,
}
"""Options that are read, in place of any that are refused: shapes stay the same."""

AT_ONCE = frozenset(("Dense", "Activation", "ReLU", "LeakyReLU", "ELU", "Rescaling"))
"""Layers that do the same at every place without being told."""

FUNCTIONS: Mapping[tuple[str, ...], Convert] = {
    ("Add", "math.add", "__operators__.add", "math.add_n"): arithmetic.plus,
    ("Subtract", "math.subtract"): arithmetic.minus,
    ("Multiply", "math.multiply"): arithmetic.times,
    ("Divide", "TrueDivide", "math.divide", "math.truediv"): arithmetic.over,
    ("Negative", "math.negative"): arithmetic.negative,
    ("Mean", "math.reduce_mean"): pooling.mean,
    ("Concatenate", "concat"): shaping.concatenate,
    ("Reshape", "reshape"): shaping.reshape_function,
    ("Transpose", "transpose", "compat.v1.transpose"): shaping.transpose_function,
    ("GetItem", "__operators__.getitem"): shaping.slices,
    ("Pad", "pad", "compat.v1.pad"): shaping.pad_function,
    ("Clip", "clip_by_value"): a.clip,
    ("ReLU",): a.relu,
    ("LeakyRelu", "nn.leaky_relu"): a.leaky_relu,
    ("Elu", "nn.elu"): a.elu,
    ("Gelu", "nn.gelu"): a.gelu,
    ("Softmax", "nn.softmax"): a.softmax(n.Softmax),
    ("LogSoftmax", "nn.log_softmax"): a.softmax(n.LogSoftmax),
    ("Argmax", "math.argmax"): a.argmax,
    ("Relu", "nn.relu"): a.function("relu"),
    ("Relu6", "nn.relu6"): a.function("relu6"),
    ("Sigmoid", "math.sigmoid", "nn.sigmoid"): a.function("sigmoid"),
    ("Tanh", "math.tanh", "nn.tanh"): a.function("tanh"),
    ("Silu", "nn.silu", "nn.swish"): a.function("silu"),
    ("Selu", "nn.selu"): a.function("selu"),
    ("Softplus", "math.softplus", "nn.softplus"): a.function("softplus"),
    ("Softsign", "nn.softsign"): a.function("softsign"),
    ("Exp", "math.exp"): a.function("exponential"),
    ("HardSigmoid",): a.function("hard_sigmoid"),
    ("HardSilu",): a.function("hard_silu"),
    ("HardTanh",): a.function("hard_tanh"),
    ("LogSigmoid",): a.function("log_sigmoid"),
    ("Mish",): a.function("mish"),
    ("Cast", "StopGradient", "Identity", "cast", "stop_gradient", "identity"): _same,
}
"""Functions: classes of keras.ops in Keras 3, names in tf of Keras 2."""

CONVERTERS: Mapping[str, Convert] = {
    **LAYERS,
    "snn_deploy>SoftLIF": a.soft_lif,  # as Keras registers it
    **{
        f"{'ops' if name[0].isupper() else 'tf'}.{name}": put
        for names, put in FUNCTIONS.items()
        for name in names
    },
}
