"""The results of ``paper.py`` as tables: mean ± standard deviation over the seeds.

Run: python benchmarks/paper_table.py
Writes benchmarks/results/paper.md; its first table is also README's.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent / "results"
NAMES = {
    ("ours", "trivial"): "constant answer",
    ("ours", "ann"): "ANN",
    ("ours", "converted"): "converted",
    ("ours", "hybrid"): "**hybrid, loihi semantics**",
    ("paper", "ann"): "ANN, paper's recipe",
    ("paper", "converted"): "converted, paper's recipe",
    ("paper", "hybrid"): "hybrid, float semantics, paper's recipe",
}
SUMMED = {
    "trivial": "float",
    "ann": "float",
    "converted": "integers",
    "hybrid": "integers",
}  # network → which of its scores the summary shows
COLUMNS = (
    "steps | float | 8-bit integers | mean rate | spikes per neuron and step | spikes "
    "| synaptic operations"
)  # of ``cells``
TITLES = {
    "faces": "Faces, random split",
    "faces-blocks": "Faces, split by blocks of 20 names",
    "airplanes": "Airplanes",
    "hippocampus": "Hippocampus",
}
Results = dict[str, list[dict[str, Any]]]
"""Part → one result a seed."""


def main() -> None:
    text = document()
    (FOLDER / "paper.md").write_text(text)
    print(text)


def document() -> str:
    """The summary, then the tables of each task."""
    found = {task: results(task) for task in TITLES}
    sections = [section(TITLES[task], each) for task, each in found.items() if each]
    return "\n".join(["### Summary", "", *summary(found), "", *sections])


def summary(found: dict[str, Results]) -> list[str]:
    """A row for each task: the networks at the steps they were trained for."""
    lines = [
        "| task | seeds | test samples | constant | ANN | converted | **hybrid** "
        "| steps | mean rate |",
        "|---" * 9 + "|",
    ]
    for task, parts in found.items():
        each = parts.get("ours", [])
        if not each:
            continue
        rows = [result["rows"] for result in each]
        metric = next(name for name in rows[0]["ann"]["float"] if name != "score")
        scores = [
            spread([row[name][kind]["score"] for row in rows], 3)
            for name, kind in SUMMED.items()
        ]
        hybrids = [row["hybrid"]["integers"] for row in rows]
        counts = sorted({result["test_samples"] for result in each})
        shown = [
            f"{TITLES[task]}, {metric}",
            " ".join(str(result["seed"]) for result in each),
            " to ".join(map(str, dict.fromkeys((counts[0], counts[-1])))),
            *scores[:-1],
            f"**{scores[-1]}**",
            str(hybrids[0]["steps"]),
            f"{np.mean([hybrid['hz'] for hybrid in hybrids]):.0f} Hz",
        ]
        lines.append(f"| {' | '.join(shown)} |")
    return lines


def results(task: str, folder: Path = FOLDER / "paper") -> Results:
    """What was measured of a task, in the order of the seeds."""
    found: Results = defaultdict(list)
    for path in sorted(folder.glob(f"{task}-[0-9]*-*.json")):
        result = json.loads(path.read_text())
        found[result["part"]].append(result)
    return dict(found)


def section(title: str, found: Results) -> str:
    """A task's two tables: at the steps it was trained for, and at others."""
    metrics = found["ours"][0]["rows"]["ann"]["float"]
    first, *others = [name for name in metrics if name != "score"]
    also = f"; in brackets: {others[0]}" if others else ""
    seeds = {part: [r["seed"] for r in each] for part, each in found.items()}
    lines = [
        f"### {title}",
        "",
        f"{first}{also}. Seeds: "
        + ", ".join(f"{part} {' '.join(map(str, s))}" for part, s in seeds.items())
        + ".",
        "",
        f"| network | {COLUMNS} |",
        "|---" * 8 + "|",
    ]
    for (part, name), words in NAMES.items():
        rows = [result["rows"][name] for result in found.get(part, ())]
        if rows:
            lines.append(f"| {words} | {' | '.join(cells(rows, others[:1]))} |")
    return "\n".join([*lines, "", *curve(found), "", *budgets(found, others[:1])])


def cells(rows: Sequence[dict[str, Any]], others: Sequence[str]) -> list[str]:
    """Steps, scores and activity of one network, over the seeds."""

    def of(kind: str, figure: str) -> list[float]:
        return [row[kind][figure] for row in rows if kind in row]

    def scored(kind: str) -> str:
        if not of(kind, "score"):
            return ""
        more = "".join(f" ({spread(of(kind, name), 3)})" for name in others)
        return spread(of(kind, "score"), 3) + more

    steps = {row["integers"]["steps"] for row in rows if "integers" in row}
    shown = [" ".join(map(str, sorted(steps))), scored("float"), scored("integers")]
    if not steps:
        return [*shown, "", "", "", ""]
    return [
        *shown,
        f"{spread(of('integers', 'hz'), 1)} Hz",
        spread(of("integers", "spikes_per_neuron_and_step"), 4),
        f"{np.mean(of('integers', 'spikes')) / 1e3:.1f} k",
        f"{np.mean(of('integers', 'synops')) / 1e6:.2f} M",
    ]


def curve(found: Results) -> list[str]:
    """Score and mean rate of the integers at every number of steps."""
    networks = {
        NAMES[part, name]: [result["rows"][name]["curve"] for result in found[part]]
        for part, name in NAMES
        if part in found and name in ("converted", "hybrid")
    }
    steps = sorted({int(n) for curves in networks.values() for c in curves for n in c})
    lines = ["| steps | " + " | ".join(map(str, steps)) + " |"]
    lines.append("|---" * (len(steps) + 1) + "|")
    for name, curves in networks.items():
        shown = []
        for n in map(str, steps):
            each = [c[n] for c in curves if n in c]
            scores, rates = ([e[f] for e in each] for f in ("score", "hz"))
            text = f"{spread(scores, 3)}, {np.mean(rates):.0f} Hz" if each else ""
            shown.append(text)
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    return lines


def budgets(found: Results, others: Sequence[str]) -> list[str]:
    """Hybrid networks that were fine-tuned to fire less, of the same seeds."""
    if "budgets" not in found:
        return []
    lines = [f"| hybrid, allowed | seed | {COLUMNS} |", "|---" * 9 + "|"]
    for result in found["budgets"]:
        seed = result["seed"]
        own = next(r for r in found["ours"] if r["seed"] == seed)
        allowed = f"{own['hybrid_choices']['max_rate_hz']:g} Hz"
        rows = {allowed: own["rows"]["hybrid"], **result["rows"]}
        for hz, row in rows.items():
            lines.append(f"| {hz} | {seed} | {' | '.join(cells([row], others))} |")
    return [*lines, ""]


def spread(values: Sequence[float], digits: int) -> str:
    """Mean, and ± the standard deviation where there are several."""
    mean = f"{np.mean(values):.{digits}f}"
    if len(values) < 2:
        return mean
    return f"{mean} ± {np.std(values, ddof=1):.{digits}f}"


if __name__ == "__main__":
    main()
