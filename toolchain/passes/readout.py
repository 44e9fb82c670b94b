"""The read-out taken from a network for training, and given back: Graph → Graph."""

from __future__ import annotations

from dataclasses import replace

from ..graph.graph import Graph
from ..graph.nodes import Argmax, LogSoftmax, Readout, Sigmoid, Softmax


def without_readout(graph: Graph) -> tuple[Graph, Readout | None]:
    """The network whose outputs are logits, and what turned them into its answers.

    A loss of logits is exact where that of probabilities has lost digits, and an argmax
    has no gradient. Tanh is a network's own answer and stays.
    >>> from ..graph.nodes import Input, Output
    >>> graph = Graph.chain(Input("x", shape=(3,)), Softmax("odds"), Output("y"))
    >>> print(graph)
    x: Input() → 3
    odds: Softmax(x) → 3
    y: Output(odds) → 3
    >>> print(without_readout(graph)[0])
    x: Input() → 3
    y: Output(x) → 3

    """
    last = graph[graph.output.inputs[0]]
    if not isinstance(last, Softmax | LogSoftmax | Sigmoid | Argmax):
        return graph, None
    output = replace(graph.output, inputs=last.inputs)
    kept = [node for node in graph.nodes if node.name != last.name]
    nodes = tuple(output if n is graph.output else n for n in kept)
    return replace(graph, nodes=nodes), last


def with_readout(graph: Graph, readout: Readout | None) -> Graph:
    """The network with its read-out again, behind whatever its output is now."""
    if readout is None:
        return graph
    again = replace(readout, inputs=graph.output.inputs)
    output = replace(graph.output, inputs=(readout.name,))
    nodes = [node for node in graph.nodes if node is not graph.output]
    return replace(graph, nodes=(*nodes, again, output))
