"""What a report says beside its counts: time, a second opinion, opponents."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from small_networks import fitted, save, stripes
from test_opinion import placed, recorded, strided

from snn_deploy.calibration.energy.profile import load_profile
from snn_deploy.calibration.operations import with_macs
from snn_deploy.calibration.opinion import opinion
from snn_deploy.calibration.report.measure import Shown, measure
from snn_deploy.calibration.report.report import Report
from snn_deploy.calibration.report.terminal import print_report


def made(profile: str = "loihi1_davies2018", **options: object) -> Report:
    """Of a network of three layers on small cores."""
    program = with_macs(strided(), {"b": 9000, "c": 2000, "d": 160})
    recording = replace(recorded(program), output=np.zeros((2, 10)))
    return measure(
        program,
        recording,
        load_profile(profile),
        source="made up",
        placement=placed(program),
        shown=Shown.of(np.zeros((2, 8, 8, 2)), recording),
        **options,
    )


def shown(report: Report, **options: object) -> str:
    file = io.StringIO()
    print_report(report, Console(file=file, width=110), **options)
    return " ".join(file.getvalue().split())


def test_time_and_opponents_are_told_and_survive_the_file(tmp_path):
    report = made()
    assert report.chip_time.inference.value == pytest.approx(
        report.steps * report.chip_time.step.value
    )
    assert report.opponents.energy == report.energy.total.total
    text = shown(report)
    assert "an inference at the chip's own pace [estimated: Davies et al. 2018" in text
    assert "step by step, of the first 2 samples" in text
    assert report.opponents.sentence in text
    assert report.unavailable["second_opinion"].startswith("it was not asked")
    report.to_json(tmp_path / "report.json")
    assert Report.from_json(tmp_path / "report.json") == report


def test_every_opponent_has_its_source_where_all_is_told():
    report = made()
    text = shown(report, wide=True)
    for each in report.opponents.against:
        assert f"{each.name} ({each.device}; batch {each.batch}" in text
        assert " ".join(each.mac.source.split()) in text


def test_a_chip_without_constants_has_no_time_and_no_opponents_and_says_why():
    report = made("loihi2")
    assert report.chip_time is None
    assert report.opponents is None
    assert "has no time of" in report.unavailable["chip_time"]
    assert "no figure to hold against" in report.unavailable["opponents"]
    assert "pace" not in shown(report)


def test_a_second_opinion_beside_the_proxy_of_the_same_samples(tmp_path):
    pytest.importorskip("sanafe", reason="SANA-FE is not installed")
    report = made(opinion=True)
    found = report.second_opinion
    assert found.proxy == report.energy.total.total  # all samples were shown
    assert found.difference == pytest.approx(
        100 * (found.energy / found.proxy.value - 1)
    )
    assert found.synaptic_operations == report.total.synaptic_operations
    hops = report.traffic.total.east_west + report.traffic.total.north_south
    assert found.hops == hops
    text = shown(report)
    assert f"{found.difference:+.0f} % from the proxy's" in text
    assert "equal ours on every core" in text
    report.to_json(tmp_path / "report.json")
    assert Report.from_json(tmp_path / "report.json") == report


def test_a_target_without_cores_is_refused_before_anything_runs(
    tmp_path, run_cli, capsys
):
    x, y = stripes(40)
    model = save(tmp_path / "stripes.snn", fitted(x, np.eye(3)[y]))
    words = ("build", "--target", "reference", "--model", model, "--second-opinion")
    assert run_cli(*words, "--out", tmp_path / "out") == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "places no neuron on a core" in told
    assert "read model" not in told
    assert not (tmp_path / "out").exists()


def test_a_missing_sana_fe_is_told_before_anything_runs(
    tmp_path, run_cli, capsys, monkeypatch
):
    monkeypatch.setattr(opinion, "find_spec", lambda name: None)
    assert run_cli("build", "--target", "loihi-emulator", "--second-opinion") == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "pip install 'snn-deploy[sanafe]'" in told
    assert "read model" not in told
