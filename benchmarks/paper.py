"""The paper's two tables (arXiv 2303.12738), measured on the deployed integers.

Run: python benchmarks/paper.py --data folder --work build/paper [--tasks faces …]
Writes benchmarks/results/paper/TASK-SEED-PART.json, one file for each task, seed and
part; what has its file is left alone, and what was interrupted goes on from its
checkpoints in the work folder. ``paper_table.py`` and ``paper_figures.py`` read them.

Parts: "ours" is the trivial answer, our ANN, it converted, and it fine-tuned in loihi
semantics; "paper" is the plain reproduction: the paper's hyper-parameters as far as it
names them, float semantics. "budgets" is our hybrid at lower firing rates (one seed
tells enough). "fewer", "ingredients" and "pruned" are those of ``paper_fewer.py``, for
digits too. Training and every choice see training and validation
samples only; the test samples are looked at once, at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import paper_fewer
import tensorflow as tf
from classifiers import data_of
from paper_score import (
    Exam,
    Network,
    Row,
    above_constant,
    ann_row,
    deployed_row,
    exam_of,
    trivial_row,
)
from paper_train import DIGITS, trained, tuned

from snn_deploy import __version__
from snn_deploy.model_files import Model
from snn_deploy.models.networks.recipe import CaeRecipe, Recipe
from snn_deploy.pipeline.compilation import Settings
from snn_deploy.tasks.task import read_task
from snn_deploy.tuning import Choices

RESULTS = Path(__file__).parent / "results" / "paper"
SEEDS = (0, 1, 2)
PARTS = ("ours", "paper", "budgets", *paper_fewer.PARTS)
BUDGETS = (0.5, 0.25)  # of the firing rate that "ours" is allowed
CALIBRATION_SAMPLES = 64
TAU_SYN = 0.005  # s, the paper's
ALL = 10**6  # test samples


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A task, and how its networks are trained."""

    folder: str  # of the data
    ann: Recipe | CaeRecipe | None  # None: the classifier of ``classifiers.py``
    hybrid: Choices
    paper_ann: Recipe | CaeRecipe | None
    paper_hybrid: Choices


CHANNELS = (8, 24, 48)  # of LocNet; the paper names none
PAPER_LOCNET = Recipe(
    channels=CHANNELS,
    epochs=50,
    learning_rate=0.01,
    target_rate=250.0,
    rate_noise=0.0,
    rate_weight=0.01,
)
PAPER_CAE = CaeRecipe(normalised=False, epochs=100, learning_rate=1e-5)
PAPER_HYBRID = Choices(
    semantics="float", tau_syn=TAU_SYN, epochs=7, learning_rate=0.001, max_rate_hz=None
)
FACES = Experiment(
    folder="caltech101-faces",
    ann=Recipe(channels=CHANNELS),
    hybrid=Choices(),
    paper_ann=PAPER_LOCNET,
    paper_hybrid=PAPER_HYBRID,
)
CROPS = 0.05  # of airplanes
BLOCK = 20  # neighbouring faces; a person's run is some 16 pictures long
EXPERIMENTS = {
    DIGITS: replace(FACES, folder=DIGITS, ann=None, paper_ann=None),
    "faces": FACES,
    "faces-blocks": replace(
        FACES,
        ann=Recipe(channels=CHANNELS, block=BLOCK),
        paper_ann=replace(PAPER_LOCNET, block=BLOCK),
    ),
    "airplanes": replace(  # they lie much alike, and there are twice as many
        FACES,
        folder="caltech101-airplanes",
        ann=Recipe(
            channels=CHANNELS,
            epochs=200,
            loss="iou",
            crops=CROPS,
            rate_noise=10.0,
            rate_weight=0.001,
        ),
        hybrid=replace(FACES.hybrid, adapt_epochs=80, epochs=20),
        paper_ann=replace(PAPER_LOCNET, crops=CROPS),
    ),
    "hippocampus": Experiment(
        folder="msd-hippocampus",
        ann=CaeRecipe(epochs=60),
        hybrid=Choices(steps=48, max_rate_hz=150.0, adapt_epochs=8, epochs=3),
        paper_ann=PAPER_CAE,
        paper_hybrid=replace(PAPER_HYBRID, steps=48, epochs=4),  # the paper: up to 13
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="holds every task's")
    parser.add_argument("--work", type=Path, default=Path("build/paper"))
    parser.add_argument("--tasks", nargs="+", choices=EXPERIMENTS, default=EXPERIMENTS)
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS[:2])
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for part in given.parts:
        for seed in given.seeds:
            for task in given.tasks:
                out = given.out / f"{task}-{seed}-{part}.json"
                exists = task != DIGITS or part in paper_fewer.PARTS
                if exists and not out.exists():
                    work = given.work / f"{task}-{seed}"
                    found = measure(EXPERIMENTS[task], given.data, seed, part, work)
                    found = {"task": task, "seed": seed, "part": part, **found}
                    out.write_text(json.dumps(found, indent=1) + "\n")
                    print(out, json.dumps(brief(found["rows"])))


def measure(
    experiment: Experiment, root: Path, seed: int, part: str, work: Path
) -> dict[str, Any]:
    """Train the networks of a part and score them on the test samples."""
    work.mkdir(parents=True, exist_ok=True)
    data, start = root / experiment.folder, time.time()
    if experiment.folder == DIGITS:
        data = data_of(DIGITS, argparse.Namespace(work=work))
    paper = part == "paper"
    recipe = experiment.paper_ann if paper else experiment.ann
    choices = experiment.paper_hybrid if paper else experiment.hybrid
    choices = replace(choices, seed=seed)
    path = work / ("paper.h5" if paper else "ann.h5")
    channels = paper_fewer.CHANNELS.get(experiment.folder)
    if part in paper_fewer.PARTS and recipe and channels:
        recipe, path = replace(recipe, channels=channels), work / "ann-small.h5"
    ann = trained(path, data, recipe, seed)
    exam = exam_of(read_task(data, ann.graph, ann.metadata))
    if part in paper_fewer.PARTS:
        wanted = paper_fewer.settings(experiment.folder, part, choices)
        measured = with_settings(ann, path, data, exam, wanted)
    elif part == "budgets":
        measured = with_budgets(ann, path, data, exam, choices)
    else:
        measured = with_baselines(ann, path, data, exam, choices)
    return {
        "data": exam.task.source,
        "test_samples": len(exam.test),
        **measured,
        "ann_training": without_names(ann),
        "seconds": time.time() - start,
        "cores": len(os.sched_getaffinity(0)),
        "versions": {
            "snn-deploy": __version__,
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "numpy": np.__version__,
        },
    }


def with_baselines(
    ann: Model, path: Path, data: Path, exam: Exam, choices: Choices
) -> dict[str, Any]:
    """The trivial answer, the ANN, it converted, and it fine-tuned."""
    out = path.with_name("paper.snn" if path.stem == "paper" else "hybrid.snn")
    hybrid = tuned(out, path, data, choices)
    settings = Settings(steps=choices.steps, tau_syn=TAU_SYN)
    scored = {
        "trivial": trivial_row(exam),
        "ann": ann_row(Network(ann.graph), exam),
        "converted": deployed_row(Network(ann.graph), exam, settings),
        "hybrid": deployed_row(Network(hybrid.graph, hybrid.scales), exam, settings),
    }
    outputs = {name: output for name, (_, output) in scored.items()}
    np.savez(out.with_suffix(".npz"), images=exam.test.x, truth=exam.test.y, **outputs)
    return {
        "rows": {name: row for name, (row, _) in scored.items()},
        "hybrid_choices": asdict(choices),
        "hybrid_validation": hybrid.metadata["finetuned"]["validation"],
    }


def with_budgets(
    ann: Model, path: Path, data: Path, exam: Exam, choices: Choices
) -> dict[str, Any]:
    """The ANN fine-tuned to fire less."""
    assert choices.max_rate_hz
    rates = [budget * choices.max_rate_hz for budget in BUDGETS]
    wanted = {f"{hz:g} Hz": replace(choices, max_rate_hz=hz) for hz in rates}
    found = with_settings(ann, path, data, exam, wanted)
    del found["rows"]["ann"]
    return found | {"hybrid_choices": asdict(choices)}


def with_settings(
    ann: Model, path: Path, data: Path, exam: Exam, wanted: Mapping[str, Choices]
) -> dict[str, Any]:
    """The ANN, and it fine-tuned in several ways, each by its name."""
    rows, validation = {"ann": ann_row(Network(ann.graph), exam)[0]}, {}
    for name, choices in wanted.items():
        words = name.replace(" ", "").replace(",", "-").replace("%", "").lower()
        out = path.with_name(f"hybrid-{words}.snn")
        hybrid = tuned(out, path, data, choices)
        rows[name] = tested(out.with_suffix(".json"), hybrid, exam, choices.steps)
        validation[name] = hybrid.metadata["finetuned"]["validation"]
    return {
        "rows": rows,
        "hybrid_choices": {name: asdict(c) for name, c in wanted.items()},
        "hybrid_validation": validation,
    }


def tested(out: Path, hybrid: Model, exam: Exam, steps: int) -> Row:
    """The row of a hybrid network; kept in ``out``, so that one that was interrupted
    goes on."""
    if not out.exists():
        settings = Settings(steps=steps, tau_syn=TAU_SYN)
        network = Network(hybrid.graph, hybrid.scales, hybrid.macs(input_spikes=False))
        found, outputs = deployed_row(network, exam, settings)
        if exam.task.data.kind == "boxes":
            found["above_constant"] = above_constant(exam, outputs)
        out.write_text(json.dumps(found))
    row: Row = json.loads(out.read_text())
    return row


def without_names(model: Model) -> dict[str, Any]:
    return {k: v for k, v in model.metadata.items() if k not in ("split", "command")}


def brief(rows: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {k: round(row[k]["score"], 4) for k in ("float", "integers") if k in row}
        for name, row in rows.items()
    }


if __name__ == "__main__":
    main()
