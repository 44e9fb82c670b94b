"""Worth: what the spikes of each population are worth to the loss."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from ..hybrid import HybridNetwork
from ..meter import Samples
from ..semantics import forward

LEAST = 0.1  # of an equal share: what a population has that is worth nothing now
Error = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""Outputs and what is wanted → loss."""


def shares_by_worth(
    network: HybridNetwork, samples: Samples, error: Error, steps: int
) -> dict[str, float]:
    """Population → what it should have of the spikes, as a share; about 1 together.

    A rate r (Hz) that is read from T seconds has a variance near r / T, which costs
    about A / T, A = Σ over neurons of (dL/dr)² · r, the mean over samples. Were a
    population to fire c times as much, with weights that are c times smaller behind it,
    that would be A / (c · T), for c · S spikes instead of S. Σ A / c is least, at as
    many spikes in all, where c = √(A / S) times the same for all, so that populations
    send spikes in proportion to √(A · S).

    Args:
        network: as training begins with it.
        samples: to learn from, as they enter, and what is wanted; a few are enough.
        error: mean over the samples.
        steps: to run.
    """
    x, wanted = samples
    with tf.GradientTape() as tape:
        seen = forward(network, tf.constant(x), steps, "rate")
        loss = error(seen.output, tf.constant(wanted))
    rates = {name: seen.rates[name] for name in network.populations}
    slopes = tape.gradient(loss, rates, unconnected_gradients="zero")
    weights = {}
    for name, rate in rates.items():
        each = rate.numpy().astype(np.float64)
        slope = slopes[name].numpy().astype(np.float64) * len(x)  # of a sample's loss
        weights[name] = math.sqrt((slope**2 * each).sum() * each.sum())
    total = sum(weights.values())
    if not (math.isfinite(total) and total > 0):  # nothing fires, or nothing counts
        return dict.fromkeys(weights, 1 / len(weights))
    least = LEAST / len(weights)
    return {name: max(weight / total, least) for name, weight in weights.items()}
