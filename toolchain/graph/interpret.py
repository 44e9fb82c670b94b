"""Run a Graph in float64: the meaning of every node, in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..errors import DataError, ModelError
from ..memory import demand_memory
from . import nodes as n
from .graph import Graph
from .nodes import FloatArray, Padding
from .preparation import ChannelsLast, Rescale

PORTION = 64  # samples that ``evaluate`` takes at once


def interpret(
    graph: Graph,
    x: FloatArray,
    mode: str = "rate",
    *,
    steps: int = 0,
    dt: float = 0.001,
    record: Collection[str] = (),
    sent: Mapping[str, FloatArray] | None = None,
) -> dict[str, FloatArray]:
    """Output of the Graph, and of the nodes named in ``record``.

    Args:
        graph: any Graph.
        x: samples, (samples, *input shape).
        mode: "rate": every population sends its rate, once, and Lowpass passes it on.
            "spiking": ``steps`` timesteps of ``dt`` s from a zero state, the sample
            held as constant input.
        record: node names.
        sent: in spiking mode, node → what it sends in place of its own value, which is
            recorded all the same: (samples, steps, *shape), or (samples, *shape) of a
            node that no state reaches.

    Returns:
        node name → (samples, *shape); recorded nodes in spiking mode
        (samples, steps, *shape).

    Raises:
        DataError: x has another shape than the Input, or no steps are asked for.
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
        values = {graph.input.name: x}
        for node in graph.nodes:
            if not isinstance(node, n.Input):
                values[node.name] = _apply(node, *(values[i] for i in node.inputs))
        return {name: values[name] for name in (*record, graph.output.name)}
    if mode != "spiking":
        raise ModelError(f"interpret: mode {mode!r} is unknown; 'rate' or 'spiking'")
    if steps < 1:
        raise DataError(f"steps is {steps}; at least 1 is needed")
    return _simulate(graph, x, steps, dt, record, sent or {})


def evaluate(graph: Graph, samples: FloatArray) -> FloatArray:
    """Output of the Graph in rate mode for any number of samples, a few at a time."""
    parts = range(0, len(samples), PORTION)
    found = [interpret(graph, samples[i : i + PORTION]) for i in parts]
    return np.concatenate([values[graph.output.name] for values in found])


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
    series: dict[str, list[FloatArray]] = {name: [] for name in record}
    tail, front = _tail(graph)
    means = {name: np.zeros((len(x), *shapes[name])) for name in front}
    weights = readout_weights(graph.output.settle, graph.output.tau_syn, steps, dt)
    values = {graph.input.name: x}
    still, moving = _split_still(graph)
    for node in still:  # a constant input makes them the same at every step
        own = _apply(node, *(values[i] for i in node.inputs))
        values[node.name] = sent.get(node.name, own)
    at_rest = set(record) - {node.name for node in moving}
    for t in range(steps):
        for node in moving:
            inputs = [values[i] for i in node.inputs]
            if isinstance(node, n.Lowpass):  # shows what it held before this step
                values[node.name] = states[node.name].value
            elif type(node) in _SPIKING:
                step = _SPIKING[type(node)]
                values[node.name] = step(node, *inputs, states[node.name], dt)
            else:
                values[node.name] = _apply(node, *inputs)
            if node.name in record:
                series[node.name].append(values[node.name])
            if node.name in sent:
                values[node.name] = sent[node.name][:, t]
        for node in moving:
            if isinstance(node, n.Lowpass):
                keep = math.exp(-dt / node.tau_syn) if node.tau_syn else 0.0
                held = states[node.name]
                held.value = keep * held.value + (1 - keep) * values[node.inputs[0]]
        for name in front:
            means[name] += weights[t] * values[name]
        for name in at_rest:
            series[name].append(values[name])
    for node in tail:
        means[node.name] = _apply(node, *(means[i] for i in node.inputs))
    result = {name: np.stack(values, axis=1) for name, values in series.items()}
    return result | {graph.output.name: means[graph.output.name]}


def _tail(graph: Graph) -> tuple[list[n.Node], set[str]]:
    """The nodes behind the last populations, and the names of those that feed them."""
    needed: set[str] = set()  # by a population
    for node in reversed(graph.nodes):
        stays = isinstance(node, n.Input | n.Neurons | n.Lowpass)
        if stays or node.name in needed:
            needed |= {node.name, *node.inputs}
    tail = [node for node in graph.nodes if node.name not in needed]
    front = {i for node in tail for i in node.inputs} & needed
    return tail, front


def _split_still(graph: Graph) -> tuple[list[n.Node], list[n.Node]]:
    """The nodes no state reaches, and those that may differ from step to step."""
    moves: set[str] = set()
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
    """One step of nengo.neurons.LIF: exact decay, spike time found within the step."""
    refractory = state.refractory - dt
    active = np.clip(dt - refractory, 0, dt)  # s of this step outside refractory
    v = state.value - (current - state.value) * np.expm1(-active / node.tau_rc)
    spiked = v > 1
    with np.errstate(divide="ignore", invalid="ignore"):
        since = dt + node.tau_rc * np.log1p(-(v - 1) / (current - 1))
    state.refractory = np.where(spiked, node.tau_ref + since, refractory)
    v = np.maximum(v, node.min_voltage)
    state.value = np.where(spiked, 0.0, v)
    spikes: FloatArray = spiked * (node.amplitude / dt)
    return spikes


def _step_if(node: n.IF, current: FloatArray, state: _State, dt: float) -> FloatArray:
    """One step of nengo.neurons.SpikingRectifiedLinear: several spikes, soft reset."""
    if node.min_voltage == 0:
        current = np.maximum(current, 0)
    v = np.maximum(state.value + current * dt, node.min_voltage)
    count: FloatArray = np.maximum(np.floor(v), 0)
    state.value = v - count
    return count * (node.amplitude / dt)


_SPIKING: dict[type[n.Node], Callable[..., FloatArray]] = {
    n.LIF: _step_lif,
    n.IF: _step_if,
}
_STATEFUL = (n.Lowpass, n.LIF, n.IF)


def lif_rate(excess: FloatArray, tau_rc: float, tau_ref: float) -> FloatArray:
    """1 / (tau_ref + tau_rc · ln(1 + 1 / excess)) in Hz, 0 where excess = J − 1 ≤ 0."""
    above = np.maximum(excess, np.finfo(np.float64).tiny)
    rate = 1.0 / (tau_ref + tau_rc * np.log1p(1.0 / above))
    return np.where(excess > 0, rate, 0.0)


def _soft_lif(node: n.SoftLIF, x: FloatArray) -> FloatArray:
    """Worked out from ln j, so that it neither underflows nor jumps far below J = 1."""
    z = (x - 1) / node.sigma
    near = np.log(np.logaddexp(0.0, np.maximum(z, _FAR)))
    log_j = np.where(z < _FAR, z, near) + math.log(node.sigma)
    rate: FloatArray = 1.0 / (node.tau_ref + node.tau_rc * np.logaddexp(0.0, -log_j))
    return node.amplitude * rate


_FAR = -40.0  # below it ln(1 + e^z) is e^z to float64's precision


def _conv(node: n.Conv2D, x: FloatArray) -> FloatArray:
    """Every sample as one product of its windows, one a row, with the weights."""
    rows, columns, channels, filters = node.weight.shape
    windows = _windows(x, (rows, columns), node.stride, node.padding)
    windows = windows.transpose(0, 1, 2, 4, 5, 3)
    weight = node.weight.reshape(-1, filters)
    y = np.empty((*windows.shape[:3], filters))
    for sample, image in zip(y, windows):
        flat = image.reshape(-1, rows * columns * channels)
        sample[:] = (flat @ weight).reshape(sample.shape)
    return y + node.bias


def _conv_transpose(node: n.ConvTranspose2D, x: FloatArray) -> FloatArray:
    rows, columns, _, filters = node.weight.shape
    (top, bottom), (left, right) = node.padding
    reach = [(size - 1) * pace + 1 for size, pace in zip(x.shape[1:3], node.stride)]
    height, width = reach[0] + rows - 1, reach[1] + columns - 1
    full = np.zeros((len(x), height, width, filters))
    for m, k in np.ndindex(rows, columns):
        down = slice(m, m + reach[0], node.stride[0])
        across = slice(k, k + reach[1], node.stride[1])
        full[:, down, across] += x @ node.weight[m, k]
    return full[:, top : height - bottom, left : width - right] + node.bias


def _windows(
    x: FloatArray, kernel: tuple[int, int], stride: tuple[int, int], padding: Padding
) -> FloatArray:
    """(samples, rows, columns, channels, *kernel) view of the padded input."""
    padded = np.pad(x, ((0, 0), *padding, (0, 0)))
    windows = sliding_window_view(padded, kernel, axis=(1, 2))  # type: ignore[call-overload]
    return cast(FloatArray, windows[:, :: stride[0], :: stride[1]])


def _pool(node: n.AvgPool2D, x: FloatArray) -> FloatArray:
    windows = _windows(x, node.pool, node.stride, ((0, 0), (0, 0)))
    total = np.zeros(windows.shape[:4])
    for m, k in np.ndindex(*node.pool):
        total += windows[..., m, k]
    return cast(FloatArray, total / math.prod(node.pool))


def _upsample(node: n.Upsample2D, x: FloatArray) -> FloatArray:
    return x.repeat(node.factor[0], axis=1).repeat(node.factor[1], axis=2)


def _sigmoid(node: n.Sigmoid, x: FloatArray) -> FloatArray:
    y: FloatArray = 0.5 * (1 + np.tanh(0.5 * x))
    return y


def _log_softmax(node: n.Node, x: FloatArray) -> FloatArray:
    below = x - x.max(axis=-1, keepdims=True)
    total: FloatArray = np.exp(below).sum(axis=-1, keepdims=True)
    return cast(FloatArray, below - np.log(total))


def _argmax(node: n.Argmax, x: FloatArray) -> FloatArray:
    y: FloatArray = x.argmax(axis=-1).astype(np.float64)
    return y


_OPERATIONS: dict[type[n.Node], Callable[..., FloatArray]] = {
    n.Dense: lambda node, x: x @ node.weight + node.bias,
    n.Conv2D: _conv,
    n.ConvTranspose2D: _conv_transpose,
    n.AvgPool2D: _pool,
    n.Upsample2D: _upsample,
    n.BatchNorm: lambda node, x: x * node.scale + node.offset,
    ChannelsLast: lambda node, x: np.moveaxis(x, 1, -1),
    Rescale: lambda node, x: x * node.scale + node.offset,
    n.Flatten: lambda node, x: x.reshape(len(x), -1),
    n.Reshape: lambda node, x: x.reshape(len(x), *node.shape),
    n.Add: lambda node, *xs: sum(xs[1:], xs[0]),
    n.Concat: lambda node, *xs: np.concatenate(xs, axis=-1),
    n.Lowpass: lambda node, x: x,
    n.LIF: lambda node, x: node.amplitude * lif_rate(x - 1, node.tau_rc, node.tau_ref),
    n.IF: lambda node, x: node.amplitude * np.maximum(x, 0),
    n.SoftLIF: _soft_lif,
    n.ReLU: lambda node, x: node.amplitude * np.maximum(x, 0),
    n.Sigmoid: _sigmoid,
    n.Tanh: lambda node, x: np.tanh(x),
    n.Softmax: lambda node, x: cast(FloatArray, np.exp(_log_softmax(node, x))),
    n.LogSoftmax: _log_softmax,
    n.Argmax: _argmax,
    n.Output: lambda node, x: x,
}


def _apply(node: n.Node, *inputs: FloatArray) -> FloatArray:
    return _OPERATIONS[type(node)](node, *inputs)
