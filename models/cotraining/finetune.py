"""Hybrid fine-tuning: spikes forward, the rate twins' gradients backward."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from ...toolchain.errors import DataError
from ...toolchain.memory import demand_memory
from ...toolchain.program.host import demand_events
from ..training.checkpoint import load_checkpoint, save_checkpoint
from .hybrid import HybridNetwork
from .meter import Energy, Judge, Meter, Samples
from .recipe import Progress, Recipe
from .trainer import Augment, Teacher, Trainer


def finetune(
    network: HybridNetwork,
    train: Samples,
    validation: Samples,
    recipe: Recipe = Recipe(),  # noqa: B008  frozen
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    identity: Mapping[str, Any] | None = None,
    teacher: Teacher | None = None,
    augment: Augment | None = None,
    judge: Judge | None = None,
    energy: Energy | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Progress:
    """Train the network's weights in place; it ends with those of its best epoch.

    The best epoch is the one of the highest score on the validation samples among those
    that keep to the budget, or else the nearest to it (``trainer``). Where a least
    score is part of it, training ends with the first that keeps to all. Every random
    number comes from (seed, epoch), so that ``resume`` goes on to the very network that
    uninterrupted training ends with.

    Args:
        network: of quantized scales.
        train: samples to learn from; with ``augment``, what that takes.
        validation: samples to choose by; never test samples.
        recipe: how to train.
        checkpoint: .npz file, written after every epoch.
        resume: go on from the checkpoint.
        identity: what a resumed run must share beside the recipe, the data and the
            network it began with, by name.
        teacher: answers training samples, augmented ones too; see ``Recipe.teaching``.
        augment: (samples, wanted, generator) → what a batch is trained with.
        judge: the score to choose the best epoch by; that of the loss where None.
        energy: of a network, where the budget has a bound on it.
        progress: called after each epoch.

    Returns:
        How it stands at the end.

    Raises:
        DataError: a number of the recipe, or the samples, are not in order, too much
            memory is needed, a loss, a weight or an output is no longer finite, or
            neurons that never fire take more energy than is allowed.
        ModelError: the checkpoint is missing, damaged or of another run.
    """
    recipe.check()
    for part, (x, y) in {"training": train, "validation": validation}.items():
        if not len(x) or len(x) != len(y):
            raise DataError(
                f"{part} samples: {len(x)} of them and {len(y)} wanted outputs; give "
                "one output for each sample, at least one"
            )
        if network.sends_events and not (augment and x is train[0]):
            demand_events(x)
    demand_memory(
        f"{recipe.batch} samples, {recipe.steps} steps, {network.neurons} neurons",
        4 * recipe.batch * recipe.steps * network.neurons,
        "use fewer steps, or a smaller batch",
    )
    if resume and checkpoint is None:
        raise DataError("resume: name the checkpoint to go on from")
    tf.config.experimental.enable_op_determinism()
    meter = Meter(network, validation, recipe, judge, energy)
    trainer = Trainer(network, train, recipe, meter, teacher, augment)
    trainer.identity = {**trainer.identity, **(identity or {})}
    left = None
    if resume and checkpoint:
        left = load_checkpoint(checkpoint, trainer.identity)
    report = trainer.start()
    if left:
        report = trainer.resume(left)
    elif progress:
        progress(report)
    while not trainer.done:
        report = trainer.run_epoch()
        if checkpoint:
            save_checkpoint(checkpoint, trainer.state())
        if progress:
            progress(report)
    _, _, weights = trainer.kept
    trainer.use(weights)
    return report
