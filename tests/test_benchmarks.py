"""The benchmarks run: on small networks, the reference only."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from test_beside import made
from tiny_files import write_pictures

from snn_deploy.targets.reference.target import Reference

FOLDER = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> object:
    """Imports a file of benchmarks/, which is no package."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


def test_networks_fire_as_asked(load) -> None:
    networks: ModuleType = load("networks")
    for case in (networks.locnet_like(), networks.stack(10**3, 0.05)):
        spikes = Reference(1).load(case.program).simulate(case.stimulus(1, 64))
        for name, fired in spikes.items():
            assert 0.02 < fired.mean() < 0.12, f"{case.name}, {name}"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, sets affinity")
def test_a_target_is_measured_in_its_own_process(load) -> None:
    networks, measure = load("networks"), load("measure")
    case = networks.stack(10**3, 0.05)
    jobs = [
        measure.Job(target="reference", case=case, samples=2, steps=8, cpus=1)
        for _ in range(2)
    ]
    for result in measure.measure(jobs, rounds=2, turn_s=0.01, limit_s=60):
        assert len(result.turns_ms) == 2 and result.ms > 0
        assert result.neurons == case.program.neurons
        assert 20 < result.peak_mib < 2000
        assert result.equal in (None, True)


def test_profile_is_above_its_floor(load) -> None:
    networks, profiles = load("networks"), load("profile_reference")
    found = profiles.profile(networks.stack(10**3, 0.05), seconds=0.1)
    assert found["times_the_floor"] > 1
    assert found["reference_us"]["run"] > found["reference_us"]["find spikes"] > 0


@pytest.mark.skipif(sys.platform != "linux", reason="Landlock is Linux'")
def test_the_fuzzer_tries_the_inputs_of_these_numbers() -> None:
    code = [sys.executable, FOLDER / "fuzz.py", "point", "--numbers", "0-39"]
    done = subprocess.run(code, capture_output=True, text=True, check=True)
    assert done.stdout == "point {'refused': 32, 'loaded': 8}\n"


@pytest.mark.skipif(sys.platform != "linux", reason="Landlock is Linux'")
def test_the_fuzzer_can_write_in_its_folder_alone(tmp_path) -> None:
    (tmp_path / "in").mkdir()
    code = """
from pathlib import Path
from fuzzing.cage import cage
cage(Path("in"))
for path in (Path("in/x"), Path("x")):
    path.write_text("x")
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(FOLDER)},
    )
    assert done.stderr.endswith("Permission denied: 'x'\n")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [tmp_path / "in" / "x"]


def test_the_fuzzers_table_is_that_of_its_results(load) -> None:
    table, results = load("fuzzing.table"), FOLDER / "results"
    found = json.loads((results / "fuzz.json").read_text())
    assert (results / "fuzz.md").read_text() == table.table_of(found)


def test_the_tables_shown_are_those_of_the_results(load) -> None:
    table = load("paper_table")
    assert (FOLDER / "results" / "paper.md").read_text() == table.document()
    summary = table.summary({task: table.results(task) for task in table.TITLES})
    readme = (FOLDER.parent / "README.md").read_text()
    assert "\n".join(summary) in readme
    pytest.importorskip("tensorflow", reason="classifiers.py trains")
    classifiers, results = load("classifiers"), FOLDER / "results"
    rows = json.loads((results / "classifiers.json").read_text())
    assert (results / "classifiers.md").read_text() == classifiers.document(rows)
    assert "\n".join(classifiers.summary(rows)) in readme
    conversion = load("conversion_table")
    rows = json.loads((results / "conversion.json").read_text())
    assert (results / "conversion.md").read_text() == conversion.document(rows)
    assert "\n".join(conversion.brief(rows)) in readme


@pytest.mark.slow
def test_conversion_is_scored_beside_its_ann(load, monkeypatch, tmp_path) -> None:
    pytest.importorskip("tensorflow", reason="it trains")
    pytest.importorskip("sklearn", reason="it holds the digits")
    conversion, networks = load("conversion"), load("conversion_networks")
    recipe = networks.Recipe(size=(8, 12, 3), channels=(2,), widths=(4,), epochs=1)
    cases = {
        "digits": replace(networks.plain(3), epochs=1),
        "locnet": networks.Case("boxes", recipe),
    }
    monkeypatch.setattr(conversion, "CASES", cases)
    monkeypatch.setattr(conversion, "STEPS", (16, 64))
    monkeypatch.setattr(conversion, "RESULTS", tmp_path)
    write_pictures(tmp_path / "boxes")
    work = ["--data", str(tmp_path), "--work", str(tmp_path / "work")]
    asked = ["--seeds", "0", "--methods", "before", "fast"]
    monkeypatch.setattr(sys, "argv", ["conversion.py", *work, *asked])
    conversion.main()
    digits, boxes = json.loads((tmp_path / "conversion.json").read_text())
    assert digits["test samples"] == 270 and boxes["test samples"] == 3
    assert digits["ANN"][0] > 0.5 > 0.2 > digits["trivial"]
    after = digits["converted"]["before"]["64"]
    assert after["score"][0] > 0.5 and 0.5 < after["slope"]["test"] < 1.2
    for steps in ("16", "64"):
        calibrated = digits["converted"]["fast"][steps]
        assert calibrated["score"][0] > digits["ANN"][0] - 0.1
    assert f"{after['score'][0]:.3f}" in (tmp_path / "conversion.md").read_text()
    monkeypatch.setattr(conversion, "scored", None)
    conversion.main()  # all is there


@pytest.mark.slow
def test_paper_tables_come_from_trained_and_deployed_networks(load, tmp_path) -> None:
    pytest.importorskip("tensorflow", reason="it trains (Python 3.10)")
    pytest.importorskip("nengo_loihi", reason="it runs on the emulator")
    paper, table = load("paper"), load("paper_table")
    recipe = paper.Recipe(size=(8, 12, 3), channels=(2,), widths=(4,), epochs=1)
    choices = paper.Choices(steps=12, adapt_epochs=1, epochs=1, max_rate_hz=None)
    experiment = paper.Experiment(
        folder="boxes",
        ann=recipe,
        hybrid=choices,
        paper_ann=recipe,
        paper_hybrid=replace(choices, semantics="float", tau_syn=0.005),
    )
    write_pictures(tmp_path / "boxes")
    found = {}
    for part in ("ours", "paper"):
        result = paper.measure(experiment, tmp_path, 0, part, tmp_path / "work")
        assert result["test_samples"] == 3
        found[part] = [json.loads(json.dumps({"seed": 0, "part": part, **result}))]
    for result in (found["ours"][0], found["paper"][0]):
        for name in ("converted", "hybrid"):
            row = result["rows"][name]
            assert row["emulator"]["differences"] == 0
            assert set(row["curve"]) == {"4", "8", "12", "16", "32", "64"}
            assert row["curve"]["12"] == row["integers"]
    assert found["ours"][0]["rows"]["hybrid"]["trainer"]["differences"] == 0
    text = table.section("Boxes", found)
    score = found["ours"][0]["rows"]["hybrid"]["integers"]["score"]
    assert "| **hybrid, loihi semantics** | 12 |" in text and f"{score:.3f}" in text


def test_energy_of_builds_stands_beside_every_opponent(load) -> None:
    """Who loses is said, in the row and in the sentence."""
    report = made()
    text = "\n".join(load("energy").page({"net": {"ours": report}}))
    for each in report.opponents.against:
        (row,) = (
            line
            for line in text.splitlines()
            if line.startswith(f"| {each.name.split('-bit ')[-1]} |")
        )
        assert ("**loses**" in row) == (each.factor > 1)
    assert report.opponents.sentence in text


@pytest.mark.slow
def test_fewer_spikes_are_measured_setting_by_setting(load, tmp_path, monkeypatch):
    """One thing changed at a time, beside the ANN; what is there is left alone."""
    pytest.importorskip("tensorflow", reason="it trains (Python 3.10)")
    pytest.importorskip("nengo_loihi", reason="it runs on the emulator")
    paper, fewer = load("paper"), load("paper_fewer")
    choices = paper.Choices(steps=16)
    ways = {part: fewer.settings("digits", part, choices) for part in fewer.PARTS}
    assert ways["fewer"] == {"8 steps": replace(choices, steps=8, settle=2)}
    assert ways["pruned"]["80% pruned"].sparsity == 0.8
    assert all(c.steps == 8 for c in ways["ingredients"].values())
    recipe = paper.Recipe(size=(8, 12, 3), channels=(2,), widths=(4,), epochs=1)
    quick = paper.Choices(steps=12, adapt_epochs=1, epochs=1, max_rate_hz=None)
    experiment = replace(
        *(paper.EXPERIMENTS["faces"],), folder="boxes", ann=recipe, hybrid=quick
    )
    goals = {"boxes": {"quick": {"settle": 5}}}
    monkeypatch.setattr(paper.paper_fewer, "FEWER", goals)
    write_pictures(tmp_path / "boxes")
    result = paper.measure(experiment, tmp_path, 0, "fewer", tmp_path / "work")
    assert result["hybrid_choices"]["quick"]["settle"] == 5
    assert result["rows"]["quick"]["trainer"]["differences"] == 0
    text = "\n".join(fewer.table({"fewer": [{"seed": 0, **result}]}))
    score = result["rows"]["quick"]["integers"]["score"]
    assert "| quick | 0 | 12 |" in text and f"{score:.3f}" in text
