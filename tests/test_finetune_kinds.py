"""Every kind of task through finetune and build: what is trained is what is built."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from small_networks import fitted, fitted_masks, save, stripes

pytest.importorskip("tensorflow", reason="fine-tuning needs TensorFlow")
from snn_deploy.commands.cli import cli  # noqa: E402
from snn_deploy.model_files import read_model  # noqa: E402
from snn_deploy.models.cotraining.hybrid import HybridNetwork  # noqa: E402
from snn_deploy.models.cotraining.semantics import forward  # noqa: E402
from snn_deploy.models.data.generated.formulas import formula_data  # noqa: E402
from snn_deploy.models.data.generated.shapes import shape_data  # noqa: E402
from snn_deploy.toolchain.bundle.bundle import load_bundle  # noqa: E402
from snn_deploy.toolchain.graph import nodes as n  # noqa: E402
from snn_deploy.toolchain.graph.graph import Graph  # noqa: E402

QUICK = "--steps 16 --adapt-epochs 4 --epochs 1 --max-rate-hz 400".split()


def classes(folder):
    x, y = stripes(200)
    graph = fitted(x, np.eye(3)[y])
    softmax = n.Softmax("probabilities", ("answers",))
    output = replace(graph.output, inputs=("probabilities",))
    return Graph((*graph.nodes[:-1], softmax, output)), x, y


def two_classes(folder):
    x, y = stripes(200)
    graph = fitted(x, (2.0 * (y > 0) - 1)[:, None])
    sigmoid = n.Sigmoid("probability", ("answers",))
    output = replace(graph.output, inputs=("probability",))
    return Graph((*graph.nodes[:-1], sigmoid, output)), x, (y > 0).astype(int)


def values(folder):
    data = formula_data(300, 0)
    x = data.read(np.arange(300), (8,))
    return fitted(x, data.answers), x, data.answers


def masks(folder):
    data = shape_data(40, 0, (12, 16, 1))
    x = data.read(np.arange(40), (12, 16, 1))
    return fitted_masks(x, np.eye(3)[data.answers], features=48), x, data.answers


CASES = {
    "classes": (classes, "accuracy", "most frequent class"),
    "two classes": (two_classes, "accuracy", "most frequent class"),
    "values": (values, "R²", "mean value"),
    "masks": (masks, "mean Dice", "mean mask"),
}


@pytest.fixture(scope="module")
def fine_tuned(tmp_path_factory):
    """Name of a case → the file of its data, and that of its network, fine-tuned."""

    @cache
    def make(name: str) -> tuple[Path, Path]:
        folder = tmp_path_factory.mktemp("tuned")
        data, tuned = folder / "data.npz", folder / "tuned.snn"
        graph, x, y = CASES[name][0](folder)
        np.savez(data, x=x, y=y)
        model = save(folder / "ann.snn", graph)
        words = ["finetune", model, "--data", data, "--out", tuned, *QUICK, "--seed", 1]
        done = CliRunner().invoke(cli, list(map(str, words)))
        assert done.exit_code == 0, (done.output, done.exception)
        return data, tuned

    return make


@pytest.mark.parametrize(
    "name",
    ["classes", *(pytest.param(x, marks=pytest.mark.slow) for x in [*CASES][1:])],
)
def test_a_kind_goes_all_the_way(name, tmp_path, fine_tuned):
    _, metric, trivial = CASES[name]
    data, tuned = fine_tuned(name)
    words = ["build", "--target", "reference", "--model", tuned, "--data", data]
    done = CliRunner().invoke(cli, [*map(str, words), "--out", str(tmp_path / "o")])
    assert done.exit_code == 0, (done.output, done.exception)
    report = json.loads((tmp_path / "o" / "report.json").read_text())
    found = {(s["metric"], s["name"]): s["value"] for s in report["scores"]}
    assert found[metric, "integer SNN"] > found[metric, trivial]
    assert (metric, "ANN before fine-tuning") in found
    assert "test part of the model's split" in report["source"]
    read = read_model(tuned)
    network = HybridNetwork(read.graph, read.scales)
    samples = load_bundle(tmp_path / "o" / "program.snn").samples[:4]
    seen = forward(network, samples.astype(np.float32), 16, record=True)
    again = CliRunner().invoke(
        cli,
        f"run {tmp_path}/o/program.snn --target reference --samples 4 --json".split(),
    )
    for layer in json.loads(again.stdout)["layers"]:
        spikes = float(np.sum(seen.spikes[layer["name"]])) / 4
        assert layer["spikes"] == pytest.approx(spikes, rel=1e-9), layer["name"]


def test_what_was_trained_on_is_not_tested_on_whatever_the_seed(tmp_path, fine_tuned):
    """A plain network, split by finetune's seed; the build keeps to that split."""
    data, tuned = fine_tuned("classes")
    x, y = (np.load(data)[name] for name in "xy")
    split = read_model(tuned).metadata["split"]
    more = tmp_path / "more.npz"
    order = np.random.default_rng(0).permutation(200)
    np.savez(
        more, x=np.concatenate([x[order], stripes(9, 8)[0]]), y=[*y[order], *[0] * 9]
    )
    words = ["build", "--target", "reference", "--model", tuned, "--data", more]
    done = CliRunner().invoke(cli, [*map(str, words), "--out", str(tmp_path / "o")])
    assert done.exit_code == 0, (done.output, done.exception)
    report = json.loads((tmp_path / "o" / "report.json").read_text())
    assert report["samples"] == len(split["test"]) + 9
    assert "9 new of 209 joined" in report["source"]


@pytest.mark.slow
def test_a_teacher_and_smoothed_labels_belong_to_the_run(tmp_path, run_cli, capsys):
    graph, x, y = classes(tmp_path)
    data, tuned = tmp_path / "data.npz", tmp_path / "tuned.snn"
    np.savez(data, x=x, y=y)
    model = save(tmp_path / "ann.snn", graph)
    words = ["finetune", model, "--data", data, "--out", tuned, *QUICK]
    words += ["--adapt-epochs", 1, "--epochs", 1]
    taught = ["--teacher", "ann", "--label-smoothing", 0.1]
    assert run_cli(*words, *taught) == 0
    choices = read_model(tuned).metadata["finetuned"]["choices"]
    assert (choices["teacher"], choices["label_smoothing"]) == ("ann", 0.1)
    assert run_cli(*words, "--resume") == 2
    assert "another label_smoothing, teacher" in capsys.readouterr().err
    assert run_cli(*words, *taught, "--loss", "mse") == 2
    assert "trained with cross_entropy; name that" in capsys.readouterr().err
    np.savez(data, x=x, y=y[:, None] / 2)
    words[1] = save(tmp_path / "values.snn", fitted(x, y[:, None] / 2))
    assert run_cli(*words, "--task", "values", *taught, "--loss", "huber") == 2
    assert "labels are smoothed for cross_entropy" in capsys.readouterr().err


def test_answers_that_do_not_suit_name_both_shapes(tmp_path):
    graph, x, y = values(tmp_path)
    data = tmp_path / "data.npz"
    np.savez(data, x=x, y=np.column_stack([y, y]))
    model = save(tmp_path / "ann.snn", graph)
    words = ["finetune", model, "--data", data, "--out", tmp_path / "t.snn"]
    done = CliRunner().invoke(cli, list(map(str, words)))
    assert "(2,)" in str(done.exception) and "(1,)" in str(done.exception)
    np.savez(data, x=x)
    done = CliRunner().invoke(cli, list(map(str, words)))
    assert "no labels" in str(done.exception)
    assert not (tmp_path / "t.snn").exists()
