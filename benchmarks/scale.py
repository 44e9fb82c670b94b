"""How large a network and how many samples may be: memory and time. For Linux.

    python benchmarks/scale.py [--samples 10000] [--synapses 100]

Every line is a process of its own, whose largest resident set the system tells when it
ends (``ru_maxrss``). Of networks, time and memory are those of one sample of 16, 32 and
64 steps after one of 1; memory is told beside a process that only made the Program.
Writes results/scale.json and .md.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.nodes import Input, Output
from snn_deploy.toolchain.program.connections import ConvConnection, SparseConnection
from snn_deploy.toolchain.program.host import Decoder, SpikeEncoder
from snn_deploy.toolchain.program.program import (
    Population,
    Program,
    SpikeInput,
    Timing,
)

RESULTS = Path(__file__).with_name("results")
SIDE, CHANNELS, KERNEL = 500, 4, 5  # a million neurons, 100 synapses each
STEPS = (16, 32, 64)
ACTIVE = 0.05  # spikes a neuron and step of the input
ROOM = 10 << 30  # bytes that a process may map; a larger one fails, and that is told


@dataclass(frozen=True, kw_only=True)
class Network:
    """What one network took."""

    name: str
    neurons: int
    synapses: int
    program_mb: float  # the process that made the Program and did no more
    load_s: float | None = None
    step_ms: tuple[float, ...] = ()  # of a run of STEPS
    peak_mb: tuple[float, ...] = ()  # up to and with each
    failed: str = ""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one command took."""

    samples: int
    workers: int
    seconds: float
    peak_mb: float  # of its largest process


def program_of(kind: str, synapses: int) -> Program:
    """One connection of a million neurons onto as many."""
    rng = np.random.default_rng(0)
    shape = (SIDE, SIDE, CHANNELS)
    size = SIDE * SIDE * CHANNELS
    ends = {"source": "in", "target": "neurons"}
    if kind == "convolution":
        weight = 2 * rng.integers(-20, 20, (KERNEL, KERNEL, CHANNELS, CHANNELS))
        around = (KERNEL // 2,) * 2
        connection: Any = ConvConnection(
            weight=weight.astype(np.int16),
            shape=shape,
            padding=(around, around),
            **ends,
        )
    else:
        shape = (size,)
        each = synapses // size
        apart = size // each
        reached = rng.integers(0, apart, (size, each), np.int32)
        reached += apart * np.arange(each, dtype=np.int32)
        connection = SparseConnection(
            weight=(2 * rng.integers(-20, 20, size * each)).astype(np.int16),
            sender=np.repeat(np.arange(size, dtype=np.int32), each),
            receiver=reached.ravel(),
            shape=shape,
            into=shape,
            **ends,
        )
    flat = Graph((Input("spikes", shape=(size,)), Output("out", ("spikes",))))
    return Program(
        inputs=(SpikeInput(name="in", shape=shape),),
        populations=(
            Population(
                name="neurons",
                shape=shape,
                threshold=6400,
                decay_u=4095,
                decay_v=128,
                refractory=1,
                v_min=-(2**23) + 1,
                bias=np.zeros(size, np.int32),
            ),
        ),
        connections=(connection,),
        encoder=SpikeEncoder(population="in"),
        decoder=Decoder(graph=flat, population="neurons", amplitude=0.001),
        timing=Timing(dt=0.001, steps=STEPS[-1]),
    )


def peak_mb() -> float:
    """The largest resident set of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def network(kind: str, synapses: int, only_made: bool) -> dict[str, Any]:
    """In a process of its own: make, load and run one."""
    from snn_deploy.targets.contract import find_target

    resource.setrlimit(resource.RLIMIT_AS, (ROOM, ROOM))
    program = program_of(kind, synapses)
    if only_made:
        return {"program_mb": peak_mb()}
    size = program.populations[0].size
    target = find_target("reference")
    start = time.perf_counter()
    session = target.load(program)
    found: dict[str, Any] = {"load_s": time.perf_counter() - start}
    sample = np.random.default_rng(1).random((1, size)) * 2 * ACTIVE
    session.run(sample, 1, record="tally")
    step_ms, peaks = [], []
    for steps in STEPS:
        start = time.perf_counter()
        session.run(sample, steps, record="tally")
        step_ms.append(1e3 * (time.perf_counter() - start) / steps)
        peaks.append(peak_mb())
    visited = int(program.connections[0].fan_out.sum())
    return {**found, "step_ms": step_ms, "peak_mb": peaks, "synapses": visited}


def asked(kind: str, synapses: int, only_made: bool) -> dict[str, Any]:
    """``network`` of another process; its error, in words, where it has one."""
    words = ["--network", kind, str(synapses), str(int(only_made))]
    done = subprocess.run(
        [sys.executable, __file__, *words], capture_output=True, text=True
    )
    if done.returncode:
        return {"failed": (done.stderr.strip() or "killed").splitlines()[-1]}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def networks(synapses: int) -> Iterator[Network]:
    """Convolutional, and sparse with more and more synapses."""
    size = SIDE * SIDE * CHANNELS
    sizes = [size * each for each in (10, 30, 100) if each <= synapses]
    for kind, count in (("convolution", 100 * size), *(("sparse", n) for n in sizes)):
        made = asked(kind, count, only_made=True)
        ran = asked(kind, count, only_made=False)
        known = {"synapses": count, "program_mb": float("nan"), **made, **ran}
        print(kind, known, file=sys.stderr)
        yield Network(name=kind, neurons=size, **known)


def command(folder: Path, samples: int, workers: int) -> tuple[Run, dict[str, Any]]:
    """``snn-deploy run`` of the shipped LocNet's bundle; its report without times."""
    out = folder / f"{samples}-{workers}"
    words = ["run", folder / "build" / "program.snn", "--target", "reference"]
    words += ["--data", folder / "scenes.npz", "--samples", str(samples)]
    words += ["--workers", str(workers), "--out", out]
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "snn_deploy", *map(str, words)],
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"snn-deploy run ended with {status}")
    report = json.loads((out / "report.json").read_text())
    for name in ("wall_time", "provenance", "source"):
        report.pop(name)
    made = Run(
        samples=samples,
        workers=workers,
        seconds=seconds,
        peak_mb=usage.ru_maxrss / 1024,
    )
    return made, report


def runs(most: int) -> Iterator[Run]:
    """A tenth of the samples, all, and all by two workers.

    Raises:
        AssertionError: two workers' report is another than one's.
    """
    from snn_deploy.models.data.generated.scenes import scenes

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        x, y = scenes(most, 1, (32, 48, 1))
        np.savez(folder / "scenes.npz", x=x, y=y)
        subprocess.run(
            [sys.executable, "-m", "snn_deploy", "build", "--target", "reference"]
            + ["--samples", "8", "--out", str(folder / "build")],
            stdout=subprocess.DEVNULL,
            check=True,
        )
        reports = []
        for samples, workers in ((most // 10, 1), (most, 1), (most, 2)):
            made, report = command(folder, samples, workers)
            print(made, file=sys.stderr)
            reports.append(report)
            yield made
        assert reports[1] == reports[2], "two workers report something else than one"


def text(found: list[Network], ran: list[Run]) -> str:
    """As Markdown."""
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    lines = [
        "# Scale",
        "",
        f"`python benchmarks/scale.py`, {os.cpu_count()} CPUs, load average {load}.",
        "",
        "One sample on `reference`; MB beside the Program are the peak less that of a "
        "process that only made it.",
        "",
        "| network | neurons | synapses | Program MB | load s | "
        + " | ".join(f"{steps} steps: ms a step, MB beside" for steps in STEPS)
        + " |",
        "|---|" + "---:|" * (4 + len(STEPS)),
    ]
    for each in found:
        cells = [each.name, f"{each.neurons:,}", f"{each.synapses:,}"]
        cells.append(f"{each.program_mb:.0f}")
        cells.append("–" if each.load_s is None else f"{each.load_s:.1f}")
        cells += [
            f"{ms:.1f}, {peak - each.program_mb:.0f}"
            for ms, peak in zip(each.step_ms, each.peak_mb)
        ] or [f"{each.failed} within {ROOM >> 30} GiB"] * len(STEPS)
        lines.append(f"| {' | '.join(cells)} |")
    if ran:
        lines += [
            "",
            "`snn-deploy run` of the shipped LocNet, samples from a file; two workers' "
            "report is the same to the last bit.",
            "",
            "| samples | workers | s | MB of the largest process |",
            "|---:|---:|---:|---:|",
        ]
    for run in ran:
        lines.append(
            f"| {run.samples:,} | {run.workers} | {run.seconds:.1f} | "
            f"{run.peak_mb:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=10000)
    parser.add_argument(
        "--synapses", type=int, default=100, help="of a neuron, of sparse networks"
    )
    parser.add_argument("--network", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.network:
        kind, synapses, only_made = options.network
        found = network(kind, int(synapses), bool(int(only_made)))
        print(json.dumps(found))
        return
    nets = list(networks(options.synapses))
    ran = list(runs(options.samples))
    page = text(nets, ran)
    data = {
        "networks": list(map(asdict, nets)),
        "runs": list(map(asdict, ran)),
        "load": os.getloadavg(),
    }
    (RESULTS / "scale.json").write_text(json.dumps(data, indent=1) + "\n")
    (RESULTS / "scale.md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
