"""Averages: exponential means of the variables that training moves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf


class Averages:
    """Means of variables over the last updates, the latest counting most.

        x̄ ← x̄ + (1 − k) · (x − x̄),  k = min(e^(−1 / span), (1 + t) / (10 + t))

    at update t = 0, 1, …; the second keeps early means near the variables.
    Source: Polyak & Juditsky 1992; the warm-up is that of TensorFlow's
    ``ExponentialMovingAverage``.

    Args:
        variables: what is trained, and what follows from it, of float32.
        span: updates.
    """

    def __init__(self, variables: Sequence[Any], span: float) -> None:
        self.variables, self.keep = list(variables), math.exp(-1 / span)
        self.updates = tf.Variable(0.0, trainable=False)
        self.means = [tf.Variable(x.numpy(), trainable=False) for x in self.variables]

    @property
    def memory(self) -> list[tf.Variable]:
        """What going on needs."""
        return [self.updates, *self.means]

    def take(self) -> None:
        """Let the variables as they are be the means."""
        for x, mean in zip(self.variables, self.means):
            mean.assign(x)

    def update(self) -> None:
        """Move the means once."""
        warm = (1 + self.updates) / (10 + self.updates)
        share = 1 - tf.minimum(warm, self.keep)
        for x, mean in zip(self.variables, self.means):
            mean.assign_add(share * (x - mean))
        self.updates.assign_add(1.0)


@contextmanager
def averaged(averages: Averages | None) -> Iterator[None]:
    """With the means in place of the variables; afterwards these are as before."""
    if averages is None:
        yield
        return
    moving = [x.numpy() for x in averages.variables]
    for x, mean in zip(averages.variables, averages.means):
        x.assign(mean.numpy())
    yield
    for x, value in zip(averages.variables, moving):
        x.assign(value)
