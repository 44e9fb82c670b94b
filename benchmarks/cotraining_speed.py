"""How fast LocNet is co-trained: this project's trainer against NengoDL's fit.

Run: python benchmarks/cotraining_speed.py [--batches 6] [--repeats 3]
Writes benchmarks/results/cotraining_speed.json.

The same network, weights, pictures, loss and optimizer for all: LocNet on 32×48×3
pictures, batches of 16, 30 steps, a synapse of 5 ms on each connection. NengoDL trains
it with ``Simulator.fit`` and ``HybridLIF``, this project with ``models.finetune``, in
float semantics (the same spikes and gradients) and in loihi semantics. Not whole epochs
are timed but a few batches, from the start of one to the start of the next, without the
first, which builds and compiles; their median is scaled to an epoch of EPOCH pictures.
Each run has a process of its own, and the trainers take turns. The CPU time tells how
much the machine's other work disturbed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import nengo
import nengo_dl
import numpy as np
import tensorflow as tf

from snn_deploy import __version__
from snn_deploy.models.cotraining.finetune import finetune
from snn_deploy.models.cotraining.hybrid import HybridNetwork
from snn_deploy.models.cotraining.nengo_hybrid import HybridLIF
from snn_deploy.models.cotraining.rate_control import Band
from snn_deploy.models.cotraining.recipe import Recipe
from snn_deploy.models.networks.locnet import locnet
from snn_deploy.models.networks.recipe import AMPLITUDE, SIZE
from snn_deploy.toolchain.frontends.keras.keras import from_keras
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.quantize.quantize import scales_of

RESULTS = Path(__file__).parent / "results" / "cotraining_speed.json"
BATCH, STEPS, TAU_SYN = 16, 30, 0.005
EPOCH = 304  # pictures, 19 batches: 70 % of the 435 faces of Caltech-101
LEARNING_RATE = 0.001
GOAL = 8.0  # times as fast as NengoDL
DRIVE = 3.0  # bias of every neuron, in thresholds, so that every layer spikes
BASELINE = "NengoDL fit, HybridLIF"
OURS = {f"finetune, {name} semantics": name for name in ("float", "loihi")}


Instant = tuple[float, float]
"""s on the clock, and s that this process's cores have worked."""


def now() -> Instant:
    return time.perf_counter(), time.process_time()


@dataclass(frozen=True)
class Run:
    """What one process measured."""

    first: float  # s, of the first batch, building and compiling included
    batches: list[float]  # s, of each later one
    cpu: list[float]  # s of all cores together, of each later one
    loss: float  # of the first batch
    peak: float  # GB of memory

    @classmethod
    def of(cls, starts: list[Instant], loss: float) -> Run:
        (first, *batches), (_, *cpu) = np.diff(starts, axis=0).T.tolist()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
        return cls(first, batches, cpu, loss, peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=6, help="timed in each run")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    runs: dict[str, list[Run]] = {name: [] for name in (BASELINE, *OURS)}
    load = os.getloadavg()[0]
    for _ in range(given.repeats):
        for name, found in runs.items():
            with ProcessPoolExecutor(1, get_context("spawn")) as process:
                found.append(process.submit(measure, name, given.batches).result())
            print(name, *(f"{s:.2f}" for s in found[-1].batches), "s a batch")
    results = summary(runs) | {
        "epoch": f"{EPOCH} pictures; the median batch of {BATCH}, scaled",
        "timed_batches": given.batches * given.repeats,
        "load_before": load,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "versions": {
            "snn-deploy": __version__,
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "nengo-dl": nengo_dl.__version__,
        },
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


def summary(runs: dict[str, list[Run]]) -> dict[str, Any]:
    """Figures of each trainer, and how many times as fast as NengoDL ours are."""
    trainers = {}
    for name, found in runs.items():
        batches = sorted(s for run in found for s in run.batches)
        trainers[name] = {
            "epoch_s": statistics.median(batches) * EPOCH / BATCH,
            "batch_s": {
                "median": statistics.median(batches),
                "least": batches[0],
                "most": batches[-1],
            },
            "batch_cpu_s": statistics.median(s for run in found for s in run.cpu),
            "first_batch_s": statistics.median(run.first for run in found),
            "first_loss": found[0].loss,
            "peak_memory_gb": max(run.peak for run in found),
        }
    ratios, work = (
        {name: trainers[BASELINE][figure] / trainers[name][figure] for name in OURS}
        for figure in ("epoch_s", "batch_cpu_s")
    )
    reached = {name: ratio >= GOAL for name, ratio in ratios.items()}
    return {
        "trainers": trainers,
        "times_as_fast": ratios,
        "times_less_cpu": work,
        "goal": GOAL,
        "reached": reached,
    }


def measure(name: str, batches: int) -> Run:
    """Train on a few batches, all of the same pictures, in this process."""
    rng = np.random.default_rng(0)
    x = rng.random((BATCH, *SIZE)).astype(np.float32)
    y = rng.random((BATCH, 4)).astype(np.float32)
    count = batches + 2  # the first, and one to see the last end
    x, y = np.tile(x, (count, 1, 1, 1)), np.tile(y, (count, 1))
    train = by_nengo_dl if name == BASELINE else by_finetune
    return train(network(), x, y, OURS.get(name, ""))


def network() -> tf.keras.Model:
    """LocNet with random weights."""
    tf.keras.utils.set_random_seed(0)
    model = locnet()
    for layer in model.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel, np.full_like(bias, DRIVE)])
    model.get_layer("box").kernel.assign(tf.random.normal((32, 4), stddev=0.1))
    return model


def by_finetune(model: tf.keras.Model, x: Any, y: Any, semantics: str) -> Run:
    graph = legalize(from_keras(model), TAU_SYN)
    net = HybridNetwork(graph, scales_of(graph, x[:BATCH].astype(np.float64)))
    starts: list[Instant] = []
    scores: list[float] = []

    def begin(x: Any, y: Any, rng: np.random.Generator) -> tuple[Any, Any]:
        starts.append(now())
        return x, y

    recipe = Recipe(
        semantics=semantics,
        loss="mse",
        steps=STEPS,
        epochs=1,
        batch=BATCH,
        learning_rate=LEARNING_RATE,
        band=Band(weight=0.0),
    )
    seen = x[:BATCH], y[:BATCH]
    finetune(
        net,
        (x, y),
        seen,
        recipe,
        augment=begin,
        progress=lambda report: scores.append(report.score),
    )
    return Run.of(starts, -scores[0])


class Clock(tf.keras.callbacks.Callback):
    """When each batch began, and the first one's loss."""

    def __init__(self) -> None:
        super().__init__()
        self.starts: list[Instant] = []
        self.losses: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.starts.append(now())

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.losses.append(logs["loss"])


def by_nengo_dl(model: tf.keras.Model, x: Any, y: Any, semantics: str) -> Run:
    net, image, box = in_nengo(model)
    series = np.repeat(x.reshape(len(x), 1, -1), STEPS, axis=1)
    clock = Clock()
    with nengo_dl.Simulator(net, minibatch_size=BATCH, progress_bar=False) as sim:
        sim.compile(
            tf.optimizers.Adam(LEARNING_RATE, global_clipnorm=1.0),
            loss=lambda y, seen: tf.reduce_mean(
                tf.square(tf.reduce_mean(seen, axis=1) - y[:, 0])
            ),
        )
        sim.fit(
            {image: series},
            {box: y[:, None]},
            shuffle=False,
            callbacks=[clock],
            verbose=0,
        )
    return Run.of(clock.starts, clock.losses[0])


def in_nengo(model: tf.keras.Model) -> tuple[nengo.Network, nengo.Node, nengo.Probe]:
    """The network as a user of NengoDL would write it; the box is read unfiltered."""
    rest = {"voltage": nengo.dists.Choice([0])}
    neurons = HybridLIF(amplitude=AMPLITUDE, initial_state=rest)
    with nengo.Network(seed=0) as net:
        image, one = nengo.Node(np.zeros(int(np.prod(SIZE)))), nengo.Node(np.ones(1))
        source, synapse, shape = image, None, SIZE
        for layer in (layer for layer in model.layers if layer.weights):
            kernel, bias = layer.get_weights()
            if kernel.ndim == 4:
                transform = nengo.Convolution(
                    bias.size, shape, (3, 3), layer.strides, "same", init=kernel
                )
                shape = transform.output_shape.shape
            else:
                transform = nengo.Dense(kernel.T.shape, init=kernel.T)
                shape = bias.shape
            if layer.name == "box":
                target = nengo.Node(size_in=4)
                add = nengo.Dense((4, 1), init=bias[:, None])
                nengo.Connection(one, target, transform=add, synapse=None)
                synapse = None
            else:
                bias = np.broadcast_to(bias, shape).ravel()
                target = nengo.Ensemble(
                    bias.size,
                    1,
                    gain=np.ones(bias.size),
                    bias=bias,
                    neuron_type=neurons,
                ).neurons
            nengo.Connection(source, target, transform=transform, synapse=synapse)
            source, synapse = target, nengo.Lowpass(TAU_SYN)
        return net, image, nengo.Probe(target)


if __name__ == "__main__":
    main()
