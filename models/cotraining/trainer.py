"""Trainer: a hybrid network's weights, its optimizer, and how far they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import tensorflow as tf

from ...toolchain.errors import DataError
from ..training.adam import Adam
from ..training.averaging import Averages, averaged
from ..training.checkpoint import Checkpoint, Resumable, Weights, digest
from ..training.losses import distillation, find_loss, mse
from .budget import Measured, distance
from .hybrid import HybridNetwork
from .meter import Array, Meter, Samples
from .rate_control import BOUNDED, Limit, deviation
from .recipe import Progress, Recipe
from .semantics import forward
from .sparing.pruning import Pruning
from .sparing.worth import Error

MORE_RATE = 0.1  # of the learning rate, in epochs beyond those of the recipe
Augment = Callable[[Array, Array, np.random.Generator], Samples]
Teacher = Callable[[Array], Array]
"""Samples → the outputs to come near to, as the network's own."""


class Trainer(Resumable):
    """The network, its optimizer and how far they are.

    Of trained networks the one is kept that has the best score within the budget, or
    else is nearest to it; that it was given only where it is better than a trained one,
    and both keep to the budget.
    """

    def __init__(
        self,
        network: HybridNetwork,
        train: Samples,
        recipe: Recipe,
        meter: Meter,
        teacher: Teacher | None,
        augment: Augment | None,
    ) -> None:
        self.network, self.recipe, self.augment = network, recipe, augment
        self.train, self.meter, self.teacher = train, meter, teacher
        self.taught = teacher(train[0]) if teacher and not augment else None
        self.loss = find_loss(recipe.loss, recipe.label_smoothing)
        self.error = error_of(recipe)
        self.variables = list(network.trainable_variables)
        self.optimizer = Adam(self.variables, most=1.0)
        begin = recipe.multipliers or {}
        self.limits = {
            name: Limit(kind(network, recipe.steps), begin.get(name, 0.0))
            for name, kind in BOUNDED.items()
            if getattr(recipe.budget, name) is not None
        }
        span = recipe.averaging * math.ceil(len(train[0]) / recipe.batch)
        self.averages = Averages(self.variables, span) if span else None
        self.pruning = _pruning(network, recipe)
        self.step = tf.function(self._step, autograph=False)
        self.epoch = self.best_epoch = 0
        self.given_weights = self.best_weights = self.weights()
        self.identity = self._identity()

    def _identity(self) -> dict[str, Any]:
        net = self.network
        fixed = (net.dt, net.limit, net.gradient, net.sigma, net.sigma_if, net.scales)
        text = np.frombuffer(f"{net.graph} {fixed}".encode(), np.uint8)
        return asdict(self.recipe) | {
            "data": digest([*self.train, *self.meter.validation]),
            "network": digest([text]),
            "initial weights": digest(self.weights()),
        }

    def start(self) -> Progress:
        """Measure the network as it was given.

        Raises:
            DataError: a bound is one that no spikes could keep to.
        """
        self.given = self.best = self._measured()
        if "max_energy_uj" in self.limits:
            self.idle = self._idle()
        self.best_score = self.given.score
        self._steer(self.given)
        return self._progress(self.given, None)

    def resume(self, checkpoint: Checkpoint) -> Progress:
        """Go on from a checkpoint, after ``start``."""
        self.restore(checkpoint)
        self.use(self.best_weights)
        self.best = self._measured()
        self.use(checkpoint.weights)
        return self._progress(self._measured(), None)

    @property
    def done(self) -> bool:
        """Whether all epochs are run, all that was asked for is reached, or no better
        epoch came for too long."""
        recipe, (epoch, kept, _) = self.recipe, self.kept
        budget = recipe.budget
        reached = budget.min_score is not None and not budget.missed(kept)
        waited = 0 < recipe.patience <= self.epoch - epoch
        most = recipe.epochs
        if most and budget.taking.missed(kept):
            most += recipe.more_epochs
        return self.epoch >= most or reached or waited

    @property
    def kept(self) -> tuple[int, Measured, Weights]:
        """Epoch, figures and weights of the network that is kept so far."""
        given, best = self._worth(self.given), self._worth(self.best)
        within = not self.recipe.budget.missed(self.best)
        if not self.epoch or (within and given >= best and not self.pruning):
            return 0, self.given, self.given_weights
        return self.best_epoch, self.best, self.best_weights

    def weights(self) -> list[Array]:
        return [variable.numpy() for variable in self.variables]

    def use(self, weights: Weights) -> None:
        for variable, value in zip(self.variables, weights):
            variable.assign(value)

    @property
    def memory(self) -> list[tf.Variable]:
        limits = [x for limit in self.limits.values() for x in limit.memory]
        others = [x for x in (self.averages, self.pruning) if x]
        return [*self.optimizer.memory, *limits, *(m for x in others for m in x.memory)]

    def run_epoch(self) -> Progress:
        """See every training sample once, then measure the network, or where weights
        are averaged, that of their means."""
        share = min(self.epoch / self.recipe.epochs, 1.0)
        rate = 0.5 * (1 + math.cos(math.pi * share)) if share < 1 else MORE_RATE
        self.optimizer.rate.assign(self.recipe.learning_rate * rate)
        if self.pruning:
            self._prune(self.pruning)
        losses = [float(self.step(*batch)) for batch in self._batches()]
        self.demand_finite("the loss", losses)
        for weights in self.weights():
            self.demand_finite("a weight", weights)
        self.epoch += 1
        with averaged(self.averages):
            found = self._measured()
            if self._is_first or self._worth(found) > self._worth(self.best):
                self._keep(found)
        self._steer(found)
        return self._progress(found, float(np.mean(losses)))

    @property
    def _is_first(self) -> bool:
        """Whether no epoch before gave a network that is as sparse as asked for."""
        before = self.epoch - 1
        return not (before and (self.pruning is None or self.pruning.done(before)))

    def _prune(self, pruning: Pruning) -> None:
        pruning.choose(self.epoch)
        pruning.apply()
        if self.averages:
            with averaged(self.averages):
                pruning.apply()
                self.averages.take()

    def _keep(self, found: Measured) -> None:
        self.best, self.best_score, self.best_epoch = found, found.score, self.epoch
        self.best_weights = self.weights()

    def _measured(self) -> Measured:
        outputs, found = self.meter.outputs()
        self.demand_finite("what the network gives", outputs)
        return found

    def _worth(self, found: Measured) -> tuple[float, float]:
        """The greater, the better: first how near to the budget, then the score."""
        return -distance(self.recipe.budget.missed(found)), found.score

    def _steer(self, found: Measured) -> None:
        """Let the limits aim at what brings validation samples to their bounds."""
        budget = self.recipe.budget
        for name, limit in self.limits.items():
            amount, most = found.synops, getattr(budget, name)
            if name == "max_rate_hz":
                amount = found.rate
            elif name == "max_energy_uj":  # idle neurons take theirs, spikes the rest
                assert found.energy is not None
                spent = max(found.energy - self.idle, 1e-9)
                most = max(amount, 1.0) * (most - self.idle) / spent
            limit.steer(amount, most)

    def _idle(self) -> float:
        idle, most = self.meter.idle(), self.recipe.budget.max_energy_uj
        if most is not None and most <= idle:
            raise DataError(
                f"--max-energy-uj is {most:g}; in {self.recipe.steps} steps neurons "
                f"that never fire take {idle:.4g} µJ; allow more, or run fewer steps"
            )
        return idle

    def _progress(self, found: Measured, loss: float | None) -> Progress:
        epoch, kept, _ = self.kept
        return Progress(
            **asdict(found),
            epoch=self.epoch,
            epochs=max(self.epoch, self.recipe.epochs),
            loss=loss,
            label=self.meter.label,
            best=kept,
            best_epoch=epoch,
            missed=self.recipe.budget.missed(kept),
            multipliers={n: float(x.multiplier) for n, x in self.limits.items()},
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

    def _error(
        self, output: tf.Tensor, y: tf.Tensor, taught: tf.Tensor | None
    ) -> tf.Tensor:
        """The loss, a share of it the distance to the teacher where there is one."""
        error = self.error(output, y)
        if taught is None:
            return error
        share, taught = self.recipe.teaching, tf.cast(taught, output.dtype)
        if self.loss.of_logits:
            away = distillation(output, taught, self.recipe.temperature)
        else:
            away = mse(output / self.recipe.unit, taught / self.recipe.unit)
        return (1 - share) * error + share * away

    def _step(
        self, x: tf.Tensor, y: tf.Tensor, taught: tf.Tensor | None = None
    ) -> tf.Tensor:
        recipe = self.recipe
        with tf.GradientTape() as tape:
            activity = forward(self.network, x, recipe.steps, recipe.semantics)
            error = self._error(activity.output, y, taught)
            total = error + deviation(
                self.network, activity.rates, recipe.band, recipe.bands or {}
            )
            total += sum(x.penalty(activity.rates) for x in self.limits.values())
        unused = tf.UnconnectedGradients.ZERO
        self.optimizer.apply(tape.gradient(total, self.variables, None, unused))
        self.network.constrain()
        if self.pruning:
            self.pruning.apply()
        if self.averages:
            self.averages.update()
        for limit in self.limits.values():
            limit.adapt(activity.rates, recipe.dual_rate)
        return error


def error_of(recipe: Recipe) -> Error:
    """The loss of outputs, values in units of their spread."""
    loss = find_loss(recipe.loss, recipe.label_smoothing)
    unit = 1.0 if loss.of_logits else recipe.unit

    def error(output: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        output = output / unit
        if y.dtype.is_floating:
            y = tf.cast(y, output.dtype) / unit
        return loss.value(output, y)

    return error


def _pruning(network: HybridNetwork, recipe: Recipe) -> Pruning | None:
    if not recipe.sparsity:
        return None
    kernels = {
        s.node.name: network.kernels[s.node.name]
        for layer in network.layers
        for s in layer.synapses
    }
    return Pruning(kernels, recipe.sparsity, recipe.epochs)
