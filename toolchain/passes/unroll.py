"""Unroll, on request: delays of more than a step become chains of relay populations.

A relay fires a step after its source, neuron by neuron, and exactly: a spike brings it
over its threshold at once, and the reset leaves nothing. A source has one chain, a
relay a step, from which each of its connections starts where its delay is reached; no
other integer changes, and so no spike of what was there before.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ..errors import ModelError
from ..graph.graph import Graph
from ..graph.nodes import IF, Conv2D, Delay, Flatten, Node, Reshape, Shape, Synapse
from ..program.program import Program
from .quantize.dequantize import amplitude_of
from .quantize.layers import layers
from .quantize.rounding import round_connection, round_population
from .quantize.scales import choose_scales

BROUGHT = 1.5  # thresholds, by a spike to a relay


def unrolled(program: Program) -> Program:
    """The same spikes, with delays of one step alone.

    >>> from ..graph.nodes import Dense, Input, Lowpass, Output
    >>> from .quantize.quantize import quantize
    >>> graph = Graph.chain(
    ...     Input("x", shape=(2,)),
    ...     IF("a", amplitude=0.004),
    ...     Lowpass("s", tau_syn=0.0, delay=2),
    ...     Dense("sum", weight=np.full((2, 1), 80.0), bias=np.zeros(1)),
    ...     IF("b", amplitude=0.004),
    ...     Output("y"),
    ... )
    >>> program = unrolled(quantize(graph, np.full((1, 2), 250.0), steps=8))
    >>> for c in program.connections:
    ...     print(c)
    a → a.relay1: ConvConnection 1×1×1→2 weight 254 8 bits exponent 7 delay 1 groups 2
    a.relay1 → b: DenseConnection 2→1 weight 254 8 bits exponent 6 delay 1

    Raises:
        ModelError: the Program holds no float graph, whose part relays become.
    """
    longest: dict[str, int] = {}
    for c in program.connections:
        longest[c.source] = max(c.delay, longest.get(c.source, 1))
    if max(longest.values(), default=1) == 1:
        return program
    if program.graph is None:
        raise ModelError("Program: unrolling its delays needs its float graph")
    worth = {name: amplitude_of(program, name) for name in longest}
    graph = _with_relays(program.graph, longest, worth)
    known = {p.name: p for p in program.populations}
    populations, connections, dt = [], [], program.timing.dt
    for layer in layers(graph):
        name = layer.population.name
        if name in known:
            populations.append(known[name])
            connections += [
                replace(c, source=relay_of(c.source, c.delay - 1), delay=1)
                for c in program.incoming(name)
            ]
            continue
        worth[name] = layer.population.amplitude
        scales = choose_scales(layer, worth, dt)
        populations.append(round_population(layer, scales, dt))
        connections += [round_connection(layer, s, scales) for s in layer.synapses]
    made = replace(
        program,
        populations=tuple(populations),
        connections=tuple(connections),
        graph=graph,
    )
    made.check()
    return made


def relay_of(source: str, steps: int) -> str:
    """Name of the relay so many steps behind a source; itself for none."""
    return f"{source}.relay{steps}" if steps else source


def _with_relays(
    graph: Graph, longest: dict[str, int], worth: dict[str, float]
) -> Graph:
    """The Graph with every source's chain behind it, and synapses that start there."""
    nodes: list[Node] = []
    for node in graph.nodes:
        if isinstance(node, Synapse):
            (source,) = node.inputs
            relay = relay_of(source, node.delay - 1)
            node = replace(node, inputs=(relay,), delay=1)
        nodes.append(node)
        for step in range(1, longest.get(node.name, 1)):
            shape, amplitude = graph.shapes[node.name], worth[node.name]
            nodes += _relay(node.name, step, shape, amplitude)
    return replace(graph, nodes=tuple(nodes))


def _relay(source: str, step: int, shape: Shape, amplitude: float) -> list[Node]:
    """The relay population so many steps behind a source, and what feeds it."""
    name, before = relay_of(source, step), relay_of(source, step - 1)
    image = shape if len(shape) == 3 else (1, 1, math.prod(shape))
    channels = image[2]
    nodes: list[Node] = [
        Delay(f"{name}.synapse", (before,)),
        Reshape(f"{name}.in", (f"{name}.synapse",), shape=image),
        Conv2D(
            f"{name}.weights",
            (f"{name}.in",),
            weight=np.full((1, 1, 1, channels), BROUGHT / amplitude),
            bias=np.zeros(channels),
            groups=channels,
        ),
        Flatten(f"{name}.out", (f"{name}.weights",))
        if len(shape) == 1
        else Reshape(f"{name}.out", (f"{name}.weights",), shape=shape),
        IF(name, (f"{name}.out",), amplitude=amplitude, reset="zero"),
    ]
    return nodes
