"""Networks after public reports of people who deployed some, from the command line.

Each takes the data and the shapes that once were refused or came back wrong. Random
features, and a last layer that is fitted to what is asked: trained enough to be far
from chance. Networks of random weights are held to the float network.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from small_networks import save, stripes

from snn_deploy.deploy import SHOWN
from snn_deploy.toolchain.bundle.bundle import load_bundle
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import interpret

SAME = ((1, 1), (1, 1))
Case = tuple[Graph, np.ndarray, "np.ndarray | None"]  # network, samples, labels


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def chain(shape: n.Shape, *stack: object) -> Graph:
    """A number is a Dense of so many outputs, (filters, kernel) a valid convolution.

    Their weights are random; ReLU neurons are put behind by ``n.ReLU("name")``.
    """
    draw, nodes = rng(), [n.Input("x", shape=shape)]
    for place, item in enumerate(stack):
        size = Graph(tuple(nodes)).shapes[nodes[-1].name]
        before = (nodes[-1].name,)
        if isinstance(item, int):
            weight = draw.normal(0, math.sqrt(2 / size[-1]), (size[-1], item))
            item = n.Dense(
                f"dense{place}", weight=weight, bias=draw.normal(0, 0.1, item)
            )
        elif isinstance(item, tuple):
            filters, kernel = item
            of = (*kernel, size[-1], filters)
            weight = draw.normal(0, math.sqrt(2 / math.prod(of[:-1])), of)
            item = n.Conv2D(
                f"conv{place}", weight=weight, bias=draw.normal(0, 0.1, filters)
            )
        nodes.append(type(item)(**{**vars(item), "inputs": before}))
    return Graph((*nodes, n.Output("output", (nodes[-1].name,))))


def answering(graph: Graph, x: np.ndarray, wanted: np.ndarray, *last: n.Node) -> Graph:
    """The network with a fitted Dense in front of its Output, and what follows it."""
    seen = interpret(graph, x)[graph.output.name]
    behind = np.column_stack([seen, np.ones(len(x))])
    pull = 1e-3 * len(x) * np.eye(behind.shape[1])  # of ridge regression
    weight = np.linalg.solve(behind.T @ behind + pull, behind.T @ wanted)
    nodes = [*graph.nodes[:-1]]
    for item in (n.Dense("answers", weight=weight[:-1], bias=weight[-1]), *last):
        nodes.append(type(item)(**{**vars(item), "inputs": (nodes[-1].name,)}))
    return Graph((*nodes, n.Output("output", (nodes[-1].name,))))


def norm(name: str, channels: int, spread: float = 1.0) -> n.BatchNorm:
    """Trained-looking statistics of values that spread about so far."""
    draw = rng()
    return n.BatchNorm(
        name,
        gamma=draw.uniform(0.6, 1.4, channels),
        beta=draw.normal(0, 0.2, channels),
        mean=spread * draw.normal(0, 0.2, channels),
        variance=spread**2 * draw.uniform(0.3, 1.5, channels),
        epsilon=1e-3,
    )


def vectors() -> Case:
    """SNN Toolbox #79: vectors, and softmax at the end (01)."""
    y = np.arange(240) % 6
    x = np.clip(rng().random((6, 30))[y] + rng().normal(0, 0.15, (240, 30)), 0, 1)
    graph = chain((30,), 24, n.ReLU("a"), 24, n.ReLU("b"))
    return answering(graph, x, 6 * np.eye(6)[y], n.Softmax("odds")), x, y


def flat_pictures() -> Case:
    """SNN Toolbox #72: (8, 8) without channels, 0 … 255, no bias (02)."""
    x, y = stripes(240)
    x = np.rint(x[..., 0] * 255)
    weight = rng().normal(0, 0.01, (64, 48))
    dense = n.Dense("dense", weight=weight, bias=np.zeros(48))
    graph = chain((8, 8), n.Flatten("flat"), dense, n.ReLU("a"))
    return answering(graph, x, 6 * np.eye(3)[y], n.Softmax("odds")), x.astype("u1"), y


def heartbeats() -> Case:
    """SNN Toolbox #88: signals as thin pictures, BatchNorm behind ReLU (03)."""
    y, t = np.arange(240) % 3, np.arange(47)
    peaks = np.exp(-(((t - 10 - 12 * y[:, None]) / 3.0) ** 2))
    x = (peaks + 0.15 * rng().random((240, 47)))[..., None, None]
    graph = chain(
        *((47, 1, 1), (6, (5, 1)), n.ReLU("a"), norm("first", 6, 0.2)),
        *((6, (5, 1)), n.ReLU("b"), norm("second", 6), n.Flatten("flat")),
        *(16, n.ReLU("c")),
    )
    return answering(graph, x, 6 * np.eye(3)[y], n.Softmax("odds")), x, y


def electrodes() -> Case:
    """A Nengo forum thread: pools of 12 steps, every 4, on two electrodes (04)."""
    y, t = np.arange(240) % 2, np.arange(80) / 100
    waves = 2 * np.pi * (5 + 9 * y[:, None, None]) * t[:, None] + 6 * rng().random(
        (240, 1, 1)
    )
    x = (0.5 + 0.4 * np.sin(waves) + rng().normal(0, 0.05, (240, 80, 2)))[..., None]
    graph = chain(
        *((80, 2, 1), (16, (10, 2)), norm("norm", 16), n.ReLU("a")),
        *(n.AvgPool2D("pool", pool=(12, 1), stride=(4, 1)), n.Flatten("flat")),
    )
    return answering(graph, x, 6 * np.eye(2)[y], n.Softmax("odds")), x, y


def pictures(count: int = 160) -> np.ndarray:
    """Smooth random pictures, (count, 12, 12, 1)."""
    coarse = rng().random((count, 3, 3, 1)).repeat(4, 1).repeat(4, 2)
    return 0.7 * coarse + 0.3 * rng().random((count, 12, 12, 1))


def signed_values() -> Case:
    """SpikingJelly #432: real values, of both signs, come back (19)."""
    x = pictures()
    wanted = [
        x[:, :6].mean((1, 2, 3)) - x[:, 6:].mean((1, 2, 3)),
        x[:, :, :6].mean((1, 2, 3)) - x[:, :, 6:].mean((1, 2, 3)),
        10 * x.mean((1, 2, 3)),
    ]
    graph = chain(
        *((12, 12, 1), (8, (3, 3)), n.ReLU("a")),
        *(n.AvgPool2D("pool", pool=(2, 2), stride=(2, 2)), n.Flatten("flat")),
        *(32, n.ReLU("b")),
    )
    return answering(graph, x, np.stack(wanted, 1)), x, None


def bounded() -> Case:
    """A Nengo forum thread: tanh at the output is the host's (27b)."""
    return (
        chain((8,), 16, n.ReLU("a"), 2, n.Tanh("tanh")),
        rng().normal(size=(160, 8)),
        None,
    )


def auto_encoder() -> Case:
    """nengo-dl #103: a dense auto-encoder on vectors (28a)."""
    x = pictures().reshape(160, 144)[:, ::3]
    bottleneck = chain((48,), 32, n.ReLU("a"))
    logits = np.log(x.clip(0.02, 0.98) / (1 - x.clip(0.02, 0.98)))
    return answering(bottleneck, x, logits, n.Sigmoid("pixels")), x, None


def event_pictures() -> Case:
    """SNN Toolbox #93: pictures of an event camera, a channel a polarity (34)."""
    x = (rng().random((60, 16, 16, 2)) < 0.1).astype(np.uint8)
    graph = chain(
        *((16, 16, 2), (8, (3, 3)), n.ReLU("a")),
        *(n.AvgPool2D("pool", pool=(2, 2), stride=(2, 2)), (8, (3, 3)), n.ReLU("b")),
        *(n.Flatten("flat"), 4),
    )
    return graph, x, None


def bars() -> Case:
    """nengo-loihi #109: a small CNN classifier (44)."""
    x, y = stripes(480)
    graph = chain(
        *((8, 8, 1), (8, (3, 3)), n.ReLU("a")),
        *(n.AvgPool2D("pool", pool=(2, 2), stride=(2, 2)), n.Flatten("flat")),
        *(32, n.ReLU("b")),
    )
    return answering(graph, x, 6 * np.eye(3)[y]), x, y


CASES: dict[str, Callable[[], Case]] = {
    make.__name__: make
    for make in (
        *(vectors, flat_pictures, heartbeats, electrodes, signed_values, bounded),
        *(auto_encoder, event_pictures, bars),
    )
}


def built(run_cli, folder: Path, case: Case, *more: object) -> dict:
    """The report of ``snn-deploy build`` on the case's data."""
    graph, x, y = case
    model, data = save(folder / "net.snn", graph), folder / "xy.npz"
    np.savez(data, x=x, **({} if y is None else {"y": y}))
    words = ("--model", model, "--data", data, "--out", folder / "out", *more)
    assert run_cli("build", "--target", "reference", *words) == 0
    return json.loads((folder / "out" / "report.json").read_text())


def scores(report: dict) -> dict[tuple[str, str], float]:
    return {(s["metric"], s["name"]): s["value"] for s in report["scores"]}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Callable[[str], Path]:
    """A folder for each case, for all tests."""
    return cache(tmp_path_factory.mktemp)


@pytest.fixture(params=CASES)
def once(request, folders, run_cli) -> Path:
    """Where a case is built, once for what is asked of it."""
    folder = folders(request.param)
    if not (folder / "out").exists():
        built(run_cli, folder, CASES[request.param](), "--steps", 48)
    return folder / "out"


def test_it_answers_as_the_float_network_does(once):
    report = json.loads((once / "report.json").read_text())
    found = scores(report)
    if "y" in np.load(once.parent / "xy.npz"):
        ann, snn = (found["accuracy", w] for w in ("float ANN", "integer SNN"))
        assert ann > 0.9 and snn > ann - 0.06
        assert found["accuracy", "most frequent class"] < 0.6
        assert report["confusion"] is not None
    else:
        assert found["correlation of outputs", "integer SNN"] > 0.98
        assert found["slope of outputs", "integer SNN"] == pytest.approx(1, abs=0.05)


@pytest.mark.skipif(not find_spec("nengo_loihi"), reason="nengo-loihi is missing")
def test_not_one_spike_differs_on_the_emulator(once, run_cli):
    targets = "reference,loihi-emulator"
    words = ("--targets", targets, "--samples", 2)
    assert run_cli("compare", once / "program.snn", *words) == 0


def test_real_values_come_back_with_their_sign_and_size(tmp_path, run_cli):
    """As they are, not a tenth too small for what the core's reset loses."""
    graph, x, _ = signed_values()
    y = interpret(graph, x)[graph.output.name]
    report = built(run_cli, tmp_path, (graph, x, y), "--steps", 256)
    assert scores(report)["R²", "integer SNN"] > 0.95
    bundle = load_bundle(tmp_path / "out" / "program.snn")
    truth = np.array(bundle.metadata["labels"])
    assert len(truth) >= SHOWN and (truth < 0).any() and (truth > 1).any()


def test_events_are_sent_step_by_step(tmp_path, run_cli):
    """The same network, and events in time in place of a still picture (34)."""
    graph = event_pictures()[0]
    x = rng().random((24, 48, 16, 16, 2)) < 0.1
    report = built(run_cli, tmp_path, (graph, x, None), "--encoder", "events")
    assert report["steps"] == 48
    assert report["layers"][0]["name"] == "x"  # they are spikes on the core
    assert scores(report)["correlation of outputs", "integer SNN"] > 0.6


def test_pictures_read_on_another_scale_are_said_aloud(tmp_path, run_cli):
    """SNN Toolbox #98: trained on −1 … 1, read as 0 … 1; the advice helps (41b)."""
    x, y = stripes(240)
    graph = chain((8, 8, 1), n.Flatten("flat"), 48, n.ReLU("a"))
    graph = answering(graph, 2.0 * x - 1, 6 * np.eye(3)[y])
    report = built(run_cli, tmp_path, (graph, x, y), "--force")
    wrong = scores(report)["accuracy", "float ANN"]
    (said,) = (note for note in report["notes"] if "is that how it was trained" in note)
    assert "with --scale 2 --offset -1 it would be" in said
    report = built(run_cli, tmp_path, (graph, x, y), "--scale", 2, "--offset", -1)
    right = scores(report)["accuracy", "float ANN"]
    assert right > 0.95 > wrong + 0.1
    assert not any("is that how" in note for note in report["notes"])


@pytest.mark.skipif(not find_spec("tensorflow"), reason="TensorFlow is missing")
def test_a_classifier_is_fine_tuned_for_few_steps(tmp_path, run_cli):
    """nengo-loihi #109: what conversion loses in 12 steps comes back (44)."""
    case = bars()
    found = scores(built(run_cli, tmp_path, case, "--steps", 12))
    ann, few = (found["accuracy", w] for w in ("float ANN", "integer SNN"))
    tuned, data = tmp_path / "tuned.snn", ("--data", tmp_path / "xy.npz")
    epochs = ("--adapt-epochs", 10, "--epochs", 8, "--learning-rate", 0.003)
    words = ("--out", tuned, "--steps", 12, "--max-rate-hz", 400, *epochs)
    assert run_cli("finetune", tmp_path / "net.snn", *data, *words) == 0
    words = ("--model", tuned, "--out", tmp_path / "tuned")
    assert run_cli("build", "--target", "reference", *data, *words) == 0
    report = json.loads((tmp_path / "tuned" / "report.json").read_text())
    assert scores(report)["accuracy", "integer SNN"] > max(few + 0.1, ann - 0.06)
