"""Bundles that travel, and Recordings that come back: packed, judged, reported."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packed_programs import packed, saved
from small_builds import built
from test_bundle import small_bundle

from snn_deploy.__main__ import main
from snn_deploy.commands.cli import cli
from snn_deploy.packing import record, reported
from snn_deploy.toolchain.bundle import worker
from snn_deploy.toolchain.bundle.acceptance import worker_text
from snn_deploy.toolchain.bundle.bundle import load_bundle, save_bundle
from snn_deploy.toolchain.bundle.recorded import load_recorded, save_recorded
from snn_deploy.toolchain.errors import BundleError
from snn_deploy.toolchain.files import sha256_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """With net/program.snn, packed as x.snn, and r, which the worker recorded of it."""
    folder = tmp_path_factory.mktemp("packing")
    program = built(folder, run)
    assert run("pack", program, "--samples", 8, "--out", folder / "x.snn") == 0
    worker.main(str(folder / "x.snn"), str(folder / "r"))
    return folder


def run(*words: object) -> int:
    """As the fixture ``run_cli``, for a whole module."""
    return cli.main([*map(str, words)], standalone_mode=False) or 0


def test_a_packed_bundle_holds_all_that_it_takes(folder):
    bundle = load_bundle(folder / "x.snn")
    program = bundle.program
    assert set(bundle.golden) == {p.name for p in program.members}
    assert {len(spikes) for spikes in bundle.golden.values()} == {8}
    assert len(bundle.metadata["labels"]) == len(bundle.samples) == 8
    assert bundle.acceptance.worker == worker_text()
    (bias,) = bundle.acceptance.bias.values()
    assert bias.dtype == np.int32 and len(bias) == 8


def test_what_boards_would_refuse_is_said_before_it_travels(folder, tmp_path, capsys):
    words = ("pack", folder / "net" / "program.snn", "--samples", 2)
    assert run(*words, "--out", tmp_path / "y.snn") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "note: Target 'loihi': population 'neurons' has v_min -" in said
    assert "build it with --min-potential 0" in said and "'lava-loihi2'" in said


def test_packing_again_gives_the_same_file(folder, tmp_path, run_cli):
    program = folder / "net" / "program.snn"
    assert run_cli("pack", program, "--samples", 8, "--out", tmp_path / "y.snn") == 0
    assert (tmp_path / "y.snn").read_bytes() == (folder / "x.snn").read_bytes()


def test_new_samples_are_packed_with_their_labels(folder, tmp_path, run_cli):
    x = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    np.savez(tmp_path / "new.npz", x=x, y=x[:, :1])
    words = ("pack", folder / "net" / "program.snn", "--data", tmp_path / "new.npz")
    out = tmp_path / "y.snn"
    assert run_cli(*words, "--steps", 9, "--out", out) == 0
    bundle = load_bundle(out)
    np.testing.assert_array_equal(bundle.samples, x)
    np.testing.assert_allclose(bundle.metadata["labels"], x[:, :1], rtol=1e-6)
    assert {spikes.shape[:2] for spikes in bundle.golden.values()} == {(5, 9)}


def test_it_is_run_and_compared_as_any_bundle(folder, run_cli):
    assert (
        run_cli("run", folder / "x.snn", "--target", "reference", "--samples", 4) == 0
    )


def test_equal_spikes_are_accepted(folder, run_cli, capsys):
    assert run_cli("accept", folder / "x.snn", folder / "r") == 0
    assert "golden = reference" in capsys.readouterr().out


def test_the_first_difference_is_named(folder, tmp_path, run_cli, capsys):
    """Sample, step, population and neuron, and who is wrong."""
    recorded = load_recorded(folder / "r", folder / "x.snn")
    (name, spikes) = next(iter(recorded.spikes.items()))
    changed = spikes.copy()
    changed[3, 5, 7] ^= True
    changed[2, 9, 1] ^= True
    save_recorded(tmp_path / "r", replace(recorded, spikes={name: changed}))
    assert run_cli("accept", folder / "x.snn", tmp_path / "r") == 1
    place = f"population '{name}', step 5, sample 3, neuron 7"
    assert place in capsys.readouterr().out
    assert run_cli("accept", folder / "x.snn", tmp_path / "r", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["agrees"] and found["first"]["neuron"] == 7
    assert "reference" in found["blame"][0]


def test_a_float_simulation_is_held_to_rates(folder, tmp_path, run_cli):
    """As its neurons make them, or to the share that the bundle was packed with."""
    program = folder / "net" / "program.snn"
    recorded = load_recorded(folder / "r", folder / "x.snn")
    counts = {name: s.astype(np.uint8) for name, s in recorded.spikes.items()}
    for share, more, code in (("0.5", 0, 0), ("0.5", 3, 1), ("9", 3, 0)):
        words = ("pack", program, "--samples", 8, "--out", tmp_path / "y.snn")
        tolerances = ("--rate-tolerance", share, "--output-tolerance", "99")
        assert run_cli(*words, *tolerances) == 0
        simulated = replace(
            recorded,
            bundle=sha256_of(tmp_path / "y.snn"),
            target="simulation",
            kind="float simulation",
            spikes={name: s * (1 + more) for name, s in counts.items()},
        )
        save_recorded(tmp_path / "r", simulated)
        assert run_cli("accept", tmp_path / "y.snn", tmp_path / "r") == code


def test_nengo_dl_is_accepted(folder, tmp_path, run_cli):
    pytest.importorskip("nengo_dl", reason="NengoDL is not installed")
    words = ("run", folder / "x.snn", "--target", "nengo-dl")
    assert run_cli(*words, "--recording", tmp_path / "r") == 0
    assert run_cli("accept", folder / "x.snn", tmp_path / "r") == 0


def test_a_recording_is_reported(folder, tmp_path, run_cli, capsys):
    """As a run here, but for where and with what it was made."""
    words = ("report", folder / "x.snn", "--recording", folder / "r")
    assert run_cli(*words, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    ran = ("run", folder / "x.snn", "--target", "reference", "--samples", 8, "--json")
    assert run_cli(*ran) == 0
    wanted = json.loads(capsys.readouterr().out)
    assert found["layers"] == wanted["layers"] and found["scores"] == wanted["scores"]
    made = found["provenance"]
    assert set(made["versions"]) == {"python", "numpy", "worker"}
    assert made["settings"]["ran on another machine"].startswith("Linux")
    assert run_cli(*words, "--format", "html", "--out", tmp_path / "r.html") == 0
    assert "ran on another machine" in (tmp_path / "r.html").read_text()


def test_what_a_board_measured_travels_with_its_spikes(folder, tmp_path):
    file, packed_file = tmp_path / "there.rec", folder / "x.snn"
    measured = {"samples": 4, "seconds": 0.5, "joules": 0.002, "source": "a probe"}
    here = record(packed_file, "reference", file)
    assert here.measured == {}
    save_recorded(file, replace(here, measured=measured))
    found = reported(packed_file, file, "loihi1_davies2018").measured
    assert found is not None and "a probe" in str(found)
    save_recorded(file, replace(here, measured={**measured, "joules": "much"}))
    with pytest.raises(BundleError, match="joules and source are allowed"):
        load_recorded(file, packed_file)


def test_a_recording_of_another_bundle_is_refused(folder, tmp_path, run_cli, capsys):
    other = saved(tmp_path, packed(small_bundle().program, np.ones((1, 4, 3)), 4))
    for verb in (
        ("accept", other, folder / "r"),
        ("report", other, "--recording", folder / "r"),
    ):
        assert run_cli(*verb) == 2
        assert "it is not of bundle" in capsys.readouterr().err


def test_what_is_not_packed_is_refused(folder, tmp_path, run_cli, capsys):
    program, out = folder / "net" / "program.snn", tmp_path / "r"
    words = ("run", program, "--target", "reference", "--recording", out)
    for verb in (words, ("accept", program, folder / "r")):
        assert run_cli(*verb) == 2
        assert "it is not packed" in capsys.readouterr().err
    assert run_cli("pack", program, "--out", tmp_path / "y") == 2
    assert "name it .snn" in capsys.readouterr().err
    assert run_cli(*words, "--samples", 3) == 2
    assert "leave out --data, --samples" in capsys.readouterr().err


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_recording_is_refused(folder, tmp_path_factory, data):
    whole = bytearray((folder / "r").read_bytes())
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("r") / "r"
    path.write_bytes(whole[: data.draw(st.integers(place + 1, len(whole)))])
    with pytest.raises(BundleError, match="Recording .* cannot be used"):
        load_recorded(path, folder / "x.snn")


def wrong_biases(held):
    """Of another size, of other samples, type, population, and too large."""
    ((name, bias),) = held.items()
    yield from ({name: bias[:, :-1]}, {name: bias[:-1]}, {name: bias.astype(np.int64)})
    yield from ({"other": bias}, {name: bias + 600_000})


def test_an_acceptance_test_goes_with_its_bundle(folder, tmp_path):
    bundle = load_bundle(folder / "x.snn")
    held = bundle.acceptance
    for bias in wrong_biases(held.bias):
        wrong = replace(bundle, acceptance=replace(held, bias=bias))
        with pytest.raises(BundleError, match="its biases of"):
            save_bundle(tmp_path / "b.snn", wrong)
    some = dict(list(bundle.golden.items())[1:])
    with pytest.raises(BundleError, match="its golden spikes are of"):
        save_bundle(tmp_path / "b.snn", replace(bundle, golden=some))
    with pytest.raises(BundleError, match="an acceptance test needs golden spikes"):
        save_bundle(tmp_path / "b.snn", replace(bundle, golden=None))


def test_a_changed_worker_is_refused(folder, tmp_path):
    """In a folder, where nothing else seals it."""
    save_bundle(tmp_path / "b", load_bundle(folder / "x.snn"))
    assert load_bundle(tmp_path / "b").acceptance is not None
    with (tmp_path / "b" / "worker.py").open("a") as file:
        file.write("import os\n")
    with pytest.raises(BundleError, match="or its worker is changed"):
        load_bundle(tmp_path / "b")


def test_the_command_in_a_report_names_no_machine(monkeypatch):
    from snn_deploy.commands.options import command_line

    words = ["snn-deploy", "run", "a/b.snn", "--host", "me@there", "--jump=you@gate"]
    monkeypatch.setattr("sys.argv", words)
    assert command_line() == "snn-deploy run b.snn --host … --jump=…"


@pytest.mark.parametrize("form", ["json", "html", "markdown", "text"])
def test_a_folder_whose_name_is_no_unicode_is_named(folder, tmp_path, form):
    there = tmp_path / os.fsdecode(b"x\xff")
    there.mkdir()
    out, file = there / "report", there / "x.snn"
    file.write_bytes((folder / "x.snn").read_bytes())
    words = ["report", file, "--recording", folder / "r", "--format", form]
    with pytest.raises(SystemExit) as ended, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [*map(str, ("snn-deploy", *words, "--out", out))])
        main()
    assert ended.value.code in (0, 2) and out.exists() == (ended.value.code == 0)
