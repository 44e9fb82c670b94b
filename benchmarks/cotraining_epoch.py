"""How long an epoch of co-training takes beside one of the ANN that Keras trains.

Run: python benchmarks/cotraining_epoch.py [--rounds 5]
Writes benchmarks/results/cotraining_epoch.json.

LocNet on 32×48×3 pictures (32 steps) and the CAE on 48×64×1 slices (48 steps), the
defaults of ``finetune``, batches of 16. Ours is the trainer's own step in loihi
semantics with the bands and the budget that finetune gives it. The ANN is the same
model, normalised as it is trained here, by Keras' ``fit`` with Adam; "plain" is without
normalisation and noise. Augmenting pictures is left out of all. Timed are batches, by
turns; their median is scaled to an epoch of EPOCH samples.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from snn_deploy.models.cotraining.hybrid import HybridNetwork
from snn_deploy.models.cotraining.meter import Meter
from snn_deploy.models.cotraining.trainer import Trainer
from snn_deploy.models.networks.cae import cae
from snn_deploy.models.networks.locnet import locnet
from snn_deploy.toolchain.frontends.keras.keras import from_keras
from snn_deploy.toolchain.passes.quantize.quantize import scales_of
from snn_deploy.tuning import Choices, bands, phases_of, prepare

RESULTS = Path(__file__).parent / "results" / "cotraining_epoch.json"
BATCH, EPOCH, DRIVE = 16, 304, 1.5
SHAPES = {"LocNet 32×48": ((32, 48, 3), (4,)), "CAE 48×64": ((48, 64, 1), (48, 64, 1))}
CHOICES = {
    "LocNet 32×48": Choices(loss="mse"),
    "CAE 48×64": Choices(loss="bce_dice", steps=48, max_rate_hz=150.0),
}
GOAL = 1.5
OURS, ANN, PLAIN = "loihi semantics", "Keras ANN", "Keras ANN, plain"


def model_of(name: str, normalised: bool) -> tf.keras.Model:
    tf.keras.utils.set_random_seed(0)
    if name.startswith("CAE"):
        return cae(normalised=normalised)
    if normalised:
        return locnet(normalised_to=100.0, rate_noise=25.0)
    model = locnet()
    for layer in model.layers:
        if layer.weights:
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel, np.full_like(bias, DRIVE)])
    model.get_layer("box").kernel.assign(tf.random.normal((32, 4), stddev=0.1))
    return model


def samples(name: str, count: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    given, wanted = SHAPES[name]
    x = rng.random((count, *given)).astype(np.float32)
    y = rng.random((count, *wanted)).astype(np.float32)
    return x, np.round(y) if name.startswith("CAE") else y


def spiking_step(name: str, batch: int = BATCH) -> Callable[[], None]:
    """A step of our trainer on one batch."""
    choices, (x, y) = CHOICES[name], samples(name, batch)
    shown = x.astype(np.float64)
    # normalised weights of a CAE keep its layers firing, untrained
    graph = from_keras(model_of(name, normalised=name.startswith("CAE")))
    graph = prepare(graph, shown, choices)
    net = HybridNetwork(graph, scales_of(graph, shown, moving=True))
    *_, (_, recipe, _) = phases_of(choices, 1.0)
    recipe = replace(recipe, bands=bands(net, choices), batch=batch)
    tf.config.experimental.enable_op_determinism()
    meter = Meter(net, (x, y), recipe, None, None)
    trainer = Trainer(net, (x, y), recipe, meter, None, None)
    trainer.start()
    trainer.optimizer.rate.assign(1e-6)  # the same network, about, in every turn
    (given,) = trainer._batches()
    return lambda: float(trainer.step(*given))


def ann_step(name: str, batch: int = BATCH, normalised: bool = True) -> Any:
    """A step of Keras' fit on one batch."""
    model, (x, y) = model_of(name, normalised), samples(name, batch)
    loss = "binary_crossentropy" if name.startswith("CAE") else "mse"
    model.compile(tf.keras.optimizers.Adam(1e-6), loss=loss)
    step = model.make_train_function()
    data = iter(tf.data.Dataset.from_tensors((x, y)).repeat())
    return lambda: float(step(data)["loss"])


def timed(step: Callable[[], None], seconds: float) -> float:
    """s a step."""
    count, start = 0, time.perf_counter()
    while not count or time.perf_counter() - start < seconds:
        step()
        count += 1
    return (time.perf_counter() - start) / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--turn", type=float, default=1.0, help="s")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    found: dict[str, Any] = {"load_before": os.getloadavg(), "cores": os.cpu_count()}
    for name in SHAPES:
        steps = {
            OURS: spiking_step(name),
            ANN: ann_step(name),
            PLAIN: ann_step(name, normalised=False),
        }
        turns: dict[str, list[float]] = {kind: [] for kind in steps}
        for step in steps.values():
            step()
        for _ in range(given.rounds):
            for kind, step in steps.items():
                turns[kind].append(timed(step, given.turn))
        epoch = {
            kind: statistics.median(each) * EPOCH / BATCH
            for kind, each in turns.items()
        }
        found[name] = {
            "batch_s": turns,
            "epoch_s": epoch,
            "times_the_ann": {k: epoch[OURS] / epoch[k] for k in (ANN, PLAIN)},
            "goal": GOAL,
        }
        print(name, {k: f"{1e3 * s:.0f} ms" for k, s in epoch.items()}, "an epoch")
        print(name, found[name]["times_the_ann"])
    found["load_after"] = os.getloadavg()
    found["tensorflow"] = tf.__version__
    given.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
