"""doctor: what it says of this machine is true, and holds nothing private.

It runs as a user runs it, in a process; with a target each in a process of its own.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import socket
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import validate
from packaging.requirements import Requirement
from random_programs import simulate_oracle

from snn_deploy.machine.boards import VARIABLES
from snn_deploy.machine.packages import STATES, find_packages, read_pins
from snn_deploy.machine.private import scrubbed
from snn_deploy.machine.trial import SAMPLE, SPIKES, STEPS, tiny_program
from snn_deploy.machine.tried import target_names, try_target
from snn_deploy.targets import GROUP
from snn_deploy.toolchain.child import ask
from snn_deploy.toolchain.program.host import encode

ROOT = Path(__file__).parent.parent
SCHEMA = json.loads((ROOT / "docs" / "doctor.schema.json").read_text())
PACKAGE_PATH = Path(sys.modules["snn_deploy"].__file__ or "").parent.parent
TRIAL = "snn_deploy.machine.trial:tried"
SECRET = "zaphod7"  # user, host, folder, and in every text of the plug-in
PLUGINS = """
from snn_deploy.targets.contract import Target
from snn_deploy.targets.reference.target import Reference
from snn_deploy.toolchain.errors import TargetUnavailable


class Board(Reference):
    name, kind, library, access = "board", "hardware", "board-sdk", "https://board.test"

    def open(self, program):
        raise TargetUnavailable(
            "Target 'board': no answer from zaphod7@10.1.23.175 (key in "
            "/home/zaphod7/.ssh/id, socket /var/zaphod7 data/s, BOARD ncl-zaphod7-42)"
        )


class Wrong(Reference):
    name = "wrong"

    def open(self, program):
        raise ValueError("zaphod7.example.org:/home/zaphod7/x.py is wrong")


class Dies(Reference):
    name = "dies"

    def open(self, program):
        import os, sys
        print("last words in /home/zaphod7/dies.py", file=sys.stderr, flush=True)
        os.abort()
"""
HANGS = """
import pathlib, subprocess, time

started = subprocess.Popen(["sleep", "1000"])
pathlib.Path(__file__).with_name("hanging").write_text(str(started.pid))
time.sleep(1000)
"""
TARGETS = {"board": "Board", "wrong": "Wrong", "dies": "Dies", "gone": "Nothing"}


def run_doctor(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "snn_deploy", "doctor", *words],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        timeout=600,
    )


def plug_in(folder: Path, module: str, code: str, targets: dict[str, str]) -> None:
    """A module and its targets, as pip would leave them in a folder."""
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (folder / f"{module}.py").write_text(code)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n"
    )
    lines = [f"{name} = {module}:{value}" for name, value in targets.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))


@pytest.fixture(scope="module")
def plugged(tmp_path_factory) -> Path:
    """A folder with four targets that do not run here."""
    folder = tmp_path_factory.mktemp(SECRET)
    plug_in(folder, "zaphods", PLUGINS, TARGETS)
    return folder


@pytest.fixture(scope="module")
def hostile(plugged) -> dict[str, str]:
    """Variables that give away a user, a host, boards and folders."""
    home = plugged / "home"
    home.mkdir()
    return {
        "HOME": str(home),
        "USER": SECRET,
        "LOGNAME": SECRET,
        "HOSTNAME": f"{SECRET}.example.org",
        "PYTHONPATH": os.pathsep.join([str(PACKAGE_PATH), str(plugged)]),
        "NXSDKHOST": f"{SECRET}.boards",
        "BOARD": f"ncl-{SECRET}-42",
        "PARTITION": SECRET,
        "SLURM": "1",
    }


@pytest.fixture(scope="module")
def examined(hostile) -> subprocess.CompletedProcess[str]:
    return run_doctor("--json", **hostile)


@pytest.fixture(scope="module")
def found(examined) -> dict:
    return json.loads(examined.stdout)


@pytest.mark.slow
def test_it_ends_with_0_where_the_reference_is_ready(examined, found):
    assert examined.returncode == 0, examined.stderr
    assert found["ready"] and "Traceback" not in examined.stderr


@pytest.mark.slow
def test_the_json_is_as_its_schema_has_it(found):
    validate(found, SCHEMA)
    assert SCHEMA["$defs"]["package"]["properties"]["state"]["enum"] == [*STATES]


@pytest.mark.slow
def test_every_target_is_ready_or_says_what_to_do(found):
    """A target is ready exactly where its library is installed: all are mended here."""
    targets = {row["target"]: row for row in found["targets"]}
    assert targets.keys() == {*target_names(), *TARGETS}
    for name in target_names():
        row = targets[name]
        try:
            here = not row["library"] or bool(version(row["library"]))
        except PackageNotFoundError:
            here = False
        lacking = "no access" if row["kind"] == "hardware" else "missing"
        assert row["state"] == ("ready" if here else lacking), row
        if lacking == "no access":
            assert here or row["words"].count("apply at http") == 1
        elif not here:
            extra = re.search(r"pip install 'snn-deploy\[([\w-]+)\]'$", row["words"])
            assert extra and row["library"] in row["words"]
            known = {p["name"]: p["extras"] for p in found["packages"]}
            assert extra[1] in known[row["library"]]


@pytest.mark.slow
def test_targets_that_cannot_run_say_why(found):
    targets = {row["target"]: row for row in found["targets"]}
    board, wrong, dies, gone = (targets[name] for name in TARGETS)
    assert board["state"] == "no access"
    assert board["words"].endswith("; apply at https://board.test")
    assert wrong["state"] == "failed" and wrong["words"].startswith("ValueError: ")
    assert dies["state"] == "failed" and "SIGABRT" in dies["words"]
    assert gone["state"] == "failed" and "cannot be loaded" in gone["words"]


@pytest.mark.slow
def test_nothing_private_is_in_it(examined, plugged):
    """Not the user, the host, a folder, an address, or where a board is."""
    text = examined.stdout
    private = {SECRET, "10.1.23.175", str(plugged), str(PACKAGE_PATH), sys.prefix}
    private |= {os.path.expanduser("~"), os.getcwd(), socket.gethostname()}
    assert not [word for word in private - {"/"} if word.lower() in text.lower()]
    assert not re.search(r"(?<![\w/:…~])/[a-z]+/", text)


@pytest.mark.slow
def test_boards_are_told_by_their_variables_names(found):
    chips = {board["chip"]: board for board in found["boards"]}
    assert chips.keys() == {"Loihi 1", "Loihi 2"}
    for board in chips.values():
        assert {"SLURM", "BOARD", "PARTITION", "NXSDKHOST"} <= {*board["variables"]}
        assert board["installed"] or "inrc_interest@intel.com" in board["words"]


@pytest.mark.slow
def test_packages_are_those_that_are_asked_for(found):
    packages = {p["name"]: p for p in found["packages"]}
    pins = read_pins()
    for name, package in packages.items():
        assert (package["installed"] == "") == (package["state"] in ("missing", "n/a"))
        if package["installed"] and package["state"] != "n/a":
            assert package["installed"] == version(name)
            assert package["pinned"] == pins.get(name, "")
    assert "core" in packages["numpy"]["extras"]
    assert packages["tensorflow"]["extras"] == ["keras"]
    assert packages["nengo-dl"]["licence"].startswith("free for academic and personal")
    assert packages["nengo"]["licence"] == "GPLv2"
    assert packages["sanafe"]["licence"].startswith("GPL-3")
    assert {n for n, p in packages.items() if p["strict"]} == {
        *("nengo", "nengo-dl", "sanafe"),
    }


def test_it_speaks_where_numpy_is_broken(tmp_path):
    """Then nothing is ready, and it ends with 1."""
    (tmp_path / "numpy.py").write_text("raise ImportError('broken by hand')\n")
    path = os.pathsep.join([str(tmp_path), str(PACKAGE_PATH)])
    done = run_doctor("--json", PYTHONPATH=path)
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    validate(found, SCHEMA)
    (reference,) = (t for t in found["targets"] if t["target"] == "reference")
    assert reference["state"] == "failed" and "broken by hand" in reference["words"]
    assert not found["ready"] and found["packages"]


@pytest.mark.slow
def test_gpus_are_asked_of_tensorflow(found):
    try:
        installed = version("tensorflow")
    except PackageNotFoundError:
        assert found["gpus"] == {
            "tensorflow": "",
            "names": [],
            "words": "TensorFlow is not installed",
        }
    else:
        assert found["gpus"]["tensorflow"] == installed
        assert bool(found["gpus"]["names"]) != bool(found["gpus"]["words"])


def test_the_tiny_network_is_the_arithmetic():
    """So a target that is ready has fired what ``step.py`` defines."""
    program = tiny_program()
    stimulus = encode(program.encoder, SAMPLE, STEPS, program.timing.dt)
    spikes = simulate_oracle(program, stimulus)
    assert {name: int(s.sum()) for name, s in spikes.items()} == SPIKES


def test_the_states_of_a_package():
    """Against requirements and pins as they stand."""
    pins = read_pins()
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        pin = Requirement(line)
        if pin.marker is None or pin.marker.evaluate():
            assert str(pin.specifier) == f"=={pins[pin.name.lower().replace('_', '-')]}"
    for package in find_packages():
        if package.state == "as pinned":
            assert package.installed == package.pinned == version(package.name)
        if package.state == "n/a":
            here = f"{sys.version_info[0]}.{sys.version_info[1]}"
            assert here not in package.pythons


def test_a_target_is_tried_in_a_process_of_its_own(plugged, monkeypatch):
    monkeypatch.syspath_prepend(str(plugged))
    ready, dies = (try_target(name, {}, "3.10") for name in ("reference", "dies"))
    assert (ready.state, ready.words) == ("ready", "")
    assert dies.state == "failed" and "SIGABRT" in dies.words


def test_a_target_that_hangs_is_given_up(tmp_path, monkeypatch):
    """With whatever it started."""
    plug_in(tmp_path, "hanger", HANGS, {"hangs": "Hangs"})
    monkeypatch.syspath_prepend(str(tmp_path))
    for patience in (5.0, 10.0, 20.0, 40.0):  # s, until it has got that far
        answer = ask(TRIAL, "hangs", patience=patience)
        assert answer.failure == f"no answer within {patience:g} s"
        if (tmp_path / "hanging").exists():
            break
    number = int((tmp_path / "hanging").read_text())
    deadline = time.monotonic() + 30  # where many others run
    while sleeps(number) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not sleeps(number)


def sleeps(number: int) -> bool:
    """Whether the process that the plug-in started is there."""
    try:
        return b"sleep" in Path(f"/proc/{number}/cmdline").read_bytes()
    except OSError:
        return False


names = st.text("abcxyz019", min_size=3, max_size=9).map(lambda rest: f"d{rest}")


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(names, min_size=1, max_size=4), names)
def test_no_folder_and_no_user_survives(folders, file):
    path = "/" + "/".join([*folders, file])
    text = scrubbed(f"File {path!r}, line 3: {path}:7 ({path})")
    assert not [f for f in folders if f"/{f}/" in text]
    assert text.count(f"…/{file}") == 3
    home, user = os.path.expanduser("~"), getpass.getuser()
    text = scrubbed(f"{home}/{file} of {user}: http://{user}:{file}@h/x, 10.0.0.1")
    assert home not in text or home == "/"
    assert "10.0.0.1" not in text and f":{file}@" not in text
    assert text.startswith(f"~/{file}") or user == file


def test_words_of_our_own_stay():
    """A user may be called like a package."""
    known = frozenset({"lava", "lava-nc"})
    assert scrubbed("missing lava-nc 0.10.0", known) == "missing lava-nc 0.10.0"


def test_a_variable_that_names_a_board_is_shown_by_its_name(monkeypatch):
    monkeypatch.setenv("BOARD", "ncl-ghrd-01")
    assert "BOARD" in VARIABLES
    assert scrubbed("no answer from ncl-ghrd-01.") == "no answer from $BOARD."


def test_a_question_without_an_answer(tmp_path):
    found = ask("snn_deploy.machine.nothing:tried", patience=60.0)
    assert not found.found and "exit code 1" in found.failure
    slow = ask(TRIAL, "reference", patience=0.01)
    assert slow.failure == "no answer within 0.01 s"
    assert np.allclose(SAMPLE, SAMPLE.clip(0, 1))
