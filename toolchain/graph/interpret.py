"""Run a Graph in float64: the meaning of every node, in NumPy."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol, cast

import numpy as np

from ..errors import DataError, ModelError
from ..memory import demand_memory
from . import nodes as n
from .graph import Graph
from .nodes import Array, FloatArray
from .operations import apply

PORTION, MOST = 64, 1 << 27  # samples, and values, that are computed at once


def interpret(
    graph: Graph,
    x: FloatArray,
    mode: str = "rate",
    *,
    steps: int = 0,
    dt: float | None = None,
    record: Collection[str] = (),
    sent: Mapping[str, FloatArray] | None = None,
) -> dict[str, FloatArray]:
    """Output of the Graph, and of the nodes named in ``record``.

    Args:
        graph: any Graph.
        x: samples, (samples, *input shape).
        mode: "rate": every population sends its rate, once, and Lowpass passes it on;
            of a Graph without loops, since a loop's rates need settle nowhere.
            "spiking": ``steps`` timesteps of ``dt`` s from a zero state, the sample
            held as constant input.
        steps: of spiking mode.
        dt: s; None: the Graph's own, or 1 ms.
        record: node names.
        sent: in spiking mode, node → what it sends in place of its own value, which is
            recorded all the same: (samples, steps, *shape), or (samples, *shape) of a
            node that no state reaches. Of the Input it is a sample that moves.

    Returns:
        node name → (samples, *shape); recorded nodes in spiking mode
        (samples, steps, *shape).

    Raises:
        DataError: x has another shape than the Input, or no steps are asked for.
        ModelError: rates of a Graph with a loop, or of a node that has none.
    """
    x = np.asarray(x, np.float64)
    if x.shape[1:] != graph.input.shape:
        raise DataError(
            f"samples: each has shape {x.shape[1:]}, the network takes "
            f"{graph.input.shape}"
        )
    size = sum(math.prod(shape) for shape in graph.shapes.values())
    demand_memory(
        f"{len(x)} samples through a network of {size} values",
        8 * len(x) * size,
        "take fewer samples, or a smaller network",
    )
    if mode == "rate":
        if graph.loop:
            raise ModelError(
                f"Graph: rates of its loop {' → '.join(graph.loop)} → {graph.loop[0]} "
                "need not settle, so that none are defined; run its steps (spiking)"
            )
        values = {graph.input.name: x}
        for node in graph.nodes:
            if not isinstance(node, n.Input):
                values[node.name] = apply(node, *(values[i] for i in node.inputs))
        return {name: values[name] for name in (*record, graph.output.name)}
    if mode != "spiking":
        raise ModelError(f"interpret: mode {mode!r} is unknown; 'rate' or 'spiking'")
    if steps < 1:
        raise DataError(f"steps is {steps}; at least 1 is needed")
    dt = dt or graph.dt or 0.001
    return _simulate(graph, x, steps, dt, record, sent or {})


class Sliced(Protocol):
    """Samples (samples, …): an array, or what reads them a slice at a time."""

    def __len__(self) -> int:
        """Number of samples."""

    def __getitem__(self, part: slice, /) -> Array:
        """Some of them."""


def evaluate(graph: Graph, samples: Sliced, steps: int | None = None) -> FloatArray:
    """What the Graph answers to any number of samples, which are taken a few at a time.

    Args:
        graph: in rate mode; a spiking one in spiking mode.
        samples: (samples, *input shape); of events, to a spiking Graph, (samples,
            steps, *input shape).
        steps: of a spiking Graph.
    """
    name = graph.output.name
    return recorded(graph, samples, [name], steps)[name]


def recorded(
    graph: Graph, samples: Sliced, names: Collection[str], steps: int | None = None
) -> dict[str, FloatArray]:
    """Values of nodes likewise, node name → (samples, *shape); their mean over the
    steps in spiking mode.
    """
    size = sum(math.prod(shape) for shape in graph.shapes.values())
    if graph.is_spiking and steps:
        size *= steps
    portion = max(1, min(PORTION, MOST // size))
    found = [
        _values(graph, samples[i : i + portion], names, steps)
        for i in range(0, len(samples), portion)
    ]
    return {name: np.concatenate([each[name] for each in found]) for name in names}


def entering(graph: Graph, x: Array) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Samples as ``interpret`` takes them in spiking mode, and what moves, as its
    ``sent``: events (samples, steps, *input shape) do, and their mean stands still.
    """
    if x.ndim != 2 + len(graph.input.shape):
        return x, {}
    return x.mean(axis=1), {graph.input.name: x.astype(np.float64)}


def _values(
    graph: Graph, x: Array, names: Collection[str], steps: int | None
) -> dict[str, FloatArray]:
    """``recorded`` of a few samples."""
    if not (graph.is_spiking and steps):
        return interpret(graph, x, record=names)
    last = graph.output.name
    still, sent = entering(graph, x)
    record = [name for name in names if name != last]
    found = interpret(graph, still, "spiking", steps=steps, record=record, sent=sent)
    return {k: v if k == last else v.mean(1) for k, v in found.items()}


def _simulate(
    graph: Graph,
    x: FloatArray,
    steps: int,
    dt: float,
    record: Collection[str],
    sent: Mapping[str, FloatArray],
) -> dict[str, FloatArray]:
    shapes = graph.shapes
    states = {
        node.name: _State.zero((len(x), *shapes[node.name]))
        for node in graph.nodes
        if isinstance(node, _STATEFUL)
    }
    synapses = [node for node in graph.nodes if isinstance(node, n.Synapse)]
    waiting = {
        node.name: deque([states[node.name].value] * (node.delay - 1))
        for node in synapses
    }
    series: dict[str, list[FloatArray]] = {name: [] for name in record}
    tail, front = _tail(graph)
    means = {name: np.zeros((len(x), *shapes[name])) for name in front}
    weights = readout_weights(graph.output.settle, graph.output.tau_syn, steps, dt)
    values = {graph.input.name: x}
    entering = sent.get(graph.input.name)
    still, moving = _split_still(graph, entering is not None)
    for node in still:  # a constant input makes them the same at every step
        own = apply(node, *(values[i] for i in node.inputs))
        values[node.name] = sent.get(node.name, own)
    at_rest = set(record) - {node.name for node in moving}
    for t in range(steps):
        if entering is not None:
            values[graph.input.name] = entering[:, t]
        for node in moving:
            if isinstance(node, n.Synapse):  # shows what it held before this step
                values[node.name] = states[node.name].value
            elif type(node) in _SPIKING:
                step, current = _SPIKING[type(node)], values[node.inputs[0]]
                values[node.name] = step(node, current, states[node.name], dt)
            else:
                values[node.name] = apply(node, *(values[i] for i in node.inputs))
            if node.name in record:
                series[node.name].append(values[node.name])
            if node.name in sent:
                values[node.name] = sent[node.name][:, t]
        for synapse in synapses:
            keep = math.exp(-dt / synapse.tau_syn) if synapse.tau_syn else 0.0
            held, line = states[synapse.name], waiting[synapse.name]
            line.append(values[synapse.inputs[0]])
            held.value = keep * held.value + (1 - keep) * line.popleft()
        for name in front:
            means[name] += weights[t] * values[name]
        for name in at_rest:
            series[name].append(values[name])
    for node in tail:
        means[node.name] = apply(node, *(means[i] for i in node.inputs))
    result = {name: np.stack(values, axis=1) for name, values in series.items()}
    return result | {graph.output.name: means[graph.output.name]}


def _tail(graph: Graph) -> tuple[list[n.Node], set[str]]:
    """The nodes behind the last populations, and the names of those that feed them."""
    kinds = n.Input | n.Neurons | n.Synapse | n.LI
    needed = graph.before(*(x.name for x in graph.nodes if isinstance(x, kinds)))
    tail = [node for node in graph.nodes if node.name not in needed]
    front = {i for node in tail for i in node.inputs} & needed
    return tail, front


def _split_still(graph: Graph, moved: bool) -> tuple[list[n.Node], list[n.Node]]:
    """The nodes no state reaches, and those that may differ from step to step.

    ``moved``: whether the Input is among these.
    """
    moves = {graph.input.name} if moved else set[str]()
    for node in graph.nodes:
        if isinstance(node, _STATEFUL) or not moves.isdisjoint(node.inputs):
            moves.add(node.name)
    nodes = [node for node in graph.nodes if not isinstance(node, n.Input)]
    return (
        [node for node in nodes if node.name not in moves],
        [node for node in nodes if node.name in moves],
    )


def readout_weights(settle: float, tau_syn: float, steps: int, dt: float) -> FloatArray:
    """Weight of each step in an Output's mean, (steps,), summing to 1.

    0 in the first ``settle`` seconds, then e^(−age / tau_syn), equal where tau_syn = 0.

    Raises:
        DataError: ``settle`` leaves no step to read.
    """
    skipped = round(settle / dt)
    if skipped >= steps:
        raise DataError(
            f"{steps} steps are run and the first {skipped} are left out of the "
            "read-out; run more steps"
        )
    age = np.arange(steps)[::-1] * dt
    weights = np.exp(-age / tau_syn) if tau_syn else np.ones(steps)
    weights[:skipped] = 0
    return cast(FloatArray, weights / weights.sum())


@dataclass
class _State:
    """What a node keeps from step to step: membrane potential or filtered value."""

    value: FloatArray
    refractory: FloatArray = field(default_factory=lambda: np.zeros(0))  # s left

    @classmethod
    def zero(cls, shape: tuple[int, ...]) -> _State:
        return cls(np.zeros(shape), np.zeros(shape))


def _step_lif(node: n.LIF, current: FloatArray, state: _State, dt: float) -> FloatArray:
    """One step of nengo.neurons.LIF: exact decay, spike time found within the step.

    With ``whole_steps``, of nengo_loihi.neurons.LoihiLIF: the step's end is its time.
    """
    refractory = state.refractory - dt
    active = np.clip(dt - refractory, 0, dt)  # s of this step outside refractory
    v = state.value - (current - state.value) * np.expm1(-active / node.tau_rc)
    spiked = (v > 1) & (active > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        since = dt + node.tau_rc * np.log1p(-(v - 1) / (current - 1))
    since = np.where(state.value > 1, 0.0, since)  # above 1 still, after a soft reset
    rest = node.tau_ref + since
    if node.whole_steps:
        rest = np.full_like(since, round(node.tau_ref / dt) * dt + dt)
    state.refractory = np.where(spiked, rest, refractory)
    left = 0.0 if node.reset == "zero" else v - 1
    state.value = np.where(spiked, left, np.maximum(v, node.min_voltage))
    spikes: FloatArray = spiked * (node.amplitude / dt)
    return spikes


def _step_if(node: n.IF, current: FloatArray, state: _State, dt: float) -> FloatArray:
    """One step of nengo.neurons.SpikingRectifiedLinear: several spikes, soft reset.

    Of the core's neuron with reset "zero".
    """
    hard = node.reset == "zero"
    if node.min_voltage == 0 and not hard:
        current = np.maximum(current, 0)
    current = np.minimum(current, node.ceiling or np.inf)
    v = np.maximum(state.value + current * dt, node.min_voltage)
    count: FloatArray = (v > 1) * 1.0 if hard else np.maximum(np.floor(v), 0)
    state.value = np.where(count > 0, 0.0, v) if hard else v - count
    return count * (node.amplitude / dt)


def _step_threshold(
    node: n.Threshold, current: FloatArray, state: _State, dt: float
) -> FloatArray:
    spikes: FloatArray = (current > 1) * (node.amplitude / dt)
    return spikes


def _step_li(node: n.LI, x: FloatArray, state: _State, dt: float) -> FloatArray:
    state.value = state.value - (x - state.value) * math.expm1(-dt / node.tau_rc)
    return state.value


_SPIKING: dict[type[n.Node], Callable[..., FloatArray]] = {
    n.LIF: _step_lif,
    n.IF: _step_if,
    n.Threshold: _step_threshold,
    n.LI: _step_li,
}
_STATEFUL = (n.Lowpass, n.Delay, *_SPIKING)
