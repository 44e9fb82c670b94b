"""Multiply-accumulates of the host whose value and weight are not 0, as NeuroBench."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...toolchain.graph.graph import Graph
from ...toolchain.graph.interpret import recorded
from ...toolchain.graph.nodes import Conv2D, ConvTranspose2D, Dense, FloatArray
from ...toolchain.graph.operations import apply

WEIGHTED = (Dense, Conv2D, ConvTranspose2D)


def effective_macs(graph: Graph, samples: FloatArray) -> float:
    """Products of two numbers that are not 0, the mean over samples (samples, …).

    NeuroBench 2.3.0 (metrics/utils/layers/macs.py) likewise runs each layer on 1 where
    its input and its weight are not 0, and sums what comes out.
    """
    total = 0.0
    for node in graph.nodes:
        if isinstance(node, WEIGHTED):
            (source,) = node.inputs
            ones = replace(
                node,
                weight=(node.weight != 0).astype(np.float64),
                bias=np.zeros_like(node.bias, np.float64),
            )
            given = recorded(graph, samples, [source])[source]
            total += float(apply(ones, (given != 0).astype(np.float64)).sum())
    return total / len(samples)
