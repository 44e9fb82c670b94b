"""The walk of docs/hardware.md, and an emulator of a chip on another machine."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest
from old_pythons import with_numpy
from small_jobs import asked, demand_golden, quick

import snn_deploy
from snn_deploy.toolchain.bundle.recorded import load_recorded

ROOT = Path(__file__).parent.parent
PACKAGE = str(Path(snn_deploy.__file__).parent.parent)


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


def test_snn_deploy_there_runs_other_targets(far, tmp_path, run_cli):
    pytest.importorskip("nengo_loihi", reason="nengo-loihi is not installed")
    far.lay(path=PACKAGE)
    bundle = quick(tmp_path)
    words = asked(bundle, tmp_path / "r", python=sys.executable)
    words[words.index("reference")] = "loihi-emulator"
    assert run_cli(*words) == 0
    recorded = load_recorded(tmp_path / "r", bundle)
    assert recorded.target == "loihi-emulator" and "nengo-loihi" in recorded.versions
    demand_golden(bundle, tmp_path / "r", run_cli)
