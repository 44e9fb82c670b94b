"""The simulators that people would pick instead, beside ours, in one run.

Run: python benchmarks/peers.py --tensorflow .venv/bin/python
Writes benchmarks/results/peers.json and peers.md; takes about seven minutes.

It wants Python 3.11 with torch 2.13.0 (CPU), spikingjelly 2.0.0, snntorch 1.0.0, sinabs
3.1.3, thrindex 0.5.0 and numba; the interpreter of --tensorflow has this project's own
TensorFlow, for its training. Every simulator is a process of its own, they take turns,
and quoted is the median turn.

Forward: two networks of random weights as ``networks.py`` makes them, without synaptic
filters and with potentials that may fall to −3 thresholds, so that the peers' LIF
neurons are the same equations. Ours are the core's integers and hand back every spike
of every population; the peers take the same weights (the integers, divided by the
thresholds) in float32, get the same input currents, and hand back the last population.
Training: LocNet 32×48×3, batch 16, 32 steps, Adam. The peers go back through time with
surrogate gradients; ours is ``finetune``'s step, back through the rates.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from select import select
from statistics import median
from typing import Any

import numpy as np
from networks import ACTIVITY, VALID, Case, Layer, locnet_layers, random_case

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "peers.json"
OURS = "reference"
PEERS = ("spikingjelly", "snntorch", "sinabs")
PLACES = {"batch 32, two cores": (32, 2), "batch 1, one core": (1, 1)}
QUICK = {"batch 2, one core": (2, 1)}
STEPS = 64
TRAINED_STEPS, TRAINED_BATCH, PICTURE = 32, 16, (32, 48, 3)
SAME = ((0, 1), (0, 1))  # Keras's "same" for stride 2 and even sizes
LIMIT = 60  # s, that setting up or a turn may take
LOWEST = -3.0  # potential, in thresholds


def locnet_like() -> Case:
    layers = [*locnet_layers((8, 16, 32), VALID), Layer(filters=4, kind="dense")]
    name = "LocNet-like 48×32"
    return random_case(name, (48, 32, 1), layers, ACTIVITY, min_voltage=LOWEST)


def locnet() -> Case:
    layers = locnet_layers((8, 16, 32), SAME)
    return random_case("LocNet 32×48", PICTURE, layers, ACTIVITY, min_voltage=LOWEST)


@dataclass
class Worker:
    """A simulator in a process of its own; ``row`` is what is known of it."""

    python: str
    job: dict[str, Any]
    row: dict[str, Any] = field(default_factory=dict)
    turns: list[float] = field(default_factory=list)

    def start(self) -> bool:
        """Set up and run once; False where it cannot, which is noted."""
        self.process = subprocess.Popen(
            [self.python, str(HERE / "peer_worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        answer = self.ask(json.dumps(self.job))
        told = {k: v for k, v in self.job.items() if k not in ("case", "spikes")}
        self.row = {**told, **answer}
        return "refused" not in answer

    def ask(self, line: str) -> dict[str, Any]:
        assert self.process.stdin and self.process.stdout and self.process.stderr
        print(line, file=self.process.stdin, flush=True)
        if not select([self.process.stdout], [], [], LIMIT)[0]:
            self.process.kill()
            return {"refused": f"not ready in {LIMIT} s"}
        answer = self.process.stdout.readline()
        if not answer:
            said = self.process.stderr.read().strip().splitlines() or ["nothing"]
            return {"refused": said[-1][:300]}
        found: dict[str, Any] = json.loads(answer)
        return found

    def end(self) -> dict[str, Any]:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()
        return self.row | {"turns_s": self.turns, "s": median(self.turns)}


def timed(workers: list[Worker], rounds: int, turn_s: float) -> list[dict[str, Any]]:
    """Turns of all, each round beginning with the next of them."""
    ready = [worker for worker in workers if worker.start()]
    for first in range(rounds):
        shift = first % max(len(ready), 1)
        for worker in ready[shift:] + ready[:shift]:
            worker.turns.append(worker.ask(str(turn_s))["s"])
    return [w.end() if w in ready else w.row for w in workers]


def kinds(names: tuple[str, ...], compiled: bool) -> Iterator[tuple[str, bool]]:
    """Every peer, eager, and the first of them as torch.compile makes it.

    The others are loops over steps in Python, which it unrolls: minutes for one layer.
    """
    for number, name in enumerate(names):
        yield name, False
        if compiled and not number:
            yield name, True


def forward(
    case: Case, place: str, samples: int, cpus: int, folder: Path, given: Any
) -> list[dict[str, Any]]:
    """Every simulator on a network, and how many spikes are ours."""
    file = folder / "case.pickle"
    stimulus = case.stimulus(samples, given.steps)
    file.write_bytes(pickle.dumps((case.program, stimulus)))
    names = PEERS if case.name.startswith("LocNet 32") else (*PEERS, "thrindex")
    workers = []
    for name, compiled in [
        (OURS, False),
        *kinds(PEERS, given.compiled),
        *((n, False) for n in names[3:]),
    ]:
        job = dict(task="forward", simulator=name, compiled=compiled, cpus=cpus)
        job |= {"case": str(file), "samples": samples, "steps": given.steps}
        job["spikes"] = str(folder / f"{name}.npz") if not compiled else ""
        workers.append(Worker(sys.executable, job))
    rows = timed(workers, given.rounds, given.turn)
    ours = spikes_in(folder / f"{OURS}.npz")
    activity = sum(s.sum() for s in ours) / sum(s.size for s in ours)
    for row in rows:
        row |= {"network": case.name, "place": place, "activity": float(activity)}
        if row["simulator"] in PEERS and "refused" not in row:
            theirs = spikes_in(folder / f"{row['simulator']}.npz")
            row["spikes_alike"] = alike(ours, theirs)
    return rows


def spikes_in(file: Path) -> list[Any]:
    with np.load(file) as found:
        return [found[f"arr_{n}"] for n in range(len(found.files))]


def alike(ours: list[Any], theirs: list[Any]) -> float:
    """Share of all spikes that both send."""
    both = sum(int((a & b).sum()) for a, b in zip(ours, theirs))
    return both / sum(int((a | b).sum()) for a, b in zip(ours, theirs))


def training(case: Case, cpus: int, folder: Path, given: Any) -> list[dict[str, Any]]:
    """Training steps of LocNet."""
    file = folder / "case.pickle"
    file.write_bytes(pickle.dumps((case.program, None)))
    base = {"cpus": cpus, "samples": TRAINED_BATCH, "steps": TRAINED_STEPS}
    workers = []
    for name, compiled in kinds(("spikingjelly", "snntorch"), given.compiled):
        job = base | {"task": "training", "simulator": name, "compiled": compiled}
        job |= {"case": str(file), "picture": PICTURE}
        workers.append(Worker(sys.executable, job))
    if given.tensorflow:
        for name in ("finetune", "keras ANN"):
            job = base | {"task": "cotraining", "simulator": name, "compiled": False}
            workers.append(Worker(given.tensorflow, job | {"network": "LocNet 32×48"}))
    rows = timed(workers, given.rounds, given.turn)
    return [row | {"network": "LocNet 32×48×3"} for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tensorflow", help="an interpreter with our TensorFlow")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--turn", type=float, default=0.5, help="s, at least")
    parser.add_argument("--quick", action="store_true", help="one network, one turn")
    parser.add_argument("--compiled", action="store_true", help="torch.compile too")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    given.steps, places = (16, QUICK) if given.quick else (STEPS, PLACES)
    if given.quick:
        given.rounds, given.turn = 1, 0.1
    found: dict[str, Any] = {"load_before": os.getloadavg()}
    with tempfile.TemporaryDirectory() as name:
        folder, rows = Path(name), []
        for case in [locnet_like()] if given.quick else [locnet_like(), locnet()]:
            for place, (samples, cpus) in places.items():
                rows += shown(forward(case, place, samples, cpus, folder, given))
        found["forward"] = rows
        found["training"] = [
            row
            for cpus in ((1,) if given.quick else (2, 1))
            for row in shown(training(locnet(), cpus, folder, given))
        ]
    found["load_after"] = os.getloadavg()
    given.out.write_text(json.dumps(found, indent=1) + "\n")
    given.out.with_suffix(".md").write_text("\n".join(table(found)) + "\n")


def shown(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for row in rows:
        took = row.get("refused") or f"{1e3 * row['s']:.1f} ms"
        alike = f"{row['spikes_alike']:.4f} alike" if "spikes_alike" in row else ""
        compiled = "compiled" if row["compiled"] else ""
        print(row["task"], row["network"], row["samples"], row["cpus"], end=" ")
        print(row["simulator"], compiled, took, alike, flush=True)
    return rows


def table(found: Mapping[str, Any]) -> Iterator[str]:
    """The results as Markdown."""
    yield "# Beside other simulators\n"
    yield "By `benchmarks/peers.py`, which says what each computes. Load average "
    yield f"{found['load_before'][0]:.1f} before, {found['load_after'][0]:.1f} after.\n"
    yield "Forward, all steps of a batch; *times*: the time over that of `reference`.\n"
    yield "| network | place | simulator | ms | times | spikes alike |"
    yield "|---|---|---|---|---|---|"
    for row in found["forward"]:
        place = (row["network"], row["place"])
        yield line(row, place, ours(found["forward"], row, OURS))
    yield "\nTraining: a step (forward, backward, update), batch 16, 32 steps.\n"
    yield "| network | cores | simulator | ms | times | |"
    yield "|---|---|---|---|---|---|"
    for row in found["training"]:
        place = (row["network"], row["cpus"])
        yield line(row, place, ours(found["training"], row, "finetune"))
    versions: dict[str, str] = {}
    for row in (*found["forward"], *found["training"]):
        versions |= row.get("versions", {}) if row["task"] != "cotraining" else {}
    yield "\n" + ", ".join(f"{k} {v}" for k, v in versions.items()) + "."


def ours(rows: list[dict[str, Any]], row: Mapping[str, Any], name: str) -> float:
    """s that ours takes in the same place, not a number where it was not run."""
    same = ("network", "samples", "cpus")
    for other in rows:
        if other["simulator"] == name and all(other[k] == row[k] for k in same):
            return float(other.get("s", np.nan))
    return float("nan")


def line(row: Mapping[str, Any], place: tuple[Any, ...], base: float) -> str:
    name = row["simulator"] + (", torch.compile" if row["compiled"] else "")
    start = f"| {place[0]} | {place[1]} | {name} |"
    if "refused" in row:
        return f"{start} refused: {row['refused']} | | |"
    alike = f"{row['spikes_alike']:.2%}" if "spikes_alike" in row else ""
    return f"{start} {1e3 * row['s']:.2f} | {row['s'] / base:.2f} | {alike} |"


if __name__ == "__main__":
    main()
