"""Sums, differences and factors, as the nodes of a Graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....graph import nodes as n
from ....graph.node import FloatArray, Shape
from ....graph.preparation import Rescale
from .layer import Layer, Tensor, channels_first, numbers, spread

ONE, ZERO = np.ones(()), np.zeros(())


def rescaled(
    layer: Layer,
    tensor: Tensor,
    scale: FloatArray = ONE,
    offset: FloatArray = ZERO,
    part: str = "",
) -> Tensor:
    """x · scale + offset, each broadcast to Keras' shape of x."""
    for values in (scale, offset):
        tensor = channels_first(layer, tensor, values)
    try:
        fields = {"scale": spread(tensor, scale), "offset": spread(tensor, offset)}
    except ValueError:
        shapes = " and ".join(str(values.shape) for values in (scale, offset))
        raise layer.unsupported(
            "broadcasting",
            f"its constants, {shapes}, are of a larger shape than its input, "
            f"{tensor.shape}",
            "repeat the input first, or give constants of its shape",
        ) from None
    return layer.put(Rescale, tensor, part=part, **fields)


def summed(layer: Layer, tensors: tuple[Tensor, ...], part: str = "") -> Tensor:
    """Σ of tensors; a picture of one pixel is added to every pixel."""
    form = next((tensor for tensor in tensors if tensor.first), tensors[0])
    shape = np.broadcast_shapes(*(tensor.shape for tensor in tensors))
    fitted = []
    for tensor in tensors:
        if len(tensor.shape) == len(shape):
            tensor = layer.network.formed(tensor, first=form.first, line=form.line)
            tensor = _repeated(layer, tensor, shape)
        if tensor.shape != shape:
            shapes = " and ".join(str(each.shape) for each in tensors)
            raise layer.unsupported(
                "broadcasting",
                f"its inputs are {shapes}",
                "give them one shape, with a convolution of size 1 or UpSampling2D",
            )
        fitted.append(tensor)
    return layer.put(n.Add, *fitted, part=part)


def _repeated(layer: Layer, tensor: Tensor, shape: Shape) -> Tensor:
    """A picture of one row, column or pixel, as large as Keras' shape of another."""
    wanted = (*shape[1:], shape[0]) if tensor.first else shape
    wanted = (wanted[0], 1, wanted[1]) if tensor.line else wanted
    if tensor.stored == wanted or len(wanted) != 3 or tensor.stored[2] != wanted[2]:
        return tensor
    factor = tuple(large // size for large, size in zip(wanted, tensor.stored[:2]))
    return layer.put(n.Upsample2D, tensor, part="each", factor=factor)


def add(layer: Layer) -> Tensor:
    """Layer: of all its inputs."""
    return summed(layer, layer.inputs)


def average(layer: Layer) -> Tensor:
    """The mean of all its inputs."""
    total = summed(layer, layer.inputs, part="sum")
    return rescaled(layer, total, ONE / len(layer.inputs))


def plus(layer: Layer) -> Tensor:
    """Function: a + b, of which one may be a constant."""
    a, b = _operands(layer)
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return summed(layer, (a, b))
    tensor, constant = (a, b) if isinstance(a, Tensor) else (b, a)
    return rescaled(layer, tensor, offset=numbers(constant))


def minus(layer: Layer) -> Tensor:
    """a − b, of which one may be a constant."""
    a, b = _operands(layer)
    if not isinstance(b, Tensor):
        return rescaled(layer, a, offset=-numbers(b))
    if not isinstance(a, Tensor):
        return rescaled(layer, b, -ONE, numbers(a))
    return summed(layer, (a, rescaled(layer, b, -ONE, part="negative")))


def negative(layer: Layer) -> Tensor:
    """−x."""
    return rescaled(layer, layer.input, -ONE)


def times(layer: Layer) -> Tensor:
    """a · b, of which one is a constant."""
    operands = list(layer.arguments)
    constants = [given for given in operands if not isinstance(given, Tensor)]
    if len(operands) != 2 or len(constants) != 1:
        raise layer.unsupported(
            "product",
            "it multiplies signals by each other, and a neuron only adds its inputs",
            "multiply by constants, or put Add or Concatenate in its place and train "
            "again",
        )
    return rescaled(layer, layer.input, numbers(constants[0]))


def over(layer: Layer) -> Tensor:
    """a / b, b a constant."""
    a, b = _operands(layer)
    if isinstance(b, Tensor):
        raise layer.unsupported(
            "division",
            "it divides by a signal, and a neuron only adds its inputs",
            "divide by constants, or leave it out and train again",
        )
    return rescaled(layer, a, ONE / numbers(b))


def _operands(layer: Layer) -> tuple[Any, Any]:
    if len(layer.arguments) != 2 or not layer.inputs:
        raise ValueError(f"it has {len(layer.arguments)} operands")
    return layer.arguments[0], layer.arguments[1]


def rescaling(layer: Layer) -> Tensor:
    """One number for all channels, or one each."""
    scale, offset = (numbers(layer.config[name]) for name in ("scale", "offset"))
    return rescaled(layer, layer.input, scale, offset)


def normalization(layer: Layer) -> Tensor:
    """(x − mean) / max(√variance, 1e-7), along the axes it keeps; or back."""
    mean, variance = (_statistic(layer, name) for name in ("mean", "variance"))
    deviation = np.maximum(np.sqrt(variance), 1e-7)  # keras.backend.epsilon()
    if layer.config.get("invert"):
        return rescaled(layer, layer.input, deviation, mean)
    return rescaled(layer, layer.input, ONE / deviation, -mean / deviation)


def _statistic(layer: Layer, name: str) -> FloatArray:
    """Of shape (…), with sizes of 1 along the axes that are not kept."""
    given = layer.config.get(f"input_{name}", layer.config.get(name))
    values = layer.weight(name) if given is None else numbers(given)
    axes = layer.config["axis"]
    axes = axes if isinstance(axes, list | tuple) else [axes]
    kept = {layer.axis(axis) for axis in axes if axis is not None}
    whole = [size if axis in kept else 1 for axis, size in enumerate(layer.input.shape)]
    return values if values.size == 1 else values.reshape(whole)


def batch_norm(layer: Layer) -> Tensor:
    """Of the channels, wherever they lie; of another axis, a factor for each place."""
    mean = layer.weight("moving_mean")
    scale, center = layer.config["scale"], layer.config["center"]
    fields: dict[str, Any] = {
        "gamma": layer.weight("gamma") if scale else np.ones_like(mean),
        "beta": layer.weight("beta") if center else np.zeros_like(mean),
        "mean": mean,
        "variance": layer.weight("moving_variance"),
        "epsilon": float(layer.config["epsilon"]),
    }
    given = layer.config["axis"]
    (given,) = given if isinstance(given, list | tuple) else (given,)
    axis, tensor = layer.axis(given), layer.input
    last = len(tensor.shape) - 1
    if axis == last and not (tensor.first and last):
        return layer.put(n.BatchNorm, tensor, **fields)
    if axis == 0:
        line = tensor.line
        tensor = layer.network.formed(tensor, first=True, line=line)
        return layer.put(n.BatchNorm, tensor, **fields)
    norm = n.BatchNorm(layer.name, **fields)
    shape = [-1 if each == axis else 1 for each in range(last + 1)]
    factor, offset = (part.reshape(shape) for part in (norm.scale, norm.offset))
    return rescaled(layer, layer.network.plain(tensor), factor, offset)
