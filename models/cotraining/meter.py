"""Meter: what a hybrid network reaches and takes, on the validation samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ..training.losses import find_loss
from .budget import Measured
from .hybrid import HybridNetwork
from .rate_control import mean_rate, synops
from .recipe import Recipe
from .semantics import forward

Array = npt.NDArray[Any]
Samples = tuple[Array, Array]
"""What the network takes and what it should give, (samples, …) each."""
Judge = tuple[str, Callable[[Array, Array], float]]
"""Name of a score, and (outputs, wanted) → it; the higher the better."""
Counts = Mapping[str, npt.NDArray[np.int64]]
"""Population → spikes of each neuron, (samples, neurons)."""
Energy = Callable[[Counts], float]
"""What a network's neurons did → µJ per inference."""


class Meter:
    """Presents the validation samples, and scores and counts what comes of it."""

    def __init__(
        self,
        network: HybridNetwork,
        validation: Samples,
        recipe: Recipe,
        judge: Judge | None,
        energy: Energy | None,
    ) -> None:
        """``energy`` is asked where the recipe's budget has a bound on it."""
        loss = find_loss(recipe.loss, recipe.label_smoothing)
        self.label, self.score = judge or (loss.label, loss.score)
        self.network, self.validation, self.recipe = network, validation, recipe
        self.energy = energy if recipe.budget.max_energy_uj is not None else None
        steps = recipe.steps
        self.amounts = mean_rate(network, steps), synops(network, steps)
        self.present = tf.function(self._present, autograph=False)

    def outputs(self) -> tuple[Array, Measured]:
        """What the network gives, (samples, …), and what it reaches and takes."""
        batch, (x, y) = self.recipe.batch, self.validation
        self.network.noise.reset_from_seed(self.recipe.seed)
        outputs, amounts, fired = [], [], []
        for start in range(0, len(x), batch):
            given = self.present(_filled(x[start : start + batch], batch))
            outputs.append(given[0].numpy())
            amounts.append(np.stack(given[1], axis=1))
            if self.energy:
                fired.append({name: hz.numpy() for name, hz in given[2].items()})
        output = np.concatenate(outputs)[: len(x)]
        rate, operations = np.concatenate(amounts)[: len(x)].mean(0).tolist()
        return output, Measured(
            score=self.score(output, y),
            rate=rate,
            synops=operations,
            energy=self._energy(fired),
        )

    def idle(self) -> float:
        """µJ per inference where no neuron fires."""
        assert self.energy is not None
        sizes = {name: p.size for name, p in self.network.populations.items()}
        if self.network.sends_events:
            sizes[self.network.start] = len(self.network.fan_out[self.network.start])
        none = {name: np.zeros((1, size), np.int64) for name, size in sizes.items()}
        return self.energy(none)

    def _present(
        self, x: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor], Mapping[str, tf.Tensor]]:
        activity = forward(self.network, x, self.recipe.steps, self.recipe.semantics)
        amounts = [amount(activity.rates) for amount in self.amounts]
        return activity.output, amounts, activity.rates

    def _energy(self, fired: list[dict[str, Array]]) -> float | None:
        """µJ per inference of rates; those of no whole counts are rounded, right on
        average."""
        if self.energy is None:
            return None
        chance = np.random.default_rng(self.recipe.seed)
        seconds, samples = self.recipe.steps * self.network.dt, len(self.validation[0])
        counts = {}
        for name in fired[0]:
            hz = np.concatenate([rates[name] for rates in fired])[:samples]
            spikes = np.round(hz.astype(np.float64) * seconds, 3)
            counts[name] = np.floor(spikes + chance.random(hz.shape)).astype(np.int64)
        return self.energy(counts)


def _filled(x: Array, size: int) -> Array:
    """x, its last sample repeated up to ``size``, so that batches have one shape."""
    return np.concatenate([x, np.repeat(x[-1:], size - len(x), axis=0)])
