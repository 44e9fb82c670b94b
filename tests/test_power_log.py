"""Power logs: energy an inference, idle subtracted, and what is no result."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import fitted, save, stripes

from snn_deploy.calibration.energy.power_log import (
    measured_energy,
    metered_energy,
    read_log,
)
from snn_deploy.calibration.energy.profile import load_profile
from snn_deploy.calibration.report.report import Report
from snn_deploy.showing import read_off
from snn_deploy.targets.reading import Reading
from snn_deploy.toolchain.errors import DataError


def write(path: Path, *rails: tuple[str, float], seconds: float = 10.0) -> Path:
    """A log of constant power, three samples a rail."""
    rows = ["time,rail,watts"]
    for t in (0.0, seconds / 4, seconds):
        rows += [f"{t},{name},{watts}" for name, watts in rails]
    path.write_text("\n".join(rows) + "\n")
    return path


def test_energy_is_power_over_inferences_with_idle_subtracted(tmp_path):
    # Loihi of Blouw et al. 2019: 0.110 W, idle 0.029 W, 296 inferences a second
    run = write(tmp_path / "run.csv", ("VDD", 0.08), ("VDDM", 0.03))
    idle = write(tmp_path / "idle.csv", ("VDD", 0.009), ("VDDM", 0.020))
    found = measured_energy(run, idle, 2960, load_profile("loihi1_davies2018"))
    assert found.flags == ()
    assert found.total == pytest.approx(0.110 / 296)  # 0.372 mJ
    assert found.dynamic == pytest.approx(0.081 / 296)  # 0.27 mJ
    assert [(r.name, r.run, r.idle) for r in found.rails] == [
        ("VDD", pytest.approx(0.08), pytest.approx(0.009)),
        ("VDDM", pytest.approx(0.03), pytest.approx(0.020)),
    ]
    assert (found.seconds, found.source) == (10.0, "run.csv, idle idle.csv")
    alone = measured_energy(run, None, 2960)
    assert (alone.total, alone.dynamic) == (found.total, None)


READING = Reading(samples=20, seconds=0.01, joules=0.002, source="NxSDK's energy probe")


def test_a_boards_own_probes_are_measured_too():
    """Its samples' readings added up; one without power leaves none."""
    both = READING + READING
    assert (both.samples, both.seconds, both.joules) == (40, 0.02, 0.004)
    assert (READING + replace(READING, joules=None)).joules is None
    found = metered_energy(both.joules, both.seconds, both.samples, both.source)
    assert found.run_power == pytest.approx(0.2) and found.idle_power is None
    assert (found.total, found.dynamic) == (pytest.approx(0.0001), None)
    assert (found.inferences, found.source) == (40, "NxSDK's energy probe")
    low = metered_energy(1e-6, 1.0, 1, "x", load_profile("loihi1_davies2018"))
    assert low.total is None and "a rail is missing" in low.flags[0]


def test_negative_dynamic_power_is_flagged_and_no_result(tmp_path):
    # PilotNet SDNN of lava-dl: 0.2757 W in all, 0.2818 W static
    run = write(tmp_path / "run.csv", ("all", 0.2757))
    idle = write(tmp_path / "idle.csv", ("all", 0.2818))
    found = measured_energy(run, idle, 169)
    assert found.total is found.dynamic is None
    (flag,) = found.flags
    assert "dynamic power is -0.0061 W" in flag


def test_power_below_static_is_flagged_and_no_result(tmp_path):
    run = write(tmp_path / "run.csv", ("VDD", 0.02))
    found = measured_energy(run, None, 100, load_profile("loihi1_davies2018"))
    assert found.total is None
    assert "below the 0.029 W that Intel Loihi 1 draws at rest" in found.flags[0]
    assert measured_energy(run, None, 100).total == pytest.approx(0.02 * 10 / 100)


def test_power_of_the_wrong_sign_is_flagged(tmp_path):
    run = write(tmp_path / "run.csv", ("VDD", -0.02))
    found = measured_energy(run, None, 100)
    assert found.total is None and "sign is wrong" in found.flags[0]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(1e-3, 10.0), min_size=2, max_size=20),
    st.floats(0.0, 5.0),
    st.floats(0.0, 5.0),
)
def test_a_rail_is_integrated_as_straight_lines(tmp_path_factory, gaps, start, slope):
    path = tmp_path_factory.mktemp("log") / "run.csv"
    times = np.cumsum(gaps)
    watts = start + slope * times
    lines = [f"{t!r},a,{w!r}" for t, w in zip(times.tolist(), watts.tolist())]
    path.write_text("\n".join(["time,rail,watts", *lines]))
    found = measured_energy(path, None, 1)
    expected = start + slope * (times[0] + times[-1]) / 2  # the mean of a line
    assert found.run_power == pytest.approx(expected)
    if expected > 0:
        assert found.total == pytest.approx(expected * (times[-1] - times[0]))


def test_columns_may_stand_in_any_order_and_rails_have_their_own_times(tmp_path):
    path = tmp_path / "run.csv"
    path.write_text("rail, watts, time\na,1,0\nb,2,0.5\na,3,2\nb,2,1.5\n")
    log = read_log(path)
    assert {name: samples.tolist() for name, samples in log.items()} == {
        "a": [[0, 1], [2, 3]],
        "b": [[0.5, 2], [1.5, 2]],
    }
    found = measured_energy(path, None, 1)
    assert (found.run_power, found.seconds) == (4.0, 2.0)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "its columns are"),
        ("time,rail\n0,a\n", "its columns are"),
        ("time,rail,watts\n", "it holds no sample"),
        ("time,rail,watts\n0,a,1\n", "rail 'a' has 1 samples"),
        ("time,rail,watts\n1,a,1\n1,a,1\n", "each later than the one before"),
        ("time,rail,watts\n0,a,much\n1,a,1\n", "line 2: 'much' is no number"),
        ("time,rail,watts\n0,a,nan\n1,a,1\n", "line 2: 'nan' is no number"),
        ("time,rail,watts\n0,a\n1,a,1\n", "line 2: None is no number"),
    ],
)
def test_a_broken_log_is_one_clear_error(tmp_path, content, says):
    path = tmp_path / "log.csv"
    path.write_text(content)
    with pytest.raises(DataError, match="log.csv") as error:
        read_log(path)
    assert says in str(error.value)


def test_logs_must_be_of_the_same_rails_and_of_inferences(tmp_path):
    run = write(tmp_path / "run.csv", ("VDD", 1.0))
    idle = write(tmp_path / "idle.csv", ("VDDM", 1.0))
    with pytest.raises(DataError, match=r"rails \['VDD'\] and \['VDDM'\]"):
        measured_energy(run, idle, 1)
    with pytest.raises(DataError, match="0 inferences"):
        measured_energy(run, None, 0)
    with pytest.raises(DataError, match="absent.csv"):
        read_log(tmp_path / "absent.csv")


def test_a_report_keeps_what_was_measured(tmp_path, run_cli, capsys):
    x, y = stripes(40)
    np.savez(tmp_path / "xy.npz", x=x, y=y)
    save(tmp_path / "net.snn", fitted(x, np.eye(3)[y]))
    out = tmp_path / "out"
    model, data = str(tmp_path / "net.snn"), str(tmp_path / "xy.npz")
    target = ("--target", "reference", "--steps", "16", "--out", str(out))
    run_cli("build", "--model", model, "--data", data, *target)
    run = str(write(tmp_path / "run.csv", ("VDD", 0.11)))
    idle = str(write(tmp_path / "idle.csv", ("VDD", 0.03)))
    capsys.readouterr()
    run_cli("report", str(out), "--power", run, "--idle", idle, "--inferences", "2000")
    text = " ".join(capsys.readouterr().out.split())
    assert "measured: 550 µJ an inference in all, 400 µJ without idle" in text
    kept = Report.from_json(out / "report.json")
    assert read_off(kept, None) is kept
    probed = read_off(kept, READING).measured
    assert (probed.total, probed.dynamic) == (pytest.approx(0.002 / 20), None)
    timed = read_off(kept, replace(READING, joules=None))
    assert "took 0.01 s for 20 samples" in timed.notes[-1]
    assert timed.measured is kept.measured
    assert kept.measured.dynamic == pytest.approx(0.08 * 10 / 2000)
    low = str(write(tmp_path / "low.csv", ("VDD", 0.02)))
    run_cli("report", str(out), "--power", low, "--idle", idle, "--inferences", "2000")
    text = " ".join(capsys.readouterr().out.split())
    assert "no result: dynamic power is -0.01 W" in text and "µJ without" not in text
    table = json.loads((out / "report.json").read_text())
    assert table["measured"]["total"] is None
    assert run_cli("report", str(out), "--power", run) == 2
    assert "--power and --inferences go together" in capsys.readouterr().err
