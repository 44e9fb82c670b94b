"""Activations: inside a layer, as a layer and as functions, as the nodes of a Graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ....graph import nodes as n
from ....graph.functions import Elementwise, LeakyReLU
from ....graph.node import FloatArray, Node
from ....graph.preparation import Rescale
from ....graph.rearranging import Permute
from .layer import Layer, Tensor, numbers, spread

Activation = Callable[[Layer, Tensor], Tensor]


def activate(layer: Layer, tensor: Tensor) -> Tensor:
    """The activation given inside a layer, as the node ``<layer>_<activation>``.

    Raises:
        UnsupportedLayer: it has no equivalent.
    """
    given = layer.config["activation"]
    name = activation_of(given)
    demand_activation(layer)
    inner = replace(layer, name=f"{layer.name}_{name}", arguments=(tensor,))
    if name in ACTIVATION_LAYERS:
        inner = replace(inner, kind=name, config=given["config"])
        return ACTIVATION_LAYERS[name](inner)
    return ACTIVATIONS[name](inner, tensor)


def activation_layer(layer: Layer) -> Tensor:
    """Activation("…")."""
    demand_activation(layer)
    return ACTIVATIONS[activation_of(layer.config["activation"])](layer, layer.input)


def demand_activation(layer: Layer) -> None:
    """Raise UnsupportedLayer where its activation has no equivalent."""
    given = layer.config.get("activation")
    name = activation_of(given)
    an_object = isinstance(given, Mapping) and layer.kind != "Activation"
    if given is None or name in ACTIVATIONS:
        return
    if not an_object or name not in ACTIVATION_LAYERS:
        raise layer.unsupported(
            "activation",
            f"activation is {name!r}; allowed are 'relu', what the host computes "
            f"after the last population ({', '.join(READOUTS)}) and what is replaced "
            f"on request ({', '.join(SMOOTH)})",
            "say 'relu' and train again",
        )


def activation_of(given: Any) -> str:
    """Keras' name of it; of an object (a layer, a function of one's own) its class."""
    if isinstance(given, Mapping):
        known = given["class_name"] == "function" and given["config"] in TENSORFLOWS
        package = str(given.get("module") or "keras").split(".")[0]
        own = package not in ("keras", "tf_keras", "builtins")
        own = own or ">" in str(given.get("registered_name"))
        prefix = f"{package}>" if own else ""
        given = prefix + given["config" if known else "class_name"]
    return TENSORFLOWS.get(given, str(given))


def along(
    layer: Layer, tensor: Tensor, axes: Sequence[int], kind: type[Node]
) -> Tensor:
    """A node that works along the last axis, along others of Keras' shape."""
    last = len(tensor.shape) - 1
    if list(axes) == [0 if tensor.first else last]:
        return layer.put(kind, tensor)
    plain = layer.network.plain(tensor)
    if list(axes) == [last]:
        return layer.put(kind, plain)
    order = [axis for axis in range(last + 1) if axis not in axes] + list(axes)
    moved = layer.put(Permute, plain, part="turned", axes=tuple(order))
    shape = moved.stored
    if len(axes) > 1:
        flat = (*shape[: -len(axes)], int(np.prod(shape[-len(axes) :])))
        moved = layer.put(n.Reshape, moved, part="flat", shape=flat)
    moved = layer.put(kind, moved, part="each")
    if len(axes) > 1:
        moved = layer.put(n.Reshape, moved, part="whole", shape=shape)
    back = tuple(order.index(axis) for axis in range(last + 1))
    return layer.put(Permute, moved, axes=back)


def _axes(layer: Layer) -> list[int]:
    given = layer.config.get("axis", -1)
    given = given if isinstance(given, list | tuple) else [given]
    return sorted({layer.axis(-1 if axis is None else axis) for axis in given})


def softmax(kind: type[n.Readout]) -> Callable[[Layer], Tensor]:
    """Along the axes that the config names, the last where it names none."""
    return lambda layer: along(layer, layer.input, _axes(layer), kind)


def argmax(layer: Layer) -> Tensor:
    """Index of the largest along an axis."""
    layer.demand("keepdims", False, None)
    (axis,), tensor = _axes(layer), layer.input
    last = len(tensor.shape) - 1
    if axis == 0 and tensor.first and not tensor.line:
        return layer.put(n.Argmax, tensor).bare
    tensor = layer.network.plain(tensor)
    if axis != last:
        order = tuple(each for each in range(last + 1) if each != axis) + (axis,)
        tensor = layer.put(Permute, tensor, part="turned", axes=order)
    return layer.put(n.Argmax, tensor)


def relu(layer: Layer) -> Tensor:
    """ReLU with an upper bound, or with a slope below 0, not with both."""
    bound, threshold = layer.config.get("max_value"), layer.config.get("threshold")
    slope = layer.config.get("negative_slope")
    if threshold:
        raise layer.unsupported(
            "relu-threshold",
            f"threshold is {threshold}, where it jumps; a neuron's rate rises from 0",
            "leave it out, say a bias before a plain ReLU() and train again",
        )
    if slope and bound is not None:
        raise layer.unsupported(
            "leaky-relu-bound",
            f"it has a negative_slope, {slope}, and a max_value, {bound}",
            "say ReLU(max_value) and train again",
        )
    if slope:
        return _leaky(layer, layer.input, numbers(slope))
    ceiling = None if bound is None else float(bound)
    return layer.put(n.ReLU, layer.input, ceiling=ceiling)


def _leaky(layer: Layer, tensor: Tensor, slope: FloatArray) -> Tensor:
    """A plain ReLU where the slope is 0 everywhere."""
    if not slope.any():
        return layer.put(n.ReLU, tensor)
    return layer.put(LeakyReLU, tensor, slope=spread(tensor, slope))


def leaky_relu(layer: Layer) -> Tensor:
    """Keras 2 calls its slope alpha."""
    names = ("negative_slope", "alpha")
    slope = next(layer.config[name] for name in names if name in layer.config)
    return _leaky(layer, layer.input, numbers(slope))


def prelu(layer: Layer) -> Tensor:
    """A slope for each value, or for what shared_axes leave."""
    return _leaky(layer, layer.input, layer.weight("alpha"))


def elu(layer: Layer) -> Tensor:
    """With alpha: alpha · ELU(x) + (1 − alpha) · ReLU(x)."""
    alpha = float(layer.config.get("alpha", 1.0))
    if alpha == 1:
        return layer.put(Elementwise, layer.input, function="elu")
    below = layer.put(Elementwise, layer.input, part="elu", function="elu")
    above = layer.put(n.ReLU, layer.input, part="relu")
    below = _times(layer, below, alpha, part="below")
    above = _times(layer, above, 1 - alpha, part="above")
    return layer.put(n.Add, below, above)


def gelu(layer: Layer) -> Tensor:
    """Exact, or by tanh."""
    function = "gelu_tanh" if layer.config.get("approximate") else "gelu"
    return layer.put(Elementwise, layer.input, function=function)


def clip(layer: Layer) -> Tensor:
    """Between 0 and a bound, as a function."""
    bounds = [
        numbers(layer.config.get(new, layer.config.get(old)))
        for new, old in (("x_min", "clip_value_min"), ("x_max", "clip_value_max"))
    ]
    if any(bound.size != 1 for bound in bounds) or bounds[0] != 0:
        raise layer.unsupported(
            "clip",
            "it cuts off at other values than 0 and a bound",
            "say ReLU(max_value) and train again",
        )
    return layer.put(n.ReLU, layer.input, ceiling=float(bounds[1]))


def soft_lif(layer: Layer) -> Tensor:
    """Our own neurons, as they are trained."""
    names = ("amplitude", "tau_rc", "tau_ref", "sigma")
    values: dict[str, Any] = {name: float(layer.config[name]) for name in names}
    return layer.put(n.SoftLIF, layer.input, **values)


def function(name: str) -> Callable[[Layer], Tensor]:
    """An activation called as a function."""
    return lambda layer: ACTIVATIONS[name](layer, layer.input)


def _times(
    layer: Layer, tensor: Tensor, scale: float, offset: float = 0.0, part: str = ""
) -> Tensor:
    fields = {"scale": np.array([scale]), "offset": np.array([offset])}
    return layer.put(Rescale, tensor, part=part, **fields)


def _hard_sigmoid(layer: Layer, tensor: Tensor) -> Tensor:
    """Keras 2's rises by 0.2, that of Keras 3 by 1 / 6."""
    if layer.network.old:
        tensor = _times(layer, tensor, 1.2, part="steeper")
    return layer.put(Elementwise, tensor, function="hard_sigmoid")


def _hard_tanh(layer: Layer, tensor: Tensor) -> Tensor:
    """Between −1 and 1: that of a bounded ReLU, moved."""
    raised = _times(layer, tensor, 1.0, 1.0, part="raised")
    return _times(layer, layer.put(n.ReLU, raised, part="relu", ceiling=2.0), 1.0, -1.0)


def _log_sigmoid(layer: Layer, tensor: Tensor) -> Tensor:
    """−softplus(−x)."""
    turned = _times(layer, tensor, -1.0, part="negative")
    soft = layer.put(Elementwise, turned, part="softplus", function="softplus")
    return _times(layer, soft, -1.0)


def _node(kind: type[Node], **fields: Any) -> Activation:
    return lambda layer, tensor: layer.put(kind, tensor, **fields)


def _last(kind: type[Node]) -> Activation:
    return lambda layer, tensor: along(layer, tensor, [len(tensor.shape) - 1], kind)


READOUTS: Mapping[str, Activation] = {
    "sigmoid": _node(n.Sigmoid),
    "tanh": _node(n.Tanh),
    "softmax": _last(n.Softmax),
    "log_softmax": _last(n.LogSoftmax),
}
SMOOTH: Mapping[str, Activation] = {
    **{
        name: _node(Elementwise, function=name)
        for name in ("elu", "exponential", "gelu", "mish", "selu", "silu")
    },
    **{name: _node(Elementwise, function=name) for name in ("softplus", "softsign")},
    "swish": _node(Elementwise, function="silu"),
    "hard_silu": _node(Elementwise, function="hard_swish"),
    "hard_swish": _node(Elementwise, function="hard_swish"),
    "hard_sigmoid": _hard_sigmoid,
    "hard_tanh": _hard_tanh,
    "log_sigmoid": _log_sigmoid,
    "leaky_relu": lambda layer, tensor: _leaky(layer, tensor, np.array([0.2])),
}
ACTIVATIONS: Mapping[str, Activation] = {
    "linear": lambda layer, tensor: tensor,
    "relu": _node(n.ReLU),
    "relu6": _node(n.ReLU, ceiling=6.0),
    **READOUTS,
    **SMOOTH,
}
"""Keras' name → what puts its node."""

TENSORFLOWS = {"softmax_v2": "softmax", "log_softmax_v2": "log_softmax"}  # tf.nn's
ACTIVATION_LAYERS: Mapping[str, Callable[[Layer], Tensor]] = {
    "ReLU": relu,
    "LeakyReLU": leaky_relu,
    "ELU": elu,
    "Softmax": softmax(n.Softmax),
}
"""Layer classes that may be given as the activation of a layer."""
