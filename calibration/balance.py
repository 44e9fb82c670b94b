"""Balance: rectified linear populations fire in the range that a core resolves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..toolchain.errors import DataError, ModelError
from ..toolchain.graph.graph import Graph
from ..toolchain.graph.interpret import interpret
from ..toolchain.graph.nodes import (
    IF,
    Add,
    AvgPool2D,
    BatchNorm,
    Concat,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Flatten,
    FloatArray,
    Neurons,
    Node,
    ReLU,
    Reshape,
    Synapse,
    Upsample2D,
)
from ..toolchain.graph.preparation import Rescale
from ..toolchain.graph.rearranging import Pad2D, Permute, Slice

SPIKES_A_STEP = 0.25
"""Of the fastest neurons: 250 Hz at steps of 1 ms. Faster, a hard reset loses more of
every interval (half a step on average); slower, the presentation counts fewer spikes.
On the three-layer network of tests/test_quantize.py the error of the output against the
rate network was least at 0.33 for 32 and 64 steps and at 0.15 … 0.25 for 128; 0.25 was
within 11 % of the least everywhere, 0.1 and 0.5 were not. It is a share of steps and no
rate in Hz that is best: on three networks at steps of 2, 4 and 10 ms, 0.1 … 0.25 had
half the error of 250 Hz, or of a spike every step where that is slower."""

_PASSING = (
    *(Add, AvgPool2D, Concat, Flatten, Reshape, Upsample2D),
    *(Pad2D, Permute, Slice),
)
WEIGHTED = (Dense, Conv2D, ConvTranspose2D, BatchNorm, Rescale)


def balance(
    graph: Graph,
    samples: FloatArray,
    *,
    dt: float = 0.001,
    max_rate: float | Mapping[str, float] | None = None,
    percentile: float = 99.9,
) -> Graph:
    """The same network with every IF and ReLU population's rates scaled.

    Its incoming weights and biases are multiplied by s and its amplitude divided by s,
    with s such that a ``percentile`` of its rates over neurons and samples is max_rate.
    What the network computes in rate mode stays the same. LIF populations, whose rate
    is no multiple of J, stay as they are, and so do populations that never fire.
    The ceiling of a bounded one, where its rates come within a quarter of it, becomes
    a spike a step, which no neuron of a core exceeds.
    Source: Rueckauer et al. 2017 (doi 10.3389/fnins.2017.00682), section 2.2.2, robust
    weight normalisation.

    >>> from ..toolchain.graph.nodes import Input, Output
    >>> graph = Graph.chain(
    ...     Input("x", shape=(1,)),
    ...     Dense("sum", weight=np.full((1, 1), 500.0), bias=np.zeros(1)),
    ...     IF("a"),
    ...     Output("y"),
    ... )
    >>> print(graph)
    x: Input() → 1
    sum: Dense(x) 1→1 weight 500 bias 0 → 1
    a: IF(sum) amplitude 1 → 1
    y: Output(a) → 1
    >>> print(balance(graph, np.ones((1, 1)), max_rate=250))
    x: Input() → 1
    sum: Dense(x) 1→1 weight 250 bias 0 → 1
    a: IF(sum) amplitude 2 → 1
    y: Output(a) → 1

    Args:
        graph: any Graph in which no weights are shared; a legalised one.
        samples: (samples, *input shape).
        dt: s, of the steps it will run with.
        max_rate: Hz, of all populations or of each; None: ``SPIKES_A_STEP``.
        percentile: of the rates, 0 … 100.

    Raises:
        DataError: the samples are none or not what the graph takes, or max_rate or
            percentile are out of range.
        ModelError: a population has no weights of its own to scale, or the graph is a
            spiking network as somebody wrote it.
    """
    if graph.is_spiking:
        raise ModelError(
            "Graph: it is a spiking network, whose rates are what they are; balance a "
            "network of rates alone"
        )
    names = [node.name for node in graph.nodes if isinstance(node, IF | ReLU)]
    max_rate = SPIKES_A_STEP / dt if max_rate is None else max_rate
    each = max_rate if isinstance(max_rate, Mapping) else dict.fromkeys(names, max_rate)
    _check_rates(each, percentile, dt)
    if not len(samples) or not np.isfinite(samples).all():
        raise DataError("samples: they are none, or hold NaN or infinite values")
    activations = interpret(graph, samples, record=names)
    factors: dict[str, float] = {}  # node with weights, or population → s
    for name in names:
        node = graph[name]
        assert isinstance(node, IF | ReLU)
        rates = activations[name] / node.amplitude
        top = float(np.percentile(rates, percentile)) or float(rates.max())
        if top > 0:
            factors[name] = _factor(node, top, each[name], dt)
            if is_fed_by_host(graph, name) and not _has_weights(graph, name):
                graph = with_scale(graph, name)
            factors |= dict.fromkeys(weighted(graph, name), factors[name])
    return Graph(
        tuple(_scaled(node, factors.get(node.name, 1.0)) for node in graph.nodes)
    )


def _check_rates(rates: Mapping[str, float], percentile: float, dt: float) -> None:
    for rate in rates.values():
        if not 0 < rate <= 1 / dt or not 0 < percentile <= 100:
            raise DataError(
                f"balance: max_rate {rate} Hz and percentile {percentile}; more than 0 "
                f"and up to {1 / dt:g} Hz (one spike a step) and 100 are allowed"
            )


def _factor(node: IF | ReLU, top: float, max_rate: float, dt: float) -> float:
    """``top`` becomes max_rate, unless the ceiling would then be within the rates that
    a core has: a spike a step is the ceiling then, which no neuron exceeds."""
    factor = max_rate / top
    return factor if node.ceiling is None else max(factor, 1 / dt / node.ceiling)


def is_fed_by_host(graph: Graph, population: str) -> bool:
    """Whether J is computed from the Input alone, by nodes that may be shared."""
    waiting = list(graph[population].inputs)
    while waiting:
        node = graph[waiting.pop()]
        if isinstance(node, Neurons | Synapse):
            return False
        waiting += node.inputs
    return True


def _has_weights(graph: Graph, population: str) -> bool:
    try:
        return bool(weighted(graph, population))
    except ModelError:
        return False


def with_scale(graph: Graph, population: str) -> Graph:
    """The same network with a scale of 1 and an offset of 0 before the population."""
    (source,) = graph[population].inputs
    scale = Rescale(
        f"{population}.scale", (source,), scale=np.ones(1), offset=np.zeros(1)
    )
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.name == population:
            nodes.append(scale)
            node = replace(node, inputs=(scale.name,))
        nodes.append(node)
    return Graph(tuple(nodes))


def weighted(graph: Graph, population: str) -> list[str]:
    """The nodes whose weights make up the population's J, and nothing else's."""
    found = []
    waiting = [(population, name) for name in graph[population].inputs]
    while waiting:
        taker, name = waiting.pop()
        node = graph[name]
        alone = len(graph.consumers(name)) == 1
        if alone and isinstance(node, _PASSING):
            waiting += [(name, i) for i in node.inputs]
        elif alone and isinstance(node, WEIGHTED):
            found.append(name)
        else:
            raise ModelError(
                f"Population {population!r}: {taker!r} takes the output of "
                f"{type(node).__name__} {name!r}, which has no weights or is shared; "
                "call legalize first, or put a layer with weights between"
            )
    return found


def _scaled(node: Node, factor: float) -> Node:
    if factor == 1:
        return node
    if isinstance(node, IF | ReLU):
        ceiling = None if node.ceiling is None else node.ceiling * factor
        return replace(node, amplitude=node.amplitude / factor, ceiling=ceiling)
    return driven(node, factor)


def driven(node: Node, factor: float, more: float = 0.0) -> Node:
    """The node with weights, its output scaled and ``more`` added."""
    if isinstance(node, BatchNorm):
        beta = node.beta * factor + more
        return replace(node, gamma=node.gamma * factor, beta=beta)
    if isinstance(node, Rescale):
        offset = node.offset * factor + more
        return replace(node, scale=node.scale * factor, offset=offset)
    assert isinstance(node, Dense | Conv2D | ConvTranspose2D)
    bias = node.bias * factor + more
    return replace(node, weight=node.weight * factor, bias=bias)
