"""From a packed bundle through Loihi's door and back: Recording, verdict, report.

There is no board and no NxSDK. Where a board would have to answer, a stand-in hands
back spikes that it is told, so that all of our side of the way is run: it computes
nothing, and says nothing of what a chip does.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("nengo_loihi", reason="needs pip install 'snn-deploy[loihi]'")

import nxsdk_recorder
from nxsdk_recorder import CHIP_ID, CORE_ID, Board, Register, recorder
from small_builds import built

from snn_deploy.__main__ import main
from snn_deploy.calibration.report.report import Report
from snn_deploy.commands.cli import cli
from snn_deploy.targets.loihi.hardware import Loihi
from snn_deploy.toolchain.bundle.bundle import load_bundle
from snn_deploy.toolchain.bundle.recorded import load_recorded

SAMPLES, STEPS, MICROJOULES, MICROSECONDS = 4, 16, 30.0, 250.0


class Answering(Board):
    """The recorder, and for every probed neuron the spikes that it is told."""

    spikes: dict[
        tuple[int, int, int], np.ndarray
    ]  # chip, core, neuron → (samples, steps)

    def hasStarted(self) -> bool:  # noqa: N802  NxSDK's
        return True

    def start(self) -> None:
        self.calls.append(("start", []))

    def run(self, steps: int, aSync: bool) -> None:  # noqa: N803
        self.calls.append(("run", steps))

    def probe(self, *what: object) -> object:
        super().probe(*what)
        if not isinstance(what[0], Register):
            return SimpleNamespace(
                totalEnergy=MICROJOULES, totalExecutionTime=MICROSECONDS
            )
        chip, core, _, _, *neurons = self.calls[-1][1]
        sample = len(self.made) - 1  # a board is started for each
        return [
            SimpleNamespace(timeSeries=SimpleNamespace(data=[*told[sample]]))
            for told in (self.spikes[chip, core, n] for n in neurons)
        ]


@pytest.fixture(scope="module")
def packed_file(tmp_path_factory) -> Path:
    """A network of values, packed with four samples."""
    folder = tmp_path_factory.mktemp("packed")
    options = ("--min-potential", 0, "--calibrate", "none", "--samples", SAMPLES)
    program, out = built(folder, run, "reference", *options), folder / "x.snn"
    assert run("pack", program, "--samples", SAMPLES, "--out", out) == 0
    return out


def run(*words: object) -> int:
    return cli.main([*map(str, words)], standalone_mode=False) or 0


@pytest.fixture
def boards(packed_file, monkeypatch) -> Iterator[list[Board]]:
    """NxSDK's place is taken; its boards answer with the golden spikes."""
    module = {"N2Board": Answering}
    monkeypatch.setitem(nxsdk_recorder.CONTENTS, "nxsdk.arch.n2a.n2board", module)
    bundle = load_bundle(packed_file)
    with recorder() as made:
        placement = Loihi().load(bundle.program).placement
        told = {
            (CHIP_ID + core.chip, CORE_ID + core.number, n): spikes[:, :, neuron]
            for core in placement.cores
            for spikes in [np.uint8(bundle.golden[core.block.population])]
            for n, neuron in enumerate(core.block.neurons)
        }
        monkeypatch.setattr(Answering, "spikes", told, raising=False)
        yield made


def recorded(packed_file: Path, out: Path) -> Path:
    words = ("run", packed_file, "--target", "loihi", "--recording", out)
    assert run(*words) == 0
    return out


def test_a_recording_carries_spikes_and_what_the_board_measured(
    packed_file, boards, tmp_path
):
    out = recorded(packed_file, tmp_path / "r")
    assert len(boards) == SAMPLES, "a board is started for each sample"
    for made in boards:
        assert [c for c in made.calls if c[0] == "run"] == [("run", STEPS)]
    there = load_recorded(out, packed_file)
    assert (there.target, there.kind) == ("loihi", "hardware")
    golden = load_bundle(packed_file).golden
    assert there.spikes.keys() == golden.keys()
    for name, spikes in golden.items():
        assert spikes.any() and np.array_equal(there.spikes[name], spikes)
    assert there.measured == {
        "samples": SAMPLES,
        "seconds": pytest.approx(SAMPLES * MICROSECONDS * 1e-6),
        "joules": pytest.approx(SAMPLES * MICROJOULES * 1e-6),
        "source": "NxSDK's energy probe",
    }


def test_at_home_it_is_accepted_and_its_energy_is_in_the_report(
    packed_file, boards, tmp_path, run_cli
):
    out = recorded(packed_file, tmp_path / "r")
    assert run_cli("accept", packed_file, out) == 0
    report = tmp_path / "report.json"
    words = ("report", packed_file, "--recording", out, "--format", "json")
    assert run_cli(*words, "--out", report) == 0
    found = Report.from_json(report)
    assert (found.target, found.kind, found.samples) == ("loihi", "hardware", SAMPLES)
    assert json.loads(report.read_text())["labels"]["measured"] == "measured"
    assert found.measured.source == "NxSDK's energy probe"
    assert found.measured.total == pytest.approx(MICROJOULES * 1e-6)
    assert str(found.provenance.settings["ran on another machine"])


def test_time_alone_is_a_note_where_the_board_measures_no_power(
    packed_file, boards, tmp_path, run_cli, monkeypatch
):
    monkeypatch.setenv("LMTOPTIONS", "--skip-power=1")
    out = recorded(packed_file, tmp_path / "r")
    assert load_recorded(out, packed_file).measured["joules"] is None
    words = ("report", packed_file, "--recording", out, "--format", "json")
    assert run_cli(*words, "--out", tmp_path / "report.json") == 0
    found = Report.from_json(tmp_path / "report.json")
    assert found.measured is None
    assert any("power was not measured" in note for note in found.notes)


def test_a_spike_that_the_board_lacks_is_named(
    packed_file, boards, tmp_path, run_cli, capsys
):
    name, neurons = next(
        (where, told) for where, told in Answering.spikes.items() if told[1].any()
    )
    step = int(np.flatnonzero(neurons[1])[0])
    neurons[1, step] = 0
    out = recorded(packed_file, tmp_path / "r")
    assert run_cli("accept", packed_file, out) == 1
    assert "sample 1" in capsys.readouterr().out


@pytest.mark.parametrize("target", ["loihi", "lava-loihi2"])
def test_without_the_vendors_library_one_sentence_and_nothing_is_left(
    target, packed_file, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    words = ["run", str(packed_file), "--target", target, "--recording", "r"]
    monkeypatch.setattr(sys, "argv", ["snn-deploy", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    said = " ".join(printed.err.split())
    assert ended.value.code == 2 and not printed.out and not os.listdir()
    assert said.startswith(f"Error: Target '{target}': ") and said.count("Error") == 1
