"""Whether the data are read as the network was trained: the commonest mistake, found.

Pictures of 0 … 255 where 0 … 1 was trained, another order of channels or of labels:
nothing fails then, and every figure is wrong. The float network says so before a build
begins: it answers no better than a constant, or its first normalisation sees values of
another size, or it answers far better where the data are read in another way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ..toolchain.errors import DataError
from ..toolchain.graph.graph import Graph
from ..toolchain.graph.interpret import evaluate, interpret
from ..toolchain.graph.nodes import Array, BatchNorm, FloatArray
from .contract import Examples
from .metrics import Metric
from .task import Task

SAMPLES = 64  # of the training part
FAR = 10.0  # times the spread that the first normalisation expects
CLEAR = 0.1  # by which another reading must be better to be named
READINGS: Mapping[str, Callable[[FloatArray], FloatArray]] = {
    "--scale 0.00392157": lambda x: x / 255,
    "--scale 255": lambda x: x * 255,
    "--scale 2 --offset -1": lambda x: 2 * x - 1,
    "--scale 0.00784314 --offset -1": lambda x: x / 127.5 - 1,
    "--scale 0.5 --offset 0.5": lambda x: (x + 1) / 2,
    "channels in the reverse order": lambda x: x[..., ::-1],
}
"""What else the data may mean, as the user would have to say it."""


def check_reading(
    task: Task, graph: Graph, steps: int, *, force: bool = False
) -> tuple[str, ...]:
    """What a reader must know of how the data are read, for the report.

    Args:
        task: data and question.
        graph: the network as it was read.
        steps: that are built with, which a spiking network means.
        force: say it, but do not stop.

    Raises:
        DataError: the float network is no better than a constant answer, or its data
            are of another size than it was trained with; and ``force`` was not given.
    """
    examples = task.training(SAMPLES)
    x = task.question.taken(graph, examples.held)[:]
    doubts = () if graph.is_spiking else _spread(graph, x)
    better = None
    trivial = task.constant
    if trivial is not None and task.kind is not None and examples.y is not None:
        metric = task.kind.metrics(task.question, task.data)[0]
        constant = np.broadcast_to(
            trivial.answer, (len(examples), *trivial.answer.shape)
        )
        mine = metric.of(evaluate(graph, x, steps), examples.y)
        least = metric.of(constant, examples.y)
        if not task.question.steps:  # events are 0 and 1, however they are read
            better = _better(graph, examples, metric, mine, steps)
        if not mine > least:
            doubts += (
                f"the float network's {metric.name} is {mine:.3f} on {len(examples)} "
                f"training samples, and {least:.3f} is that of a constant answer "
                f"({trivial.name})",
            )
    found = () if better is None else (better,)
    if doubts and not force:
        raise DataError(
            f"{task.data.source}: {'; '.join((*doubts, *found))}. Likely causes: "
            "values of another range than it was trained with (0 … 255 for 0 … 1: "
            f"{_range(x)} here), another order of channels or of labels. "
            "Say how they were prepared (--scale, --offset, --mean, --std, "
            "--channels-first), or --force to go on"
        )
    return doubts + found


def _better(
    graph: Graph, examples: Examples, metric: Metric, mine: float, steps: int
) -> str | None:
    """The reading that halves what is missing to the best score, if there is one."""
    scores = {}
    for name, reading in READINGS.items():
        changed = reading(examples.held)
        if changed.shape[-1] > 1 or "channels" not in name:
            assert examples.y is not None
            scores[name] = metric.of(evaluate(graph, changed, steps), examples.y)
    name = max(scores, key=lambda n: scores[n])
    best = scores[name]
    if not (best - mine > CLEAR and 1 - best < (1 - mine) / 2):
        return None
    return (
        f"as the data are read, the float network's {metric.name} is {mine:.3f}; with "
        f"{name} it would be {best:.3f}: is that how it was trained?"
    )


def _spread(graph: Graph, x: FloatArray) -> tuple[str, ...]:
    """Whether the first normalisation sees what it was trained on."""
    norm = next((n for n in graph.nodes if isinstance(n, BatchNorm)), None)
    if norm is None:
        return ()
    seen = interpret(graph, x, record=norm.inputs)[norm.inputs[0]]
    spread = seen.reshape(-1, seen.shape[-1]).std(0)
    expected = np.sqrt(norm.variance)
    ratio = float(np.median(spread / np.maximum(expected, 1e-12)))
    if 1 / FAR < ratio < FAR:
        return ()
    return (
        f"layer {norm.name!r} normalises values that spread {ratio:.3g} times as wide "
        "as those it was trained on",
    )


def _range(x: Array) -> str:
    return f"{x.min():.3g} … {x.max():.3g}"
