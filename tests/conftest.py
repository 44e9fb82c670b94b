"""Puts the tests' folder on the path, so that tests can import what they share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

# Workers of pytest share the cores already; set before NumPy is imported.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# A change is judged by the same examples every time; at a desk, by new ones.
settings.register_profile("judged", derandomize=True, deadline=None)
if os.environ.get("CI"):
    settings.load_profile("judged")


@pytest.fixture
def run_cli(monkeypatch) -> Callable[..., int]:
    """``run_cli(*words)``: the exit code of ``snn-deploy words…``, run in here."""
    from snn_deploy.__main__ import main

    def run(*words: object) -> int:
        monkeypatch.setattr(sys, "argv", ["snn-deploy", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    return run


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    """A machine that a real sshd gives access to."""
    from loopback import loopback

    machine = loopback(tmp_path_factory.mktemp("loopback"))
    yield machine
    machine.stop()


@pytest.fixture
def far(sshd, monkeypatch):
    """The machine ``loopback``, which our ssh knows; nothing is left on it."""
    monkeypatch.setenv("PATH", f"{sshd.folder / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr("snn_deploy.remote.run.PAUSE", 0.1)
    yield sshd
    sshd.lay()
    assert not (sshd.home / ".snn-deploy").exists()
