"""What goes wrong on another machine, tried with a real sshd: a sentence, a code."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from loopback import Meanwhile, kill, running
from old_pythons import with_numpy
from small_jobs import asked, demand_golden, quick, slow


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
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # if ignored
    try:
        with Meanwhile(far, lambda: os.kill(os.getpid(), signal.SIGINT)):
            assert run_cli(*asked(bundle, tmp_path / "r")) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    for _ in range(100):
        if not running(f"{with_numpy('3.8')}\0{far.home / '.snn-deploy'}"):
            return
        time.sleep(0.05)
    raise AssertionError("the job goes on")
