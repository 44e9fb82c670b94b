"""Layers that pool, pad and crop, as the nodes of a Graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ....graph import nodes as n
from ....graph.functions import MaxPool2D
from ....graph.node import Node, Padding, Pair
from ....graph.rearranging import Pad2D, Slice
from .convolutions import NO_PADDING, padding_of
from .layer import Layer, Tensor


def average_pool(layer: Layer) -> Tensor:
    """The mean of what of a window lies in the picture."""
    image, pool, stride, padding = _window(layer)
    inside = padding != NO_PADDING
    fields: dict[str, Any] = {
        "pool": pool,
        "stride": stride,
        "padding": padding,
        "inside": inside,
    }
    return layer.put(n.AvgPool2D, image, **fields)


def max_pool(layer: Layer) -> Tensor:
    """The largest of what of a window lies in the picture."""
    image, pool, stride, padding = _window(layer)
    return layer.put(MaxPool2D, image, pool=pool, stride=stride, padding=padding)


def _window(layer: Layer) -> tuple[Tensor, Pair, Pair, Padding]:
    image, pool = layer.picture(), layer.pair("pool_size")
    stride = layer.pair("strides") if layer.config["strides"] else pool
    return image, pool, stride, padding_of(layer, image, pool, stride)


def global_pool(kind: type[Node]) -> Callable[[Layer], Tensor]:
    """Over the whole picture or sequence."""

    def convert(layer: Layer) -> Tensor:
        return pool_all(
            layer, layer.picture(), kind, bool(layer.config.get("keepdims"))
        )

    return convert


def pool_all(layer: Layer, image: Tensor, kind: type[Node], keep: bool) -> Tensor:
    """(height, width, channels) → (channels,), or with sizes of 1 before them."""
    size = image.stored[:2]
    part = "" if keep else "pool"
    pooled = layer.put(kind, image, part=part, pool=size, stride=size)
    return pooled if keep else layer.put(n.Flatten, pooled.bare)


def pad(layer: Layer) -> Tensor:
    """Zeros around it."""
    return layer.put(Pad2D, layer.picture(), padding=_sides(layer, "padding"))


def crop(layer: Layer) -> Tensor:
    """Without its sides."""
    image, sides = layer.picture(), _sides(layer, "cropping")
    stop = [size - side[1] for size, side in zip(image.stored, sides)]
    start = (sides[0][0], sides[1][0], 0)
    return layer.put(Slice, image, start=start, stop=(*stop, image.stored[2]))


def _sides(layer: Layer, name: str) -> Padding:
    given = layer.config[name]
    if layer.flat:
        return _ends(given), (0, 0)
    rows, columns = given
    return _ends(rows), _ends(columns)


def _ends(given: Any) -> Pair:
    """Two numbers, or one for both ends."""
    before, after = given if isinstance(given, list | tuple) else (given, given)
    return int(before), int(after)


def mean(layer: Layer) -> Tensor:
    """A mean over space, as a function; others are no pooling."""
    tensor, axes = layer.input, layer.config["axis"]
    axes = axes if isinstance(axes, list | tuple) else [axes]
    over = {layer.axis(axis) for axis in axes if axis is not None}
    rank = len(tensor.shape)
    first = over == set(range(1, rank))
    if rank not in (2, 3) or not (first or over == set(range(rank - 1))):
        raise layer.unsupported(
            "mean",
            f"it takes the mean over the axes {axes}",
            "take it over height and width, as GlobalAveragePooling2D does",
        )
    line = rank == 2
    image = layer.network.formed(tensor, first=first, line=line)
    keep = bool(layer.config.get("keepdims"))
    pooled = pool_all(layer, image, n.AvgPool2D, keep)
    return replace(pooled, first=first, line=line) if keep else pooled
