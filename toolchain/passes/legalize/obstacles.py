"""What no core can hold: each layer with the reason, and what to do about it."""

from __future__ import annotations

from collections.abc import Collection

from ...errors import Obstacle
from ...graph import nodes as n
from ...graph.functions import Elementwise, LeakyReLU, MaxPool2D
from ...graph.graph import Graph
from ...graph.nodes import FloatArray, Node
from ...graph.preparation import ChannelsLast
from .ends import sources_of

LAST_ONLY = "use it after the last population only"
TRAIN = "put a ReLU in its place and train again"


def obstacles_of(
    graph: Graph, encoder: Collection[str], decoder: Collection[str]
) -> tuple[Obstacle, ...]:
    """All layers that stand where no core, and no host, can compute them.

    Args:
        graph: any Graph.
        encoder: names of the nodes before the first populations.
        decoder: names of the nodes after the last.
    """
    found: list[Obstacle | None] = []
    for node in graph.nodes:
        if isinstance(node, n.Readout) and is_inside(graph, node, encoder, decoder):
            found.append(_function(node))
        elif isinstance(node, n.Synapse):
            found.append(_synapse(graph, node, encoder, decoder))
        elif isinstance(node, n.LIF | n.IF):
            found.append(_reset(graph, node))
        elif isinstance(node, n.LI):
            found.append(_potentials(graph, node, encoder, decoder))
        elif isinstance(node, ChannelsLast) and node.name not in encoder:
            found.append(
                obstacle(
                    "channels-last",
                    node,
                    "it stands before a population, where only weights may",
                    "put it directly behind the Input, as preprocessing on the host",
                )
            )
    return tuple(each for each in found if each) or _ends(graph)


def obstacles_before(graph: Graph) -> tuple[Obstacle, ...]:
    """All functions of the host before populations, of a Graph that is read in part."""
    before = before_populations(graph)
    return tuple(
        _function(node)
        for node in graph.nodes
        if isinstance(node, n.Readout) and node.name in before
    )


def before_populations(graph: Graph, others: Collection[str] = ()) -> set[str]:
    """Names of the nodes that a population, or one of the others, comes after."""
    ends = (x for x in graph.nodes if x.name in others or isinstance(x, n.Neurons))
    return graph.before(*{i for node in ends for i in node.inputs})


def is_inside(
    graph: Graph, node: Node, encoder: Collection[str], decoder: Collection[str]
) -> bool:
    """Whether a population, or in a network without any a layer, comes after it."""
    after = graph.consumers(node.name)
    if node.name in encoder and node.name in decoder:
        return any(isinstance(x, n.Linear) for x in after)
    return any(x.name not in decoder for x in after)


def obstacle(id: str, node: Node, why: str, fix: str) -> Obstacle:
    """That a node stands in the way."""
    name = node.function if isinstance(node, Elementwise) else type(node).__name__
    return Obstacle(id=id, layer=node.name, kind=name, why=why, fix=fix)


def _function(node: n.Readout) -> Obstacle:
    """A function of the host, before a population."""
    if isinstance(node, MaxPool2D):
        return obstacle(
            "max-pooling",
            node,
            "no population of spiking neurons computes a maximum",
            "take the mean or every second pixel in its place (--rewrite "
            "maxpool=average or maxpool=stride) and fine-tune, or train again with "
            "average pooling or strides",
        )
    if isinstance(node, LeakyReLU):
        return obstacle(
            "leaky-relu",
            node,
            f"its slope below 0 is {_range(node.slope)}, and a firing rate is never "
            "negative",
            "take a ReLU in its place (--rewrite leaky_relu=relu) and fine-tune, or "
            "train again with ReLU",
        )
    if isinstance(node, Elementwise):
        return obstacle(
            "smooth-activation",
            node,
            "a firing rate is no such function of the current",
            f"take a ReLU in its place (--rewrite {node.function}=relu) and fine-tune, "
            "or train again with ReLU",
        )
    if isinstance(node, n.Sigmoid | n.Tanh):
        name = type(node).__name__
        return obstacle(
            f"{name.lower()}-before-a-population",
            node,
            "it stands before a population, and a firing rate is no such function of "
            "the current",
            f"{LAST_ONLY}, or take a ReLU in its place (--rewrite "
            f"{name.lower()}=relu) and fine-tune",
        )
    return obstacle(
        "read-out-before-a-population",
        node,
        "it stands before a population, where only weights may",
        f"{LAST_ONLY}, or {TRAIN}",
    )


def _range(values: FloatArray) -> str:
    """The smallest and the largest of them, or the one there is."""
    low, high = f"{values.min():g}", f"{values.max():g}"
    return low if low == high else f"{low} … {high}"


def _synapse(
    graph: Graph, node: n.Synapse, encoder: Collection[str], decoder: Collection[str]
) -> Obstacle | None:
    name = type(node).__name__.lower()
    if node.name in encoder:
        return obstacle(
            name, node, "it stands before the first population", "remove it"
        )
    if node.name in decoder:
        fix = f"use tau_syn of Output {graph.output.name!r}"
        return obstacle(
            name,
            node,
            "it stands after the last population",
            "remove it" if isinstance(node, n.Delay) else fix,
        )
    before = _summed(graph, node)
    if node.name in before:
        return obstacle(
            name,
            node,
            "it stands in a loop without a population",
            "put a population into the loop, or a leaky integrator in its place",
        )
    return _hosted(graph, node, encoder)


def _hosted(
    graph: Graph, node: n.Synapse | n.LI, encoder: Collection[str]
) -> Obstacle | None:
    """That a filter takes what the host computes, where samples send no spikes."""
    if graph.input.name in encoder and not {*encoder}.isdisjoint(_summed(graph, node)):
        return obstacle(
            "filter-of-the-host",
            node,
            f"it takes what {node.inputs[0]!r} gives, and part of that is the host's, "
            "the same in every step",
            "let samples be sent as spikes (--encoder events or spikes), or remove it",
        )
    return None


def _summed(graph: Graph, node: Node) -> set[str]:
    """Names of the nodes whose values it sums, of this step or earlier ones."""
    found: set[str] = set()
    waiting = [*node.inputs]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            if not isinstance(graph[name], n.Neurons):
                waiting += graph[name].inputs
    return found


def _reset(graph: Graph, node: n.LIF | n.IF) -> Obstacle | None:
    """A soft reset; of an IF where it is meant, and does not stand for a rate."""
    if node.reset == "zero" or isinstance(node, n.IF) and not graph.is_spiking:
        return None
    return obstacle(
        "soft-reset",
        node,
        "a spike takes its threshold from the potential, and a core's neuron is then 0",
        'reset "zero" comes nearest; each spike loses what was beyond the threshold',
    )


def _potentials(
    graph: Graph, node: n.LI, encoder: Collection[str], decoder: Collection[str]
) -> Obstacle | None:
    if node.name in encoder or node.name not in decoder:
        return _hosted(graph, node, {*encoder})
    for name in sorted(graph.before(node.name) & {*decoder}):
        if isinstance(graph[name], n.Readout):
            return obstacle(
                "leaky-integrator",
                node,
                f"it takes what the read-out {name!r} makes of a mean",
                "put the read-out behind it",
            )
    return None


def _ends(graph: Graph) -> tuple[Obstacle, ...]:
    """What is read must come from populations, and nothing else."""
    read, start = sources_of(graph)[graph.output.name], graph.input.name
    if start not in read:
        return ()
    why = f"it is computed from the Input {start!r} without a population"
    if len(read) > 1:
        others = ", ".join(repr(name) for name in sorted(read - {start}))
        why = f"it is computed from the Input {start!r} itself beside {others}"
    found = obstacle(
        "no-population",
        graph.output,
        f"{why}, so that a core has nothing to do there",
        "put a layer with ReLU before the last one and train again",
    )
    return (found,)
