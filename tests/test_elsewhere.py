"""Runs on another machine: a real sshd on loopback, and what goes wrong there."""

from __future__ import annotations

import os
import re
import subprocess
from json import loads
from pathlib import Path
from shutil import which

import pytest
from old_pythons import bare, with_numpy
from small_builds import built
from small_jobs import asked, demand_golden, quick

from snn_deploy.toolchain.bundle.recorded import load_recorded


@pytest.fixture
def bundle(tmp_path) -> Path:
    return quick(tmp_path)


def test_the_worker_runs_under_an_old_python(far, bundle, tmp_path, run_cli, capfd):
    assert run_cli(*asked(bundle, tmp_path / "r")) == 0
    told = capfd.readouterr().err.splitlines()
    assert re.fullmatch("Machine 'loopback', job .{16}: reference", told[0])
    assert told[1:] == ["sample 2 of 2", told[-1]]
    assert load_recorded(tmp_path / "r", bundle).versions["python"].startswith("3.8.")
    demand_golden(bundle, tmp_path / "r", run_cli)


def test_a_report_of_a_run_there(far, tmp_path, run_cli, capfd):
    """Without --recording it is packed on the way, and reported as a run here is."""
    program = built(tmp_path, run_cli)
    capfd.readouterr()
    words = ("run", program, "--target", "reference", "--json")
    there = ("--host", "loopback", "--python", with_numpy("3.8"))
    assert run_cli(*words, *there) == 0
    found = loads(capfd.readouterr().out)
    assert run_cli(*words) == 0
    wanted = loads(capfd.readouterr().out)
    assert found["layers"] == wanted["layers"] and found["scores"] == wanted["scores"]
    made = found["provenance"]
    assert made["versions"]["worker"] == "1" and "loopback" not in str(made)
    assert made["settings"]["ran on another machine"].startswith("Linux")


def test_another_python_here(bundle, tmp_path, run_cli, monkeypatch, capfd):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    beside = os.path.relpath(with_numpy("3.8"), tmp_path)
    monkeypatch.chdir(tmp_path)
    words = asked(bundle, tmp_path / "r", python=beside)
    at = words.index("--host")
    del words[at : at + 2]
    assert run_cli(*words) == 0
    assert "This machine, job" in capfd.readouterr().err
    demand_golden(bundle, tmp_path / "r", run_cli)
    assert not list((tmp_path / "home").iterdir())


def test_the_way_leads_over_another_machine(far, bundle, tmp_path, run_cli):
    assert run_cli(*asked(bundle, tmp_path / "r", "--jump", "gate")) == 0
    demand_golden(bundle, tmp_path / "r", run_cli)


def test_no_word_reaches_a_shell(far, bundle, tmp_path, run_cli):
    """A Python's path may hold what shells obey."""
    python = far.home / "it's a; touch owned #"
    python.write_text(f'#!/bin/sh\nexec {with_numpy("3.8")} "$@"\n')
    python.chmod(0o755)
    words = asked(bundle, tmp_path / "r", python=str(python))
    assert run_cli(*words) == 0
    python.unlink()
    assert not list(far.home.glob("owned*"))


@pytest.mark.parametrize(
    "host", ["-oProxyCommand=touch /tmp/x", "a b", "x;y", "", "u@-x"]
)
@pytest.mark.parametrize("option", ["--host", "--jump"])
def test_a_name_that_is_none_is_refused(option, host, bundle, tmp_path, run_cli, capfd):
    words = asked(bundle, tmp_path / "r", f"{option}={host}")
    assert run_cli(*words) == 2
    told = capfd.readouterr().err
    assert "that is no name; user@machine is allowed" in told or not host


PROBLEMS = {  # what is asked of the machine → what is said
    "nobody there": (
        ("--host", "nobody"),
        r"Machine 'nobody': it cannot be reached \(.*refused\); check its name",
    ),
    "no such python": (
        ("--python", "python9"),
        r"'python9' there does not run as a Python of 3.8 or newer \(.*not found\)",
    ),
    "no such target": (
        ("--target", "lava"),
        r"Python 3.8.* has no snn-deploy, which the target 'lava' needs; install it",
    ),
    "no slurm": (
        ("--slurm", "--partition=none"),
        r"job \w+: srun cannot be started \(No such file or directory\)",
    ),
    "no such job": (("--attach", "0" * 16), r"job 0{16}: .*No such file"),
    "no number": (("--attach", "../x"), r"Job '../x': a number is 16 digits"),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_what_is_wrong_there_is_a_sentence(case, far, bundle, tmp_path, run_cli, capfd):
    words, said = PROBLEMS[case]
    if case == "no slurm":
        few = far.folder / "few"
        few.mkdir()
        for name in ("mkdir", "cat", "rm", "rmdir"):
            (few / name).symlink_to(which(name))
        far.lay(limit=f"export PATH={few}")
    assert run_cli(*asked(bundle, tmp_path / "r", *words)) == 2
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith("Error: ") and re.search(said, last), last
    assert not (tmp_path / "r").exists()


def test_too_old_a_python_there_is_a_sentence(far, bundle, tmp_path, run_cli, capfd):
    assert run_cli(*asked(bundle, tmp_path / "r", python=bare("3.6"))) == 2
    last = capfd.readouterr().err.splitlines()[-1]
    assert re.search(r"job \w+: Python 3\.6\.\d+ \(.*\) is too old; name one of", last)


def test_a_missing_numpy_there_is_a_sentence(far, bundle, tmp_path, run_cli, capfd):
    subprocess.run([bare("3.9"), "-m", "venv", "--without-pip", far.folder / "v"])
    python = str(far.folder / "v" / "bin" / "python")
    assert run_cli(*asked(bundle, tmp_path / "r", python=python)) == 2
    last = capfd.readouterr().err.splitlines()[-1]
    assert re.search(r"Python 3\.9\.\d+ \(.*\) has no NumPy; pip install numpy", last)
