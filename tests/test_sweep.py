"""A sweep on a real Dask cluster: what is finished stays, whatever is killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from small_networks import fitted, save, stripes
from sweep_cases import space_of, write_stripes

from snn_deploy.commands.sweep import asked
from snn_deploy.deploy import build
from snn_deploy.starting import read_asked
from snn_deploy.sweeping import judged, sweep, tried
from snn_deploy.toolchain.bundle.bundle import load_bundle
from snn_deploy.toolchain.errors import DataError

pytest.importorskip("distributed", reason="Dask is not installed")
import psutil  # noqa: E402  Dask asks for it

NET = {"model": "net.snn"}
FILES = 'model = "net.snn"\ndata = "xy.npz"\n'
GRID = """
[space]
steps = [24, 32, 40, 48]
weight-bits = [3, 8]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A network and its data; the working folder."""
    write_stripes(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_killed_workers_and_a_killed_sweep_lose_and_repeat_nothing(folder):
    (folder / "grid.toml").write_text(FILES + GRID)
    points = folder / "out" / "points"
    first = started(folder)
    wait_for(first, lambda: len(finished(points)) >= 1)
    victim = workers(first)[0]
    victim.kill()
    before = finished(points)
    wait_for(first, lambda: len(finished(points)) >= len(before) + 2)
    team = workers(first)
    first.kill()
    first.wait()
    known = finished(points)
    assert before.items() <= known.items() and len(known) < 8
    gone, _ = psutil.wait_procs(team, timeout=20)
    assert len(gone) == len(team), "its workers end with it"

    second = started(folder)
    _, told = second.communicate()
    assert second.returncode == 0, told
    done = finished(points)
    assert known.items() <= done.items(), "nothing that was finished is written again"
    assert sorted(done) == [f"{number:04}.json" for number in range(8)]
    tried_now = [line for line in told.splitlines() if "--steps" in line]
    assert len([x for x in tried_now if "accuracy" in x]) == 8 - len(known)
    assert f"{len(known)}/8 finished before" in told
    assert "out/sweep.html" in told and "--from-sweep out:" in told


def started(folder: Path) -> subprocess.Popen[str]:
    """The sweep, in a process of its own."""
    words = ("sweep", "grid.toml", "--out", "out", "--workers", "2")
    return subprocess.Popen(
        [sys.executable, "-m", "snn_deploy", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )


def finished(points: Path) -> dict[str, tuple[int, str]]:
    """File → when it was written, what it holds."""
    return {
        path.name: (path.stat().st_mtime_ns, path.read_text())
        for path in points.glob("0*.json")
    }


def workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Dask's processes."""
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def wait_for(process: subprocess.Popen[str], holds, seconds: float = 240) -> None:
    """Wait until something holds, for as long as the process runs."""
    until = time.monotonic() + seconds
    while not holds():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.slow
def test_one_bad_point_stops_none_and_the_search_learns(folder, run_cli, capsys):
    pytest.importorskip("optuna", reason="Optuna is not installed")
    (folder / "bayes.toml").write_text(
        FILES + 'search = "bayes"\npoints = 6\nobjectives = ["score", "spikes"]\n'
        "[space]\nsteps = [16, 24]\ntarget = ['reference', 'nowhere']\n"
        "max-rate = { low = 60, high = 900, log = true }"
    )
    words = ("sweep", "bayes.toml", "--out", "out", "--workers", "2", "--json")
    assert run_cli(*words) == 0
    found = json.loads(capsys.readouterr().out)
    assert [point["number"] for point in found["points"]] == list(range(6))
    lost = [point for point in found["points"] if point["figures"] is None]
    assert {point["options"]["target"] for point in lost} <= {"nowhere"}
    assert all("'nowhere' is unknown" in point["error"] for point in lost)
    options = [tuple(point["options"].values()) for point in found["points"]]
    assert len(set(options)) == 6 and 0 < len(lost) < 6
    assert found["front"] and "validation part" in found["judged"]

    assert run_cli(*words) == 0, "all is there already"
    assert json.loads(capsys.readouterr().out) == found

    point = f"out:{found['front'][0]}"
    assert run_cli("build", "--from-sweep", point, "--out", "built") == 0
    told = capsys.readouterr()
    assert "the report scores the test" in told.err
    chosen = found["points"][found["front"][0]]["options"]
    program = load_bundle(folder / "built" / "program.snn").program
    assert program.timing.steps == int(chosen["steps"])
    noted = load_bundle(folder / "built" / "program.snn").metadata["settings"]
    assert noted["max_rate"] == float(chosen["max-rate"])
    assert run_cli("build", "--from-sweep", point, "--steps", "9", "--out", "b") == 0
    assert load_bundle(folder / "b" / "program.snn").program.timing.steps == 9


def test_an_existing_cluster_does_it(folder):
    from distributed import LocalCluster

    x, y = stripes(90, seed=1)
    save(folder / "other.snn", fitted(x, np.eye(3)[y]))
    text = 'target = "reference"\n[space]\nsteps = [8, 16]'
    space = space_of(folder, FILES + text)
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**options, processes=False, silence_logs=50) as cluster:
        address = cluster.scheduler_address
        heard = []
        found = sweep(
            space,
            asked,
            folder / "out",
            workers=1,
            scheduler=address,
            heard=lambda outcome, count: heard.append(count),
        )
    assert heard == [0, 1, 2] and len(found.outcomes) == 2 and not found.failed
    (folder / "net.snn").write_bytes((folder / "other.snn").read_bytes())
    with pytest.raises(DataError, match="its sweep has other models; name another"):
        sweep(space, asked, folder / "out", workers=1)
    with pytest.raises(DataError, match="'nothing://x': nothing answers there"):
        sweep(space, asked, folder / "other", workers=1, scheduler="nothing://x")


def test_points_are_judged_on_samples_that_the_test_does_not_hold(folder):
    options = {"model": "net.snn", "data": "xy.npz", "steps": "24"}
    question = asked({"target": "reference", **options})
    figures = judged(question, 256, with_cores=True)
    _, task, _ = read_asked(question)
    test = {x.tobytes() for x in task.test(None).x}
    examples, part = task.choosing(256)
    assert not test & {x.tobytes() for x in examples.x} and part == "validation part"
    assert not {x.tobytes() for x in task.calibration(999)} & {
        x.tobytes() for x in examples.x
    }
    assert figures.samples == len(examples) == len(task.parts.validation)
    assert figures.trivial < 0.6 < figures.score and not figures.trivially
    report = build(
        question.target, question.model, question.data, settings=question.settings
    ).report
    assert figures.latency == report.presentation == 0.024
    assert figures.cores == 1 and figures.metric == report.scores[0].metric


def test_where_few_validate_the_training_part_judges(folder):
    with np.load("xy.npz") as known:
        np.savez("few.npz", x=known["x"][:90], y=known["y"][:90])
    _, task, _ = read_asked(asked({"target": "reference", "data": "few.npz", **NET}))
    examples, part = task.choosing(20)
    assert part == "training part" and len(examples) == 20
    assert {x.tobytes() for x in examples.x} <= {
        x.tobytes() for x in task.training(99).x
    }
    np.savez("none.npz", x=np.load("xy.npz")["x"])
    question = asked({"target": "reference", "data": "none.npz", "steps": "32", **NET})
    found = judged(question, 20, with_cores=False)
    assert found.metric == "correlation of outputs" and found.score > 0.6
    assert found.trivial is None and found.cores is None


def test_what_a_build_raises_is_the_point_s(folder):
    question = asked({"target": "reference", "model": "none.snn", "data": "xy.npz"})
    from snn_deploy import __version__

    lost = tried(question, 8, False, __version__)
    assert lost.figures is None and "'none.snn': no such file" in lost.error
    with pytest.raises(DataError, match="it has snn-deploy"):
        tried(question, 8, False, "0.0")


def test_a_sweep_that_cannot_go_well_does_not_begin(folder, run_cli, capsys):
    for text, said in (
        ("data = 'none.npz'\n" + GRID, "'none.npz': no such file"),
        ("data = 'xy.npz'\ntarget = 'nowhere'\n" + GRID, "'nowhere' is unknown"),
        ("data = 'xy.npz'\ndevice = 'nothing'\n" + GRID, "'nothing'"),
    ):
        (folder / "s.toml").write_text(f"model = 'net.snn'\n{text}")
        assert run_cli("sweep", "s.toml", "--out", "out") == 2
        assert said in capsys.readouterr().err
    assert not (folder / "out").exists()
