"""The last synapses of a network, as the mean that an Output takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...graph import nodes as n
from ...graph.graph import Graph
from ...graph.nodes import Node

Nodes = Mapping[str, Node]


def readout_of(nodes: Sequence[Node], probe: Any) -> tuple[Node, ...]:
    """The nodes with the probe's synapse, and those behind the last populations.

    A Lowpass there becomes the Output's tau_syn, where all that is read passes just one
    of one time constant. Otherwise they stay as they are, the probe's behind them.
    """
    *before, output = nodes
    assert isinstance(output, n.Output)
    own = () if probe.synapse is None else (float(probe.synapse.tau),)
    known = {node.name: node for node in before}
    ways = _ways(known, output.inputs[0], own)
    if ways == {()}:
        return tuple(nodes)
    if len(ways) == 1 and len(way := ways.pop()) == 1:
        copies: dict[str, Node] = {}
        source = _unfiltered(known, output.inputs[0], copies)
        read = replace(output, inputs=(source,), tau_syn=way[0])
        return _renamed((*before, *copies.values(), read), copies)
    if not own:
        return tuple(nodes)
    behind = n.Lowpass(f"{output.name}.synapse", output.inputs, tau_syn=own[0])
    return (*before, behind, replace(output, inputs=(behind.name,)))


def _ways(known: Nodes, name: str, behind: tuple[float, ...]) -> set[tuple[float, ...]]:
    """The time constants on each way from a population or the Input to here.

    More than one of a way are not followed further.
    """
    node = known[name]
    if isinstance(node, n.Input | n.Neurons) or len(behind) > 1:
        return {behind}
    if isinstance(node, n.Lowpass):
        behind = (node.tau_syn, *behind)
    return set().union(*(_ways(known, i, behind) for i in node.inputs))


def _unfiltered(known: Nodes, name: str, copies: dict[str, Node]) -> str:
    """The name of what a node would be without synapses; adds copies it takes."""
    node = known[name]
    if isinstance(node, n.Input | n.Neurons):
        return name
    if isinstance(node, n.Lowpass):
        return node.inputs[0]
    inputs = tuple(_unfiltered(known, i, copies) for i in node.inputs)
    if inputs == node.inputs:
        return name
    copy = replace(node, name=f"{name}.read", inputs=inputs)
    copies[copy.name] = copy
    return copy.name


def _renamed(nodes: tuple[Node, ...], copies: Nodes) -> tuple[Node, ...]:
    """What the Output needs, copies with the name of what is not needed any more."""
    needed = Graph(nodes).before(nodes[-1].name)
    names = {name: name.removesuffix(".read") for name in copies}
    names = {new: old for new, old in names.items() if old not in needed}
    return tuple(
        replace(
            node,
            name=names.get(node.name, node.name),
            inputs=tuple(names.get(i, i) for i in node.inputs),
        )
        for node in nodes
        if node.name in needed
    )
