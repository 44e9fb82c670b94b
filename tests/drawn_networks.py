"""Small networks of several layers that answer their data without training.

Random features layer after layer, as wide apart in scale as is asked for, and a last
layer by least squares: deep enough to be converted badly, made in milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from small_networks import stripes

from snn_deploy.pipeline.compilation import Settings
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import interpret

SAMPLES = 400
RIDGE = 1e-3  # of the features' mean power; without it the last weights explode


@dataclass(frozen=True)
class Case:
    """A network, its data, and how it is to be built."""

    graph: Graph
    x: np.ndarray
    y: np.ndarray
    settings: Settings


def layered(
    x: np.ndarray,
    wanted: np.ndarray,
    depth: int,
    *,
    width: int = 24,
    uneven: float = 0.0,
    seed: int = 0,
) -> Graph:
    """x (samples, height, width, channels) → wanted (samples, outputs).

    Args:
        depth: populations, the first half of them convolutions.
        width: neurons of a dense one; a convolution has a quarter as many filters.
        uneven: standard deviation of the logarithm of the layers' scales.
    """
    rng = np.random.default_rng(seed)
    nodes: list[n.Node] = [n.Input("x", shape=x.shape[1:])]
    for number in range(depth):
        name = f"layer{number}"
        scale = float(np.exp(uneven * rng.normal()))
        shape = Graph((*nodes, n.Output("y", (nodes[-1].name,)))).shapes["y"]
        if number < depth // 2:
            node = _conv(rng, name, shape[-1], max(width // 4, 2), nodes[-1].name)
        else:
            if len(shape) > 1:
                nodes.append(n.Flatten("flat", (nodes[-1].name,)))
            node = _dense(rng, name, int(np.prod(shape)), width, nodes[-1].name)
        nodes += [_centred(node, nodes, x, scale), n.ReLU(f"{name}.relu", (name,))]
    if not any(isinstance(node, n.Flatten) for node in nodes):
        nodes.append(n.Flatten("flat", (nodes[-1].name,)))
    features = _values(nodes, x)
    behind = np.column_stack([features, np.ones(len(x))])
    power = behind.T @ behind
    ridge = RIDGE * np.trace(power) / len(power) * np.eye(len(power))
    last = np.linalg.solve(power + ridge, behind.T @ wanted)
    nodes.append(n.Dense("answers", (nodes[-1].name,), weight=last[:-1], bias=last[-1]))
    return Graph((*nodes, n.Output("output", ("answers",))))


def _conv(rng, name: str, inputs: int, filters: int, source: str) -> n.Conv2D:
    weight = rng.normal(size=(3, 3, inputs, filters)) / np.sqrt(9 * inputs)
    same = ((1, 1), (1, 1))
    return n.Conv2D(
        *(name, (source,)), weight=weight, bias=np.zeros(filters), padding=same
    )


def _dense(rng, name: str, inputs: int, outputs: int, source: str) -> n.Dense:
    weight = rng.normal(size=(inputs, outputs)) / np.sqrt(inputs)
    return n.Dense(name, (source,), weight=weight, bias=np.zeros(outputs))


def _centred(node, nodes: list[n.Node], x: np.ndarray, scale: float):
    """The node, so that what it gives has mean 0 and this spread on the data."""
    found = _values([*nodes, node], x)
    found = found.reshape(-1, node.weight.shape[-1])
    mean, spread = found.mean(0), found.std(0).mean() + 1e-9
    weight = node.weight * scale / spread
    kind = type(node)
    rest = {"padding": node.padding} if isinstance(node, n.Conv2D) else {}
    bias = -mean * scale / spread
    return kind(node.name, node.inputs, weight=weight, bias=bias, **rest)


def _values(nodes: list[n.Node], x: np.ndarray) -> np.ndarray:
    read = Graph((*nodes, n.Output("y", (nodes[-1].name,))))
    return interpret(read, x)["y"].reshape(len(x), -1)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Networks of one to eight populations, built well or badly."""
    seed = draw(st.integers(0, 99))
    x, y = stripes(SAMPLES, seed)
    wanted = np.eye(3)[y]
    if draw(st.booleans()):  # values, of one or several
        y = wanted = x.reshape(len(x), -1)[:, :: draw(st.sampled_from((20, 40)))]
    graph = layered(
        x,
        wanted,
        draw(st.integers(1, 8)),
        width=draw(st.sampled_from((8, 24))),
        uneven=draw(st.sampled_from((0.0, 1.0, 3.0))),
        seed=seed,
    )
    settings = Settings(
        steps=draw(st.sampled_from((2, 4, 8, 16, 32))),
        calibrate=draw(st.sampled_from(("none", "fast"))),
        tau_syn=draw(st.sampled_from((None, 0.0, 0.01))),
        max_rate=draw(st.sampled_from((None, 10.0, 100.0, 1000.0))),
        weight_bits=draw(st.sampled_from((2, 4, 8))),
        encoder=draw(st.sampled_from(("bias", "spikes"))),
    )
    return Case(graph, x, y, settings)
