"""Score against steps, before and after calibration; and what ``--steps auto`` takes.

    python benchmarks/conversion_steps.py --data FOLDER --work build/conversion

The networks are those of conversion.py, which trains them first. Steps 8 to 256 of seed
0's networks, with ``--calibrate none`` (synapses of 5 ms, 250 Hz) and ``fast``; of all
seeds the steps that ``auto`` chose on calibration samples, the test score there and at
four times as many. Writes benchmarks/results/conversion_steps.json and .md, and
docs/calibration.png.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
from conversion import SEEDS, Exam, examined
from conversion_networks import CASES
from conversion_table import NAMES
from matplotlib.figure import Figure

from snn_deploy.calibration.conversion.fewest_steps import STEPS
from snn_deploy.deploy import passes_for
from snn_deploy.pipeline.compilation import Compilation, Settings, compiled
from snn_deploy.starting import AUTO_SAMPLES
from snn_deploy.targets.contract import find_target
from snn_deploy.toolchain.graph.nodes import FloatArray
from snn_deploy.toolchain.program.program import Program

RESULTS = Path(__file__).parent / "results"
FIGURE = Path(__file__).parent.parent / "docs" / "calibration.png"
METHODS = {
    "none": Settings(tau_syn=0.005, calibrate="none"),
    "fast": Settings(),
}
LATER = 4  # times as many steps as were chosen

Row = dict[str, Any]


def main() -> None:
    """Score what is missing, and write table and figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/conversion"))
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    given = parser.parse_args()
    file = RESULTS / "conversion_steps.json"
    rows = json.loads(file.read_text()) if file.exists() else []
    for name in given.only:
        for seed in given.seeds:
            for part, found in PARTS.items():
                row = row_of(rows, name, seed)
                if part in row or (part == "curves" and seed != SEEDS[0]):
                    continue
                exam, _ = examined(name, seed, given)
                row[part] = found(exam)
                file.write_text(json.dumps(rows, indent=1) + "\n")
                print(name, seed, part, json.dumps(row[part]), flush=True)
    (RESULTS / "conversion_steps.md").write_text(document(rows))
    draw([row for row in rows if "curves" in row])


def row_of(rows: list[Row], name: str, seed: int) -> Row:
    """That of a network and seed, which is added where it is not there."""
    for row in rows:
        if (row["network"], row["seed"]) == (name, seed):
            return row
    rows.append({"network": name, "seed": seed})
    rows.sort(key=lambda row: (list(CASES).index(row["network"]), row["seed"]))
    return row_of(rows, name, seed)


def auto_of(exam: Exam) -> Row:
    """What ``auto`` chose, from what, and the test scores."""
    start = Compilation(
        graph=exam.graph,
        samples=exam.task.calibration(AUTO_SAMPLES, unlearnt=True),
        settings=Settings(auto_steps=True),
        score=exam.task.judge(AUTO_SAMPLES, unlearnt=True),
    )
    done = compiled(start, passes_for(None))
    assert done.program is not None
    steps = done.program.timing.steps
    later = made(exam, Settings(steps=LATER * steps), exam.calibration)
    return {
        "steps": steps,
        "tried": done.choices[0].instead,
        "score": scored(exam, done.program),
        "later": scored(exam, later),
    }


def curves_of(exam: Exam) -> Row:
    """Calibration → steps → score."""
    return {method: curve_of(exam, settings) for method, settings in METHODS.items()}


def curve_of(exam: Exam, settings: Settings) -> dict[str, float]:
    """Steps → score, calibrated on as few samples as a build takes."""
    return {
        str(steps): scored(
            exam, made(exam, replace(settings, steps=steps), exam.calibration)
        )
        for steps in STEPS
    }


def made(exam: Exam, settings: Settings, samples: FloatArray) -> Program:
    """The network, converted."""
    start = Compilation(graph=exam.graph, samples=samples, settings=settings)
    program = compiled(start, passes_for(None)).program
    assert program is not None
    return program


def scored(exam: Exam, program: Program) -> float:
    """Its score on the test part."""
    with find_target("reference").load(program) as session:
        output = session.run(exam.test.x, record="counts").output
    return exam.task.scores(exam.test, {"integers": output})[0].value


PARTS = {"auto": auto_of, "curves": curves_of}


def document(rows: list[Row]) -> str:
    """The tables."""
    tried = [row for row in rows if "auto" in row]
    lines = [
        "Written by `benchmarks/conversion_steps.py`. Test scores of integers on "
        "`reference`; `auto` saw calibration samples alone. A row is missing where "
        "it has not been run.",
        "",
        "| network | seed | steps `auto` chose | score | at four times as many | "
        "short by |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in tried:
        found = row["auto"]
        lines.append(
            f"| {NAMES[row['network']]} | {row['seed']} | {found['steps']} | "
            f"{found['score']:.3f} | {found['later']:.3f} | {short(found)} |"
        )
    for name in dict.fromkeys(row["network"] for row in tried):
        mine = [row["auto"] for row in tried if row["network"] == name]
        mean = {
            key: sum(each[key] for each in mine) / len(mine)
            for key in ("score", "later")
        }
        lines.append(
            f"| {NAMES[name]} | mean of {len(mine)} | | {mean['score']:.3f} | "
            f"{mean['later']:.3f} | {short(mean)} |"
        )
    head = " | ".join(map(str, STEPS))
    lines += ["", f"| network, seed 0 | calibrated | {head} |"]
    lines.append("| --- " * (2 + len(STEPS)) + "|")
    for row in rows:
        for method, curve in row.get("curves", {}).items():
            cells = " | ".join(f"{curve[str(n)]:.3f}" for n in STEPS)
            name = NAMES[row["network"]]
            lines.append(f"| {name} | {method} | {cells} |")
    return "\n".join(lines) + "\n"


def short(found: Row) -> str:
    """How far the score is below that at more steps, of that."""
    return f"{max(1 - found['score'] / found['later'], 0):.1%}"


def draw(rows: list[Row]) -> None:
    """Score against steps, a panel for each network."""
    mpl.rcParams.update({"font.size": 8, "axes.spines.top": False})
    mpl.rcParams.update({"axes.spines.right": False})
    across = min(len(rows), 3)
    down = -(-len(rows) // across)
    figure = Figure(figsize=(2.7 * across, 2.0 * down), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False, sharex=True)
    for axis in axes.flat[len(rows) :]:
        axis.set_axis_off()
    for axis, row in zip(axes.flat, rows):
        for method, curve in row["curves"].items():
            line = axis.plot(STEPS, [curve[str(n)] for n in STEPS], "o-", ms=2.5)
            line[0].set_label(f"calibrate {method}")
        axis.set_xscale("log", base=2)
        axis.set_title(NAMES[row["network"]], fontsize=7)
        axis.set_ylim(0, 1.02)
    axes.flat[0].legend(frameon=False)
    figure.supxlabel("steps")
    figure.supylabel("test score")
    figure.savefig(FIGURE, dpi=110)


if __name__ == "__main__":
    main()
