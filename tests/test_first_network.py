"""A first network from data alone: trained, fine-tuned, built, compared."""

from __future__ import annotations

import json
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image
from small_networks import stripes

from snn_deploy.model_files import read_model
from snn_deploy.models.data.formats.reading import Reading
from snn_deploy.models.data.generated.moving_shapes import DIRECTIONS, moving_shape
from snn_deploy.models.data.generated.shapes import shape_data
from snn_deploy.tasks.first import first_task
from snn_deploy.tasks.task import read_task
from snn_deploy.toolchain.errors import DataError, DoesNotFit, ModelError
from snn_deploy.toolchain.graph.interpret import evaluate
from snn_deploy.toolchain.graph.preparation import Rescale

tf = pytest.importorskip("tensorflow", reason="training needs TensorFlow")
from snn_deploy.models.networks.classifier import (  # noqa: E402
    classifier,
    segmenter,
    standard_of,
)
from snn_deploy.models.networks.recipe import PlainRecipe  # noqa: E402
from snn_deploy.toolchain.frontends.keras.keras import from_keras  # noqa: E402
from snn_deploy.training import Choices, fitting, material_of, train  # noqa: E402

OTHER = "loihi-emulator" if find_spec("nengo_loihi") else "reference"
TUNE = "--steps 16 --epochs 1 --batch 14 --max-rate-hz 500 --adapt-epochs".split()
QUICK = "--epochs 20 --fit loihi".split()
ANY = Reading()


@pytest.fixture
def bars(tmp_path):
    """Pictures of one to three bars, as whole numbers of 0 … 255."""
    x, y = stripes(200)
    np.savez(tmp_path / "bars.npz", x=np.uint8(x / x.max() * 255), y=y)
    return tmp_path / "bars.npz"


def table(folder):
    """Three columns of very different size, and a price of some 10⁵."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 3)) * [1, 1000, 0.001] + [20, 0, 3]
    price = 1e5 * (rows[:, 0] - 20) + 200 * rows[:, 1] + 3e5
    lines = [",".join(map(str, row)) for row in np.column_stack([rows, price])]
    (folder / "t.csv").write_text("\n".join(["a,b,c,price", *lines]))
    return folder / "t.csv"


def shapes(folder):
    """Pictures with a disc and a square, and which pixels are which."""
    data = shape_data(120, 0, (8, 12, 1))
    x = data.read(np.arange(120), (8, 12, 1))
    np.savez(folder / "s.npz", x=x, y=data.answers)
    return folder / "s.npz"


CASES = {
    "classes": ("classifier", "accuracy", lambda f, bars: ["--data", bars]),
    "values": (
        *("regressor", "R²"),
        lambda f, bars: ["--data", table(f), "--answer", "price"],
    ),
    "masks": ("segmenter", "mean Dice", lambda f, bars: ["--data", shapes(f)]),
}


@pytest.mark.parametrize(
    "name",
    [
        "values",
        *(pytest.param(x, marks=pytest.mark.slow) for x in ("classes", "masks")),
    ],
)
def test_a_network_goes_from_data_to_a_verdict(name, tmp_path, bars, run_cli, capsys):
    verb, metric, given = CASES[name]
    words = given(tmp_path, bars)
    ann, tuned, built = tmp_path / "a.h5", tmp_path / "a.snn", tmp_path / "o"
    assert run_cli("train", verb, *words, *QUICK, "--out", ann) == 0
    told = capsys.readouterr()
    test = json.loads(told.out)["test"]
    trivial = next(value for key, value in test.items() if f"{metric} of the" in key)
    assert test[metric] > trivial
    assert "small network: " in told.err and "of 128 cores" in told.err
    data = words[:2]  # no other word is needed again
    adapt, models = (2, (ann, tuned)) if name == "classes" else (0, (tuned,))
    assert run_cli("finetune", ann, *data, *TUNE, adapt, "--out", tuned) == 0
    for model in models:
        build = ("build", "--target", "reference", "--model", model, "--out", built)
        assert run_cli(*build, *data, "--samples", 60, "--force") == 0
        report = json.loads((built / "report.json").read_text())
        found = {(s["metric"], s["name"]): s["value"] for s in report["scores"]}
        assert "test part of the model's split" in report["source"]
    ann_score = found[metric, "ANN before fine-tuning"]
    assert ann_score == pytest.approx(test[metric], abs=1e-3)
    assert found[metric, "integer SNN"] > trivial
    other = OTHER if name == "classes" else "reference"
    targets = ("--targets", f"reference,{other}", "--samples", 2)
    assert run_cli("compare", built / "program.snn", *targets) == 0


@pytest.mark.parametrize(
    ("kind", "size", "shape", "output", "source"),
    [
        ("classes", None, (16, 16, 2), (3,), "generated moving shapes"),
        ("values", None, (8,), (1,), "a generated function"),
        ("masks", (8, 12, 1), (8, 12, 1), (8, 12, 3), "generated shapes"),
    ],
)
def test_without_data_there_are_generated_ones(kind, size, shape, output, source):
    """Which the network, once trained, is asked without --data too."""
    task = first_task(kind, None, size=size, reading=ANY)
    assert (task.question.shape, task.question.output) == (shape, output)
    model = segmenter(shape, 3, 4) if kind == "masks" else classifier(shape, 3, 4, 8)
    if kind == "values":
        model = classifier(shape, 1, 4, 8)
    noted = {"task": kind, "data": source}
    asked = read_task(None, from_keras(model), noted)
    assert asked.data.source == task.data.source == source
    assert asked.data.digest(np.arange(3)) == task.data.digest(np.arange(3))
    with pytest.raises(DataError, match="No data"):  # a user's file of nearly that name
        read_task(None, from_keras(model), {**noted, "data": f"{source}.npz"})


def test_the_file_answers_as_it_was_judged(tmp_path):
    """Samples as they are stored, answers in their own unit, in Keras as in a Graph."""
    reading = Reading(answer=("price",))
    choices = Choices(epochs=20)
    data, file = table(tmp_path), tmp_path / "a.h5"
    found = train("values", data, file, choices, reading=reading)
    task = first_task("values", data, reading=reading)
    x = task.data.read(task.parts.test, (3,))
    truth = task.data.answers[task.parts.test]
    model = tf.keras.models.load_model(file, compile=False)
    answers = model.predict(x, verbose=0)
    score = np.abs(answers - truth).mean()
    assert found["scores"]["test"]["MAE"] == pytest.approx(score)
    assert score < 0.5 * found["scores"]["test"]["MAE of the mean value"]
    graph = read_model(file).graph
    assert isinstance(graph.prepared, Rescale)
    away = evaluate(graph, x.astype(float)) - answers
    assert np.abs(away).max() < 1e-4 * np.abs(answers).max()
    assert found["task"] == "values" and found["reading"]["answer"] == ["price"]


def test_same_recipe_same_data_same_network_and_resumed_too(tmp_path, bars):
    def kill(now):
        if now.epoch == 2:
            raise KeyboardInterrupt

    choices, files = Choices(epochs=3), [tmp_path / f"{name}.h5" for name in "abc"]
    for file in files[:2]:
        train("classes", bars, file, choices)
    with pytest.raises(KeyboardInterrupt):
        train("classes", bars, files[2], choices, progress=kill)
    assert not files[2].exists()
    with pytest.raises(ModelError, match="another seed"):
        train("classes", bars, files[2], Choices(epochs=3, seed=1), resume=True)
    train("classes", bars, files[2], choices, resume=True)
    first, *others = (read_model(file).graph for file in files)
    for other in others:
        for a, b in zip(first.nodes, other.nodes):
            if hasattr(a, "weight"):
                np.testing.assert_array_equal(a.weight, b.weight)


def test_the_smallest_network_that_fits_is_taken(tmp_path, bars):
    task = first_task("classes", bars, reading=ANY)
    choices = Choices(fit="loihi")
    recipe, placement = fitting(material_of(task), PlainRecipe(), choices)
    assert recipe.size == "small" and len(placement.cores) == 2
    x = np.random.default_rng(0).random((9, 280, 280, 1), np.float32)
    np.savez(tmp_path / "large.npz", x=x, y=np.arange(9) % 2)
    with pytest.raises(DoesNotFit, match="not even the smallest .*--size"):
        train("classes", tmp_path / "large.npz", tmp_path / "l.h5", choices)
    assert not (tmp_path / "l.h5").exists()


@pytest.mark.parametrize(
    ("shape", "made"),
    [
        ((7,), lambda x: classifier((7,), 3, 8, 16, standard_of(x))),
        ((12, 9, 3), lambda x: classifier((12, 9, 3), 3, 4, 8, standard_of(x))),
        ((30, 1, 2), lambda x: classifier((30, 1, 2), 3, 4, 8, standard_of(x))),
        ((3, 1, 2), lambda x: classifier((3, 1, 2), 3, 4, 8, standard_of(x))),
        ((12, 16, 2), lambda x: segmenter((12, 16, 2), 3, 4, standard_of(x))),
    ],
)
def test_networks_of_every_shape_are_read_as_they_are(shape, made):
    x = np.random.default_rng(0).normal(300, 40, (9, *shape)).astype(np.float32)
    model = made(x)
    wanted = np.asarray(model(x))
    np.testing.assert_allclose(evaluate(from_keras(model), x), wanted, atol=1e-4)


def test_inputs_are_standardised_where_they_need_it():
    rng = np.random.default_rng(0)
    assert standard_of(rng.random((9, 8, 8, 1))) is None
    assert standard_of(rng.random((9, 5)) * 2 - 1) is None
    assert standard_of(np.zeros((9, 8, 8, 1))) is None
    (pictures,) = rng.integers(10, 211, (1, 9, 8, 8, 3))
    standard = standard_of(pictures)
    prepared = pictures * standard.scale + standard.offset
    assert (prepared.min(), prepared.max()) == pytest.approx((0, 1))
    columns = rng.normal(size=(99, 3)) * [1, 1e6, 0] + [0, 5, 7]
    standard = standard_of(columns)
    prepared = columns * standard.scale + standard.offset
    np.testing.assert_allclose(prepared.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(prepared.std(0), [1, 1, 0], atol=1e-9)


@pytest.fixture
def lists(tmp_path):
    """Event lists in a folder for each direction."""
    for i in range(90):
        turn = list(DIRECTIONS)[i % len(DIRECTIONS)]
        (tmp_path / "e" / turn).mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "e" / turn / f"{i}.npy", moving_shape(0, i, turn, 8, 8))
    return tmp_path / "e"


@pytest.mark.slow
def test_events_are_learned_as_their_mean(tmp_path, lists, run_cli):
    """Lists, binned again as they were; arrays, their first axis the steps."""
    out, quick = tmp_path / "a.h5", ("--epochs", 8)
    words = ("train", "classifier", "--data", lists, "--size", 8, 8, 2, *quick)
    assert run_cli(*words, "--steps", 20, "--out", out) == 0
    found = read_model(out).metadata
    assert found["reading"]["steps"] == 20
    assert found["scores"]["test"]["accuracy"] > 0.6
    task = first_task("classes", lists, size=(8, 8, 2), reading=Reading(steps=20))
    x = task.data.read(np.arange(90), (20, 8, 8, 2))
    np.savez(tmp_path / "a.npz", x=x.astype(bool), y=task.data.answers)
    words = ("train", "classifier", "--data", tmp_path / "a.npz", *quick)
    assert run_cli(*words, "--encoder", "events", "--out", tmp_path / "b.h5") == 0
    again = read_model(tmp_path / "b.h5").graph
    assert again.input.shape == (8, 8, 2)
    build = ("build", "--target", "reference", "--model", tmp_path / "b.h5")
    words = ("--data", tmp_path / "a.npz", "--encoder", "events", "--force")
    assert run_cli(*build, *words, "--out", tmp_path / "o") == 0


def pictures(folder):
    for name in "ab":
        (folder / "p" / name).mkdir(parents=True)
        for i in range(6):
            Image.new("L", (9, 8), 20 * i).save(folder / "p" / name / f"{i}.png")
    return folder / "p"


def arrays(folder, shape, y):
    x = np.random.default_rng(0).random((12, *shape))
    np.savez(folder / "d.npz", x=x, **({} if y is None else {"y": y}))
    return folder / "d.npz"


LABELS = np.arange(12) % 3
BAD = {
    "missing": ("classes", lambda f: f / "none.npz", {}, "no such file or folder"),
    "no labels": ("classes", lambda f: arrays(f, (4,), None), {}, "has no labels; tr"),
    "no size": ("classes", pictures, {}, "name it with --size HEIGHT WIDTH CHANNELS"),
    "other size": (
        *("classes", lambda f: arrays(f, (9, 9, 1), LABELS)),
        *({"size": (8, 8, 1)}, "have shape (9, 9, 1) and the network takes (8, 8, 1)"),
    ),
    "channels first": (
        *("classes", lambda f: arrays(f, (3, 9, 9), LABELS), {}),
        "channels last (x.transpose(0, 2, 3, 1))",
    ),
    "steps first": (
        *("classes", lambda f: arrays(f, (9, 9, 9, 2), LABELS), {}),
        "say --encoder events",
    ),
    "no events": (
        *("classes", lambda f: arrays(f, (9, 9, 9, 2), LABELS)),
        *({"encoder": "events"}, "0 or 1 is allowed"),
    ),
    "odd masks": (
        *("masks", lambda f: arrays(f, (9, 8, 1), np.zeros((12, 9, 8), int)), {}),
        "of even height and width",
    ),
    "values as classes": (
        *("classes", lambda f: arrays(f, (4,), LABELS / 7), {}),
        "classes are whole numbers",
    ),
    "generated of another size": (
        *("classes", lambda f: None, {"size": (8, 8, 3)}),
        "there are none of classes for samples of size (8, 8, 3)",
    ),
    "seed": ("values", lambda f: None, {"seed": -1}, "seed is -1"),
    "learning rate": ("values", lambda f: None, {"learning_rate": 1e30}, "not finite"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_trained_is_one_sentence_and_no_file(name, tmp_path):
    kind, data, choices, message = BAD[name]
    given, out = data(tmp_path), tmp_path / "out"
    out.mkdir()
    with pytest.raises(DataError) as refused:
        train(kind, given, out / "a.h5", Choices(**choices))
    assert message in str(refused.value)
    assert not list(out.iterdir())


def test_the_advice_on_channels_works(tmp_path):
    x = np.random.default_rng(0).random((12, 3, 9, 9)).transpose(0, 2, 3, 1)
    np.savez(tmp_path / "d.npz", x=x, y=LABELS)
    assert first_task("classes", tmp_path / "d.npz", reading=ANY).question.shape == (
        *(9, 9, 3),
    )
    sized = first_task("classes", pictures(tmp_path), size=(8, 9, 1), reading=ANY)
    assert (sized.question.shape, sized.question.output) == ((8, 9, 1), (2,))
