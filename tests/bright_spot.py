"""A task that is learnt in seconds: where the bright spot of a picture is."""

from __future__ import annotations

import math

import numpy as np

from snn_deploy.models.cotraining.hybrid import HybridNetwork
from snn_deploy.models.cotraining.rate_control import Band
from snn_deploy.models.cotraining.recipe import Recipe
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.quantize.quantize import scales_of

RECIPE = Recipe(steps=24, epochs=4, learning_rate=0.01, band=Band(weight=0.0))


def task(count: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Where the bright spot of a 6 × 6 picture is: its row and column, 0 … 1."""
    rng = np.random.default_rng(0)
    places = rng.integers(1, 5, (count, 2))
    x = rng.random((count, 6, 6, 1)) * 0.2
    for picture, (row, column) in zip(x, places):
        picture[row - 1 : row + 2, column - 1 : column + 2] += 1.0
    return x.astype(np.float32), (places / 5).astype(np.float32)


def network(gradient: str = "rate", compiled: bool = False) -> HybridNetwork:
    """Two populations; XLA takes longer to compile them than a few epochs take."""
    rng = np.random.default_rng(5)

    def weights(*shape: int) -> dict[str, np.ndarray]:
        weight = rng.normal(size=shape) * 3 / math.sqrt(math.prod(shape[:-1]))
        return {"weight": weight, "bias": np.full(shape[-1], 1.3)}

    graph = Graph(
        (
            n.Input("x", shape=(6, 6, 1)),
            n.Conv2D("a", ("x",), padding=((1, 1), (1, 1)), **weights(3, 3, 1, 4)),
            n.LIF("A", ("a",), amplitude=0.01, min_voltage=-1.0),
            n.Flatten("flat", ("A",)),
            n.Dense("b", ("flat",), **weights(144, 16)),
            n.LIF("B", ("b",), amplitude=0.01, min_voltage=-1.0),
            n.Dense("read", ("B",), **weights(16, 2)),
            n.Output("y", ("read",), settle=0.008),
        )
    )
    legal = legalize(graph)
    scales = scales_of(legal, task()[0])
    return HybridNetwork(legal, scales, gradient=gradient, compiled=compiled)
