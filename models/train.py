"""Train LocNet on pictures with boxes: Adam, squared error and firing rates."""

from __future__ import annotations

import hashlib
import math
import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from .. import __version__
from ..toolchain.errors import DataError
from . import augment
from .boxes import BoxData, FloatArray, ImageArray, iou, mean_box, median_box
from .checkpoint import (
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
    write_atomically,
    write_metadata,
)
from .locnet import fold, locnet, populations
from .neurons import RateNoise
from .recipe import Recipe
from .split import Split, split


@dataclass(frozen=True)
class Progress:
    """How training stands after an epoch."""

    epoch: int
    epochs: int
    loss: float
    validation_iou: float
    best_iou: float
    rate: float  # Hz, mean over the layers, on the validation pictures


def train(
    data: BoxData,
    out: str | os.PathLike[str],
    recipe: Recipe = Recipe(),  # noqa: B008  frozen
    *,
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
    command: str = "",
) -> dict[str, Any]:
    """Train a LocNet and write it to ``out`` (.h5), metadata included.

    The network kept is the one of the best mean IoU on the validation pictures; the
    test pictures are looked at once, afterwards. Each epoch leaves a checkpoint
    ``out``.checkpoint.npz, from which ``resume`` goes on to the very network that
    uninterrupted training ends with: every random number comes from (seed, epoch).

    Args:
        data: pictures and boxes.
        out: where the model goes, as Keras HDF5.
        recipe: how to train.
        resume: go on from the checkpoint.
        progress: called after each epoch.
        command: how the user asked for this, for the metadata.

    Returns:
        The metadata (``checkpoint.read_metadata``).

    Raises:
        DataError: a number of the recipe, a picture or ``out`` is wrong.
        ModelError: the checkpoint is missing, damaged or of another recipe.
    """
    recipe.check()
    out = Path(out)
    if out.suffix != ".h5" or not out.parent.is_dir():
        raise DataError(f"{out}: name a .h5 file in an existing folder for the model")
    tf.config.experimental.enable_op_determinism()
    tf.keras.utils.set_random_seed(recipe.seed)
    parts = split(data.names, recipe.seed, recipe.block)
    trainer = _Trainer(recipe, data, parts)
    checkpoint = out.with_name(out.name + ".checkpoint.npz")
    if resume:
        trainer.restore(load_checkpoint(checkpoint, trainer.identity))
    while trainer.epoch < recipe.epochs:
        report = trainer.run_epoch()
        save_checkpoint(checkpoint, trainer.state())
        if progress:
            progress(report)
    model = trainer.best_network()
    metadata = _metadata(trainer, model, command)
    write_atomically(out, lambda path: _save(model, path, metadata))
    return metadata


def _save(model: tf.keras.Model, path: Path, metadata: dict[str, Any]) -> None:
    model.save(path, save_format="h5", include_optimizer=False)
    write_metadata(path, metadata)


class _Trainer:
    """The network, its optimizer and how far they are."""

    def __init__(self, recipe: Recipe, data: BoxData, parts: Split) -> None:
        self.recipe, self.data, self.parts = recipe, data, parts
        self.model = model = self._network(
            normalised_to=recipe.target_rate, rate_noise=recipe.rate_noise
        )
        height, width, channels = recipe.size
        fine = (height * augment.FINENESS, width * augment.FINENESS, channels)
        learn, validation = data.take(parts.train), data.take(parts.validation)
        self.pictures, self.boxes = augment.widen(learn.images(fine)), learn.boxes
        self.validation = validation.images(recipe.size), validation.boxes
        self.optimizer = tf.keras.optimizers.Adam()
        self.optimizer.build(model.trainable_variables)
        self.rates = tf.keras.Model(
            model.input, [model.output, *(layer.output for layer in populations(model))]
        )
        self.step = tf.function(self._step, reduce_retracing=True)
        self.epoch = self.best_epoch = 0
        self.best_score = -1.0
        self.best_weights = model.get_weights()

    @property
    def identity(self) -> dict[str, Any]:
        """The recipe and the pictures' fingerprint, equal where training is."""
        text = "\n".join(self.data.names).encode() + self.data.boxes.tobytes()
        return asdict(self.recipe) | {"data": hashlib.sha256(text).hexdigest()}

    def _network(self, **options: Any) -> tf.keras.Model:
        recipe = self.recipe
        sizes = recipe.size, recipe.channels, recipe.widths
        return locnet(*sizes, recipe.amplitude, **options)

    def best_network(self) -> tf.keras.Model:
        """The network of the best epoch, without its normalisation."""
        self.model.set_weights(self.best_weights)
        plain = self._network()
        fold(self.model, plain)
        return plain

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to where a checkpoint was written."""
        self.model.set_weights(checkpoint.weights)
        for variable, value in zip(self.optimizer.variables(), checkpoint.optimizer):
            variable.assign(value)
        self.epoch, self.best_epoch = checkpoint.epoch, checkpoint.best_epoch
        self.best_score = checkpoint.best_score
        self.best_weights = list(checkpoint.best_weights)

    def state(self) -> Checkpoint:
        """Where training stands, to be written."""
        return Checkpoint(
            recipe=self.identity,
            epoch=self.epoch,
            best_epoch=self.best_epoch,
            best_score=self.best_score,
            weights=self.model.get_weights(),
            best_weights=self.best_weights,
            optimizer=[v.numpy() for v in self.optimizer.variables()],
        )

    def run_epoch(self) -> Progress:
        """See every training picture once, changed at random, then validate."""
        share = self.epoch / self.recipe.epochs
        rate = self.recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * share))
        self.optimizer.learning_rate.assign(rate)
        losses = [float(self.step(*batch)) for batch in self._batches()]
        self.epoch += 1
        images, boxes = self.validation
        predicted, *activities = self.rates.predict(images, verbose=0)
        score = float(iou(predicted, boxes).mean())
        if score > self.best_score:
            self.best_score, self.best_epoch = score, self.epoch
            self.best_weights = self.model.get_weights()
        mean_rate = np.mean([a.mean() for a in activities]) / self.recipe.amplitude
        return Progress(
            self.epoch,
            self.recipe.epochs,
            float(np.mean(losses)),
            score,
            self.best_score,
            float(mean_rate),
        )

    def _batches(self) -> Iterator[tuple[ImageArray, Any]]:
        rng = np.random.default_rng([self.recipe.seed, self.epoch])
        for layer in self.model.layers:
            if isinstance(layer, RateNoise):
                layer.generator.reset_from_seed(int(rng.integers(2**31)))
        order = rng.permutation(len(self.pictures))
        for chosen in np.array_split(order, math.ceil(len(order) / self.recipe.batch)):
            window, flips = augment.windows(self.boxes[chosen], rng)
            seen = augment.cut(
                self.pictures[chosen], window, flips, self.recipe.size[:2]
            )
            boxes = augment.seen_through(self.boxes[chosen], window, flips)
            yield augment.relight(seen, rng), boxes.astype(np.float32)

    def _step(self, images: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            predicted, *activities = self.rates(images, training=True)
            error = tf.reduce_mean(tf.square(predicted - boxes))
            target = self.recipe.target_rate * self.recipe.amplitude
            deviation = tf.add_n([rate_deviation(a, target) for a in activities])
            loss = self.recipe.output_weight * error
            loss += self.recipe.rate_weight * deviation
        variables = self.model.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss


def rate_deviation(activity: tf.Tensor, target: float) -> tf.Tensor:
    """Mean over a layer's channels of (mean activity / target − 1)².

    The mean over pictures and places is held to the target, so no channel falls silent
    or saturates, while the neurons within it are free to tell pictures apart.
    The paper (arXiv 2303.12738, section 3.1) names a regularisation towards a target
    rate and its weight, no formula.
    """
    channels = tf.reduce_mean(activity, axis=tuple(range(len(activity.shape) - 1)))
    return tf.reduce_mean(tf.square(channels / target - 1))


def _metadata(trainer: _Trainer, model: tf.keras.Model, command: str) -> dict[str, Any]:
    data, parts, recipe = trainer.data, trainer.parts, trainer.recipe
    scores: dict[str, dict[str, float]] = {}
    constant = median_box(data.boxes[parts.train])
    mean = mean_box(data.boxes[parts.train])
    for name in ("validation", "test"):
        part = data.take(getattr(parts, name))
        predicted: FloatArray = model.predict(part.images(recipe.size), verbose=0)
        scores[name] = {
            "constant_box_iou": float(iou(constant, part.boxes).mean()),
            "mean_box_iou": float(iou(mean, part.boxes).mean()),
            "ann_iou": float(iou(predicted, part.boxes).mean()),
        }
    return {
        "model": "locnet",
        "recipe": trainer.identity,
        "best_epoch": trainer.best_epoch,
        "scores": scores,
        "split": {
            name: [data.names[i] for i in getattr(parts, name)]
            for name in ("train", "validation", "test")
        },
        "versions": {
            "snn-deploy": __version__,
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "numpy": np.__version__,
        },
        "command": command,
    }


@contextmanager
def progress_bar(epochs: int) -> Iterator[Callable[[Progress], None]]:
    """A bar on stderr; what it yields goes into ``train(progress=…)``."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(file=sys.stderr)) as bar:
        task = bar.add_task("training", total=epochs)

        def show(now: Progress) -> None:
            text = (
                f"epoch {now.epoch}: validation IoU {now.validation_iou:.3f}, best "
                f"{now.best_iou:.3f}, {now.rate:.0f} Hz"
            )
            bar.update(task, completed=now.epoch, description=text)

        yield show
