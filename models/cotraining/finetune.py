"""Hybrid fine-tuning: spikes forward, the rate twins' gradients backward."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ...toolchain.errors import DataError
from ...toolchain.memory import demand_memory
from ...toolchain.program.host import demand_events
from ..training.adam import Adam
from ..training.checkpoint import (
    Resumable,
    Weights,
    digest,
    load_checkpoint,
    save_checkpoint,
)
from ..training.losses import distillation, find_loss, mse
from .hybrid import HybridNetwork
from .rate_control import BUDGETS, Budget, deviation
from .recipe import Progress, Recipe
from .semantics import Activity, forward

Array = npt.NDArray[Any]
Samples = tuple[Array, Array]
"""What the network takes and what it should give, (samples, …) each."""
Augment = Callable[[Array, Array, np.random.Generator], Samples]
Teacher = Callable[[Array], Array]
"""Samples → the outputs to come near to, as the network's own."""
Judge = tuple[str, Callable[[Array, Array], float]]
"""Name of a score, and (outputs, wanted) → it; the higher the better."""


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
    progress: Callable[[Progress], None] | None = None,
) -> Progress:
    """Train the network's weights in place; it ends with those of its best epoch.

    The best epoch is the one of the highest score on the validation samples among those
    that keep to the budgets, the network as it was given included; where none does, the
    last. Every random number comes from (seed, epoch), so that ``resume`` goes on to
    the very network that uninterrupted training ends with.

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
        progress: called after each epoch.

    Returns:
        How it stands at the end.

    Raises:
        DataError: a number of the recipe, or the samples, are not in order, too much
            memory is needed, or a loss, a weight or an output is no longer finite.
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
    trainer = _Trainer(network, train, validation, recipe, teacher, augment, judge)
    trainer.identity = {**trainer.identity, **(identity or {})}
    if resume:
        assert checkpoint is not None
        trainer.restore(load_checkpoint(checkpoint, trainer.identity))
        report = trainer.judge(None)
    else:
        report = trainer.start()
        if progress:
            progress(report)
    while not trainer.done:
        report = trainer.run_epoch()
        if checkpoint:
            save_checkpoint(checkpoint, trainer.state())
        if progress:
            progress(report)
    trainer.use(trainer.best_weights)
    return report


class _Trainer(Resumable):
    """The network, its optimizer and how far they are."""

    def __init__(
        self,
        network: HybridNetwork,
        train: Samples,
        validation: Samples,
        recipe: Recipe,
        teacher: Teacher | None,
        augment: Augment | None,
        judge: Judge | None,
    ) -> None:
        self.network, self.recipe, self.augment = network, recipe, augment
        self.train, self.validation, self.teacher = train, validation, teacher
        self.taught = teacher(train[0]) if teacher and not augment else None
        self.loss = find_loss(recipe.loss, recipe.label_smoothing)
        self.label, self.score = judge or (self.loss.label, self.loss.score)
        self.variables = list(network.trainable_variables)
        self.optimizer = Adam(self.variables, most=1.0)
        self.budgets = {
            name: Budget(kind(network, recipe.steps), getattr(recipe, name))
            for name, kind in BUDGETS.items()
            if getattr(recipe, name) is not None
        }
        self.measures = {
            name: kind(network, recipe.steps) for name, kind in BUDGETS.items()
        }
        self.step = tf.function(self._step, autograph=False)
        self.present = tf.function(self._present, autograph=False)
        self.epoch = self.best_epoch = 0
        self.best_score = None
        self.best_weights = self.weights()
        self.identity = self._identity()

    def _identity(self) -> dict[str, Any]:
        net = self.network
        fixed = (net.dt, net.limit, net.gradient, net.sigma, net.sigma_if, net.scales)
        text = np.frombuffer(f"{net.graph} {fixed}".encode(), np.uint8)
        return asdict(self.recipe) | {
            "data": digest([*self.train, *self.validation]),
            "network": digest([text]),
            "initial weights": digest(self.weights()),
        }

    @property
    def done(self) -> bool:
        """Whether all epochs are run, or no better one came for too long."""
        waited = self.epoch - self.best_epoch
        patience = self.recipe.patience
        return self.epoch >= self.recipe.epochs or 0 < patience <= waited

    def weights(self) -> list[Array]:
        return [variable.numpy() for variable in self.variables]

    def use(self, weights: Weights) -> None:
        for variable, value in zip(self.variables, weights):
            variable.assign(value)

    @property
    def memory(self) -> list[tf.Variable]:
        multipliers = [budget.multiplier for budget in self.budgets.values()]
        return [*self.optimizer.memory, *multipliers]

    def start(self) -> Progress:
        """Judge the network as it was given."""
        return self.judge(None)

    def run_epoch(self) -> Progress:
        """See every training sample once, then judge."""
        share = self.epoch / self.recipe.epochs
        rate = self.recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * share))
        self.optimizer.rate.assign(rate)
        losses = [float(self.step(*batch)) for batch in self._batches()]
        self.demand_finite("the loss", losses)
        for weights in self.weights():
            self.demand_finite("a weight", weights)
        self.epoch += 1
        return self.judge(float(np.mean(losses)))

    def judge(self, loss: float | None) -> Progress:
        """Score the validation samples, and keep the weights if they are the best."""
        outputs, amounts = [], []
        self.network.noise.reset_from_seed(self.recipe.seed)
        x, y = self.validation
        for start in range(0, len(x), self.recipe.batch):
            part = _filled(x[start : start + self.recipe.batch], self.recipe.batch)
            output, amount = self.present(part)
            outputs.append(output.numpy())
            amounts.append(np.stack(amount, axis=1))
        predicted = np.concatenate(outputs)[: len(x)]
        self.demand_finite("what the network gives", predicted)
        means = np.concatenate(amounts)[: len(x)].mean(0)
        found = dict(zip(self.measures, means.tolist()))
        score = self.score(predicted, y)
        over = {
            name: (found[name], budget.most)
            for name, budget in self.budgets.items()
            if found[name] > budget.most
        }
        if not over and self.is_best(score):
            self.best_score, self.best_epoch = score, self.epoch
            self.best_weights = self.weights()
        elif self.best_score is None:
            self.best_epoch, self.best_weights = self.epoch, self.weights()
        return Progress(
            epoch=self.epoch,
            epochs=self.recipe.epochs,
            loss=loss,
            score=score,
            label=self.label,
            best_score=self.best_score,
            best_epoch=self.best_epoch,
            rate=found["max_rate_hz"],
            synops=found["max_synops"],
            multipliers={n: float(b.multiplier) for n, b in self.budgets.items()},
            over=over,
        )

    def _batches(self) -> Iterator[tuple[Array, ...]]:
        """Samples, what is wanted, and where there is a teacher, its outputs."""
        rng = np.random.default_rng([self.recipe.seed, self.epoch])
        self.network.noise.reset_from_seed(int(rng.integers(2**31)))
        x, y = self.train
        order = rng.permutation(len(x))
        for start in range(0, len(order), self.recipe.batch):
            chosen = order[start : start + self.recipe.batch]
            batch: tuple[Array, ...] = x[chosen], y[chosen]
            if self.augment:
                batch = self.augment(x[chosen], y[chosen], rng)
            if self.taught is not None:
                batch += (self.taught[chosen],)
            elif self.teacher:
                batch += (self.teacher(batch[0]),)
            yield batch

    def _forward(self, x: tf.Tensor) -> Activity:
        return forward(self.network, x, self.recipe.steps, self.recipe.semantics)

    def _present(self, x: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        activity = self._forward(x)
        amounts = [measure(activity.rates) for measure in self.measures.values()]
        return activity.output, amounts

    def _error(
        self, output: tf.Tensor, y: tf.Tensor, taught: tf.Tensor | None
    ) -> tf.Tensor:
        """The loss, a share of it the distance to the teacher where there is one."""
        unit = 1.0 if self.loss.of_logits else self.recipe.unit
        output = output / unit
        if y.dtype.is_floating:
            y = tf.cast(y, output.dtype) / unit
        error = self.loss.value(output, y)
        if taught is None:
            return error
        share, taught = self.recipe.teaching, tf.cast(taught, output.dtype) / unit
        if self.loss.of_logits:
            distance = distillation(output, taught, self.recipe.temperature)
        else:
            distance = mse(output, taught)
        return (1 - share) * error + share * distance

    def _step(
        self, x: tf.Tensor, y: tf.Tensor, taught: tf.Tensor | None = None
    ) -> tf.Tensor:
        with tf.GradientTape() as tape:
            activity = self._forward(x)
            error = self._error(activity.output, y, taught)
            total = error + deviation(
                self.network, activity.rates, self.recipe.band, self.recipe.bands or {}
            )
            total += sum(b.penalty(activity.rates) for b in self.budgets.values())
        unused = tf.UnconnectedGradients.ZERO
        self.optimizer.apply(tape.gradient(total, self.variables, None, unused))
        self.network.constrain()
        for budget in self.budgets.values():
            budget.adapt(activity.rates, self.recipe.dual_rate)
        return error


def _filled(x: Array, size: int) -> Array:
    """x, its last sample repeated up to ``size``, so that batches have one shape."""
    return np.concatenate([x, np.repeat(x[-1:], size - len(x), axis=0)])
