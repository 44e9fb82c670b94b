"""The loop that trains any of our networks: epochs, checkpoints, the best one kept."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ... import __version__
from ..data.parts import PARTS
from ..data.split import Split
from ..networks.recipe import CaeRecipe, PlainRecipe, Recipe
from .adam import Adam
from .averaging import Averages, averaged
from .checkpoint import (
    Resumable,
    Weights,
    digest,
    load_checkpoint,
    save_checkpoint,
)
from .saving import check_model_file, save_model

if TYPE_CHECKING:
    from rich.console import Console

AT_ONCE = 64  # samples
Batch = tuple[Any, ...]
Scores = dict[str, dict[str, float]]
"""Part of the split → score → value."""


@dataclass(frozen=True)
class Progress:
    """How training stands after an epoch."""

    epoch: int
    epochs: int
    loss: float
    score: float  # on the validation samples
    best_score: float | None
    label: str  # of the score
    rate: float | None  # Hz, mean over the layers, where neurons have a rate


class Trainer(Resumable):
    """A network, its optimizer and how far they are; a child says what is learned.

    Every random number of an epoch comes from (seed, epoch).

    Attributes:
        name: of the network.
        label: of the score, the higher the better.
    """

    name: str
    label: str

    def __init__(
        self,
        recipe: Recipe | CaeRecipe | PlainRecipe,
        model: tf.keras.Model,
        notes: Mapping[str, Any],
        fingerprint: str,
    ) -> None:
        """Start from a model as it is.

        Args:
            recipe: how to train.
            model: its weights are trained in place.
            notes: of the data, for the metadata: the split, digests, the task, …
            fingerprint: of the data, equal where they are.
        """
        self.model, self.notes = model, notes
        start = {"data": fingerprint, "initial weights": digest(self.weights())}
        self.identity = asdict(recipe) | start
        self.seed, self.epochs = recipe.seed, recipe.epochs
        self.learning_rate = recipe.learning_rate
        self.optimizer = Adam(model.trainable_variables)
        real = [x for x in model.weights if x.dtype == "float32"]
        self.averages = Averages(real, recipe.averaging) if recipe.averaging else None
        self.step = tf.function(self._step, autograph=False, reduce_retracing=True)
        self.epoch = self.best_epoch = 0
        self.best_score = None
        self.best_weights = self.weights()

    def batches(self, rng: np.random.Generator) -> Iterator[Batch]:
        """What an epoch is trained with: arguments of ``loss``."""
        raise NotImplementedError

    def loss(self, *batch: tf.Tensor) -> tf.Tensor:
        """What training makes small, a scalar."""
        raise NotImplementedError

    def judge(self) -> tuple[float, float | None]:
        """Score and mean rate (Hz) on the validation samples."""
        raise NotImplementedError

    def deployable(self) -> tf.keras.Model:
        """The network as it is saved, with the model's weights."""
        raise NotImplementedError

    def scores(self, model: tf.keras.Model) -> Scores:
        """Of the model and of trivial answers, on validation and test samples."""
        raise NotImplementedError

    def weights(self) -> Weights:
        return self.model.get_weights()  # type: ignore[no-any-return]

    def use(self, weights: Weights) -> None:
        self.model.set_weights(weights)

    @property
    def memory(self) -> Sequence[tf.Variable]:
        means = self.averages.memory if self.averages else []
        return [*self.optimizer.memory, *means]

    def run_epoch(self) -> Progress:
        """See every training sample once, changed at random, then validate.

        Where weights are averaged, it is their means that are validated and kept.
        """
        rate = 0.5 * (1 + math.cos(math.pi * self.epoch / self.epochs))
        self.optimizer.rate.assign(self.learning_rate * rate)
        rng = np.random.default_rng([self.seed, self.epoch])
        losses = [float(self.step(*batch)) for batch in self.batches(rng)]
        self.demand_finite("the loss", losses)
        if self.averages:
            self.averages.update()
        with averaged(self.averages):
            score, hz = self.judge()
            self.epoch += 1
            if self.is_best(score):
                self.best_score, self.best_epoch = score, self.epoch
                self.best_weights = self.weights()
        loss = float(np.mean(losses))
        now = self.epoch, self.epochs, loss, score, self.best_score, self.label, hz
        return Progress(*now)

    def _step(self, *batch: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = self.loss(*batch)
        self.optimizer.apply(tape.gradient(loss, self.optimizer.variables))
        return loss


def run(
    start: Callable[[], Trainer],
    seed: int,
    out: str | os.PathLike[str],
    *,
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
    command: str = "",
) -> dict[str, Any]:
    """Train to the last epoch and write the best network to ``out`` (.h5, .keras).

    The network kept is the one of the best score on the validation samples; the test
    samples are looked at once, afterwards. Each epoch leaves a checkpoint
    ``out``.checkpoint.npz, from which ``resume`` goes on to the very network that
    uninterrupted training ends with.

    Args:
        start: makes the trainer, once TensorFlow's randomness is fixed.
        seed: to fix it with.
        out: where the model goes, with its metadata: .h5, or Keras 3's .keras.
        resume: go on from the checkpoint.
        progress: called after each epoch.
        command: how the user asked for this, for the metadata.

    Returns:
        The metadata (``metadata.read_metadata``).

    Raises:
        DataError: ``out`` is wrong or cannot be written, or the loss or an output is
            no longer finite.
        ModelError: the checkpoint is missing, damaged or of another recipe.
    """
    out = Path(out)
    check_model_file(out)
    tf.config.experimental.enable_op_determinism()
    tf.keras.utils.set_random_seed(seed)
    trainer = start()
    checkpoint = out.with_name(out.name + ".checkpoint.npz")
    if resume:
        trainer.restore(load_checkpoint(checkpoint, trainer.identity))
    while trainer.epoch < trainer.epochs:
        report = trainer.run_epoch()
        save_checkpoint(checkpoint, trainer.state())
        if progress:
            progress(report)
    trainer.use(trainer.best_weights)
    model = trainer.deployable()
    metadata = _metadata(trainer, model, command)
    save_model(model, out, metadata)
    return metadata


def _metadata(trainer: Trainer, model: tf.keras.Model, command: str) -> dict[str, Any]:
    return {
        "model": trainer.name,
        "recipe": trainer.identity,
        "best_epoch": trainer.best_epoch,
        "scores": trainer.scores(model),
        **trainer.notes,
        "versions": {
            "snn-deploy": __version__,
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "numpy": np.__version__,
        },
        "command": command,
    }


def answers(model: tf.keras.Model, x: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """What each of a network's outputs gives for samples, (samples, …).

    Not by ``Model.predict``: it sets up a pipeline at every call, and training asks
    after every epoch.
    """
    parts = [
        tf.nest.flatten(model(x[at : at + AT_ONCE], training=False))
        for at in range(0, len(x), AT_ONCE)
    ]
    return [np.concatenate(output) for output in zip(*parts)]


def split_notes(parts: Split, units: Mapping[str, str]) -> dict[str, Any]:
    """The split, for the metadata.

    Args:
        parts: that train, choose and test.
        units: name → digest of what is split, in its order.
    """
    names, digests = list(units), list(units.values())
    chosen = {part: getattr(parts, part) for part in PARTS}
    return {
        "split": {part: [names[i] for i in at] for part, at in chosen.items()},
        "digests": {part: [digests[i] for i in at] for part, at in chosen.items()},
    }


@contextmanager
def progress_bar(
    epochs: int, console: Console | None = None
) -> Iterator[Callable[[Progress], None]]:
    """A bar on stderr; what it yields goes into ``train(progress=…)``."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("epoch {task.completed}/{task.total}"),
        BarColumn(),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console or Console(stderr=True)) as bar:
        task = bar.add_task("", total=epochs)

        def show(now: Progress) -> None:
            text = f"loss {now.loss:.4f} · validation {now.label} {now.score:.3f}"
            if now.best_score is not None:
                text += f" (best {now.best_score:.3f})"
            if now.rate is not None:
                text += f" · {now.rate:.0f} Hz"
            bar.update(task, completed=now.epoch, description=text)

        yield show
