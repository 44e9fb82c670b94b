"""A sweep of 48 points on a LocNet: one worker and two, killed and resumed.

    python benchmarks/sweep.py --model faces.h5 --data caltech101-faces

The model is a trained ANN (``snn-deploy train locnet``), built without calibration, so
that 48 points take minutes. The sweep runs from the command line, on a local Dask
cluster: with two workers, of which one is killed (SIGKILL) after 8 points and the whole
sweep after 20, and resumed; then from start to end with two and with one. Wall-clock
time, beside the load of the machine: figures of a busy one say little of the ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

RESULTS = Path(__file__).parent / "results"
POINTS = 48
SPACE = """
model = "{model}"
data = "{data}"
samples = 64
calibrate = "none"
objectives = ["score", "energy", "latency", "cores"]

[space]
steps = [24, 32, 48, 64]
weight-bits = [4, 6, 8]
max-rate = [150, 250, 400, 700]
"""
Files = dict[str, tuple[int, str]]


def main() -> None:
    """Run the three sweeps and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        space = SPACE.format(model=given.model.absolute(), data=given.data.absolute())
        first = space.partition("[space]")[0] + "[space]\nsteps = [48, 64]\n"
        (work / "warm.toml").write_text(first)
        (work / "space.toml").write_text(space)
        ended(started(work, "warm", 1, "warm.toml"))  # compiles the kernels
        found = {
            "cpus": len(os.sched_getaffinity(0)),
            "killed": killed(work),
            "two": timed(work, "two", 2),
            "one": timed(work, "one", 1),
        }
        front = read(work / "one")
        found["same"] = front == read(work / "two") == read(work / "killed")
    (RESULTS / "sweep.json").write_text(json.dumps(found, indent=1) + "\n")
    (RESULTS / "sweep.md").write_text(document(found))


def started(
    work: Path, out: str, workers: int, space: str = "space.toml"
) -> subprocess.Popen[str]:
    """The sweep, in a process of its own."""
    words = ("sweep", space, "--out", out, "--workers", str(workers))
    return subprocess.Popen(
        [sys.executable, "-m", "snn_deploy", *words],
        cwd=work,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def timed(work: Path, out: str, workers: int) -> dict[str, Any]:
    """Seconds from start to end, and the load before and after."""
    before, start = os.getloadavg()[0], time.perf_counter()
    ended(started(work, out, workers))
    seconds = time.perf_counter() - start
    assert len(finished(work / out)) == POINTS
    row = {"seconds": seconds, "load": [before, os.getloadavg()[0]]}
    print(out, row, flush=True)
    return row


def ended(process: subprocess.Popen[str]) -> str:
    """What it told, where it ended well."""
    _, told = process.communicate()
    assert process.returncode == 0, told
    return told


def killed(work: Path) -> dict[str, Any]:
    """What is left of finished points after kills, and what the rest took."""
    out = work / "killed"
    process = started(work, "killed", 2)
    wait(process, lambda: len(finished(out)) >= 8)
    worker, at = team(process)[0], finished(out)
    worker.kill()
    wait(process, lambda: len(finished(out)) >= 20)
    process.kill()
    process.wait()
    known = finished(out)
    told = ended(started(work, "killed", 2))
    done = finished(out)
    tried = sum("--steps" in line for line in told.splitlines() if "next:" not in line)
    row = {
        "finished when the worker was killed": len(at),
        "finished when the sweep was killed": len(known),
        "lost": len({*at} - {*known}) + len({*known} - {*done}),
        "written again": sum(done.get(n) != f for n, f in {**at, **known}.items()),
        "tried after": tried,
        "finished in the end": len(done),
    }
    print(row, flush=True)
    return row


def finished(out: Path) -> Files:
    """Point → when it was written, what its file holds."""
    return {
        path.name: (path.stat().st_mtime_ns, path.read_text())
        for path in (out / "points").glob("0*.json")
    }


def read(out: Path) -> dict[str, Any]:
    """Point → its figures."""
    return {n: json.loads(text)["figures"] for n, (_, text) in finished(out).items()}


def team(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Dask's worker processes."""
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def wait(process: subprocess.Popen[str], holds: Callable[[], bool]) -> None:
    """Until it holds; the sweep must not end before."""
    while not holds():
        assert process.poll() is None
        time.sleep(0.02)


def document(found: dict[str, Any]) -> str:
    """The results as a page."""
    one, two = found["one"], found["two"]
    ratio = one["seconds"] / two["seconds"]
    verdict = "held" if ratio >= 1.7 else "not reached in this run"
    loads = ", ".join(
        f"{name} {row['load'][0]:.1f} to {row['load'][1]:.1f}"
        for name, row in (("one worker", one), ("two", two))
    )
    lines = [
        "# A sweep of 48 points on a LocNet",
        "",
        "By `python benchmarks/sweep.py`, which says how; steps × weight bits × "
        "highest rate, each point built (`--calibrate none`), run, placed and judged.",
        "",
        "| workers | s | times as fast |",
        "|---|---|---|",
        f"| 1 | {one['seconds']:.0f} | 1 |",
        f"| 2 | {two['seconds']:.0f} | {ratio:.2f} |",
        "",
        f"{found['cpus']} CPUs; load averages (1 min) from start to end: {loads}. At "
        f"least 1.7 times as fast: {verdict}.",
        "",
        "With two workers, one killed, then the whole sweep, then resumed:",
        "",
        "| | points |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in found["killed"].items()),
        "",
        "All three sweeps found the same figures for every point: "
        f"{'yes' if found['same'] else 'no'}.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
