"""Event data from the command line: lists and arrays, sent step by step."""

from __future__ import annotations

import json

import numpy as np
import pytest
from small_networks import fitted, save

from snn_deploy.models.data.formats.formats import read_data
from snn_deploy.models.data.formats.reading import Reading, completed
from snn_deploy.models.data.generated.moving_shapes import DIRECTIONS, moving_shape
from snn_deploy.toolchain.bundle.bundle import load_bundle

SIDE, COUNT = 16, 240


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    """Event lists in a folder for each direction."""
    folder = tmp_path_factory.mktemp("moving")
    for i in range(COUNT):
        turn = list(DIRECTIONS)[i % len(DIRECTIONS)]
        (folder / turn).mkdir(exist_ok=True)
        np.save(folder / turn / f"{i:05d}.npy", moving_shape(0, i, turn, SIDE, SIDE))
    return folder


@pytest.fixture(scope="module")
def arrays(lists):
    """The same, binned into 24 steps: (samples, steps, height, width, 2), labels."""
    held = read_data(lists)
    x = held.read(np.arange(COUNT), (24, SIDE, SIDE, 2))
    return x.astype(bool), held.answers


@pytest.fixture(scope="module")
def model(lists, arrays, tmp_path_factory):
    """A float network that takes the share of steps with an event."""
    x, y = arrays
    graph = fitted(x.mean(1), np.eye(3)[y], features=64)
    return save(tmp_path_factory.mktemp("model") / "ann.snn", graph)


@pytest.fixture
def snn_deploy(run_cli, capsys):
    """``snn_deploy(*words)``: the exit code, and what was said."""

    def run(*words: object) -> tuple[int, str]:
        code = run_cli(*words)
        told = capsys.readouterr()
        return code, told.out + " ".join(told.err.split())

    return run


def scores_of(folder) -> dict[tuple[str, str], float]:
    report = json.loads((folder / "report.json").read_text())
    return {(s["metric"], s["name"]): s["value"] for s in report["scores"]}


def test_event_lists_are_built_run_and_compared(snn_deploy, lists, model, tmp_path):
    words = ("--model", model, "--data", lists, "--encoder", "events", "--steps", "24")
    code, told = snn_deploy(
        *("build", "--target", "reference", "--out", tmp_path / "o", *words)
    )
    assert code == 0, told
    accuracy = scores_of(tmp_path / "o")["accuracy", "integer SNN"]
    assert accuracy > 0.8  # 0.89 when written; the most frequent class has 0.33
    program = tmp_path / "o" / "program.snn"
    bundle = load_bundle(program)
    assert bundle.samples.dtype == bool
    assert bundle.samples.shape[1:] == (24, SIDE, SIDE, 2)
    code, told = snn_deploy(
        *("compare", program, "--samples", 4, "--targets", "reference,reference")
    )
    assert code == 0, told
    answers = tmp_path / "answers.csv"
    code, told = snn_deploy(
        *("run", program, "--target", "reference", "--data", lists),
        *("--predictions", answers),
    )
    assert code == 0, told
    rows = [line.split(",")[:2] for line in answers.read_text().splitlines()[1:]]
    right = sum(name.startswith(turn) for name, turn in rows)
    assert len(rows) == COUNT
    assert f"accuracy: integer SNN {right / COUNT:.3f}" in told


def test_arrays_of_events_say_how_many_steps_there_are(
    snn_deploy, arrays, model, tmp_path
):
    x, y = arrays
    np.savez(tmp_path / "data.npz", x=x.astype(np.uint8), y=y)
    words = ("--model", model, "--data", tmp_path / "data.npz", "--encoder", "events")
    for more, steps in ((), 24), (("--steps", 16), 16):
        code, told = snn_deploy(
            "build", "--target", "reference", "--out", tmp_path / "o", *words, *more
        )
        assert code == 0, told
        assert json.loads((tmp_path / "o" / "report.json").read_text())["steps"] == (
            steps
        )
        assert scores_of(tmp_path / "o")["accuracy", "integer SNN"] > 0.6


def test_a_window_leaves_out_what_comes_later(snn_deploy, lists, model, tmp_path):
    """64 ms at 1 ms a step do not fill 100 steps; at 4 ms they fill 16 of 32."""
    words = ("--model", model, "--data", lists, "--encoder", "events", "--force")
    seen = {}
    for window in ("0.004", "0.001"):
        code, told = snn_deploy(
            *("build", "--target", "reference", "--out", tmp_path / "o", *words),
            *("--event-window", window),
        )
        assert code == 0, told
        bundle = load_bundle(tmp_path / "o" / "program.snn")
        seen[window] = bundle.samples.any(axis=(0, 2, 3, 4))
        assert bundle.metadata["reading"]["window"] == float(window)
    assert seen["0.004"][:16].all() and not seen["0.004"][17:].any()
    assert seen["0.001"].all()


@pytest.mark.parametrize(
    ("x", "words", "message"),
    [
        (
            lambda x: x,
            ("--encoder", "bias"),
            "say --encoder events where their first axis is steps of events",
        ),
        (
            lambda x: x.mean(1),
            ("--encoder", "events"),
            "samples have shape (16, 16, 2), and events are (steps, 16, 16, 2)",
        ),
        (lambda x: 3 * x, ("--encoder", "events"), "it holds 3 events of a neuron"),
        (
            lambda x: x,
            ("--encoder", "events", "--steps", "40"),
            "they hold 24 steps of events, 40 are to be run; run fewer steps",
        ),
        (
            lambda x: x,
            ("--encoder", "events", "--scale", "1/255"),
            "leave out --scale",
        ),
    ],
)
def test_what_cannot_be_sent_is_one_sentence(
    snn_deploy, x, words, message, arrays, model, tmp_path
):
    events, y = arrays
    np.savez(tmp_path / "data.npz", x=x(events.astype(np.float32)), y=y)
    out = tmp_path / "o"
    code, told = snn_deploy(
        *("build", "--target", "reference", "--out", out, "--model", model),
        *("--data", tmp_path / "data.npz", *words, "--force"),
    )
    assert code == 2, told
    assert message in told
    assert not out.exists()


@pytest.mark.slow
def test_fine_tuned_for_events_it_is_built_with_events(
    snn_deploy, lists, model, tmp_path
):
    pytest.importorskip("tensorflow", reason="fine-tuning is TensorFlow's")
    tuned = tmp_path / "tuned.snn"
    code, told = snn_deploy(
        *("finetune", model, "--data", lists, "--encoder", "events", "--out", tuned),
        *("--steps", 24, "--adapt-epochs", 4, "--epochs", 1, "--max-rate-hz", 400),
    )
    assert code == 0, told
    words = ("build", "--target", "reference", "--model", tuned, "--data", lists)
    code, told = snn_deploy(*words, "--out", tmp_path / "o")
    assert code == 0, told
    bundle = load_bundle(tmp_path / "o" / "program.snn")
    assert bundle.program.encoder.coding == "events"
    assert bundle.program.timing.steps == 24
    found = scores_of(tmp_path / "o")
    assert found["accuracy", "integer SNN"] > 0.7
    assert ("accuracy", "ANN before fine-tuning") in found
    code, told = snn_deploy(*words, "--encoder", "bias", "--out", tmp_path / "b")
    assert code == 2 and "trained with encoder events" in told


def test_what_the_user_leaves_out_is_read_as_in_training():
    trained = Reading(answer=("y",), window=0.002, steps=16)
    metadata = {"task": "classes", "reading": trained.noted()}
    assert completed(Reading(), metadata) == Reading(
        kind="classes", answer=("y",), window=0.002, steps=16
    )
    mine = Reading(kind="values", answer=("z",), window=0.001, steps=8)
    assert completed(mine, metadata) == mine
    damaged = {"task": 3, "reading": {"answer": "y", "window": "x", "steps": -1}}
    assert completed(Reading(), damaged) == Reading()


def test_columns_that_are_the_answer_are_named(snn_deploy, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 4))
    y = x @ [1.0, -2.0, 0.5, 0.0]
    table = tmp_path / "table.csv"
    lines = ["a,b,c,d,price"]
    lines += [",".join(map(str, (*row, value))) for row, value in zip(x, y)]
    table.write_text("\n".join(lines))
    model = save(tmp_path / "ann.snn", fitted(x, y[:, None]))
    words = ("build", "--target", "reference", "--model", model, "--data", table)
    code, told = snn_deploy(*words, "--answer", "price", "--out", tmp_path / "o")
    assert code == 0, told
    found = scores_of(tmp_path / "o")
    assert found["R²", "float ANN"] > 0.9 > 0.5 > found["R²", "mean value"]
    code, told = snn_deploy(*words, "--answer", "cost", "--out", tmp_path / "p")
    assert code == 2 and "a, b, c, d, price, with cost for the answer" in told
    assert not (tmp_path / "p").exists()
    table.write_text("\n".join(line.rpartition(",")[0] for line in lines))  # no price
    words = (tmp_path / "o" / "program.snn", "--target", "reference", "--data", table)
    code, told = snn_deploy("run", *words, "--predictions", tmp_path / "a.csv")
    assert code == 0 and "R²" not in told
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 1 + len(x)
