"""Runs that SLURM starts on another machine: a real one of one node, behind sshd."""

from __future__ import annotations

import os
import re
import subprocess

import numpy as np
import pytest
from loopback import Meanwhile, loopback
from old_pythons import with_numpy
from one_node_slurm import Slurm
from packed_programs import packed, saved
from test_bundle import small_program


@pytest.fixture(scope="module")
def far(tmp_path_factory):
    """The machine ``loopback``, with SLURM."""
    slurm = Slurm(tmp_path_factory.mktemp("slurm"))
    machine = loopback(tmp_path_factory.mktemp("loopback"))
    slurm.start()
    machine.lay(limit=f"export SLURM_CONF={slurm.conf}")
    machine.slurm = slurm
    yield machine
    machine.stop()
    slurm.stop()


@pytest.fixture
def run_there(far, tmp_path, run_cli, monkeypatch):
    """``run_there(options, steps)``: exit code of a run that SLURM starts there."""
    monkeypatch.setenv("PATH", f"{far.folder / 'bin'}:{os.environ['PATH']}")

    def run(options: str, samples: int = 8, steps: int = 4) -> int:
        events = np.ones((samples, steps, 3))
        bundle = saved(tmp_path, packed(small_program(), events, steps))
        words = ("run", bundle, "--target", "reference", "--host", "loopback")
        there = ("--python", with_numpy("3.8"), "--slurm", options)
        return run_cli(*words, *there, "--recording", tmp_path / "r")

    return run


def test_slurm_starts_it(run_there, far, tmp_path, run_cli, capfd):
    assert run_there("--partition=loihi --time=5 --job-name='a name'") == 0
    assert "sample 8 of 8" in capfd.readouterr().err
    assert run_cli("accept", tmp_path / "x.snn", tmp_path / "r") == 0
    assert not far.jobs


def test_what_slurm_says_is_the_sentence(run_there, far, capfd):
    assert run_there("--partition=none") == 2
    last = capfd.readouterr().err.splitlines()[-1]
    assert re.search(r"Error: Machine 'loopback', job \w+: srun: error: .*parti", last)
    assert not far.jobs


def test_a_job_that_slurm_ends_is_a_sentence(run_there, far, capfd):
    """As one is that takes longer than it may."""

    def cancel() -> None:
        env = {**os.environ, "SLURM_CONF": str(far.slurm.conf)}
        subprocess.run(["scancel", "--user=root"], env=env, check=True)

    with Meanwhile(far, cancel):
        assert run_there("--partition=loihi", samples=24, steps=4000) == 2
    last = capfd.readouterr().err.splitlines()[-1]
    assert re.search(r"Error: Machine 'loopback', job \w+: (srun|slurm|it was k)", last)
    assert not far.jobs
