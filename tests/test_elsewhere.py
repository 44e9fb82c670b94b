"""Runs on another machine: a real sshd on loopback, and what goes wrong there."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from json import loads
from pathlib import Path
from shutil import which

import numpy as np
import pytest
from loopback import Loopback, Meanwhile, kill, loopback, running
from old_pythons import bare, with_numpy
from packed_programs import packed, saved
from small_builds import built
from test_bundle import small_program

import snn_deploy
from snn_deploy.toolchain.bundle.recorded import load_recorded

ROOT = Path(__file__).parent.parent
PACKAGE = str(Path(snn_deploy.__file__).parent.parent)
rng = np.random.default_rng(0)


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    machine = loopback(tmp_path_factory.mktemp("loopback"))
    yield machine
    machine.stop()


@pytest.fixture
def far(sshd, monkeypatch) -> Loopback:
    """The machine ``loopback``, which our ssh knows; nothing is left on it."""
    monkeypatch.setenv("PATH", f"{sshd.folder / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr("snn_deploy.remote.run.PAUSE", 0.1)
    yield sshd
    sshd.lay()
    assert not (sshd.home / ".snn-deploy").exists()


@pytest.fixture
def bundle(tmp_path) -> Path:
    return quick(tmp_path)


def quick(folder: Path, samples: int = 2, steps: int = 4) -> Path:
    """A packed bundle of events that runs at once, or as many steps as are asked."""
    events = (rng.random((samples, steps, 3)) < 0.3).astype(float)
    return saved(folder, packed(small_program(), events, steps))


def slow(folder: Path) -> Path:
    """One of which the worker tells three times, some seconds in all."""
    return quick(folder, samples=24, steps=4000)


def asked(bundle: Path, out: Path, *words: object, python: str = "") -> list[object]:
    where = ("--host", "loopback", "--python", python or with_numpy("3.8"))
    named = ("--target", "reference", "--recording", out)
    return ["run", bundle, *named, *where, *words]


def demand_golden(bundle: Path, recording: Path, run_cli) -> None:
    assert run_cli("accept", bundle, recording) == 0


def test_the_worker_runs_under_an_old_python(far, bundle, tmp_path, run_cli, capfd):
    assert run_cli(*asked(bundle, tmp_path / "r")) == 0
    told = capfd.readouterr().err.splitlines()
    assert re.fullmatch("Machine 'loopback', job .{16}: reference", told[0])
    assert told[1:] == ["sample 2 of 2", told[-1]]
    assert load_recorded(tmp_path / "r", bundle).versions["python"].startswith("3.8.")
    demand_golden(bundle, tmp_path / "r", run_cli)


def test_the_walk_in_the_docs(far, tmp_path, run_cli, monkeypatch):
    """As written, with LocNet: a Recording from there is one of here, bit for bit."""
    monkeypatch.chdir(tmp_path)
    walk = (ROOT / "docs" / "hardware.md").read_text().partition("## The walk")[2]
    lines = walk.partition("```console\n")[2].partition("```")[0].splitlines()
    real = {"user@machine": "loopback", "python3.8": with_numpy("3.8")}
    for line in lines:
        words = shlex.split(line.removeprefix("$ snn-deploy "))
        assert run_cli(*(real.get(word, word) for word in words)) == 0, line
    path = Path("locnet.snn")
    assert run_cli("run", path, "--target", "reference", "--recording", "here") == 0
    there = load_recorded(Path("locnet.recording"), path)
    found, wanted = there.spikes, load_recorded(Path("here"), path).spikes
    assert there.versions["python"].startswith("3.8.")
    assert list(found) == list(wanted) and len(wanted) == 9
    for name, spikes in wanted.items():
        assert spikes.any() and found[name].tobytes() == spikes.tobytes()
    assert Path("locnet.html").stat().st_size > 10_000


def test_snn_deploy_there_runs_other_targets(far, bundle, tmp_path, run_cli):
    pytest.importorskip("nengo_loihi", reason="nengo-loihi is not installed")
    far.lay(path=PACKAGE)
    words = asked(bundle, tmp_path / "r", python=sys.executable)
    words[words.index("reference")] = "loihi-emulator"
    assert run_cli(*words) == 0
    recorded = load_recorded(tmp_path / "r", bundle)
    assert recorded.target == "loihi-emulator" and "nengo-loihi" in recorded.versions
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
    words = asked(bundle, tmp_path / "r")
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
    assert [p.name for p in far.home.iterdir()] == [python.name]
    python.unlink()


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


@pytest.mark.parametrize("kilobytes", [40, 80], ids=["arriving", "recording"])
def test_a_full_disk_there_is_a_sentence(kilobytes, far, tmp_path, run_cli, capfd):
    """A disk, where one may be mounted; else no file may be larger."""
    bundle = quick(tmp_path, samples=64, steps=1000)
    sizes = {"bundle": bundle.stat().st_size}
    assert 24_000 < sizes["bundle"], sizes
    mounted = mount(far.home, kilobytes)
    if not mounted:
        far.lay(limit=f"ulimit -f {kilobytes // 2}")
    try:
        assert run_cli(*asked(bundle, tmp_path / "r")) == 2
        last = capfd.readouterr().err.splitlines()[-1]
        full = "(No space left on device|File too large)"
        assert re.search(f"Error: .*job .{{16}}: .*{full}", last), last
    finally:
        if mounted:
            subprocess.run(["umount", far.home], check=True)


def mount(folder: Path, kilobytes: int) -> bool:
    """A small disk there; whether one may be mounted."""
    words = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder]
    try:
        return subprocess.run(words, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def test_a_dropped_connection_is_made_again(far, tmp_path, run_cli, capfd):
    bundle, dropped = slow(tmp_path), []
    with Meanwhile(far, lambda: dropped.append(far.drop())):
        assert run_cli(*asked(bundle, tmp_path / "r")) == 0
    assert dropped and dropped[0] > 0
    told = capfd.readouterr().err.splitlines()
    assert told[1:4] == [f"sample {n} of 24" for n in (8, 16, 24)]  # none twice
    demand_golden(bundle, tmp_path / "r", run_cli)


def test_a_lost_machine_keeps_the_job_for_attach(far, tmp_path, run_cli, capfd):
    """Where another bundle is named, too: what is not brought home stays."""
    bundle = slow(tmp_path)
    with Meanwhile(far, far.stop):
        assert run_cli(*asked(bundle, tmp_path / "r")) == 2
    last = capfd.readouterr().err.splitlines()[-1]
    assert "the connection is lost" in last and "the job goes on there" in last
    number = last.rpartition(" ")[2]
    assert [job.name for job in far.jobs] == [number]
    far.start()
    (tmp_path / "o").mkdir()
    for named, code in ((quick(tmp_path / "o"), 2), (bundle, 0)):
        words = asked(named, tmp_path / "r", "--attach", number)
        assert run_cli(*words) == code
        told = capfd.readouterr().err
        assert ("it is not of bundle" in told) == bool(code)
    demand_golden(bundle, tmp_path / "r", run_cli)


KILLED = {  # what a killed process's command line begins with → what is said
    "worker.py": "it was killed there, by the system for want of memory or by somebody",
    "job.py": "the job there ended without a word; run it again",
}


@pytest.mark.parametrize("script", KILLED)
def test_a_killed_process_there_is_a_sentence(script, far, tmp_path, run_cli, capfd):
    """The worker; or, as in a machine that is switched off, all of the job."""

    def strike() -> None:
        for name in (script, "worker.py"):
            for pid in running(f"{with_numpy('3.8')}\0{far.jobs[0]}/{name}\0"):
                kill(pid)

    with Meanwhile(far, strike):
        assert run_cli(*asked(slow(tmp_path), tmp_path / "r")) == 2
    assert KILLED[script] in capfd.readouterr().err.splitlines()[-1]


def test_an_interrupt_ends_the_job_there(far, tmp_path, run_cli):
    bundle = slow(tmp_path)
    with Meanwhile(far, lambda: os.kill(os.getpid(), signal.SIGINT)):
        assert run_cli(*asked(bundle, tmp_path / "r")) == 130
    for _ in range(100):
        if not running(f"{with_numpy('3.8')}\0{far.home / '.snn-deploy'}"):
            return
        time.sleep(0.05)
    raise AssertionError("the job goes on")
