"""Small networks that answer their data without training: the last layer is fitted.

Random features, rectified, and a linear layer by least squares: enough to be far from
chance, in milliseconds and without TensorFlow.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from snn_deploy.toolchain.bundle.bundle import Bundle, save_bundle
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import interpret


def fitted(x: np.ndarray, wanted: np.ndarray, features: int = 48) -> Graph:
    """x (samples, …) → wanted (samples, outputs), flattened and through ReLU."""
    rng = np.random.default_rng(0)
    size = math.prod(x.shape[1:])
    weight = rng.normal(size=(size, features)) / math.sqrt(size)
    flat = x.reshape(len(x), -1)
    hidden = np.maximum(flat @ weight - (flat @ weight).mean(0), 0)
    bias = -(flat @ weight).mean(0)
    behind = np.column_stack([hidden, np.ones(len(x))])
    last, *_ = np.linalg.lstsq(behind, wanted, rcond=None)
    return Graph(
        (
            n.Input("x", shape=x.shape[1:]),
            n.Flatten("flat", ("x",)),
            n.Dense("features", ("flat",), weight=weight, bias=bias),
            n.ReLU("neurons", ("features",)),
            n.Dense("answers", ("neurons",), weight=last[:-1], bias=last[-1]),
            n.Output("output", ("answers",)),
        )
    )


def fitted_masks(x: np.ndarray, wanted: np.ndarray, features: int = 24) -> Graph:
    """Pictures (samples, h, w, c) → wanted (samples, h, w, outputs), by 5×5 windows."""
    rng = np.random.default_rng(1)
    channels = x.shape[-1]
    weight = rng.normal(size=(5, 5, channels, features)) / 5
    same = ((2, 2), (2, 2))
    nodes = (
        n.Input("x", shape=x.shape[1:]),
        n.Conv2D(
            *("windows", ("x",)), weight=weight, bias=np.zeros(features), padding=same
        ),
        n.ReLU("neurons", ("windows",)),
    )
    read = Graph((*nodes, n.Output("output", ("neurons",))))
    hidden = interpret(read, x)["output"].reshape(-1, features)
    behind = np.column_stack([hidden, np.ones(len(hidden))])
    last, *_ = np.linalg.lstsq(behind, wanted.reshape(-1, wanted.shape[-1]), rcond=None)
    final = n.Conv2D(
        "answers", ("neurons",), weight=last[:-1][None, None], bias=last[-1]
    )
    return Graph((*nodes, final, n.Output("output", ("answers",))))


def stripes(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (count, 8, 8, 1), 0 … 1, of one, two or three bright bars; how many."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, count)
    x = rng.random((count, 8, 8, 1)) * 0.2
    for i, label in enumerate(y):
        columns = rng.permutation([0, 3, 6])[: label + 1]
        x[i][:, columns] += 0.7
    return x.astype(np.float32), y


def save(path: Path, graph: Graph, **metadata: object) -> Path:
    """The network as a bundle."""
    save_bundle(path, Bundle(graph=graph, metadata=metadata))
    return path
