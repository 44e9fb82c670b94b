"""How often each neuron fires, and its mean: a whole network's, in compiled code."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ....toolchain.program.arithmetic import WEIGHT_SHIFT
from ..hybrid import HybridNetwork
from . import kernels
from .runs import Places, Runs, places_of, runs_of, supported

Array = npt.NDArray[Any]
NEVER = np.iinfo(np.int32).max  # threshold of a place without a neuron


class Counted(NamedTuple):
    """What a population did."""

    mean: tf.Tensor  # (samples, neurons), weighted mean number of spikes a step
    count: tf.Tensor  # (samples, neurons)


class Network(NamedTuple):
    """What ``kernels.simulate`` knows of a network, its weights left out."""

    populations: Array  # kernels.POPULATION
    links: Array  # kernels.LINK
    places: Array  # of each neuron in its population
    thresholds: Array  # of each place
    entries: Array  # (places, 2): of a spike's first run, and of its weights
    room: int  # of the largest population's sums
    most: int  # places of the largest population


def countable(net: HybridNetwork) -> bool:
    """Whether ``counts`` can run the network.

    Not where populations drive each other in a loop, kernels are divided in groups or
    dilated, or a population is read that others wait for.
    """
    return (
        net.gradient == "rate"
        and not net.graph.loop
        and not kernels.DISABLED
        and all(map(supported, net.layers))
        and not any(net.delays[name] for name in net.reads)
    )


def counts(
    net: HybridNetwork,
    steps: int,
    biases: Sequence[tf.Tensor],
    halves: Sequence[tf.Tensor],
    events: tf.Tensor | None,
) -> dict[str, Counted]:
    """Population → what it did; the core's integers, without gradients.

    Args:
        net: one that is ``countable``.
        steps: to run.
        biases: of each layer, int32 (samples or 1, neurons).
        halves: of each connection, half of its mantissas.
        events: (steps, samples, neurons), 1 for a spike, of an Input that sends them.
    """
    run = net.once(("", steps, "counts"), lambda: Counter(net, steps))
    given = tf.zeros((steps, 0, 0)) if events is None else events
    sizes = [math.prod(layer.shape) for layer in net.layers]
    kinds = [tf.float32] * (2 * len(sizes))
    found = tf.numpy_function(run, [given, *biases, *halves], kinds, stateful=False)
    for each, size in zip(found, sizes * 2):
        each.set_shape((None, size))
    names = [layer.population.name for layer in net.layers]
    pairs = zip(found[: len(names)], found[len(names) :])
    return {name: Counted(*pair) for name, pair in zip(names, pairs)}


class Counter:
    """A network's tables for so many steps."""

    def __init__(self, net: HybridNetwork, steps: int) -> None:
        self.layers = len(net.layers)
        self.network, picks = tables(net)
        self.picks = np.concatenate([np.zeros(0, np.int64), *picks])
        self.shifts = [
            WEIGHT_SHIFT + 1 + net.scales[layer.population.name].exponents[s.source]
            for layer in net.layers
            for s in layer.synapses
        ]
        delays = [net.delays[layer.population.name] for layer in net.layers]
        windows = [net.window(delay, steps) for delay in delays]
        self.windows = np.array(windows, np.float32)
        self.threads = threads()

    def __call__(self, events: Array, *given: Array) -> list[Array]:
        """Means of all layers, and counts of all; see ``counts``."""
        biases, halves = given[: self.layers], given[self.layers :]
        samples = max(len(bias) for bias in (*biases, events[0]))
        sizes = self.network.populations["neurons"][: self.layers]
        drive = [
            np.broadcast_to(bias, (samples, size)).ravel()
            for bias, size in zip(biases, sizes)
        ]
        mean, total = np.empty((2, samples * int(sizes.sum())), np.float32)
        run = partial(
            kernels.simulate,
            self.network,
            self._weights(halves),
            np.concatenate(drive),
            self.windows,
            events.astype(np.uint8),
            mean,
            total,
            samples,
        )
        pace = min(self.threads, samples)
        with ThreadPoolExecutor(pace) as pool:
            list(pool.map(run, range(pace), [pace] * pace))
        ends = np.cumsum(samples * sizes)[:-1]
        return [
            part.reshape(samples, -1)
            for found in (mean, total)
            for part in np.split(found, ends)
        ]

    def _weights(self, halves: Sequence[Array]) -> Array:
        """As runs take them, whole numbers; the last is 0."""
        whole = [
            np.rint(half).astype(np.int32).ravel() << shift
            for half, shift in zip(halves, self.shifts)
        ]
        return np.concatenate([*whole, np.zeros(1, np.int32)])[self.picks]


def tables(net: HybridNetwork) -> tuple[Network, list[Array]]:
    """The network, and for each connection the number of each of its weights."""
    places = {layer.population.name: places_of(layer) for layer in net.layers}
    if net.sends_events:
        places[net.start] = Places(1, 1, math.prod(net.graph.input.shape))
    order = list(places)
    links: list[tuple[int, ...]] = []
    entries: list[Array] = [np.zeros((0, 2), np.int32)]
    picks: list[Array] = []
    thresholds: list[Array] = []
    rows, link_of, seen, taken = [], {}, 0, 0
    for layer in net.layers:
        link_of[layer.population.name] = len(links), len(layer.synapses)
        for s in layer.synapses:
            runs = runs_of(s, places[layer.population.name])
            begin = sum(len(each) for each in entries)
            links.append(_link(order.index(s.source), s.delay, begin, runs))
            entries.append(_entries(places[s.source], runs, sum(len(p) for p in picks)))
            picks.append(np.where(runs.picks < 0, -1, runs.picks + taken))
            taken += s.node.weight.size
    for name, each in places.items():
        above = np.full(each.size, NEVER)
        if name in net.populations:
            above[each.of_neurons()] = net.populations[name].thresholds
        row = _row(net, name, each, link_of.get(name, (0, 0)))
        begin = sum(len(each) for each in thresholds)
        rows.append((row[0], seen, *row[1:4], begin, *row[4:]))
        seen += row[0]
        thresholds.append(above.astype(np.int32))
    network = Network(
        np.array(rows, kernels.POPULATION),
        np.array(links, kernels.LINK),
        np.concatenate([each.of_neurons() for each in places.values()]),
        np.concatenate(thresholds),
        np.concatenate(entries),
        max(each.whole for each in places.values()),
        max(each.size for each in places.values()),
    )
    return network, picks


def _row(
    net: HybridNetwork, name: str, places: Places, links: tuple[int, int]
) -> tuple[int, ...]:
    """A population's numbers, but for what comes before it."""
    neurons = places.rows * places.columns * places.channels
    lies = places.size, places.begin, places.whole
    p = net.populations.get(name)
    if p is None:
        return neurons, *lies, *links, 0, 0, 0, 0, 0
    keep = 4095 - p.decay_u, 4096 - p.decay_v
    return neurons, *lies, *links, *keep, p.refractory - 1, p.v_min, p.v_max


def _link(source: int, delay: int, begin: int, runs: Runs) -> tuple[int, ...]:
    return source, delay, begin, runs.rows, runs.length, runs.stride


def _entries(source: Places, runs: Runs, before: int) -> Array:
    """Of each place of the source: where its spike begins in sums and in weights."""
    entries = np.zeros((source.size, 2), np.int32)
    entries[source.of_neurons()] = np.stack([runs.at, runs.weights + before], axis=1)
    return entries


def threads() -> int:
    """CPUs of this process."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
