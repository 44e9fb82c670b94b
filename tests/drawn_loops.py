"""Random spiking Graphs with loops and delays, and what they do, as a plain loop."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.operations import apply

DT = 0.001
IMAGE = (3, 4, 2)


@st.composite
def loops(draw: st.DrawFn, *, most: int = 5) -> Graph:
    """1 to 3 populations, each fed by those before it, itself and those behind it.

    All are images, with a convolution in each connection, or all are flat. Delays are
    1 to ``most`` steps; populations reset as the core's neurons do.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    image = draw(st.booleans())
    count = draw(st.integers(1, 3))
    sizes = [IMAGE if image else (int(rng.integers(2, 7)),) for _ in range(count + 1)]
    names = [f"p{i}" for i in range(count)]
    shapes = dict(zip(names, sizes[1:]))
    nodes: list[n.Node] = [n.Input("x", shape=sizes[0])]
    for i, name in enumerate(names):
        tau_syn = draw(st.sampled_from((0.0, 0.002, 0.005)))
        population = _population(draw, name)
        unit = 1 / DT if isinstance(population, n.IF) else population.tau_rc / 0.004
        others = draw(st.sets(st.sampled_from(names)))
        ways = draw(st.lists(st.integers(1, most), min_size=1, max_size=2, unique=True))
        sources = {(source, ways[0]) for source in others | {*names[max(i - 1, 0) : i]}}
        sources |= {(source, ways[-1]) for source in sorted(others)[:1]}
        parts = []
        if i == 0 or draw(st.booleans()):
            parts.append(f"x.{name}")
            nodes.append(
                _weights(rng, parts[-1], "x", sizes[0], shapes[name], 3 * unit)
            )
        for source, delay in sorted(sources):
            way = f"{source}.{name}.{delay}"
            kind, how = n.Lowpass, {"tau_syn": tau_syn}
            if tau_syn == 0 and draw(st.booleans()):
                kind, how = n.Delay, {}
            given = {"shape": shapes[source], "delay": delay, **how}
            nodes.append(kind(f"{way}.synapse", (source,), **given))
            parts.append(f"{way}.weights")
            nodes.append(
                _weights(
                    *(rng, parts[-1], f"{way}.synapse"),
                    *(shapes[source], shapes[name], 1.5 * unit),
                )
            )
        if len(parts) > 1:
            nodes.append(n.Add(f"{name}.sum", tuple(parts)))
        nodes.append(replace(population, inputs=(nodes[-1].name,)))
    nodes.append(n.Output("y", (names[-1],)))
    return Graph(tuple(nodes), dt=DT)


def _weights(
    rng: np.random.Generator,
    name: str,
    source: str,
    shape: n.Shape,
    into: n.Shape,
    level: float,
) -> n.Node:
    """Weights that bring about ``level``, and a bias of a tenth."""
    bias = rng.normal(scale=level / 10, size=into[-1])
    if len(shape) == 3:
        weight = rng.normal(scale=level / 3, size=(3, 3, shape[2], into[2]))
        same = ((1, 1), (1, 1))
        return n.Conv2D(name, (source,), weight=weight, bias=bias, padding=same)
    weight = rng.normal(scale=level, size=(*shape, *into)) / math.sqrt(shape[0])
    return n.Dense(name, (source,), weight=weight, bias=bias)


def _population(draw: st.DrawFn, name: str) -> n.LIF | n.IF:
    """A spike is worth 1."""
    how = {"amplitude": DT, "min_voltage": draw(st.sampled_from((0.0, -1.0)))}
    tau_rc = draw(st.sampled_from((None, 0.002, 0.02)))
    if tau_rc is None:
        return n.IF(name, **how, reset="zero")
    return n.LIF(name, **how, tau_rc=tau_rc, tau_ref=0.0)


def example(delay: int = 3, **how: object) -> Graph:
    """Two populations; the second leads back to both."""
    rng = np.random.default_rng(7)

    def weights(name: str, source: str, inputs: int, outputs: int) -> n.Dense:
        weight = rng.normal(scale=4, size=(inputs, outputs)) / inputs**0.5
        return n.Dense(name, (source,), weight=weight, bias=np.full(outputs, 0.4))

    how = {"amplitude": DT, "tau_rc": 0.005, "tau_ref": 0.0, **how}
    return Graph(
        (
            n.Input("x", shape=(3,)),
            weights("in", "x", 3, 5),
            n.Delay("back", ("b",), shape=(4,), delay=delay),
            weights("again", "back", 4, 5),
            n.Add("sum", ("in", "again")),
            n.LIF("a", ("sum",), **how),
            n.Lowpass("on", ("a",), tau_syn=0.003),
            weights("forth", "on", 5, 4),
            n.Lowpass("self", ("b",), shape=(4,), tau_syn=0.003),
            weights("over", "self", 4, 4),
            n.Add("both", ("forth", "over")),
            n.LIF("b", ("both",), **how),
            n.Output("y", ("b",)),
        ),
        dt=DT,
    )


def plainly(graph: Graph, x: np.ndarray, steps: int) -> dict[str, np.ndarray]:
    """Population → its spikes, (steps, neurons), of one sample x: the equations."""
    neurons = [node for node in graph.nodes if isinstance(node, n.Neurons)]
    size = {p.name: math.prod(graph.shapes[p.name]) for p in neurons}
    sent = {p.name: np.zeros((steps, size[p.name])) for p in neurons}
    held = {
        node.name: np.zeros((steps + 1, size[node.inputs[0]]))
        for node in graph.nodes
        if isinstance(node, n.Synapse)
    }
    v = {p.name: np.zeros(size[p.name]) for p in neurons}
    for t in range(steps):
        for node in graph.nodes:
            if isinstance(node, n.Synapse):
                keep = math.exp(-graph.dt / node.tau_syn) if node.tau_syn else 0.0
                ago = t - node.delay
                came = sent[node.inputs[0]][ago] if ago >= 0 else 0.0
                before = held[node.name][t - 1] if t else 0.0
                held[node.name][t] = keep * before + (1 - keep) * came
        for p in neurons:
            j = _value(graph, p.inputs[0], x, {name: h[t] for name, h in held.items()})
            sent[p.name][t], v[p.name] = _stepped(p, v[p.name], j.ravel(), graph.dt)
    return sent


def _value(
    graph: Graph, name: str, x: np.ndarray, held: dict[str, np.ndarray]
) -> np.ndarray:
    """A node's value, (*shape), of the sample and what the synapses hold."""
    node = graph[name]
    if isinstance(node, n.Input):
        return x
    if isinstance(node, n.Synapse):
        return held[name].reshape(graph.shapes[name])
    inputs = (_value(graph, i, x, held)[None] for i in node.inputs)
    return apply(node, *inputs)[0]


def _stepped(
    p: n.Node, v: np.ndarray, j: np.ndarray, dt: float
) -> tuple[np.ndarray, np.ndarray]:
    """What a neuron sends in a step, and its potential after it."""
    gain = dt if isinstance(p, n.IF) else -math.expm1(-dt / p.tau_rc)
    v = v + (j if isinstance(p, n.IF) else j - v) * gain
    fired = v > 1
    return fired * p.amplitude / dt, np.where(fired, 0, np.maximum(v, p.min_voltage))
