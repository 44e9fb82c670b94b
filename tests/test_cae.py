"""CAE: from Keras to the cores and back to masks, and its training."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

from snn_deploy.deploy import Steps, build, compile_program  # noqa: E402
from snn_deploy.model_files import read_model  # noqa: E402
from snn_deploy.models.data.generated.blobs import blob_data  # noqa: E402
from snn_deploy.models.data.masks import split_subjects  # noqa: E402
from snn_deploy.models.data.parts import parts_of  # noqa: E402
from snn_deploy.models.networks.cae import cae  # noqa: E402
from snn_deploy.models.networks.recipe import CaeRecipe  # noqa: E402
from snn_deploy.models.training.metadata import read_metadata  # noqa: E402
from snn_deploy.models.training.train_cae import train_cae  # noqa: E402
from snn_deploy.pipeline.compilation import Settings  # noqa: E402
from snn_deploy.targets.contract import find_target  # noqa: E402
from snn_deploy.tasks.masks import dataset_of  # noqa: E402
from snn_deploy.tasks.task import GENERATED, read_task  # noqa: E402
from snn_deploy.toolchain.errors import DataError, ModelError  # noqa: E402
from snn_deploy.toolchain.frontends.keras.keras import from_keras  # noqa: E402
from snn_deploy.toolchain.graph.interpret import interpret  # noqa: E402
from snn_deploy.toolchain.graph.nodes import ConvTranspose2D, Linear, ReLU  # noqa: E402
from snn_deploy.toolchain.passes.fold import fold  # noqa: E402

SIZE = (16, 24, 1)
CHANNELS = (4, 6, 8)
RECIPE = CaeRecipe(size=SIZE, channels=(4, 6), epochs=3, batch=32, learning_rate=0.01)


@pytest.fixture(scope="module")
def data():
    return blob_data(9, 0, SIZE)


@pytest.fixture(scope="module")
def model(data):
    """Random weights, and the normalisation of these slices: no layer is silent."""
    tf.keras.utils.set_random_seed(0)
    made = cae(SIZE, CHANNELS)
    for _ in range(20):
        made(data.images, training=True)
    return made


def test_the_papers_ten_layers_none_of_them_skipped():
    graph = from_keras(cae())
    layers = [node for node in graph.nodes if isinstance(node, Linear)]
    assert len(layers) == 10
    assert sum(isinstance(node, ConvTranspose2D) for node in layers) == 3
    assert all(len(graph.consumers(node.name)) == 1 for node in graph.nodes[:-1])
    sizes = [graph.shapes[n.name] for n in graph.nodes if isinstance(n, ReLU)]
    assert sum(map(np.prod, sizes)) == 38_400
    assert graph.shapes[graph.output.name] == (48, 64, 1)


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("channels", [(3,), (4, 6), (2, 3, 4)])
def test_the_graph_computes_what_keras_does(data, channels, normalised):
    tf.keras.utils.set_random_seed(0)
    made = cae(SIZE, channels, normalised=normalised)
    made(data.images, training=True)
    graph, x = from_keras(made), data.images[:4]
    expected = np.asarray(made(x))
    assert expected.shape == (4, *SIZE) and 0 < expected.min() < expected.max() < 1
    for found in (graph, fold(graph)):
        y = interpret(found, x.astype(np.float64))[graph.output.name]
        np.testing.assert_allclose(y, expected, atol=1e-6)


@pytest.mark.slow
def test_not_a_spike_differs_between_reference_and_emulator(model, data):
    pytest.importorskip("nengo_loihi", reason="needs pip install 'snn-deploy[loihi]'")
    samples = data.images[::18].astype(np.float64)
    quiet = Steps(lambda name, seconds: None)
    program, _ = compile_program(from_keras(model), samples, Settings(steps=24), quiet)
    assert len(program.populations) == 9  # the tenth layer is the host's
    recordings = []
    for name in ("reference", "loihi-emulator"):
        with find_target(name).load(program) as session:
            recordings.append(session.run(samples[:2]))
    reference, emulator = recordings
    assert all(counts.any() for counts in reference.counts.values())
    for name, spikes in reference.spikes.items():
        differing = int((spikes != emulator.spikes[name]).sum())
        assert differing == 0, name
    np.testing.assert_array_equal(reference.output, emulator.output)
    assert reference.output.shape == (2, *SIZE)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "cae.h5"
    losses = []
    train_cae(
        data,
        out,
        dataclasses.replace(RECIPE, epochs=6),
        progress=lambda now: losses.append(now.loss),
        command="snn-deploy train cae",
    )
    assert np.mean(losses[-2:]) < 0.9 * np.mean(losses[:2])
    return out


def test_the_model_says_how_it_was_made(data, trained):
    metadata = read_metadata(trained)
    assert metadata["model"] == "cae" and metadata["command"] == "snn-deploy train cae"
    assert metadata["recipe"]["size"] == list(SIZE)
    parts = metadata["split"]
    expected = split_subjects(data, 0)
    assert parts["test"] == [data.names[i] for i in expected.test]
    known = parts_of(dataset_of(data, "data"), metadata, seed=1)
    assert known.how == "test part of the model's split"  # by what the samples hold
    assert sorted(sum(parts.values(), [])) == sorted(data.names)
    assert set(metadata["scores"]["test"]) == {
        "mean_mask_dice",
        "ann_dice",
        "ann_dice_of_volumes",
    }


@pytest.mark.slow
def test_an_interrupted_training_ends_with_the_same_network(data, tmp_path):
    class Interrupted(Exception):
        pass

    def stop(now):
        if now.epoch == 1:
            raise Interrupted

    whole, parts = tmp_path / "whole.h5", tmp_path / "parts.h5"
    train_cae(data, whole, RECIPE)
    with pytest.raises(Interrupted):
        train_cae(data, parts, RECIPE, progress=stop)
    assert not parts.exists()
    train_cae(data, parts, RECIPE, resume=True)
    one, other = (tf.keras.models.load_model(p).get_weights() for p in (whole, parts))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ModelError, match="another data"):
        train_cae(blob_data(9, 1, SIZE), parts, RECIPE, resume=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": (16, 26, 1)}, "multiples of 4"),
        ({"channels": ()}, "channels are"),
        ({"epochs": 0}, "epochs is 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_bad_numbers_are_refused(data, tmp_path, change, words):
    with pytest.raises(DataError, match=words):
        train_cae(data, tmp_path / "cae.h5", dataclasses.replace(RECIPE, **change))


def write_pictures(folder, data) -> None:
    """The slices as a user's folder of pictures, one volume a subject."""
    from PIL import Image

    rows = ["image,subject"]
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for i, (image, mask) in enumerate(zip(data.images, data.masks)):
        for part, pixels in (("images", image), ("masks", mask)):
            grey = np.rint(pixels[..., 0] * 255.0).astype(np.uint8)
            Image.fromarray(grey).save(folder / part / f"{i:03d}.png")
        rows.append(f"{i:03d}.png,{data.subjects[data.volume[i]]}")
    (folder / "subjects.csv").write_text("\n".join(rows))


def test_the_command_line_trains_and_builds_on_a_folder(data, tmp_path, monkeypatch):
    from click.testing import CliRunner

    from snn_deploy.commands.cli import cli

    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "cells", data)
    words = (
        "train cae --data cells --out cae.h5 --size 16 24 1 --channels 4,6 --epochs 2"
    ).split()
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    scores = read_metadata("cae.h5")["scores"]
    words = (
        "build --target reference --model cae.h5 --data cells --steps 32 --out built "
        "--samples 24 --json --force"
    ).split()
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "built" / "report.json").read_text())
    found = {(s["metric"], s["name"]): s["value"] for s in report["scores"]}
    assert found["Dice", "float ANN"] == pytest.approx(scores["test"]["ann_dice"])
    assert found["Dice", "mean mask"] == scores["test"]["mean_mask_dice"]
    assert (tmp_path / "built" / "report.png").stat().st_size > 10_000


def test_volumes_are_scored_one_by_one_where_all_of_them_was_run(data, trained):
    read = read_model(trained)
    parts = read.metadata["split"]
    task = read_task(GENERATED, read.graph, {})
    test = task.test(None)
    truth, wrong = test.y.astype(float), np.zeros(test.y.shape)
    answers = {"right": truth, "wrong": wrong}
    scores = {(s.metric, s.name): s.value for s in task.scores(test, answers)}
    for metric in ("Dice", "mean Dice of a volume"):
        assert scores[metric, "right"] == 1
        assert scores[metric, "wrong"] == 0
        assert 0 < scores[metric, "mean mask"] < 0.5
    some = task.test(5)
    few = task.scores(some, {"right": some.y.astype(float)})
    assert {score.metric for score in few} == {"Dice"} and parts
    picture = task.picture(some.first(3), some.y[:3].astype(float))
    assert picture is not None and (picture.true == picture.predicted).all()


@pytest.mark.slow
def test_build_takes_generated_blobs_where_they_are_asked_for(trained):
    made = build(
        "reference",
        trained,
        GENERATED,
        samples=2,
        force=True,
        settings=Settings(steps=8),
        steps=Steps(lambda name, seconds: None),
    )
    assert "generated blobs" in made.report.source
    assert {score.name for score in made.report.scores} == {
        "integer SNN",
        "float ANN",
        "mean mask",
    }


def test_train_cae_offers_the_recipe_with_its_defaults():
    from snn_deploy.commands.training.train import cae as command

    offered = {option.name: option.default for option in command.params}
    height, width, channels = offered["size"]
    assert (height, width, int(channels)) == CaeRecipe().size
    for name in ("epochs", "batch", "learning_rate", "seed", "block"):
        assert offered[name] == getattr(CaeRecipe(), name), name
