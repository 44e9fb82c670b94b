"""Starting: a network, what it is asked, and the samples that a build begins with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .calibration.conversion.fewest_steps import STEPS
from .model_files import Model, read_model
from .models.data.formats.formats import AS_NAMED
from .models.data.formats.reading import Reading
from .pipeline.compilation import Compilation, Settings
from .targets.contract import RASTER_BYTES
from .tasks.task import Task, read_task
from .toolchain.errors import ModelError
from .toolchain.graph.graph import Graph
from .toolchain.graph.nodes import Neurons
from .toolchain.passes.preprocess import NONE, Preprocessing, with_preprocessing

DEVICE = "loihi1_davies2018"  # profile of the energy proxy
CALIBRATION_SAMPLES = 64
AUTO_SAMPLES = 256  # on which a score tells numbers of steps apart


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A build as it is asked for; ``deploy.build`` says what each is."""

    target: str
    model: Path | None = None
    data: Path | None = None
    device: str = DEVICE
    reading: Reading = AS_NAMED
    preprocessing: Preprocessing = NONE
    settings: Settings = Settings()
    output: str | None = None
    rewrites: Mapping[str, str] | None = None


def read_asked(asked: Asked) -> tuple[Model, Task, Settings]:
    """The network, its task, and the settings where they follow from both.

    Raises:
        SnnDeployError: a file is not in order, or else as ``read``.
    """
    source = read_model(asked.model, asked.output, asked.rewrites)
    return read(source, asked.data, asked.reading, asked.preprocessing, asked.settings)


def read(
    source: Model,
    data: Path | None,
    reading: Reading,
    preprocessing: Preprocessing,
    settings: Settings,
) -> tuple[Model, Task, Settings]:
    """The network, its task, and the settings where they follow from both.

    Raises:
        SnnDeployError: the data are no question to this network, or the settings are
            others than it was fine-tuned with.
    """
    source = replace(source, graph=with_preprocessing(source.graph, preprocessing))
    if source.choices:
        settings = as_tuned(settings, source.choices)
    reading = replace(reading, steps=settings.steps)
    events = settings.encoder == "events"
    task = read_task(
        data, source.graph, source.metadata, reading=reading, events=events
    )
    steps = settings.steps or task.question.steps  # as many as the data's events have
    auto = settings.auto_steps and steps is None and not source.scales
    return source, task, replace(settings, steps=steps, auto_steps=auto)


def as_tuned(settings: Settings, choices: Mapping[str, Any]) -> Settings:
    """The settings for a fine-tuned network, with the steps it was tuned for.

    Raises:
        ModelError: they are others than it was fine-tuned with.
    """
    encoder = choices.get("encoder", "bias")
    asked = (settings.encoder or encoder, settings.weight_bits, settings.dt)
    tuned = (encoder, Settings.weight_bits, choices["dt"])
    if asked != tuned:
        raise ModelError(
            f"Fine-tuned network: it was trained with encoder {tuned[0]}, {tuned[1]}-"
            f"bit weights and dt = {tuned[2]} s, which are built with; leave out "
            "--encoder, --weight-bits and --dt, or build what it was made from"
        )
    return replace(settings, steps=settings.steps or choices["steps"], encoder=encoder)


def start_of(
    source: Model,
    task: Task,
    settings: Settings,
    announce: Callable[[str], None] = lambda words: None,
) -> Compilation:
    """The network as read, with calibration samples.

    Args:
        source: the network.
        task: what it is asked.
        settings: as ``read`` gives them.
        announce: told how a long pass stands.
    """
    auto = settings.auto_steps
    asked = AUTO_SAMPLES if auto else CALIBRATION_SAMPLES
    count = fitting(asked, source.graph, settings)
    return Compilation(
        graph=source.graph,
        samples=task.calibration(count, unlearnt=auto),
        settings=settings,
        scales=source.scales,
        score=task.judge(count, unlearnt=auto),
        announce=announce,
    )


def fitting(count: int, graph: Graph, settings: Settings) -> int:
    """So many samples, or of a large network as many as have ``RASTER_BYTES`` steps."""
    names = [node.name for node in graph.nodes if isinstance(node, Neurons)]
    neurons = sum(math.prod(graph.shapes[name]) for name in names)
    steps = STEPS[-1] if settings.auto_steps else settings.presentation
    return max(1, min(count, RASTER_BYTES // (steps * max(neurons, 1))))
