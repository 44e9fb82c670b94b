"""What lies between populations, as sums of linear maps and a bias."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ...graph.nodes import FloatArray, Shape
from ...graph.rearranging import Permute, Slice
from .compose import (
    LinearMap,
    Weighted,
    add,
    apply,
    compose,
    embed,
    identity,
    permuted,
    scaled,
    sliced,
    unbiased,
)

_CONSTANT = 1e-12  # relative; by so much may a channel's bias vary between pixels


@dataclass(frozen=True, eq=False)
class Affine:
    """y = Σ map(x) + host + bias over the synapses x; without a map, y is x itself.

    A synapse has the name of its Lowpass, or of its population where it has none yet.
    ``host`` is the node whose value the host adds, None for none. ``bias`` has y's
    shape.
    """

    maps: Mapping[str, LinearMap | None]
    bias: FloatArray
    host: str | None = None

    @property
    def shape(self) -> Shape:
        """Shape of y."""
        return self.bias.shape

    def explicit(self, name: str) -> dict[str, LinearMap]:
        """The maps, an identity called ``name`` where there is none."""
        return {x: m or identity(self.shape, name) for x, m in self.maps.items()}


def through(value: Affine, node: Weighted) -> Affine:
    """node(y), without what the host adds."""
    bias = apply(node, value.bias[None])[0]
    start = LinearMap(unbiased(node), value.shape, bias.shape, (node.name,))
    maps = {x: compose(m, node) if m else start for x, m in value.maps.items()}
    return Affine(maps, bias)


def times(value: Affine, scale: FloatArray, offset: FloatArray, name: str) -> Affine:
    """scale · y + offset, both of y's shape, without what the host adds."""
    explicit = {x: m or identity(value.shape, name) for x, m in value.maps.items()}
    maps = {x: scaled(m, scale, name) for x, m in explicit.items()}
    return Affine(maps, value.bias * scale + offset)


def moved(value: Affine, node: Permute | Slice) -> Affine:
    """y with its axes in another order, or a box of it, without what the host adds."""
    maps = {}
    for x, linear in value.explicit(node.name).items():
        if isinstance(node, Permute):
            maps[x] = permuted(linear, node.axes, node.name)
        else:
            maps[x] = sliced(linear, node)
    return Affine(maps, apply(node, value.bias[None])[0])


def reshaped(value: Affine, shape: Shape) -> Affine:
    """y in another shape, in C order."""
    maps = {x: replace(m, output=shape) if m else m for x, m in value.maps.items()}
    return Affine(maps, value.bias.reshape(shape))


def added(values: list[Affine], name: str) -> Affine:
    """The sum, in a node called ``name``."""
    maps: dict[str, LinearMap] = {}
    for value in values:
        for x, linear in value.explicit(name).items():
            known = maps.get(x)
            maps[x] = add(known, linear) if known else linear
    return Affine(maps, np.sum([value.bias for value in values], axis=0))


def concatenated(values: list[Affine], name: str) -> Affine:
    """One after the other along the last axis, in a node called ``name``."""
    widths = [value.shape[-1] for value in values]
    parts = []
    for i, value in enumerate(values):
        before, after = sum(widths[:i]), sum(widths[i + 1 :])
        explicit = value.explicit(name).items()
        wide = [(0, 0)] * (value.bias.ndim - 1) + [(before, after)]
        maps = {x: embed(linear, before, after) for x, linear in explicit}
        parts.append(Affine(maps, np.pad(value.bias, wide)))
    return added(parts, name)


def with_bias(maps: dict[str, LinearMap], bias: FloatArray) -> dict[str, LinearMap]:
    """The maps, the bias on the first: one a channel, or one a neuron where it must."""
    x, linear = next(iter(maps.items()))
    node, flat = linear.node, bias.reshape(-1, linear.node.weight.shape[-1])
    spread = np.abs(flat - flat[:1]).max()
    held = flat[0].copy()
    if spread > _CONSTANT * np.abs(flat).max():
        held = bias.reshape(linear.natural)
    return maps | {x: replace(linear, node=replace(node, bias=held))}
