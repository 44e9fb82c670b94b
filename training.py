"""A first network for whoever has only data: read, chosen, trained, saved as Keras.

    data → Task → candidate networks → (the smallest that fits a chip) → train → file

``build`` and ``finetune`` find in the file's metadata how the data were read and split.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .models.data.formats.formats import AS_NAMED
from .models.data.formats.reading import Reading
from .models.data.parts import noted
from .models.networks.recipe import PLAIN_SIZES, PlainRecipe
from .models.training.saving import check_model_file
from .models.training.train_classifier import (
    Material,
    Predict,
    network,
    train_classifier,
)
from .models.training.trainer import Progress, Scores
from .pipeline.compilation import Compilation, Settings, compiled, find_pass
from .targets.contract import find_target
from .tasks.first import first_task
from .tasks.task import Task
from .toolchain.errors import DoesNotFit
from .toolchain.frontends.keras.keras import from_keras
from .toolchain.graph.nodes import Shape
from .toolchain.passes.place.place import Placement, place

CHIPS = {"loihi": "loihi-emulator"}  # what a network can be fitted to → its target
PASSES = ("fold", "legalize", "balance", "quantize")
CALIBRATION_SAMPLES = 8  # of networks that are placed only


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What a user may choose about a first network."""

    size: Shape | None = None  # of samples; arrays and tables tell theirs
    encoder: str = "bias"  # or "events": samples are; their mean is learned
    fit: str | None = None  # of CHIPS: the smallest network that fits one
    epochs: int = PlainRecipe.epochs
    batch: int = PlainRecipe.batch
    learning_rate: float = PlainRecipe.learning_rate
    seed: int = PlainRecipe.seed


def train(
    kind: str,
    data: Path | None,
    out: Path,
    choices: Choices = Choices(),  # noqa: B008  frozen
    *,
    reading: Reading = AS_NAMED,
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
    announce: Callable[[str], None] = lambda text: None,
    command: str = "",
) -> dict[str, Any]:
    """Train a network that answers the data's questions, and write it to ``out``.

    Args:
        kind: of task: "classes", "values" or "masks".
        data: samples with answers; generated ones where None.
        out: Keras file to write, .h5 or Keras 3's .keras.
        choices: how to train.
        reading: how the data are read.
        resume: go on from the checkpoint.
        progress: called after each epoch.
        announce: told which network is trained, and why.
        command: how the user asked for this, for the metadata.

    Returns:
        The metadata that is stored with the network.

    Raises:
        SnnDeployError: something of the above is not in order.
    """
    check_model_file(out)
    recipe = PlainRecipe(
        epochs=choices.epochs,
        batch=choices.batch,
        learning_rate=choices.learning_rate,
        seed=choices.seed,
    )
    recipe.check()
    task = first_task(
        kind,
        data,
        size=choices.size,
        reading=reading,
        events=choices.encoder == "events",
        seed=choices.seed,
    )
    material = material_of(task)
    announce(_said(task))
    if choices.fit:
        recipe, placement = fitting(material, recipe, choices)
        announce(
            f"{recipe.size} network: {placement.total.compartments} neurons on "
            f"{len(placement.cores)} of {placement.chip_cores} cores"
        )
    return train_classifier(
        material, out, recipe, resume=resume, progress=progress, command=command
    )


def material_of(task: Task) -> Material:
    """What a network learns of a task; of events their mean over the steps."""
    assert task.kind is not None
    lessons, question = task.lessons({}), task.question
    train, validation = (
        (question.still(x).astype(np.float32), y)
        for x, y in (lessons.train, lessons.validation)
    )
    return Material(
        task=task.kind.name,
        output=question.output,
        train=train,
        validation=validation,
        judge=task.kind.judge(question, task.data),
        scores=partial(scores, task),
        notes=noted(task.data, task.parts, {})
        | {
            "task": task.kind.name,
            "data": task.data.source,
            "reading": task.reading.noted(),
        },
    )


def scores(task: Task, predict: Predict) -> Scores:
    """A network's scores and the trivial answer's, on validation and test samples."""
    constant, kind, answers = task.constant, task.kind, task.data.answers
    assert constant is not None and kind is not None and answers is not None
    found: Scores = {}
    for part in ("validation", "test"):
        indices = getattr(task.parts, part)
        x, truth = task.question.read(task.data, indices), answers[indices]
        given = predict(task.question.still(x).astype(np.float32))
        trivial = np.broadcast_to(constant.answer, (len(truth), *constant.answer.shape))
        each = {
            name: metric.of(output, truth)
            for metric in kind.metrics(task.question, task.data)
            for name, output in (
                (metric.name, given),
                (f"{metric.name} of the {constant.name}", trivial),
            )
        }
        # R² of equal answers, for one, is no number
        found[part] = {name: v for name, v in each.items() if math.isfinite(v)}
    return found


def _said(task: Task) -> str:
    question, parts = task.question, task.parts
    counts = len(parts.train), len(parts.validation), len(parts.test)
    return (
        f"{task.data.source}: {counts[0]} training, {counts[1]} validation and "
        f"{counts[2]} test samples; a network from {question.shape} to "
        f"{question.output}"
    )


def fitting(
    material: Material, recipe: PlainRecipe, choices: Choices
) -> tuple[PlainRecipe, Placement]:
    """The recipe with the smallest network that fits, and where it is placed.

    Placing reads shapes alone, so that a network need not be trained for it.

    Raises:
        DoesNotFit: none does.
    """
    assert choices.fit is not None
    target = find_target(CHIPS[choices.fit])
    assert target.limits.core is not None and target.limits.cores is not None
    encoder = "spikes" if choices.encoder == "events" else None
    samples = material.train[0][:CALIBRATION_SAMPLES].astype(np.float64)
    failed = ""
    for size in PLAIN_SIZES:
        sized = replace(recipe, size=size)
        start = Compilation(
            graph=from_keras(network(material, sized)),
            samples=samples,
            settings=Settings(encoder=encoder),
        )
        try:
            program = compiled(start, map(find_pass, PASSES)).program
            assert program is not None
            return sized, place(program, target.limits.core, target.limits.cores)
        except DoesNotFit as error:
            failed = failed or str(error)
    raise DoesNotFit(
        f"No network for samples of shape {material.train[0].shape[1:]} fits on one "
        f"{choices.fit} chip, not even the smallest ({failed}); give smaller samples "
        "(--size, where they lie in files of their own)"
    )
