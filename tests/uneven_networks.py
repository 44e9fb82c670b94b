"""Networks whose channels differ in strength, and what one scale makes of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import numpy as np

from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.quantize import scales as choosing


@contextmanager
def one_scale() -> Iterator[None]:
    """Every population with one scale for all of its channels."""

    def smallest(largest: n.FloatArray, _: object) -> n.FloatArray:
        return np.full_like(largest, largest.min())

    with mock.patch.object(choosing, "grouped", smallest):
        yield


def uneven(kind: type[n.LIF | n.IF], seed: int, floor: float = 0.0) -> Graph:
    """Convolutions and a dense layer whose channels differ by factors up to 30."""
    rng = np.random.default_rng(seed)
    unit = 60.0 if kind is n.IF else 1.0  # of J: Hz, or thresholds

    def weights(*shape: int) -> dict[str, n.FloatArray]:
        strength = np.exp(rng.uniform(0, math.log(30), shape[-1])) / 10
        weight = rng.normal(size=shape) * 3 / math.sqrt(math.prod(shape[:-1]))
        bias = rng.normal(0.8, 0.5, shape[-1])
        return {"weight": unit * weight * strength, "bias": unit * bias}

    same, how = ((1, 1), (1, 1)), {"amplitude": 0.01, "min_voltage": floor}
    graph = Graph(
        (
            n.Input("x", shape=(6, 6, 2)),
            n.Conv2D("a", ("x",), padding=same, **weights(3, 3, 2, 4)),
            kind("A", ("a",), **how),
            n.Conv2D("b", ("A",), stride=(2, 2), **weights(3, 3, 4, 9)),
            kind("B", ("b",), **how),
            n.ConvTranspose2D("c", ("B",), **weights(3, 3, 9, 5)),
            kind("C", ("c",), **how),
            n.Flatten("flat", ("C",)),
            n.Dense("d", ("flat",), **weights(80, 12)),
            kind("D", ("d",), **how),
            n.Output("y", ("D",)),
        )
    )
    return legalize(graph, 0.005)


def pictures(seed: int = 1, count: int = 3) -> n.FloatArray:
    return np.random.default_rng(seed).random((count, 6, 6, 2))
