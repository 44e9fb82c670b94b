"""Any data, any question: what is read, scored, refused, and said aloud."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from small_networks import fitted, fitted_masks, save, stripes

from snn_deploy.commands.cli import cli
from snn_deploy.models.data.formats.labels import Labels
from snn_deploy.models.data.formats.rows import rows
from snn_deploy.models.data.generated.formulas import formula_data
from snn_deploy.models.data.generated.shapes import shape_data
from snn_deploy.tasks.contract import Question, find_kind
from snn_deploy.tasks.kinds import KINDS
from snn_deploy.tasks.metrics import wilson
from snn_deploy.toolchain.errors import DataError, SnnDeployError
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph


def run(*words: object) -> tuple[int, str]:
    """Exit code and all output of ``snn-deploy words…``."""

    done = CliRunner().invoke(cli, [str(word) for word in words])
    if done.exception and not isinstance(done.exception, SystemExit):
        assert isinstance(done.exception, SnnDeployError), done.exc_info
        return 2, f"{type(done.exception).__name__}: {done.exception}"
    return done.exit_code, done.output


def built(folder, *words: object) -> dict:
    """report.json of a build on the reference."""
    out = folder / "built"
    code, text = run("build", "--target", "reference", "--out", out, *words)
    assert code == 0, text
    return json.loads((out / "report.json").read_text())


def scores(report: dict) -> dict[tuple[str, str], float]:
    return {(s["metric"], s["name"]): s["value"] for s in report["scores"]}


@pytest.fixture
def bars(tmp_path):
    """A classifier of bars, and its data."""
    x, y = stripes(300)
    np.savez(tmp_path / "bars.npz", x=x, y=y)
    return save(tmp_path / "bars.snn", fitted(x, np.eye(3)[y])), tmp_path / "bars.npz"


def test_a_classifier_and_arrays_are_all_that_it_takes(bars, tmp_path):
    model, data = bars
    report = built(tmp_path, "--model", model, "--data", data, "--steps", 64)
    found = scores(report)
    assert found["accuracy", "float ANN"] > 0.9
    assert found["accuracy", "integer SNN"] > 0.8
    assert found["accuracy", "most frequent class"] < 0.6
    assert report["samples"] == 45  # all of the test part, 15 % of 300
    accuracy = next(s for s in report["scores"] if s["name"] == "integer SNN")
    assert accuracy["low"] < accuracy["value"] <= accuracy["high"]
    assert sum(map(sum, report["confusion"]["counts"])) == 45
    assert any("task classes" in note for note in report["notes"])


def test_a_bundle_answers_new_samples_and_keeps_the_answers(bars, tmp_path):
    model, data = bars
    built(tmp_path, "--model", model, "--data", data)
    program = tmp_path / "built" / "program.snn"
    x, y = stripes(40, seed=9)
    np.savez(tmp_path / "new.npz", x=x)
    out = tmp_path / "answers.csv"
    words = ("run", program, "--target", "reference", "--data", tmp_path / "new.npz")
    code, text = run(*words, "--predictions", out)
    assert code == 0, text
    table = list(csv.DictReader(out.open()))
    assert np.mean([int(row["class"]) == label for row, label in zip(table, y)]) > 0.8
    code, text = run(*words, "--predictions", tmp_path / "answers.txt")
    assert code == 2 and ".csv and .npz" in text
    code, text = run("run", program, "--target", "reference", "--json")
    assert code == 0 and "accuracy" in {s["metric"] for s in json.loads(text)["scores"]}


def test_values_of_both_signs_come_back(tmp_path):
    data = formula_data(600, 0)
    x = data.read(np.arange(600), (8,))
    np.savez(tmp_path / "f.npz", x=x, y=data.answers)
    model = save(tmp_path / "f.snn", fitted(x, data.answers, features=96))
    words = ("--model", model, "--data", tmp_path / "f.npz", "--steps", 128)
    report = built(tmp_path, *words, "--max-rate", 500)
    found = scores(report)
    assert found["R²", "float ANN"] > 0.8 and abs(found["R²", "mean value"]) < 0.1
    assert found["R²", "integer SNN"] > 0.5
    assert found["RMSE", "integer SNN"] < found["RMSE", "mean value"]


def test_masks_of_several_classes(tmp_path):
    data = shape_data(60, 0, (16, 20, 1))
    x = data.read(np.arange(60), (16, 20, 1))
    np.savez(tmp_path / "s.npz", x=x, y=data.answers)
    model = save(tmp_path / "s.snn", fitted_masks(x, np.eye(3)[data.answers]))
    report = built(tmp_path, "--model", model, "--data", tmp_path / "s.npz")
    found = scores(report)
    assert found["mean Dice", "float ANN"] > found["mean Dice", "mean mask"]
    assert found["mean Dice", "integer SNN"] > found["mean Dice", "mean mask"]
    assert {f"IoU of {i}" for i in range(3)} <= {metric for metric, _ in found}


def test_without_labels_the_networks_are_held_to_each_other(bars, tmp_path):
    model, _ = bars
    np.savez(tmp_path / "x.npz", x=stripes(100)[0])
    report = built(tmp_path, "--model", model, "--data", tmp_path / "x.npz")
    found = scores(report)
    assert found["same class", "integer SNN"] > 0.8
    assert found["correlation of outputs", "integer SNN"] > 0.9


def test_the_kind_is_named_or_follows_from_the_data(bars, tmp_path):
    model, data = bars
    words = ("build", "--target", "reference", "--model", model, "--data", data)
    code, text = run(*words, "--task", "boxes", "--out", tmp_path / "o")
    assert code == 2 and "boxes are (samples, 4)" in text
    code, text = run(*words, "--task", "values", "--out", tmp_path / "o")
    assert code == 2 and "(3,)" in text and "values want one output" in text
    assert not (tmp_path / "o").exists()


def test_more_classes_than_outputs_name_both(bars, tmp_path):
    model, _ = bars
    x, y = stripes(50)
    np.savez(tmp_path / "five.npz", x=x, y=y + 2)
    words = (
        "build",
        "--target",
        "reference",
        "--model",
        model,
        "--out",
        tmp_path / "o",
    )
    code, text = run(*words, "--data", tmp_path / "five.npz")
    assert code == 2 and "5 classes" in text and "(3,)" in text


def test_no_data_is_one_sentence_with_the_way_out(bars):
    model, _ = bars
    code, text = run("build", "--target", "reference", "--model", model)
    assert code == 2 and "--data" in text and "generated" in text


def test_a_network_no_better_than_a_constant_stops_the_build(bars, tmp_path):
    """Labels in another order than it was trained with."""
    x, y = stripes(300)
    model = save(tmp_path / "l.snn", fitted(x, np.eye(3)[(y + 1) % 3]))
    words = ("build", "--target", "reference", "--out", tmp_path / "o")
    words = (*words, "--model", model, "--data", bars[1])
    code, text = run(*words)
    assert code == 2 and "order" in text and "--force" in text
    assert not (tmp_path / "o").exists()
    code, text = run(*words, "--force")
    assert code == 0
    notes = json.loads((tmp_path / "o" / "report.json").read_text())["notes"]
    assert any("constant answer" in note for note in notes)


@pytest.mark.slow
def test_another_reading_that_fits_better_is_named_and_works(tmp_path):
    """Trained on −1 … 1, stored as 0 … 1: said aloud, and the advice is right."""
    x, y = stripes(300)
    graph = fitted(2 * x - 1, np.eye(3)[y])
    model = save(tmp_path / "m.snn", graph)
    np.savez(tmp_path / "d.npz", x=x, y=y)
    words = ("--model", model, "--data", tmp_path / "d.npz", "--force")
    plain = built(tmp_path, *words)
    (advice,) = [note for note in plain["notes"] if "is that how" in note]
    assert "--scale 2 --offset -1" in advice
    followed = built(tmp_path, *words, "--scale", "2", "--offset", "-1")
    better = scores(followed)["accuracy", "float ANN"]
    assert better > scores(plain)["accuracy", "float ANN"] + 0.1
    assert any("preprocessing: x · 2 − 1" in note for note in followed["notes"])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_scores_the_truth_best_and_its_constant_worse(kind):
    rng = np.random.default_rng(2)
    question, answers, right = {
        "classes": lambda y: (Question(shape=(4,), output=(3,)), y, np.eye(3)[y]),
        "values": lambda y: (Question(shape=(4,), output=(1,)), y[:, None], y[:, None]),
        "boxes": lambda y: (
            Question(shape=(8, 8, 1), output=(4,)),
            *2 * (np.array([[0.1, 0.1, 0.5, 0.5]]) + y[:, None] / 10,),
        ),
        "masks": lambda y: (
            Question(shape=(2, 2, 1), output=(2, 2, 3)),
            *((m := rng.integers(0, 3, (len(y), 2, 2))), np.eye(3)[m]),
        ),
    }[kind](rng.integers(0, 3, 30))
    task = find_kind(kind)
    data = rows("made", np.ones((30, *question.shape)), Labels(answers, kind))
    assert task.suits(question, data)
    constant = task.constant(answers, question)
    trivial = np.broadcast_to(constant.answer, (30, *constant.answer.shape))
    for metric in task.metrics(question, data):
        best, least = metric.of(right, answers), metric.of(trivial, answers)
        assert metric.better * best >= metric.better * least
    first = task.metrics(question, data)[0]
    assert first.of(right, answers) == pytest.approx(1)
    with pytest.raises(DataError, match="there are: classes"):
        find_kind("riddles")


@given(st.integers(0, 200), st.integers(1, 200))
def test_wilsons_interval_holds_the_share(hits, more):
    share, count = hits / (hits + more), hits + more
    low, high = wilson(share, count)
    assert 0 <= low <= share <= high <= 1


def test_an_argmax_at_the_end_is_an_answer_too(bars, tmp_path):
    x, y = stripes(300)
    graph = fitted(x, np.eye(3)[y])
    *nodes, _ = graph.nodes
    picked = (n.Argmax("class", ("answers",)), n.Output("output", ("class",)))
    model = save(tmp_path / "a.snn", Graph((*nodes, *picked)))
    report = built(tmp_path, "--model", model, "--data", bars[1])
    assert scores(report)["accuracy", "integer SNN"] > 0.8


@pytest.mark.slow
def test_an_answer_at_the_baseline_is_said_aloud_and_more_steps_mend_it(tmp_path):
    x = np.random.default_rng(0).normal(size=(200, 4))
    y = (x[:, 0] > 0.8).astype(int)  # a fifth of them
    model = save(tmp_path / "net.snn", fitted(x, np.eye(2)[y]))
    data = tmp_path / "data.npz"
    np.savez(data, x=x, y=y)
    words = ("build", "--target", "reference", "--model", model, "--data", data)
    for steps, said in ((1, True), (256, False)):
        code, text = run(*words, "--steps", steps, "--out", tmp_path / "o")
        assert code == int(said), text
        found = "of a constant answer (most frequent class)" in " ".join(text.split())
        assert found == said
