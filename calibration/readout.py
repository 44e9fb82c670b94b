"""Read-out: from which step on, and with which gain, the last spikes are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..toolchain.graph.graph import Graph
from ..toolchain.graph.interpret import evaluate
from ..toolchain.graph.nodes import FloatArray, Readout
from ..toolchain.program.host import BoolArray, Decoder, decode

GAINS = (0.67, 1.5)  # least and most
RELATED = 0.5  # r² of linear outputs from which their slope is trusted


@dataclass(frozen=True, eq=False, kw_only=True)
class Wanted:
    """The float network's answers to calibration samples, (samples, …).

    ``linear``: before a softmax or the like at the end.
    """

    outputs: FloatArray
    linear: FloatArray


@dataclass(frozen=True, eq=False, kw_only=True)
class ReadOut:
    """A Decoder fitted to spikes, and what is left between its answers and others'."""

    decoder: Decoder
    error: float
    """Mean squared error of the linear outputs, of their wanted variance; of outputs
    that a softmax or the like has gone through, that of these as well."""
    answers: FloatArray  # the outputs


def wanted_of(graph: Graph, still: FloatArray) -> Wanted:
    """What a float network answers to samples, (samples, *input shape)."""
    outputs = evaluate(graph, still)
    linear = linear_part(graph)
    same = linear is graph
    return Wanted(outputs=outputs, linear=outputs if same else evaluate(linear, still))


def linear_part(graph: Graph) -> Graph:
    """The Graph without the softmax, sigmoid or the like that its outputs go through.

    >>> from ..toolchain.graph.nodes import Input, Output, Softmax
    >>> graph = Graph.chain(Input("x", shape=(2,)), Softmax("p"), Output("y"))
    >>> print(linear_part(graph))
    x: Input() → 2
    y: Output(x) → 2
    """
    output, last = graph.output, list[str]()
    source = output.inputs[0]
    while isinstance(graph[source], Readout):
        last.append(source)
        (source,) = graph[source].inputs
    if not last:
        return graph
    kept = [node for node in graph.nodes if node.name not in (*last, output.name)]
    return Graph((*kept, replace(output, inputs=(source,))))


def fit_readout(
    decoder: Decoder, spikes: Mapping[str, BoolArray], dt: float, wanted: Wanted
) -> ReadOut:
    """The read-out that suits recorded spikes best.

    Its gain is the one with which the least-squares slope of the linear outputs against
    the float network's is 1. Of first steps to leave out, numbers from 0 to half the
    presentation are tried, a sixteenth of it or more apart; the least error wins, the
    smallest number in a tie. Early steps hold the pipeline's latency and the neurons'
    first charging.

    >>> from ..toolchain.graph.nodes import Input, Output
    >>> graph = Graph.chain(Input("a", shape=(1,)), Output("y"))
    >>> decoder = Decoder(graph=graph, population="a", amplitude=1.0)
    >>> spikes = {"a": np.array([0, 0, 0, 1, 1, 1, 1, 1], bool).reshape(1, 8, 1)}
    >>> rates = np.full((1, 1), 1000.0)
    >>> wanted = Wanted(outputs=rates, linear=rates)
    >>> print(fit_readout(decoder, spikes, 0.001, wanted).decoder)
    a → Decoder: amplitude 1 settle 0.003
        a: Input() → 1
        y: Output(a) → 1

    Args:
        decoder: of a Program.
        spikes: of calibration samples, population → (samples, steps, neurons).
        dt: s.
        wanted: for the same samples.
    """
    steps = next(iter(spikes.values())).shape[1]
    linear = linear_part(decoder.graph)
    found = []
    for skipped in range(0, steps // 2 + 1, -(-steps // 16)):
        now = replace(decoder, settle=skipped * dt)
        plain = replace(now, graph=linear)
        gain = _gain(decode(plain, spikes, dt), wanted.linear)
        now, plain = replace(now, gain=gain), replace(plain, gain=gain)
        answers = decode(plain, spikes, dt)
        error = distance(answers, wanted.linear)
        if linear is not decoder.graph:
            answers = decode(now, spikes, dt)
            error += distance(answers, wanted.outputs)
        found.append(ReadOut(decoder=now, error=error, answers=answers))
    return min(found, key=lambda each: each.error)


def _gain(found: FloatArray, wanted: FloatArray) -> float:
    """1 / slope of found against wanted answers; 1 where they are hardly related."""
    x, y = (a.ravel() - a.mean() for a in (wanted, found))
    both, power, own = float(x @ y), float(x @ x), float(y @ y)
    if both <= 0 or both * both < RELATED * power * own:
        return 1.0
    return float(np.clip(power / both, *GAINS))


def distance(found: FloatArray, wanted: FloatArray) -> float:
    """Mean squared error of answers (samples, …), of the wanted ones' variance.

    1 is what the mean of the wanted answers would have.
    """
    spread = float(np.square(wanted - wanted.mean(axis=0)).mean())
    return float(np.square(found - wanted).mean()) / (spread or 1.0)
