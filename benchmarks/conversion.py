"""Untrained conversion to 8-bit integers, at several numbers of steps, three seeds.

    python benchmarks/conversion.py --data FOLDER --work build/conversion [--only NAME]

FOLDER holds the folders caltech101-faces, caltech101-airplanes and msd-hippocampus. The
networks are those of conversion_networks.py. Split, first weights and order of training
follow the seed; 64 samples of the training part calibrate; the test part is scored once
by each conversion and chooses nothing. What is in the work folder is not trained again,
what is in the results is not scored again. Writes benchmarks/results/conversion.json,
a row for each network and seed, and conversion.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from conversion_networks import CASES
from conversion_table import document

from snn_deploy.calibration.statistics import total_statistics
from snn_deploy.deploy import Steps, compile_program
from snn_deploy.model_files import read_model
from snn_deploy.models.training.metadata import find_metadata
from snn_deploy.pipeline.compilation import Settings
from snn_deploy.starting import CALIBRATION_SAMPLES
from snn_deploy.targets.contract import find_target
from snn_deploy.tasks.contract import Examples
from snn_deploy.tasks.task import Task, read_task
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import evaluate
from snn_deploy.toolchain.graph.nodes import FloatArray, Input, Output, Sigmoid, Softmax

RESULTS = Path(__file__).parent / "results"
SEEDS = (0, 1, 2)
STEPS = (16, 32, 64, 128)
METHODS = {
    "before": Settings(tau_syn=0.005, calibrate="none"),
    "fast": Settings(),
    "thorough": Settings(calibrate="thorough", budget=120.0),
}
"""Conversion → its settings, to which the steps come. "before" is what build did by
default in the commit that its results name."""

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Exam:
    """A trained network, its test samples, and some of its training to calibrate on."""

    graph: Graph
    task: Task
    test: Examples
    calibration: FloatArray

    @property
    def samples(self) -> dict[str, FloatArray]:
        """Those of both parts."""
        return {"calibration": self.calibration, "test": self.test.x}


def main() -> None:
    """Train and score what is missing, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="holds every task's")
    parser.add_argument("--work", type=Path, default=Path("build/conversion"))
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    given = parser.parse_args()
    file = RESULTS / "conversion.json"
    rows = json.loads(file.read_text()) if file.exists() else []
    for name in given.only:
        for seed in given.seeds:
            if update(rows, name, seed, given):
                rows.sort(
                    key=lambda row: (list(CASES).index(row["network"]), row["seed"])
                )
                file.write_text(json.dumps(rows, indent=1) + "\n")
                (RESULTS / "conversion.md").write_text(document(rows))


def update(rows: list[Row], name: str, seed: int, given: argparse.Namespace) -> bool:
    """Add what is missing of a network's results; whether anything was."""
    row = next((r for r in rows if (r["network"], r["seed"]) == (name, seed)), None)
    missing = [m for m in given.methods if row is None or m not in row["converted"]]
    if not missing:
        return False
    exam, outputs = examined(name, seed, given)
    if row is None:
        row = {"network": name, "seed": seed, **held_against(exam, outputs["test"])}
        rows.append(row)
    for method in missing:
        settings = METHODS[method]
        row["converted"][method] = {"commit": commit()}
        for steps in STEPS:
            found = scored(exam, replace(settings, steps=steps), outputs)
            row["converted"][method][str(steps)] = found
            print(f"{name}-{seed} {method} {steps}: {json.dumps(found)}", flush=True)
    return True


def examined(
    name: str, seed: int, given: argparse.Namespace
) -> tuple[Exam, dict[str, FloatArray]]:
    """A network, trained where it is not there yet, and the ANN's linear outputs."""
    case, path = CASES[name], given.work / f"{name}-{seed}" / "ann.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    data = case.source(given)
    if find_metadata(path) is None:  # which is written last
        path.unlink(missing_ok=True)
        case.train(data, seed, path)
    model = read_model(path)
    task = read_task(data, model.graph, model.metadata)
    exam = Exam(
        graph=model.graph,
        task=task,
        test=task.test(None),
        calibration=task.calibration(CALIBRATION_SAMPLES),
    )
    linear, _ = divided(model.graph)
    return exam, {part: evaluate(linear, x) for part, x in exam.samples.items()}


def held_against(exam: Exam, outputs: FloatArray) -> Row:
    """The ANN's score and that of the trivial answer, on the test part."""
    _, last = divided(exam.graph)
    constant = exam.task.constant
    assert constant is not None
    scores = {
        score.name: score
        for score in reversed(
            exam.task.scores(exam.test, {"ANN": answers(last, outputs)})
        )
    }
    return {
        "metric": scores["ANN"].metric,
        "test samples": len(exam.test),
        "trivial": scores[constant.name].value,
        "trivial answer": constant.name,
        "ANN": [scores["ANN"].value, scores["ANN"].low, scores["ANN"].high],
        "converted": {},
    }


def scored(exam: Exam, settings: Settings, wanted: Mapping[str, FloatArray]) -> Row:
    """The network, converted with these settings, on all samples.

    "slope" is that of its outputs against the ANN's, in least squares over samples and
    outputs, before a last softmax or sigmoid; "slope within" the same of what each
    output deviates from its own mean. Where outputs differ much, as coordinates of a
    box do, the first is near 1 even if no output follows its sample.
    """
    start = time.process_time()
    program, _ = compile_program(
        exam.graph, exam.calibration, settings, Steps(lambda name, seconds: None)
    )
    compiled = time.process_time() - start
    linear, last = divided(program.decoder.graph)
    program = replace(program, decoder=replace(program.decoder, graph=linear))
    with find_target("reference").load(program) as session:
        recordings = {
            part: session.run(x, record="counts") for part, x in exam.samples.items()
        }
    found = answers(last, recordings["test"].output)
    score = exam.task.scores(exam.test, {"integers": found})[0]
    return {
        "score": [score.value, score.low, score.high],
        "slope": {
            part: slope(recording.output, wanted[part])
            for part, recording in recordings.items()
        },
        "slope within": {
            part: slope(deviating(recording.output), deviating(wanted[part]))
            for part, recording in recordings.items()
        },
        "hz": total_statistics(program, recordings["test"]).mean_rate.hz,
        "compile s": round(compiled, 1),
    }


def divided(graph: Graph) -> tuple[Graph, Graph | None]:
    """A network up to its last softmax or sigmoid, and that alone, if it has one."""
    output = graph.output
    last = graph[output.inputs[0]]
    if not isinstance(last, Sigmoid | Softmax):
        return graph, None
    kept = [node for node in graph.nodes if node not in (last, output)]
    shape = graph.shapes[last.inputs[0]]
    alone = Graph.chain(
        Input("linear", shape=shape), replace(last, inputs=()), Output("answer")
    )
    return Graph((*kept, replace(output, inputs=last.inputs))), alone


def answers(last: Graph | None, outputs: FloatArray) -> FloatArray:
    """Linear outputs as the network's answers."""
    return outputs if last is None else evaluate(last, outputs)


def slope(mine: FloatArray, theirs: FloatArray) -> float:
    """Of the straight line that fits ``mine`` over ``theirs`` best; all of them."""
    x, y = theirs.ravel() - theirs.mean(), mine.ravel() - mine.mean()
    return float(x @ y / (x @ x))


def deviating(outputs: FloatArray) -> FloatArray:
    """Each output less its mean over the samples."""
    return outputs - outputs.mean(axis=0)


def commit() -> str:
    """The last that changed anything but benchmarks, tests and documents."""
    paths = [
        f":(exclude,top){name}" for name in ("benchmarks", "tests", "docs", "*.md")
    ]
    command = ["git", "log", "-1", "--format=%h", "--", ":(top)", *paths]
    folder = Path(__file__).parent
    return subprocess.check_output(command, cwd=folder, text=True).strip()


if __name__ == "__main__":
    main()
