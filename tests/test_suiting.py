"""Networks whose output does not suit the data: both shapes are named, nothing breaks.

Every output that a network may have meets every form of answers, under every task that
may be named: it is built, or one sentence says why not.
"""

from __future__ import annotations

from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_networks import save
from tiny_files import write_pictures

from snn_deploy import deploy
from snn_deploy.models.data.formats.reading import Reading
from snn_deploy.pipeline.compilation import Settings
from snn_deploy.tasks.kinds import KINDS
from snn_deploy.toolchain.errors import DataError, SnnDeployError
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph

SHAPE = (8, 12, 3)
COUNT = 30


def ending(graph: Graph, node: n.Node) -> Graph:
    """The network with one more node before its Output."""
    last = type(node)(**{**vars(node), "inputs": (graph.nodes[-2].name,)})
    return Graph((*graph.nodes[:-1], last, n.Output("y", (last.name,))))


def flat(outputs: int) -> Graph:
    rng = np.random.default_rng(0)
    return Graph.chain(
        n.Input("x", shape=SHAPE),
        n.Flatten("f"),
        n.Dense("d", weight=rng.normal(0, 0.1, (288, 8)), bias=np.zeros(8)),
        n.ReLU("a"),
        n.Dense("o", weight=rng.normal(size=(8, outputs)), bias=np.zeros(outputs)),
        n.Output("y"),
    )


def pixels(outputs: int, stride: int = 1) -> Graph:
    rng, zeros = np.random.default_rng(0), np.zeros
    return Graph.chain(
        n.Input("x", shape=SHAPE),
        n.Conv2D(
            "c",
            weight=rng.normal(size=(3, 3, 3, 2)),
            bias=zeros(2),
            padding=((1, 1), (1, 1)),
            stride=(stride, stride),
        ),
        n.ReLU("a"),
        n.Conv2D("o", weight=rng.normal(size=(1, 1, 2, outputs)), bias=zeros(outputs)),
        n.Output("y"),
    )


NETWORKS = {
    "one": flat(1),
    "one probability": ending(flat(1), n.Sigmoid("s")),
    "three": flat(3),
    "three probabilities": ending(flat(3), n.Softmax("s")),
    "the number of one of three": ending(flat(3), n.Argmax("s")),
    "four": flat(4),
    "two by two": ending(flat(4), n.Reshape("s", shape=(2, 2))),
    "a mask": pixels(1),
    "a mask of three": pixels(3),
    "a mask of numbers": ending(pixels(3), n.Argmax("s")),
    "half a mask": pixels(2, stride=2),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Networks, and data with every form of answers."""
    folder, rng = tmp_path_factory.mktemp("suiting"), np.random.default_rng(0)
    for name, graph in NETWORKS.items():
        save(folder / f"{name}.snn", graph)
    x = rng.random((COUNT, *SHAPE)).astype(np.float32)
    for name, y in {
        "3 classes": np.arange(COUNT) % 3,
        "12 classes": np.arange(COUNT) % 12,
        "names": np.array(["a", "b"] * (COUNT // 2)),
        "one value": rng.random(COUNT),
        "all the same": np.ones(COUNT) / 2,
        "values": rng.random((COUNT, 2)),
        "boxes": np.sort(rng.random((COUNT, 4))),
        "two masks": rng.integers(0, 2, (COUNT, 8, 12)),
        "four masks": rng.integers(0, 4, (COUNT, 8, 12)),
        "large masks": rng.integers(0, 2, (COUNT, 16, 24)),
        "values of pixels": rng.random((COUNT, 8, 12, 2)),
        "nothing": np.zeros(0),
    }.items():
        np.savez(folder / f"{name}.npz", x=x, y=y)
    write_pictures(folder / "folder of boxes")
    for part in ("images", "masks"):
        (folder / "folder of masks" / part).mkdir(parents=True)
    for i in range(12):
        picture = Image.fromarray(rng.integers(0, 255, SHAPE, np.uint8))
        mask = np.zeros(SHAPE[:2], np.uint8)
        mask[2:5, 3:8] = 255
        picture.save(folder / "folder of masks" / "images" / f"{i}.png")
        Image.fromarray(mask).save(folder / "folder of masks" / "masks" / f"{i}.png")
        (folder / "folder of classes" / "abc"[i % 3]).mkdir(parents=True, exist_ok=True)
        picture.save(folder / "folder of classes" / "abc"[i % 3] / f"{i}.png")
    return folder


def data_in(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix == ".npz" or p.is_dir())


@pytest.mark.parametrize("network", NETWORKS)
def test_every_output_meets_every_answer(folder, network):
    built = 0
    for data, kind in product(data_in(folder), (None, *KINDS)):
        try:
            made = deploy.build(
                *("reference", folder / f"{network}.snn", data),
                reading=Reading(kind=kind),
                settings=Settings(steps=4),
                steps=deploy.Steps(lambda name, seconds: None),
                force=True,
            )
        except SnnDeployError as error:
            assert "\n" not in str(error) and len(str(error)) < 500
            continue
        built += 1
        assert made.report.encoded()  # every figure is a number
        assert made.report.scores
    assert built >= len(KINDS)  # samples without labels suit them all, at least


MISFITS = {  # network, data, task → both shapes, as the message has them
    ("three", "12 classes.npz", None): ("12 classes", "(3,)"),
    ("three", "values.npz", None): ("(2,)", "(3,)"),
    ("three", "boxes.npz", "boxes"): ("(4,)", "(3,)"),
    ("three", "folder of boxes", None): ("(4,)", "(3,)"),
    ("three", "folder of masks", None): ("(8, 12)", "(3,)"),
    ("half a mask", "two masks.npz", None): ("(8, 12)", "(4, 6, 2)"),
    ("a mask of three", "four masks.npz", None): ("4 classes", "(8, 12, 3)"),
    ("a mask", "3 classes.npz", None): ("3 classes", "(8, 12, 1)"),
    ("two by two", "3 classes.npz", None): ("3 classes", "(2, 2)"),
}
VERBS = [
    "build",
    pytest.param(
        "finetune",
        marks=pytest.mark.skipif(
            not find_spec("tensorflow"), reason="TensorFlow is missing"
        ),
    ),
]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("misfit", MISFITS, ids=lambda misfit: " ".join(misfit[:2]))
def test_both_shapes_are_named(folder, misfit, verb, run_cli, capsys, tmp_path):
    network, data, kind = misfit
    model = folder / f"{network}.snn"
    words = ["--data", folder / data, *(["--task", kind] if kind else [])]
    if verb == "build":
        words += ["--target", "reference", "--model", model, "--out", tmp_path / "out"]
    else:
        words += [model, "--out", tmp_path / "out.snn"]
    assert run_cli(verb, *words) == 2
    (error,) = (x for x in capsys.readouterr().err.splitlines() if x.startswith("Err"))
    assert all(shape in error for shape in MISFITS[misfit]), error
    assert not list(tmp_path.iterdir())


def test_a_score_that_answers_leave_undefined_is_left_out(folder):
    """R² where all answers are the same."""
    made = deploy.build(
        *("reference", folder / "one.snn", folder / "all the same.npz"),
        settings=Settings(steps=4),
        steps=deploy.Steps(lambda name, seconds: None),
        force=True,
    )
    assert {score.metric for score in made.report.scores} == {"MAE", "RMSE"}
    with pytest.raises(DataError, match="a constant answer"):
        deploy.build(
            *("reference", folder / "one.snn", folder / "one value.npz"),
            settings=Settings(steps=4),
            steps=deploy.Steps(lambda name, seconds: None),
        )
