"""Classifiers as a newcomer has them: ANN, converted, and fine-tuned at 16 steps.

    python benchmarks/classifiers.py --data FOLDER --work build/classifiers

scikit-learn's digits (8×8), and faces or airplanes (Caltech-101, 32×48 pixels, FOLDER
with caltech101-faces and caltech101-airplanes), three seeds each: split, first weights
and order of training follow the seed. The test part is scored once, by the networks
that training ended with, and chooses nothing. Writes
benchmarks/results/classifiers.json and classifiers.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from snn_deploy.cotraining import cotrain
from snn_deploy.deploy import Settings, Steps, build, write
from snn_deploy.models.data.formats.formats import read_data
from snn_deploy.models.data.parts import noted, parts_of
from snn_deploy.models.training.metadata import write_metadata
from snn_deploy.toolchain.verdict.compare import Tolerances
from snn_deploy.trials import compare
from snn_deploy.tuning import Choices

RESULTS = Path(__file__).parent / "results"
SEEDS = (0, 1, 2)
STEPS = 16
CONVERTED = (16, 64)  # steps
SHAPES = {"digits": (8, 8, 1), "faces or airplanes": (32, 48, 3)}
FILTERS = {"digits": (16, 32), "faces or airplanes": (8, 16, 32)}
EPOCHS = {"digits": 60, "faces or airplanes": 30}
COLUMNS = (
    *("most frequent class", "float ANN", "converted 16", "converted 64"),
    "fine-tuned",
)
HEAD = (
    *("test samples", "most frequent class", "ANN", "converted, 16 steps"),
    *("converted, 64 steps", "**fine-tuned, 16 steps**", "Hz"),
)
ADAPT, TUNE = 200, 60  # epochs of fine-tuning, the defaults


def main() -> None:
    """Train and score what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with the Caltech folders")
    parser.add_argument("--work", type=Path, default=Path("build/classifiers"))
    given = parser.parse_args()
    file = RESULTS / "classifiers.json"
    rows = json.loads(file.read_text()) if file.exists() else []
    for name in SHAPES:
        for seed in SEEDS:
            if any((r["data"], r["seed"]) == (name, seed) for r in rows):
                continue
            work = given.work / f"{name.split()[0]}-{seed}"
            work.mkdir(parents=True, exist_ok=True)
            rows.append(measured(name, data_of(name, given), seed, work))
            file.write_text(json.dumps(rows, indent=1) + "\n")
    (RESULTS / "classifiers.md").write_text(document(rows))


def data_of(name: str, given: argparse.Namespace) -> Path:
    """The data as a user has them: arrays, or a folder for each class."""
    if name == "digits":
        from sklearn.datasets import load_digits

        digits = load_digits()
        path = given.work / "digits.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        x = (digits.images / 16).astype(np.float32)
        np.savez(path, x=x[..., None], y=digits.target)
        return path
    folder = given.work / "caltech"
    for kind in ("faces", "airplanes"):
        link = folder / kind
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.symlink_to((given.data / f"caltech101-{kind}" / "images").resolve())
    return folder


def trained(name: str, data: Path, seed: int, out: Path) -> float:
    """A small Keras classifier on the training part; its best epoch by validation."""
    return fitted(
        lambda classes: classifier(name, classes), data, seed, out, EPOCHS[name]
    )


def classifier(name: str, classes: int) -> tf.keras.Model:
    """Strided 3×3 convolutions and two dense layers."""
    layers: list[Any] = [tf.keras.layers.Input(SHAPES[name])]
    for filters in FILTERS[name]:
        layers.append(
            tf.keras.layers.Conv2D(
                filters, 3, strides=2, padding="same", activation="relu"
            )
        )
    layers += [
        tf.keras.layers.Flatten(),
        tf.keras.layers.Dense(64, activation="relu"),
        tf.keras.layers.Dense(classes, activation="softmax"),
    ]
    return tf.keras.Sequential(layers)


def fitted(
    make: Callable[[int], tf.keras.Model],
    data: Path,
    seed: int,
    out: Path,
    epochs: int,
) -> float:
    """What ``make`` gives for a number of classes, trained: its best epoch's accuracy
    on the validation part. The file notes the split."""
    held = read_data(data)
    parts = parts_of(held, {}, seed)
    assert held.answers is not None
    tf.keras.utils.set_random_seed(seed)
    model = make(len(held.classes) or 10)
    model.compile(
        tf.keras.optimizers.Adam(0.003),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    shape = model.input_shape[1:]
    x, y, v, w = (
        array
        for part in (parts.train, parts.validation)
        for array in (held.read(part, shape), held.answers[part])
    )
    best = tf.keras.callbacks.ModelCheckpoint(
        str(out), monitor="val_accuracy", save_best_only=True
    )
    model.fit(
        *(x, y),
        epochs=epochs,
        validation_data=(v, w),
        callbacks=[best],
        verbose=0,
    )
    write_metadata(out, dict(noted(held, parts, {})))
    return float(max(model.history.history["val_accuracy"]))


def measured(name: str, data: Path, seed: int, work: Path) -> dict[str, Any]:
    """Every network's accuracy on the test part, with its interval."""
    ann, tuned = work / "ann.h5", work / "tuned.snn"
    trained(name, data, seed, ann)
    quiet = Steps(lambda step, seconds: None)
    row: dict[str, Any] = {"data": name, "seed": seed}
    for steps in CONVERTED:
        made = build(
            "reference", ann, data, settings=Settings(steps=steps), steps=quiet
        )
        for score in made.report.scores:
            if score.metric == "accuracy":
                key = {"integer SNN": f"converted {steps}"}.get(score.name, score.name)
                row[key] = [score.value, score.low, score.high]
    choices = Choices(steps=STEPS, adapt_epochs=ADAPT, epochs=TUNE, seed=seed)
    cotrain(ann, data, tuned, choices)
    made = build("reference", tuned, data, settings=Settings(), steps=quiet)
    score = next(s for s in made.report.scores if s.name == "integer SNN")
    row["fine-tuned"] = [score.value, score.low, score.high]
    row["hz"] = made.report.total.mean_rate.hz
    row["test samples"] = made.report.samples
    write(made, work / "built")
    verdict = compare(
        work / "built" / "program.snn",
        ["reference", "loihi-emulator"],
        samples=16,
        steps=None,
        tolerances=Tolerances(),
    ).verdict
    row["emulator agrees"] = verdict.agrees
    return row


def document(rows: list[dict[str, Any]]) -> str:
    """The results as Markdown: README's table, and every network with its interval."""
    cells = [
        [row["data"], str(row["seed"]), str(row["test samples"])]
        + ["{:.4f} [{:.3f}, {:.3f}]".format(*row[column]) for column in COLUMNS]
        + [f"{row['hz']:.0f}"]
        for row in rows
    ]
    return (
        "Accuracy on the test part, 8-bit integers on `reference`, which the "
        "nengo-loihi emulator\nrepeats spike for spike (16 samples each). Written by "
        "`benchmarks/classifiers.py`.\n\n" + "\n".join(summary(rows)) + "\n\nEach "
        "network with its 95 % interval (Wilson):\n\n"
        + "\n".join(_table(["data", "seed", *HEAD], cells))
        + "\n"
    )


def summary(rows: list[dict[str, Any]]) -> list[str]:
    """Mean ± standard deviation over the seeds, a line for each kind of data."""
    lines = []
    for name in dict.fromkeys(row["data"] for row in rows):
        mine = [row for row in rows if row["data"] == name]
        values = [[row[column][0] for row in mine] for column in COLUMNS]
        lines.append(
            [name, str(len(mine)), str(mine[0]["test samples"])]
            + [f"{np.mean(v):.3f} ± {np.std(v, ddof=1):.3f}" for v in values]
            + [f"{np.mean([row['hz'] for row in mine]):.0f}"]
        )
    return _table(["data", "seeds", *HEAD], lines)


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


if __name__ == "__main__":
    main()
