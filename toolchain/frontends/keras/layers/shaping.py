"""Layers that move values and compute nothing, as the nodes of a Graph."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ....errors import UnsupportedLayer
from ....graph import nodes as n
from ....graph.rearranging import Pad2D, Permute, Slice
from .layer import Layer, Tensor


def flatten(layer: Layer) -> Tensor:
    """In the order of Keras' shape; channels last where it says that they are first."""
    tensor = layer.input
    if layer.first and len(tensor.shape) > 1:
        tensor = layer.network.formed(tensor, first=True, line=tensor.line)
    else:
        tensor = layer.network.ordered(tensor)
    return layer.put(n.Flatten, tensor.bare)


def reshape(layer: Layer, target: Sequence[Any] | None = None) -> Tensor:
    """One size of the target shape may be −1: what is left."""
    given = layer.config["target_shape"] if target is None else target
    shape = [int(size) for size in given]
    tensor = layer.network.ordered(layer.input)
    if -1 in shape:
        rest = math.prod(tensor.stored) // max(-math.prod(shape), 1)
        shape[shape.index(-1)] = rest
    return layer.put(n.Reshape, tensor.bare, shape=tuple(shape))


def reshape_function(layer: Layer) -> Tensor:
    """Function: its shape has the samples in it."""
    names = ("newshape", "shape")
    _, *shape = next(layer.config[name] for name in names if name in layer.config)
    return reshape(layer, shape)


def permute(layer: Layer) -> Tensor:
    """Keras counts axes from 1; between the two places of channels nothing moves."""
    return _permuted(layer, [int(axis) - 1 for axis in layer.config["dims"]])


def transpose_function(layer: Layer) -> Tensor:
    """Function: its axes have the samples in them."""
    names = ("axes", "perm")
    given = next(layer.config[name] for name in names if name in layer.config)
    if given is None or int(given[0]) != 0:
        raise layer.unsupported(
            "transpose", "it moves samples", "leave the first axis where it is"
        )
    return _permuted(layer, [int(axis) - 1 for axis in given[1:]])


def _permuted(layer: Layer, axes: Sequence[int]) -> Tensor:
    tensor, last = layer.input, len(layer.input.shape) - 1
    if sorted(axes) != list(range(last + 1)):
        raise ValueError(f"its axes are {axes}")
    if tensor.line and list(axes) != [1, 0]:
        tensor = layer.network.plain(tensor)
    if list(axes) == [*range(1, last + 1), 0] and tensor.first:
        return replace(tensor, first=False)
    if list(axes) == [last, *range(last)] and not tensor.first:
        return replace(tensor, first=last > 0)
    plain = layer.network.plain(tensor)
    return layer.put(Permute, plain, axes=tuple(axes))


def concatenate(layer: Layer) -> Tensor:
    """Along any axis: where it is not the last one stored, with it turned there."""
    first, *rest = layer.inputs
    axis, last = layer.axis(), len(first.shape) - 1
    if not rest:
        return first
    network = layer.network
    if axis == last or axis == 0:
        turned = axis == 0 and last > 0
        tensors = [
            network.formed(tensor, first=turned, line=first.line)
            for tensor in layer.inputs
        ]
        return layer.put(n.Concat, *tensors)
    order = tuple(each for each in range(last + 1) if each != axis) + (axis,)
    tensors = [
        layer.put(Permute, network.plain(tensor), part="turned", axes=order)
        for tensor in layer.inputs
    ]
    whole = layer.put(n.Concat, *tensors, part="whole")
    back = tuple(order.index(each) for each in range(last + 1))
    return layer.put(Permute, whole, axes=back)


def slices(layer: Layer) -> Tensor:
    """x[:, a:b, …], as a function; an index leaves its axis out."""
    tensor = layer.network.plain(layer.input)
    constants = (each for each in layer.arguments if not isinstance(each, Tensor))
    given = layer.config.get("slice_spec") or next(constants)
    spec = [_range(layer, each) for each in (given if _many(given) else [given])]
    if spec[0] != slice(None):
        raise _no_range(layer)
    shape = tensor.stored
    spec = spec[1:] + [slice(None)] * (len(shape) - len(spec) + 1)
    if len(spec) > len(shape):
        raise ValueError("it takes more axes than there are")
    ranges = [
        each.indices(size)
        if isinstance(each, slice)
        else (each % size, each % size + 1)
        for each, size in zip(spec, shape)
    ]
    start, stop = (tuple(ends[i] for ends in ranges) for i in (0, 1))
    kept = tuple(
        b - a for each, a, b in zip(spec, start, stop) if isinstance(each, slice)
    )
    if len(kept) == len(shape):
        return layer.put(Slice, tensor, start=start, stop=stop)
    box = layer.put(Slice, tensor, part="box", start=start, stop=stop)
    return layer.put(n.Reshape, box, shape=kept)


def _many(given: Any) -> bool:
    return isinstance(given, list | tuple)


def _range(layer: Layer, given: Any) -> slice | int:
    """A slice as a config holds it, or an index."""
    if isinstance(given, int):
        return given
    if not isinstance(given, Mapping):  # an ellipsis, a new axis
        raise _no_range(layer)
    ends = given.get("config", given)
    if ends["step"] not in (None, 1):
        raise _no_range(layer)
    return slice(ends["start"], ends["stop"])


def _no_range(layer: Layer) -> UnsupportedLayer:
    return layer.unsupported(
        "slice",
        "it takes other values than ranges of neighbours of a sample",
        "take ranges x[:, a:b] of it, and join them with Concatenate",
    )


def pad_function(layer: Layer) -> Tensor:
    """Zeros around a picture's height and width."""
    names = ("pad_width", "paddings")
    given = next(layer.config[name] for name in names if name in layer.config)
    ends = [(int(before), int(after)) for before, after in given]
    mode = str(layer.config.get("mode", "constant")).lower()
    rank = len(layer.input.shape)
    value = layer.config.get("constant_values")
    others = (ends[0], ends[-1]) if rank == 3 else ends
    if mode != "constant" or value or rank != 3 or any(map(any, others)):
        raise layer.unsupported(
            "padding",
            "it pads with other values than 0, or other axes than height and width",
            "say ZeroPadding2D and train again",
        )
    image = layer.network.formed(layer.input, first=False)
    return layer.put(Pad2D, image, padding=(ends[1], ends[2]))
