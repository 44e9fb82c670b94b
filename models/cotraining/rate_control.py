"""How firing rates are held: a band for each population, budgets for all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import tensorflow as tf

from ...toolchain.errors import DataError
from .hybrid import HybridNetwork

Rates = Mapping[str, tf.Tensor]
"""Population → Hz, (samples, neurons)."""
AIM = 0.97  # of a bound: what an epoch still moves, must keep to it too
RECENT = 0.1  # weight of a batch in the mean of the last ones
TRUSTED = 1.5  # most that training samples are taken to differ from validation's


@dataclass(frozen=True)
class Band:
    """Where a population's rates should lie: its channels' means, or a percentile.

    penalty = weight · mean over channels of (distance from low … high, over high)²;
    low = high is a target. The mean of a channel, over samples and places, leaves its
    neurons free to tell samples apart. Source of the percentile: keras-spiking's
    ``regularizers.Percentile``.
    """

    low: float = 0.0  # Hz
    high: float = 250.0  # Hz
    weight: float = 0.01
    percentile: float | None = None  # of all neurons and samples, instead of the means

    def check(self) -> None:
        """Raise DataError for a number that cannot be trained with."""
        if not (0 <= self.low <= self.high and 0 < self.high < math.inf):
            raise DataError(
                f"rates from {self.low} to {self.high} Hz: low must be 0 or more, and "
                "high more than 0 and not below low"
            )
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise DataError(f"weight of a rate band is {self.weight}; 0 or more is")
        if self.percentile is not None and not 0 <= self.percentile <= 100:
            raise DataError(f"percentile is {self.percentile}; 0 … 100 is allowed")


def share_out(
    sizes: Mapping[str, int],
    mean_rate: float,
    shares: Mapping[str, float] | None = None,
    most: float = 400.0,
) -> dict[str, float]:
    """Population → Hz at which it sends its share of the spikes of ``mean_rate``.

    A population's noise falls with the number of its spikes, and each spike of any
    population costs the same, so large ones are to fire seldom and small ones often.
    None is given more than ``most``; what that leaves is shared out among the others.

    >>> share_out({"a": 900, "b": 100}, 50.0)
    {'a': 27.77777777777778, 'b': 250.0}
    >>> share_out({"a": 900, "b": 100}, 50.0, {"a": 0.9, "b": 0.1})
    {'a': 50.0, 'b': 50.0}

    Args:
        sizes: population → neurons.
        mean_rate: over all neurons, Hz.
        shares: population → more than 0; None: all send equally many.
        most: Hz.
    """
    left, waiting = mean_rate * sum(sizes.values()), dict(shares or {})
    waiting = waiting or dict.fromkeys(sizes, 1.0)
    rates: dict[str, float] = {}
    while waiting:
        spikes = left / sum(waiting.values())  # of a share of 1
        given = {name: spikes * share / sizes[name] for name, share in waiting.items()}
        full = [name for name, rate in given.items() if rate > most]
        for name in full or list(waiting):
            rates[name] = most if full else given[name]
            left -= rates[name] * sizes[name] if full else 0.0
            del waiting[name]
    return {name: rates[name] for name in sizes}


def deviation(
    network: HybridNetwork, rates: Rates, band: Band, bands: Mapping[str, Band]
) -> tf.Tensor:
    """Sum of the populations' penalties, each of its own band or else of ``band``."""
    total = tf.constant(0.0)
    for name, population in network.populations.items():
        rate, wanted = rates[name], bands.get(name, band)
        if wanted.weight == 0:
            continue
        if wanted.percentile is None:
            channels = population.shape[-1]
            seen = tf.reduce_mean(tf.reshape(rate, (-1, channels)), axis=0)
        else:
            seen = _percentile(rate, wanted.percentile)
        outside = tf.nn.relu(wanted.low - seen) + tf.nn.relu(seen - wanted.high)
        total += wanted.weight * tf.reduce_mean(tf.square(outside / wanted.high))
    return total


def _percentile(x: tf.Tensor, percentile: float) -> tf.Tensor:
    """The nearest value above at least so many per cent of x, (1,)."""
    flat = tf.sort(tf.reshape(x, (-1,)))
    last = tf.cast(tf.size(flat) - 1, tf.float32)
    return flat[tf.cast(tf.round(last * percentile / 100), tf.int32)][None]


Measure = Callable[[Rates], tf.Tensor]
"""Rates → an amount for each sample, (samples,)."""


def mean_rate(network: HybridNetwork, steps: int) -> Measure:
    """Mean rate over the neurons of the core, Hz."""
    return lambda rates: (
        tf.add_n([tf.reduce_sum(rates[name], axis=1) for name in network.populations])
        / network.neurons
    )


def synops(network: HybridNetwork, steps: int) -> Measure:
    """Synaptic operations of an inference: Σ spikes · synapses that each visits."""
    seconds = steps * network.dt
    fan_out = {
        name: tf.constant(count[:, None] * seconds, tf.float32)
        for name, count in network.fan_out.items()
    }
    return lambda rates: tf.add_n(
        [tf.matmul(rate, fan_out[name])[:, 0] for name, rate in rates.items()]
    )


BOUNDED: dict[str, Callable[[HybridNetwork, int], Measure]] = {
    "max_rate_hz": mean_rate,
    "max_synops": synops,
    "max_energy_uj": synops,  # the share of the energy that training can change
}
"""Bound of a ``Budget`` → what is trained to keep to it."""


class Limit:
    """An amount that the mean over samples should keep to.

    penalty = λ · max(amount / aim − 1, 0); after every batch λ ← max(0, λ + η · (amount
    / aim − 1)): dual ascent. λ grows until the limit holds; below the limit nothing
    pushes, however large λ has become, and λ falls back.

    The limit is one on validation samples, which may fire more than training samples
    do, so after each epoch the aim follows their ratio.
    """

    def __init__(self, measure: Measure, multiplier: float = 0.0) -> None:
        self.measure = measure
        self.multiplier, self.aim, self.seen = (
            tf.Variable(x, trainable=False) for x in (multiplier, math.inf, 0.0)
        )

    @property
    def memory(self) -> list[tf.Variable]:
        """What a resumed run must have again."""
        return [self.multiplier, self.aim, self.seen]

    def excess(self, rates: Rates) -> tf.Tensor:
        """How far the mean over samples is above what is aimed at, relatively."""
        return tf.reduce_mean(self.measure(rates)) / self.aim - 1

    def penalty(self, rates: Rates) -> tf.Tensor:
        """What is added to the loss."""
        return self.multiplier * tf.nn.relu(self.excess(rates))

    def adapt(self, rates: Rates, pace: float) -> None:
        """Move the multiplier after a batch."""
        moved = self.multiplier + pace * self.excess(rates)
        self.multiplier.assign(tf.maximum(moved, 0.0))
        amount = tf.reduce_mean(self.measure(rates))
        before = tf.where(self.seen > 0, self.seen, amount)
        self.seen.assign(before + RECENT * (amount - before))

    def steer(self, found: float, most: float) -> None:
        """Move the aim after an epoch.

        Args:
            found: what validation samples have of the amount.
            most: that they may have.
        """
        seen = float(self.seen)
        ratio = seen / found if seen and found else 1.0
        self.aim.assign(AIM * most * min(max(ratio, 1 / TRUSTED), TRUSTED))
