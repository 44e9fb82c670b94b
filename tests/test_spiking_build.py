"""A network written as spikes is built as it is: its answers are its steps'."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from snn_deploy import deploy
from snn_deploy.calibrating import calibrate
from snn_deploy.calibration.report.report import Report
from snn_deploy.commands.cli import cli
from snn_deploy.pipeline.compilation import Settings
from snn_deploy.toolchain.bundle.bundle import Bundle, save_bundle
from snn_deploy.toolchain.errors import DataError, ModelError
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import evaluate, interpret

DT, STEPS = 0.001, 40
LIF = {"amplitude": DT, "tau_rc": 0.02, "tau_ref": 0.0}


def loop() -> Graph:
    """Sixteen cells that excite and inhibit each other, and three that answer."""
    rng = np.random.default_rng(0)

    def weights(name: str, source: str, *size: int) -> n.Dense:
        weight = rng.normal(scale=8, size=size) / size[0] ** 0.5
        return n.Dense(name, (source,), weight=weight, bias=np.full(size[1], 0.5))

    nodes = (
        n.Input("x", shape=(4,)),
        weights("in", "x", 4, 16),
        n.Delay("back", ("cells",), shape=(16,)),
        weights("again", "back", 16, 16),
        n.Add("sum", ("in", "again")),
        n.LIF("cells", ("sum",), **LIF),
        n.Lowpass("synapse", ("cells",), tau_syn=0.005),
        weights("out", "synapse", 16, 3),
        n.LIF("answers", ("out",), **LIF),
        n.Output("y", ("answers",)),
    )
    return Graph(nodes, dt=DT)


def samples(events: bool) -> np.ndarray:
    rng = np.random.default_rng(1)
    still = rng.random((100, 4))
    return rng.random((100, STEPS, 4)) < still[:, None] if events else still


@pytest.fixture(params=(False, True), ids=("still", "events"))
def asked(request, tmp_path: Path) -> dict[str, object]:
    x = samples(request.param)
    save_bundle(tmp_path / "loop.snn", Bundle(graph=loop(), metadata={}))
    np.savez(tmp_path / "data.npz", x=x, y=evaluate(loop(), x, STEPS).argmax(1))
    encoder = "events" if request.param else None
    return {
        "model": tmp_path / "loop.snn",
        "data": tmp_path / "data.npz",
        "settings": Settings(steps=STEPS, encoder=encoder),
    }


def test_its_score_is_held_to_its_own_steps(asked: dict[str, object]) -> None:
    report = deploy.build("reference", **asked).report
    score = {s.name: s.value for s in report.scores if s.metric == "accuracy"}
    assert score["float SNN as written"] == 1  # which the labels are
    assert score["integer SNN"] > 0.9 > score["most frequent class"]
    assert not report.findings and not report.calibration


def test_what_rounding_moves_is_in_the_report(asked, tmp_path: Path) -> None:
    made = deploy.build("reference", **asked)
    deploy.write(made, tmp_path / "out")
    report = Report.from_json(tmp_path / "out" / "report.json")
    assert report.rounding == made.report.rounding
    found = {each.name: each for each in report.rounding}
    events = asked["settings"].encoder == "events"
    assert list(found) == [*(["x"] if events else []), "cells", "answers"]
    if events:
        assert found["x"].moved == 0 < found["cells"].moved
    cells = found["cells"]
    assert cells.fired > 30
    assert abs(cells.fired - cells.written) <= cells.moved < 0.2 * cells.written
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Spikes that rounding moves" in page


def test_every_integer_target_fires_the_same(asked, tmp_path: Path) -> None:
    pytest.importorskip("nengo_loihi", reason="there is no nengo-loihi here")
    deploy.write(deploy.build("loihi-emulator", **asked), tmp_path / "out")
    bundle = str(tmp_path / "out" / "program.snn")
    how = ["compare", bundle, "--targets", "reference,loihi-emulator"]
    done = CliRunner().invoke(cli, how)
    assert done.exit_code == 0 and "not one differs" in done.output, done.output


def test_layers_are_held_to_no_rates(asked, tmp_path: Path) -> None:
    deploy.write(deploy.build("reference", **asked), tmp_path / "out")
    with pytest.raises(ModelError, match="written as a spiking network"):
        calibrate(tmp_path / "out" / "program.snn", None, 8)


def test_data_at_which_it_answers_nothing_are_refused(asked, tmp_path: Path) -> None:
    if asked["settings"].encoder == "events":
        pytest.skip("events are 0 and 1, however they are read")
    with np.load(asked["data"]) as data:
        np.savez(asked["data"], x=data["x"] / 255, y=data["y"])
    with pytest.raises(DataError, match="no better|--scale 255"):
        deploy.build("reference", **asked)


def test_rates_of_a_network_without_loops_are_left_alone() -> None:
    """Its steps are meant, also where it has rates of its own."""
    graph = Graph.chain(
        n.Input("x", shape=(1,)), n.LIF("a", **LIF), n.Output("y"), dt=DT
    )
    x = np.full((1, 1), 3.0)
    meant = interpret(graph, x, "spiking", steps=7)["y"]
    np.testing.assert_array_equal(evaluate(graph, x, 7), meant)
    assert evaluate(replace(graph, dt=None), x, 7) != meant
