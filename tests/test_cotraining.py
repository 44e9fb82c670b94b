"""Fine-tuning from the command line: what is trained is what is built."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from tiny_files import CONV, DENSE, FLATTEN, write_model, write_pictures

from snn_deploy.commands.cli import cli
from snn_deploy.deploy import build
from snn_deploy.model_files import read_model
from snn_deploy.toolchain.bundle.bundle import Bundle, load_bundle, save_bundle
from snn_deploy.toolchain.errors import ModelError
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph

pytest.importorskip("tensorflow", reason="fine-tuning needs TensorFlow (Python 3.10)")
from snn_deploy.cotraining import cotrain  # noqa: E402
from snn_deploy.models.cotraining.hybrid import HybridNetwork  # noqa: E402
from snn_deploy.models.cotraining.semantics import forward  # noqa: E402
from snn_deploy.tuning import Choices, gradient_of, prepare  # noqa: E402

QUICK = Choices(steps=12, settle=4, adapt_epochs=2, epochs=3, max_rate_hz=400.0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What an uninterrupted run ends with."""
    folder = tmp_path_factory.mktemp("whole")
    model = write_model(folder / "tiny.h5", CONV, FLATTEN, DENSE)
    pictures = write_pictures(folder / "pictures")
    cotrain(model, pictures, folder / "whole.snn", QUICK)
    return weights(folder / "whole.snn")


@pytest.fixture
def files(tmp_path):
    model = write_model(tmp_path / "tiny.h5", CONV, FLATTEN, DENSE)
    return model, write_pictures(tmp_path / "pictures"), tmp_path


def weights(path):
    graph = read_model(path).graph
    return [node.weight for node in graph.nodes if hasattr(node, "weight")]


def test_the_built_integers_are_the_trained_ones(files):
    model, pictures, folder = files
    options = ["--data", str(pictures), "--steps", "12", "--settle", "4"]
    tuned = str(folder / "tuned.snn")
    quick = ["--adapt-epochs", "1", "--epochs", "1", "--max-rate-hz", "400"]
    words = ["finetune", str(model), *options, *quick, "--out", tuned]
    ended = CliRunner().invoke(cli, words)
    assert ended.exit_code == 0, ended.output
    out = ["--out", str(folder / "out"), "--samples", "3", "--json"]
    words = ["build", "--target", "reference", "--model", tuned, *out]
    ended = CliRunner().invoke(cli, [*words, "--data", str(pictures)])
    assert ended.exit_code == 0, ended.output
    report = json.loads(ended.stdout)
    assert report["steps"] == 12  # those it was fine-tuned for
    assert "float ANN" not in {score["name"] for score in report["scores"]}
    found = read_model(folder / "tuned.snn")
    network = HybridNetwork(found.graph, found.scales)
    bundle = load_bundle(folder / "out" / "program.snn")
    seen = forward(network, bundle.samples[:3].astype(np.float32), 12, record=True)
    for layer in report["layers"]:
        spikes = float(np.sum(seen.spikes[layer["name"]])) / 3
        assert layer["spikes"] == pytest.approx(spikes, rel=1e-9), layer["name"]


def test_a_resumed_run_ends_with_the_same_network(files, whole):
    model, pictures, folder = files

    class Killed(Exception):
        pass

    def kill(phase, now):
        if phase == "spikes" and now.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        cotrain(model, pictures, folder / "cut.snn", QUICK, progress=kill)
    assert not (folder / "cut.snn").exists()
    cotrain(model, pictures, folder / "cut.snn", QUICK, resume=True)
    for a, b in zip(whole, weights(folder / "cut.snn")):
        np.testing.assert_array_equal(a, b)


def killed_in(phase: str):
    def kill(now_in, now):
        if now_in == phase and now.epoch == 1:
            raise KeyboardInterrupt

    return kill


@pytest.mark.slow
def test_a_resumed_run_never_goes_on_with_an_older_ones_spikes(files, whole):
    """Killed in its first phase, under the name of a run that had ended."""
    model, pictures, folder = files
    out = folder / "m.snn"
    cotrain(model, pictures, out, replace(QUICK, adapt_epochs=1))
    assert (folder / "m.snn.spikes.npz").exists()
    with pytest.raises(KeyboardInterrupt):
        cotrain(model, pictures, out, QUICK, progress=killed_in("adapt"))
    assert not (folder / "m.snn.spikes.npz").exists()
    cotrain(model, pictures, out, QUICK, resume=True)
    for a, b in zip(whole, weights(out)):
        np.testing.assert_array_equal(a, b)


def test_resume_refuses_another_choice(files):
    model, pictures, folder = files
    with pytest.raises(ModelError, match="no checkpoint of it to resume from"):
        cotrain(model, pictures, folder / "m.snn", QUICK, resume=True)
    with pytest.raises(KeyboardInterrupt):
        cotrain(
            *(model, pictures, folder / "m.snn", QUICK), progress=killed_in("adapt")
        )
    for change in ({"settle": 3}, {"tau_syn": 0.005}, {"adapt_epochs": 1}, {"seed": 1}):
        (name,), other = change, replace(QUICK, **change)
        with pytest.raises(ModelError, match=f"another .*{name}"):
            cotrain(model, pictures, folder / "m.snn", other, resume=True)


def test_a_budget_that_no_epoch_keeps_is_said_and_the_nearest_network_written(files):
    model, pictures, folder = files
    tuned = folder / "tuned.snn"
    words = f"finetune {model} --data {pictures} --out {tuned} --steps 12"
    quick = "--adapt-epochs 1 --epochs 1 --max-rate-hz 0.1"
    ended = CliRunner().invoke(cli, [*words.split(), *quick.split()])
    assert ended.exit_code == 1, ended.output
    said = "no epoch kept to its budget; the nearest, epoch 1, is kept: --max-rate-hz"
    assert f"warning: {said}" in ended.stderr
    assert "nan" not in ended.stderr and "(budget not met)" in ended.stderr
    found = json.loads(ended.stdout)["spikes"]
    assert found["over_budget"].startswith(said) and found["rate"] > 0.1
    noted = read_model(tuned).metadata["finetuned"]["validation"]["spikes"]
    assert noted == found
    built = build("reference", tuned, pictures, samples=2)
    assert found["over_budget"] in built.report.notes


def test_a_converted_network_that_is_good_enough_is_not_trained(files):
    model, pictures, folder = files
    tuned = folder / "tuned.snn"
    words = f"finetune {model} --data {pictures} --out {tuned} --steps 12"
    bounds = "--max-rate-hz 1000 --max-energy-uj 5 --min-score 0"
    ended = CliRunner().invoke(cli, [*words.split(), *bounds.split()])
    assert ended.exit_code == 0, ended.output
    (found,) = json.loads(ended.stdout).items()
    assert found[0] == "start" and 0 < found[1]["energy"] < 5
    assert build("reference", tuned, pictures, samples=2).report.energy


def test_where_the_network_goes_is_tried_first(files, run_cli, capsys):
    model, pictures, folder = files
    (folder / "folder.snn").mkdir()
    source = folder / "source.snn"
    save_bundle(source, Bundle(graph=read_model(model).graph))
    before = sorted(folder.iterdir())
    for given, out, words in (
        (model, folder / "none" / "x.snn", "there is no folder"),
        (model, folder / "folder.snn", "it is a folder; name a file"),
        (model, model, "name a .snn file"),
        (model, folder / "x.h5", "name a .snn file"),
        (source, source, "it is what is read, and would be replaced"),
    ):
        code = run_cli("finetune", given, "--data", pictures, "--out", out)
        assert code == 2 and words in capsys.readouterr().err
    assert sorted(folder.iterdir()) == before
    for seed in ("-1", "4294967296"):
        out = folder / "x.snn"
        words = ("finetune", model, "--data", pictures, "--out", out, "--seed", seed)
        assert run_cli(*words) == 2 and "--seed" in capsys.readouterr().err


def test_only_what_runs_on_the_core_gets_its_neurons():
    graph = Graph(
        (
            n.Input("x", shape=(4,)),
            n.Dense("a", ("x",), weight=np.ones((4, 3)), bias=np.ones(3)),
            n.SoftLIF("A", ("a",)),
            n.Dense("b", ("A",), weight=np.ones((3, 3)), bias=np.ones(3)),
            n.SoftLIF("B", ("b",)),
            n.Output("y", ("B",)),
        )
    )
    x = np.ones((2, 4))
    core, plain = (
        prepare(graph, x, Choices(semantics=s, steps=21)) for s in ("loihi", "float")
    )
    for name in "AB":
        assert (core[name].tau_rc, core[name].tau_ref) == (0.01, 0.0)
        assert (plain[name].tau_rc, plain[name].tau_ref) == (0.02, 0.002)
    for prepared in (core, plain):  # 1 step to get there, and a quarter of 20
        assert prepared.output.settle == pytest.approx(0.006)


@pytest.mark.parametrize(
    ("phase", "changes", "gradient"),
    [
        ("spikes", {"steps": 16}, "time"),
        ("spikes", {"steps": 17}, "rate"),
        ("spikes", {"steps": 32, "gradient": "time"}, "time"),
        ("spikes", {"steps": 16, "semantics": "float"}, "rate"),
        ("adapt", {"steps": 16}, "rate"),
    ],
)
def test_in_few_steps_the_gradient_goes_through_each(phase, changes, gradient):
    graph = Graph.chain(n.Input("x", shape=(2,)), n.IF("a"), n.Output("y"))
    assert gradient_of(phase, graph, replace(Choices(), **changes)) == gradient


def test_float_semantics_train_in_one_phase(files):
    model, pictures, folder = files
    choices = replace(QUICK, semantics="float", tau_syn=0.005, max_rate_hz=None)
    phases = set()
    found = cotrain(
        model,
        pictures,
        folder / "float.snn",
        choices,
        progress=lambda phase, now: phases.add(phase),
    )
    assert phases == {"spikes"}
    assert found["finetuned"]["choices"]["loss"] == "iou"  # the task's own
