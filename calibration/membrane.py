"""Membrane: LIF neurons with another time constant, and about the same rates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..toolchain.graph.graph import Graph
from ..toolchain.graph.interpret import interpret
from ..toolchain.graph.nodes import LIF, FloatArray, Node
from .balance import WEIGHTED, driven, is_fed_by_host, weighted, with_scale


def with_time_constant(graph: Graph, tau_rc: float) -> Graph:
    """The same network, its LIF neurons with the membrane time constant ``tau_rc``.

    What a neuron is driven with beyond its threshold is scaled as its time constant
    is: J′ − 1 = k · (J − 1), k = tau_rc′ / tau_rc. Far above the threshold, where
    r ≈ (J − ½) / tau_rc, the rate stays as it was; near it only training brings it
    back. A short time constant lets a neuron follow its input sooner: in few steps it
    is the first charging, layer after layer, that takes the time.

    >>> import numpy as np
    >>> from ..toolchain.graph.nodes import Dense, Input, Output
    >>> graph = Graph.chain(
    ...     Input("x", shape=(1,)),
    ...     Dense("sum", weight=np.full((1, 1), 3.0), bias=np.ones(1)),
    ...     LIF("a"),
    ...     Output("y"),
    ... )
    >>> print(graph)
    x: Input() → 1
    sum: Dense(x) 1→1 weight 3 bias 1 → 1
    a: LIF(sum) amplitude 1 tau_rc 0.02 tau_ref 0.002 → 1
    y: Output(a) → 1
    >>> print(with_time_constant(graph, 0.01))
    x: Input() → 1
    sum: Dense(x) 1→1 weight 1.5 bias 1 → 1
    a: LIF(sum) amplitude 1 tau_rc 0.01 tau_ref 0.002 → 1
    y: Output(a) → 1

    Args:
        graph: legalised.
        tau_rc: s.

    Raises:
        ModelError: a population has no weights of its own to scale.
    """
    changes: dict[str, tuple[float, float]] = {}  # node with weights → factor, and more
    for node in graph.nodes:
        if isinstance(node, LIF):
            if _lacks_weights(graph, node.name):
                graph = with_scale(graph, node.name)
            k, feeding = tau_rc / node.tau_rc, weighted(graph, node.name)
            changes |= dict.fromkeys(feeding, (k, (1 - k) / len(feeding)))

    def changed(node: Node) -> Node:
        if isinstance(node, LIF):
            return replace(node, tau_rc=tau_rc)
        return driven(node, *changes[node.name]) if node.name in changes else node

    return Graph(tuple(changed(node) for node in graph.nodes))


def _lacks_weights(graph: Graph, population: str) -> bool:
    """Whether J comes from the host through nodes behind its weights, which may put
    zeros beside or join what they give: an addition to biases would then not reach
    every neuron once."""
    (source,) = graph[population].inputs
    own = isinstance(graph[source], WEIGHTED) and len(graph.consumers(source)) == 1
    return is_fed_by_host(graph, population) and not own


def quicken(
    graph: Graph,
    samples: FloatArray,
    *,
    dt: float = 0.001,
    max_rate: Mapping[str, float],
    percentile: float = 99.9,
) -> Graph:
    """The same network, its LIF populations k times as fast, near ``max_rate``.

    With tau_rc / k and tau_ref / k a neuron's rate r = 1 / (tau_ref + tau_rc ·
    ln(1 + 1 / (J − 1))) is k times as high, and with amplitude / k the network computes
    what it did; in few steps a neuron that fires often tells more. On the core a
    refractory period is whole steps, and a reset to 0 loses half a step more: so k is
    the one nearest max_rate / (a ``percentile`` of the rates) with which tau_ref / k is
    half a step more than a whole number of them; any where tau_ref is 0.

    Args:
        graph: legalised.
        samples: (samples, *input shape).
        dt: s.
        max_rate: population → Hz.
        percentile: of the rates, 0 … 100.
    """
    leaky = [node.name for node in graph.nodes if isinstance(node, LIF)]
    if not leaky:
        return graph
    values = interpret(graph, samples, record=leaky)

    def changed(node: Node) -> Node:
        if not isinstance(node, LIF):
            return node
        rates = values[node.name] / node.amplitude
        top = float(np.percentile(rates, percentile)) or float(rates.max())
        k = (
            _whole_steps(max_rate[node.name] / top, node.tau_ref / dt)
            if top > 0
            else 1.0
        )
        return replace(
            node,
            tau_rc=node.tau_rc / k,
            tau_ref=node.tau_ref / k,
            amplitude=node.amplitude / k,
        )

    return Graph(tuple(changed(node) for node in graph.nodes))


def _whole_steps(wanted: float, refractory: float) -> float:
    """The k nearest ``wanted`` with refractory / k = n + ½ steps, rounded down to n."""
    if refractory == 0:
        return wanted
    n = max(math.floor(refractory / wanted), 0)
    found = [refractory / (i + 0.5) * (1 + 1e-9) for i in (n - 1, n, n + 1) if i >= 0]
    return min(found, key=lambda k: abs(math.log(k / wanted)))
