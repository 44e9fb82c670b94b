"""What reaches a terminal, and how a command ends whatever the system refuses."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_networks import fitted, save, stripes

from snn_deploy.calibration.report.report import write_files
from snn_deploy.toolchain.errors import DataError
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.visible import visible

WICKED = "w\x1b]0;title\x07\x9b2J\u202e[bold]$x^{$"
"""A window's title, a cleared screen, text from right to left, markup, a formula."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A network whose population has a wicked name, data of wicked classes, a build."""
    folder = tmp_path_factory.mktemp("terminal")
    x, y = stripes(40)
    np.savez(folder / "xy.npz", x=x, y=np.array([f"{WICKED}{i}" for i in range(3)])[y])
    graph = fitted(x, np.eye(3)[y])
    renamed = [
        type(node)(
            **{
                **vars(node),
                "name": WICKED if node.name == "neurons" else node.name,
                "inputs": tuple(WICKED if i == "neurons" else i for i in node.inputs),
            }
        )
        for node in graph.nodes
    ]
    save(folder / "net.snn", Graph(tuple(renamed)))
    done = snn_deploy(folder, *BUILD)
    assert done.returncode == 0, done.stderr
    return folder


BUILD = (
    *("build", "--target", "reference", "--model", "net.snn", "--data", "xy.npz"),
    *("--out", "out", "--steps", "16"),
)
COMPARE = (
    *("compare", "out/program.snn", "--targets", "reference,reference"),
    *("--samples", "3"),
)


def snn_deploy(folder: Path, *words: str, **how: object) -> subprocess.CompletedProcess:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "snn_deploy", *words]
    how = {"capture_output": True, "text": True, **how}
    return subprocess.run(command, cwd=folder, **how)


@pytest.mark.parametrize(
    "words",
    [
        BUILD,
        (*BUILD, "--json"),
        (*BUILD[:-4], "--stop-after", "legalize"),
        ("report", "out"),
        ("run", "out/program.snn", "--target", "reference", "--json"),
        COMPARE,
        (*COMPARE, "--json"),
        ("run", "out/program.snn", "--target", WICKED.replace("\x00", "")),
        ("run", f"{WICKED}.snn", "--target", "reference"),
        ("build", "--target", "reference", "--data", WICKED),
    ],
    ids=lambda words: " ".join(visible(w) for w in words[:1] + words[-2:]),
)
def test_a_terminal_is_told_nothing_by_names(
    folder, words, run_cli, monkeypatch, capsys
):
    monkeypatch.chdir(folder)
    run_cli(*words)
    shown = capsys.readouterr()
    text = shown.out + shown.err
    assert all(c.isprintable() or c == "\n" for c in text)
    if words[0] != "build" or "--model" in words:
        assert r"\x1b" in text or r"\u001b" in text
        assert "[bold]" in text or "…" in text  # no markup; a long name is shortened


def test_a_picture_takes_names_as_they_are(folder):
    assert (folder / "out" / "report.png").read_bytes().startswith(b"\x89PNG")


def test_the_extra_of_a_missing_library_is_named_whole(folder, tmp_path):
    """Rich would take [no-extra] for markup."""
    (tmp_path / "far.py").write_text(
        "from snn_deploy.targets.reference.target import Reference\n"
        "class Far(Reference):\n"
        "    name, library, extra = 'far', 'no-such-library', 'no-extra'\n"
    )
    points = tmp_path / "far-1.dist-info"
    points.mkdir()
    (points / "METADATA").write_text("Metadata-Version: 2.1\nName: far\nVersion: 1\n")
    (points / "entry_points.txt").write_text("[snn_deploy.targets]\nfar = far:Far\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = snn_deploy(folder, "targets", env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 0
    assert "no; pip install 'snn-deploy[no-extra]'" in done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_utf_8_shows_what_it_can(folder, encoding):
    env = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = snn_deploy(folder, "report", "out", env=env, encoding=encoding)
    assert done.returncode == 0 and done.stderr == ""
    assert "energy proxy, not a measurement" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_a_sentence(folder):
    with open("/dev/full", "w") as full:
        done = snn_deploy(
            folder, "report", "out", capture_output=False, stdout=full, stderr=-1
        )
    assert done.returncode == 2
    assert done.stderr.startswith("Error: Output: No space left")


def test_nobody_listens(folder):
    """Standard output closed, as by ``>&-``: nothing is shown, and nothing breaks."""
    code = (
        "import os; os.close(1); me = sys.executable\n"
        "os.execv(me, [me, '-m', 'snn_deploy', 'report', 'out'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}"],
        cwd=folder,
        stderr=-1,
        text=True,
        env=os.environ,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_closed_pipe_is_no_failed_check(folder):
    """compare's exit code 1 says that targets differ, and nothing else."""
    reader, writer = os.pipe()
    os.close(reader)
    done = snn_deploy(folder, *COMPARE, capture_output=False, stdout=writer, stderr=-1)
    os.close(writer)
    assert done.returncode == 141 and "Traceback" not in done.stderr


NOT_THERE = {
    "a program for a report": ("report", "out/program.snn"),
    "a device": ("report", "/dev/zero"),
    "a bundle": ("run", "/dev/zero", "--target", "reference"),
    "a model": ("build", "--target", "reference", "--model", "/dev/zero"),
    "a long name": ("report", "x" * 300),
    "a long bundle": ("run", "x" * 300, "--target", "reference"),
    "a long model": ("build", "--target", "reference", "--model", "x" * 300),
    "long data": (*BUILD, "--data", "x" * 300),
    "a long device": (*BUILD, "--device", "x" * 300),
    "a nul": ("report", "a\\0b"),
}


@pytest.mark.parametrize("name", NOT_THERE)
def test_what_cannot_be_read_is_a_sentence(folder, name, run_cli, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert run_cli(*NOT_THERE[name]) == 2
    shown = capsys.readouterr().err
    (error,) = (line for line in shown.splitlines() if line.startswith("Error"))
    assert shown.endswith(f"{error}\n")
    if name == "a program for a report":
        assert "name the report.json that a build wrote, or its folder" in error


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
@pytest.mark.parametrize("verb", ["report", "run", "model", "device"])
def test_a_pipe_is_not_waited_for(folder, tmp_path, verb, run_cli, monkeypatch):
    monkeypatch.chdir(folder)
    os.mkfifo(tmp_path / "pipe.h5")
    pipe = str(tmp_path / "pipe.h5")
    words = {
        "report": ("report", pipe),
        "run": ("run", pipe, "--target", "reference"),
        "model": ("build", "--target", "reference", "--model", pipe),
        "device": (*BUILD, "--device", pipe),
    }
    assert run_cli(*words[verb]) == 2


def test_a_folder_that_cannot_be_written_is_found_before_anything_runs(
    folder, run_cli, monkeypatch, capsys
):
    monkeypatch.chdir(folder)
    (folder / "file").write_text("")
    assert run_cli(*BUILD, "--out", "file/out") == 2
    shown = capsys.readouterr().err
    assert "/file'" in shown and "name another with --out" in shown
    assert "legalize" not in shown  # the name of a step that has run


def test_an_unknown_backend_of_matplotlib_breaks_no_build(folder):
    done = snn_deploy(folder, *BUILD, env={**os.environ, "MPLBACKEND": "nonsense"})
    assert done.returncode == 0, done.stderr


# files: all or none


def test_of_two_files_both_are_written_or_none(tmp_path):
    (tmp_path / "a").write_text("old")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "in the way").touch()
    with pytest.raises(Exception, match="cannot be written"):
        write_files({tmp_path / "gone" / "b": b"new", tmp_path / "a": b"new"})
    assert (tmp_path / "a").read_text() == "old"
    write_files({tmp_path / "a": b"new", tmp_path / "c": b"new"})
    assert {p.name for p in tmp_path.iterdir()} == {"a", "b", "c"}


def test_a_link_in_the_place_of_a_temporary_file_is_not_followed(tmp_path, monkeypatch):
    """Nobody can foresee its name; if somebody did, nothing would be written."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    monkeypatch.setattr("secrets.randbelow", lambda most: 7)
    (tmp_path / ".a.000000000007").symlink_to(victim)
    with pytest.raises(DataError, match="cannot be written"):
        write_files({tmp_path / "a": b"new"})
    assert victim.read_text() == "mine" and not (tmp_path / "a").exists()


def test_a_report_says_that_nothing_fires_and_the_advice_helps(
    folder, run_cli, monkeypatch, capsys
):
    """In the report, and where standard output is a file on standard error too."""
    monkeypatch.chdir(folder)
    assert run_cli(*BUILD[:-2], "--steps", 1, "--max-rate", 50) == 1
    shown = capsys.readouterr()
    assert "no spike in 6 samples of 1 steps" in " ".join(shown.out.split())
    assert "never fires in 6 samples of 1 steps, so what it feeds" in shown.err
    assert "exit code 1: the answers are worth nothing" in shown.err
    steps, rest = re.search(r"--steps (\d+), (.*?) mends it", shown.err).groups()
    assert rest == "no --max-rate"
    assert run_cli(*BUILD[:-2], "--steps", steps) == 0
    shown = capsys.readouterr()
    assert "never fires in" not in shown.out + shown.err and "error" not in shown.err
    forced = ("--steps", 1, "--max-rate", 50, "--force")
    assert run_cli(*BUILD[:-2], *forced) == 0
