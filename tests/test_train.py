"""Training: it learns, is reproducible, resumes exactly, and says what it did."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image
from tiny_files import write_pictures

from snn_deploy.models.data import augment
from snn_deploy.models.data.boxes import iou, load_folder
from snn_deploy.models.data.generated.scenes import scene_data, scenes
from snn_deploy.models.data.parts import parts_of
from snn_deploy.tasks.boxes import dataset_of
from snn_deploy.toolchain.errors import DataError, ModelError
from snn_deploy.toolchain.frontends.keras.keras import read_keras
from snn_deploy.toolchain.graph.interpret import interpret

SIZE = (16, 24, 1)


def test_the_box_moves_with_the_picture():
    """A bright rectangle, cut and flipped at random, is where its box says."""
    rng = np.random.default_rng(0)
    count, fine = 64, (64, 96)
    low = rng.uniform(0.05, 0.5, (count, 2))
    boxes = np.concatenate([low, low + rng.uniform(0.2, 0.4, (count, 2))], axis=1)
    boxes = np.rint(boxes * [96, 64, 96, 64]) / [96, 64, 96, 64]
    images = np.zeros((count, *fine, 1), np.float32)
    for image, (x0, y0, x1, y1) in zip(images, np.rint(boxes * [96, 64, 96, 64])):
        image[int(y0) : int(y1), int(x0) : int(x1)] = 1
    window, flips = augment.windows(boxes, rng)
    seen = augment.cut(augment.widen(images), window, flips, (32, 48))
    moved = augment.seen_through(boxes, window, flips)
    assert 10 < flips.sum() < 54
    assert (moved > -1e-9).all() and (moved < 1 + 1e-9).all()
    for image, box in zip(seen[..., 0], moved):
        rows, columns = np.nonzero(image > 0.5)
        found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(found, box * [48, 32, 48, 32], atol=1.01)


def test_a_window_of_the_whole_picture_changes_nothing():
    images, _ = scenes(3, 0, (32, 48, 3))
    whole = np.tile([0.0, 0.0, 1.0, 1.0], (3, 1))
    cut = augment.cut(augment.widen(images), whole, np.zeros(3, bool), (16, 24))
    expected = images.reshape(3, 16, 2, 24, 2, 3).mean((2, 4))
    np.testing.assert_allclose(cut, expected, atol=1e-6)


@pytest.mark.parametrize("crops", [0.0, 0.3])
def test_smaller_crops_leave_boxes_nearer_to_where_they_were(crops):
    images, boxes = scenes(40, 0, (32, 48, 3))
    widened = augment.widen(images)
    moved, far = (
        augment.with_boxes(
            *(widened, boxes, np.random.default_rng(1)), size=(16, 24), crops=share
        )[1]
        for share in (crops, 1.0)
    )
    mirrored = boxes[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [1, 0, 1, 0]

    def distance(found):
        return np.minimum(abs(found - boxes).sum(1), abs(found - mirrored).sum(1))

    assert (distance(moved) <= 1e-6 + 2 * crops * distance(far).max()).all()
    assert distance(far).mean() > 0.1


def test_light_stays_in_range():
    images, _ = scenes(8, 0, (16, 24, 3))
    lit = augment.relight(images, np.random.default_rng(0))
    assert lit.min() >= 0 and lit.max() <= 1 and np.abs(lit - images).mean() > 0.01


tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

from snn_deploy.models.networks.recipe import Recipe  # noqa: E402
from snn_deploy.models.training.metadata import read_metadata  # noqa: E402
from snn_deploy.models.training.output import demand_room  # noqa: E402
from snn_deploy.models.training.saving import KERAS_3, save_model  # noqa: E402
from snn_deploy.models.training.train_locnet import train  # noqa: E402
from snn_deploy.models.training.trainer import Progress, progress_bar  # noqa: E402

RECIPE = Recipe(
    size=SIZE, channels=(4,), widths=(12,), epochs=4, batch=8, learning_rate=0.01
)


@pytest.fixture(scope="module")
def data():
    return scene_data(40, 0, SIZE)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "model.h5"
    train(data, out, RECIPE, command="snn-deploy train locnet")
    return out


def weights(path):
    return tf.keras.models.load_model(path).get_weights()


def test_the_model_says_how_it_was_made(data, trained):
    metadata = read_metadata(trained)
    parts = metadata["split"]
    assert sorted(sum(parts.values(), [])) == sorted(data.names)
    assert [len(parts[p]) for p in ("train", "validation", "test")] == [28, 6, 6]
    assert metadata["recipe"]["seed"] == 0
    assert metadata["recipe"]["size"] == list(SIZE)
    assert metadata["command"] == "snn-deploy train locnet"
    assert metadata["versions"]["tensorflow"] == tf.__version__
    assert not list(trained.parent.glob(".*"))
    known = parts_of(dataset_of(data, "data"), metadata, seed=1)
    assert known.how == "test part of the model's split"  # by what the samples hold


def test_its_scores_can_be_measured_again(data, trained):
    metadata = read_metadata(trained)
    test = data.take([data.names.index(n) for n in metadata["split"]["test"]])
    model = tf.keras.models.load_model(trained)
    predicted = model.predict(test.images(SIZE), verbose=0)
    assert iou(predicted, test.boxes).mean() == pytest.approx(
        metadata["scores"]["test"]["ann_iou"], abs=1e-6
    )


def test_an_interrupted_training_ends_with_the_same_network(data, trained, tmp_path):
    class Interrupted(Exception):
        pass

    def stop(now):
        if now.epoch == 2:
            raise Interrupted

    out = tmp_path / "model.h5"
    with pytest.raises(Interrupted):
        train(data, out, RECIPE, progress=stop)
    assert not out.exists()
    train(data, out, RECIPE, resume=True)
    for one, other in zip(weights(out), weights(trained)):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_an_averaged_network_is_a_mean_and_resumed_it_is_the_same(
    data, trained, tmp_path
):
    recipe = dataclasses.replace(RECIPE, averaging=2.0)
    whole, cut = tmp_path / "whole.h5", tmp_path / "cut.h5"
    train(data, whole, recipe)

    def stop(now):
        if now.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(data, cut, recipe, progress=stop)
    train(data, cut, recipe, resume=True)
    for mean, again, last in zip(*map(weights, (whole, cut, trained))):
        np.testing.assert_array_equal(mean, again)
        assert not np.array_equal(mean, last)


def test_resume_refuses_another_recipe_or_a_damaged_checkpoint(data, trained):
    other = dataclasses.replace(RECIPE, learning_rate=0.02)
    with pytest.raises(ModelError, match="another learning_rate"):
        train(data, trained, other, resume=True)
    with pytest.raises(ModelError, match="another data"):
        train(scene_data(40, 1, SIZE), trained, RECIPE, resume=True)
    file = trained.with_name("cut.h5.checkpoint.npz")
    whole = trained.with_name("model.h5.checkpoint.npz").read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="damaged"):
        train(data, trained.with_name("cut.h5"), RECIPE, resume=True)
    with pytest.raises(ModelError, match="no checkpoint"):
        train(data, trained.with_name("none.h5"), RECIPE, resume=True)


@pytest.mark.parametrize(
    ("loss", "share"),
    [
        ("mse", 0.8),
        pytest.param("smooth_l1", 0.95, marks=pytest.mark.slow),
        pytest.param("iou", 0.95, marks=pytest.mark.slow),
    ],
)
def test_training_learns_and_shows_how_it_stands(data, tmp_path, capsys, loss, share):
    losses = []
    recipe = dataclasses.replace(RECIPE, epochs=12, loss=loss)
    with progress_bar(recipe.epochs) as show:

        def progress(now):
            show(now)
            losses.append(now.loss)

        train(data, tmp_path / "model.h5", recipe, progress=progress)
    assert np.mean(losses[-3:]) < share * np.mean(losses[:3])
    captured = capsys.readouterr()
    assert "epoch 12" in captured.err and captured.out == ""


@pytest.mark.slow
def test_rates_are_pulled_to_the_target(data, tmp_path):
    rates: dict[float, float] = {}
    seen: list[Progress] = []
    for target in (50.0, 150.0):
        recipe = dataclasses.replace(RECIPE, target_rate=target, rate_weight=0.1)
        train(data, tmp_path / "model.h5", recipe, progress=seen.append)
        rates[target] = seen[-1].rate
    assert rates[50.0] == pytest.approx(50, rel=0.3)
    assert rates[150.0] == pytest.approx(150, rel=0.3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"rate_weight": -1.0}, "rate_weight is -1"),
        ({"target_rate": 600.0}, "below 500 Hz"),
        ({"seed": -1}, "seed is -1"),
        ({"loss": "bce"}, "loss is 'bce'"),
    ],
)
def test_bad_numbers_are_refused(data, tmp_path, change, words):
    recipe = dataclasses.replace(RECIPE, **change)
    with pytest.raises(DataError, match=words):
        train(data, tmp_path / "model.h5", recipe)


def test_where_the_model_goes_is_checked_first(data, tmp_path):
    (tmp_path / "folder.h5").mkdir()
    for out, words in {
        "model.snn": "name a .h5 or .keras file",
        "none/model.h5": "there is no folder",
        "folder.h5": "it is a folder",
    }.items():
        with pytest.raises(DataError, match=words):
            train(data, tmp_path / out, RECIPE)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.h5"]


@pytest.mark.skipif(KERAS_3, reason="Keras 3 writes .keras")
def test_keras_2_writes_no_zip(data, tmp_path):
    with pytest.raises(DataError, match="writes no .keras; name a .h5 file"):
        train(data, tmp_path / "model.keras", RECIPE)


@pytest.mark.skipif(not KERAS_3, reason="Keras 2 writes no .keras")
def test_a_zip_holds_the_network_of_the_h5_and_its_metadata(data, trained, tmp_path):
    out = tmp_path / "model.keras"
    train(data, out, RECIPE, command="snn-deploy train locnet")
    for one, other in zip(weights(out), weights(trained)):
        np.testing.assert_array_equal(one, other)
    assert read_metadata(out)["split"] == read_metadata(trained)["split"]
    zipped, flat = read_keras(out), read_keras(trained)
    x = data.take(range(3)).images(SIZE).astype(float)
    np.testing.assert_array_equal(
        interpret(zipped, x)[zipped.output.name], interpret(flat, x)[flat.output.name]
    )


@pytest.mark.parametrize("ending", [".h5", *([".keras"] if KERAS_3 else [])])
def test_metadata_of_any_size_are_kept(tmp_path, ending):
    """Of 60,000 samples, much more than an HDF5 attribute holds."""
    model = tf.keras.Sequential([tf.keras.Input((2,)), tf.keras.layers.Dense(1)])
    names = [f"class/picture number {i}.png" for i in range(60_000)]
    for metadata in ({"split": {"train": names}}, {"split": {}}):
        save_model(model, tmp_path / f"model{ending}", metadata)
        assert read_metadata(tmp_path / f"model{ending}") == metadata
        tf.keras.models.load_model(tmp_path / f"model{ending}")
        assert len(read_keras(tmp_path / f"model{ending}").nodes) == 3


def test_metadata_of_another_file_are_refused(tmp_path):
    (tmp_path / "text.h5").write_text("no model")
    for name in ("none.h5", "text.h5"):
        with pytest.raises(ModelError, match="no training metadata"):
            read_metadata(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("snn-deploy.json", "{")
    with pytest.raises(ModelError, match="training metadata are damaged"):
        read_metadata(tmp_path / "model.keras")


def test_training_that_runs_away_stops_and_writes_nothing(data, tmp_path):
    recipe = dataclasses.replace(RECIPE, learning_rate=1e30)
    with pytest.raises(DataError, match="is not finite.* lower the learning rate"):
        train(data, tmp_path / "model.h5", recipe)
    assert not list(tmp_path.iterdir())


def test_other_pictures_under_the_same_names_are_other_data(tmp_path):
    pictures = write_pictures(tmp_path / "pictures")
    recipe = dataclasses.replace(RECIPE, size=(8, 12, 3), epochs=1)
    train(load_folder(pictures), tmp_path / "model.h5", recipe)
    for path in (pictures / "images").iterdir():
        Image.new("RGB", (24, 16), "red").save(path)
    with pytest.raises(ModelError, match="another data"):
        train(load_folder(pictures), tmp_path / "model.h5", recipe, resume=True)


@pytest.mark.slow
def test_a_run_says_nothing_but_how_it_stands(tmp_path):
    """Neither TensorFlow's start-up log; nor are Keras 3's other back ends asked."""
    data, out = write_pictures(tmp_path / "pictures"), tmp_path / "net.h5"
    size = "--size 8 12 3 --channels 2 --widths 4 --epochs 1".split()
    words = ["train", "locnet", "--data", data, "--out", out, *size]
    unset = ("TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS")
    done = subprocess.run(
        [sys.executable, "-m", "snn_deploy", *map(str, words)],
        capture_output=True,
        text=True,
        env={k: v for k, v in os.environ.items() if k not in unset}
        | {"KERAS_BACKEND": "jax"},
    )
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) == {"validation", "test"}
    lines = done.stderr.split("\n")
    assert all(
        line.startswith(("epoch", "next:")) or not line.strip() for line in lines
    )


def test_a_full_disk_is_one_sentence(tmp_path):
    """A limit on the size of files stands for it: writing fails in the same place."""
    code = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from snn_deploy.models.training.checkpoint import *\n"
        "from snn_deploy.toolchain.errors import DataError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\n"
        "many = [np.random.default_rng(0).random(9000)]\n"
        "state = Checkpoint(recipe={}, epoch=1, best_epoch=1, best_score=0.5,\n"
        "                   weights=many, best_weights=many, optimizer=many)\n"
        "try:\n"
        "    save_checkpoint(Path(sys.argv[1]), state)\n"
        "except DataError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "model.h5.checkpoint.npz")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "checkpoint.npz: it cannot be written (File too large)" in done.stdout
    assert not list(tmp_path.iterdir())
    with pytest.raises(DataError, match=r"model.h5: it may have 10{18} bytes"):
        demand_room(tmp_path / "model.h5", 10**18)
