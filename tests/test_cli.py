"""The command line as a user meets it: what it prints, what it writes, how it ends."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import zipfile
from dataclasses import fields

import click
import h5py
import pytest
from PIL import Image
from tiny_files import CONV, DENSE, FLATTEN, POOL, write_model, write_pictures

from snn_deploy.__main__ import main
from snn_deploy.commands.training.train import locnet
from snn_deploy.models.networks.recipe import Recipe


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "tiny.h5", CONV, FLATTEN, DENSE)


@pytest.fixture
def pictures(tmp_path):
    return write_pictures(tmp_path / "pictures")


@pytest.fixture
def build(model, pictures, tmp_path):
    """Options of a build that works, without the target."""
    return [
        "build",
        *("--model", str(model), "--data", str(pictures)),
        *("--out", str(tmp_path / "out"), "--steps", "16", "--samples", "3"),
        "--force",  # its weights are random
    ]


def run(monkeypatch, *words) -> int:
    """Exit code of ``snn-deploy words…``."""
    monkeypatch.setattr(sys, "argv", ["snn-deploy", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_build_writes_bundle_report_and_picture(build, monkeypatch, capsys, tmp_path):
    assert run(monkeypatch, *build, "--target", "reference", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["target"] == "reference" and report["samples"] == 3
    assert report["energy"]["title"] == "energy proxy, not a measurement"
    assert {score["name"] for score in report["scores"]} == {
        "integer SNN",
        "float ANN",
        "constant box",
    }
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"program.snn", "report.json", "report.html", "report.png"}
    with Image.open(tmp_path / "out" / "report.png") as picture:
        assert min(picture.size) > 300


def test_a_built_bundle_runs_compares_and_reports(build, monkeypatch, capsys, tmp_path):
    assert run(monkeypatch, *build, "--target", "reference") == 0
    bundle = tmp_path / "out" / "program.snn"
    assert run(monkeypatch, "run", bundle, "--target", "reference", "--samples", 2) == 0
    assert run(monkeypatch, "report", tmp_path / "out") == 0
    assert "energy proxy, not a measurement" in capsys.readouterr().out
    words = ("compare", bundle, "--targets", "reference,reference", "--samples", 3)
    assert run(monkeypatch, *words) == 0
    assert "not one differs" in capsys.readouterr().out


def test_targets_lists_kind_and_library(monkeypatch, capsys):
    assert run(monkeypatch, "targets", "--json") == 0
    rows = {row["target"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["reference"]["installed"] == "yes"
    assert rows["loihi-emulator"]["kind"] == "integer emulation"


def test_train_locnet_offers_the_recipe_with_its_defaults():
    offered = {option.name: option for option in locnet.params}
    for field in fields(Recipe):
        if field.name in offered:
            option = offered[field.name]
            given = option.type_cast_value(click.Context(locnet), option.default)
            if field.name == "size":
                given = (*given[:2], int(given[2]))
            assert given == field.default, field.name


def test_help_is_quick_and_loads_no_framework():
    code = (
        "import sys; sys.argv = ['snn-deploy', '--help']\n"
        "from snn_deploy.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'numba', 'tensorflow', 'nengo', 'lava', 'matplotlib'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    bare = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import json"], check=True)
    assert bare - start < 15 * (time.perf_counter() - bare)


BAD = {
    "missing model": (["--model", "{tmp}/none.h5"], "none.h5"),
    "truncated model": (["--model", "{tmp}/cut.h5"], "cut.h5"),
    "no model at all": (["--model", "{tmp}/text.h5"], "text.h5"),
    "unsupported layer": (["--model", "{tmp}/pool.h5"], "'pool'"),
    "NaN weights": (["--model", "{tmp}/nan.h5"], "NaN"),
    "damaged metadata": (["--model", "{tmp}/noted.h5"], "noted.h5"),
    "missing folder": (["--data", "{tmp}/nowhere"], "nowhere"),
    "broken picture": (["--data", "{tmp}/broken"], "03.png"),
    "box outside": (["--data", "{tmp}/outside"], "line 2"),
    "unknown target": (["--target", "brain"], "reference"),
    "no steps": (["--steps", "0"], "--steps"),
    "no time constant": (["--tau-syn", "inf"], "'inf' is not a finite number"),
    "no step": (["--dt", "nan"], "'nan' is not a finite number"),
    "no rate": (["--max-rate", "inf"], "'inf' is not a finite number"),
    "too many steps": (["--steps", "9" * 30], "not in the range"),
    "unknown device": (["--device", "toaster"], "toaster"),
    "out is a file": (["--out", "{tmp}/tiny.h5"], "tiny.h5"),
}


@pytest.fixture
def damaged(model, pictures, tmp_path):
    """One broken thing of each kind."""
    (tmp_path / "cut.h5").write_bytes(model.read_bytes()[:3000])
    (tmp_path / "text.h5").write_text("not a model")
    write_model(tmp_path / "pool.h5", CONV, POOL, FLATTEN, DENSE)
    write_model(tmp_path / "nan.h5", CONV, FLATTEN, DENSE, nan=True)
    noted = write_model(tmp_path / "noted.h5", CONV, FLATTEN, DENSE)
    with h5py.File(noted, "r+") as file:
        file.attrs["snn_deploy_metadata"] = "{"
    broken = shutil.copytree(pictures, tmp_path / "broken")
    whole = (broken / "images" / "03.png").read_bytes()
    (broken / "images" / "03.png").write_bytes(whole[: len(whole) // 2])
    outside = shutil.copytree(pictures, tmp_path / "outside")
    table = (outside / "boxes.csv").read_text()
    (outside / "boxes.csv").write_text(table.replace("2,3,12,9", "2,3,120,9", 1))


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    name, build, damaged, monkeypatch, capsys, tmp_path
):
    options, says = BAD[name]
    words = [word.format(tmp=tmp_path) for word in options]
    assert run(monkeypatch, *build, "--target", "reference", *words) == 2
    error = capsys.readouterr().err
    assert says in error and "Traceback" not in error
    assert sum(line.startswith("Error") for line in error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_the_shipped_network_keeps_to_what_it_was_tuned_for(
    monkeypatch, capsys, tmp_path
):
    words = ("build", "--target", "reference", "--out", tmp_path / "out")
    assert run(monkeypatch, *words, "--encoder", "spikes") == 2
    assert "encoder bias" in capsys.readouterr().err
    assert run(monkeypatch, *words, "--weight-bits", "4") == 2
    assert not (tmp_path / "out").exists()


def test_spikes_can_be_sent_instead_of_biases(build, monkeypatch, capsys):
    words = (*build, "--target", "reference", "--encoder", "spikes", "--json")
    assert run(monkeypatch, *words) == 0
    layers = json.loads(capsys.readouterr().out)["layers"]
    assert [layer["name"] for layer in layers] == ["image", "conv_relu"]


def test_a_missing_library_is_named_with_the_way_to_get_it(build, tmp_path):
    """Real absence: an interpreter that cannot see nengo-loihi."""
    code = (
        "import sys; sys.modules['nengo_loihi'] = None\n"
        f"sys.argv = ['snn-deploy', *{build!r}, '--target', 'loihi-emulator']\n"
        "from snn_deploy.__main__ import main; main()\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 2
    assert "pip install 'snn-deploy[loihi]'" in ended.stderr
    assert not (tmp_path / "out").exists()


def test_a_flipped_byte_in_a_bundle_is_found(build, monkeypatch, capsys, tmp_path):
    assert run(monkeypatch, *build, "--target", "reference") == 0
    bundle = tmp_path / "out" / "program.snn"
    content = bytearray(bundle.read_bytes())
    with zipfile.ZipFile(bundle) as archive:
        largest = max(archive.infolist(), key=lambda member: member.compress_size)
    content[largest.header_offset + largest.compress_size // 2] ^= 1
    bundle.write_bytes(content)
    assert run(monkeypatch, "run", bundle, "--target", "reference") == 2
    assert "program.snn" in capsys.readouterr().err


def test_more_samples_than_the_bundle_holds(build, monkeypatch, capsys, tmp_path):
    assert run(monkeypatch, *build, "--target", "reference") == 0
    bundle = tmp_path / "out" / "program.snn"
    words = ("run", bundle, "--target", "reference", "--samples", 999)
    assert run(monkeypatch, *words) == 2
    assert "999" in capsys.readouterr().err
