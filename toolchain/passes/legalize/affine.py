"""What lies between populations, as sums of linear maps and a bias."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ...graph.nodes import FloatArray, Shape
from .compose import (
    LinearMap,
    Weighted,
    add,
    apply,
    as_dense,
    compose,
    embed,
    identity,
    unbiased,
)

_CONSTANT = 1e-12  # relative; by so much may a channel's bias vary between pixels


@dataclass(frozen=True, eq=False)
class Affine:
    """y = Σ map(x) + bias over the synapses x; without a map, y is x itself.

    A synapse has the name of its Lowpass, or of its population where it has none yet.
    ``bias`` has y's shape.
    """

    maps: Mapping[str, LinearMap | None]
    bias: FloatArray

    @property
    def shape(self) -> Shape:
        """Shape of y."""
        return self.bias.shape

    def explicit(self, name: str) -> dict[str, LinearMap]:
        """The maps, an identity called ``name`` where there is none."""
        return {x: m or identity(self.shape, name) for x, m in self.maps.items()}


def through(value: Affine, node: Weighted) -> Affine:
    """node(y)."""
    bias = apply(node, value.bias[None])[0]
    start = LinearMap(unbiased(node), value.shape, bias.shape, (node.name,))
    maps = {x: compose(m, node) if m else start for x, m in value.maps.items()}
    return Affine(maps, bias)


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
    """The maps, the bias on the first that can hold it."""
    for x, linear in maps.items():
        flat = bias.reshape(-1, linear.node.bias.size)
        spread = np.abs(flat - flat[:1]).max()
        if spread <= _CONSTANT * np.abs(flat).max():
            node = replace(linear.node, bias=flat[0].copy())
            return maps | {x: replace(linear, node=node)}
    x, linear = next(iter(maps.items()))
    dense = as_dense(linear)
    return maps | {x: replace(dense, node=replace(dense.node, bias=bias.ravel()))}
