"""Spiking networks as C beside their ANNs as int8 C, on the same emulated core.

    python benchmarks/c.py --work build/c [--only digits] [--board mps2-an386]

Trains what is missing (ten minutes on two idle cores), scores both on the same test
samples, counts flash and RAM, and lets QEMU count the instructions of both. The C's
time beside `reference` is of this machine, one sample on one core, in turns. Writes
benchmarks/results/c.json and c.md.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from c_document import document
from c_networks import CASES, Case
from measure import Job, measure
from networks import Case as Timed

from snn_deploy.deploy import Steps, compile_program
from snn_deploy.model_files import read_model
from snn_deploy.models.data.formats.formats import AS_NAMED
from snn_deploy.pipeline.compilation import Settings
from snn_deploy.starting import CALIBRATION_SAMPLES, read
from snn_deploy.targets.c.ann.network import Network
from snn_deploy.targets.c.ann.quantize import quantized
from snn_deploy.targets.c.source import Source
from snn_deploy.targets.cortex_m.ann import AnnOnBoard
from snn_deploy.targets.cortex_m.boards import BOARDS, Board
from snn_deploy.targets.cortex_m.target import CortexM
from snn_deploy.targets.reference.target import Reference
from snn_deploy.targets.workers import run_all
from snn_deploy.tasks.task import Task
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import evaluate
from snn_deploy.toolchain.graph.nodes import FloatArray
from snn_deploy.toolchain.passes.preprocess import NONE
from snn_deploy.toolchain.program.program import Program

RESULTS = Path(__file__).parent / "results"
SCORED, ON_BOARD = 200, 8  # test samples; those that a board runs are the first
ROUNDS, TURN, LIMIT = 7, 0.5, 30.0  # of the timing; s
Row = dict[str, Any]


def main() -> None:
    """Measure what is asked for, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/c"))
    parser.add_argument("--only", nargs="+", choices=[case.name for case in CASES])
    parser.add_argument("--board", choices=BOARDS, default="mps2-an386")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    file = RESULTS / "c.json"
    rows = json.loads(file.read_text()) if file.exists() else []
    for case in CASES:
        if given.only is None or case.name in given.only:
            rows = [row for row in rows if row["network"] != case.name]
            rows.append(measured(case, given.work, BOARDS[given.board]))
            names = [each.name for each in CASES]
            rows.sort(key=lambda row: names.index(row["network"]))
            file.write_text(json.dumps(rows, indent=1) + "\n")
            (RESULTS / "c.md").write_text(document(rows))
            print(json.dumps(rows[-1]), flush=True)


def measured(case: Case, work: Path, board: Board) -> Row:
    """Everything of one network."""
    ann, data = case.trained(work)
    model = read_model(None if case.ships else ann)
    settings = Settings(steps=None if case.ships else case.steps)
    source, task, settings = read(model, data, AS_NAMED, NONE, settings)
    samples = task.calibration(CALIBRATION_SAMPLES)
    quiet = Steps()
    program, _ = compile_program(source.graph, samples, settings, quiet, source.scales)
    graph = read_model(ann).graph
    network = quantized(graph, samples)
    timed, board_x = speed(case, program, task), task.test(SCORED).x[:ON_BOARD]
    return {
        "network": case.name,
        "about": case.about,
        "steps": program.timing.steps,
        "neurons": program.neurons,
        "board": f"{board.name} ({board.core})",
        "scores": scores(task, program, graph, network),
        "snn": spiking_on_board(program, board_x, board),
        "ann": ann_on_board(network, board_x, board),
        "generated_s": generated(program),
        **timed,
    }


def scores(task: Task, program: Program, graph: Graph, network: Network) -> Row:
    """Of the first metric: name → [value, low, high of its interval]."""
    test = task.test(SCORED)
    x = np.asarray(test.x[:], np.float64)
    with Reference().load(program) as session:
        spiking = run_all(session, test.x).output
    answers = {
        "integer SNN": spiking,
        "float ANN": evaluate(graph, x),
        "int8 ANN": network.answers(network.run(x)[-1]),
    }
    found = task.scores(test, answers)
    first = found[0].metric
    kept = {s.name: [s.value, s.low, s.high] for s in found if s.metric == first}
    return {"metric": first, "samples": len(x), **kept}


def spiking_on_board(program: Program, x: FloatArray, board: Board) -> Row:
    """Bytes and instructions of a sample; not one spike may differ."""
    with CortexM(board).load(program) as session, Reference().load(program) as ours:
        got, want = session.run(x), ours.run(x)
        for name, spikes in want.spikes.items():
            assert np.array_equal(got.spikes[name], spikes), name
        return {
            "flash": session.image.flash,
            "ram": session.image.ram,
            "instructions": [int(each) for each in session.instructions],
            "spikes": float(sum(c.sum() for c in want.counts.values()) / len(x)),
        }


def ann_on_board(network: Network, x: FloatArray, board: Board) -> Row:
    """Likewise; not one code may differ. Instructions sample by sample and layer."""
    with AnnOnBoard(network, board) as session:
        for got, want in zip(session.run(x), network.run(x)):
            assert np.array_equal(got, want)
        return {
            "flash": session.image.flash,
            "ram": session.image.ram,
            "instructions": session.instructions,
            "macs": network.macs,
        }


def generated(program: Program) -> float:
    """s of this process that writing the C takes."""
    start = time.process_time()
    Source(program).file("network.c")
    return time.process_time() - start


def speed(case: Case, program: Program, task: Task) -> Row:
    """ms a step of one sample on one core, `c` beside `reference`, in turns."""
    timed = Timed(case.name, program, np.asarray(task.test(4).x[:], np.float64))
    common = {"case": timed, "samples": 1, "steps": program.timing.steps, "cpus": 1}
    jobs = [Job(target=name, **common) for name in ("reference", "c")]
    before = os.getloadavg()[0]
    ours, c = measure(jobs, ROUNDS, TURN, LIMIT)
    assert c.equal
    found = {r.target: {"ms": r.ms, "turns_ms": list(r.turns_ms)} for r in (ours, c)}
    return {"time": {**found, "load_average": [before, os.getloadavg()[0]]}}


if __name__ == "__main__":
    main()
