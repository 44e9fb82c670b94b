"""Fewer spikes, fewer steps: the settings that ``paper.py`` measures, and their table.

Run: python benchmarks/paper.py --parts fewer ingredients pruned …, then
     python benchmarks/paper_fewer.py
Writes benchmarks/results/paper_fewer.md of what has been measured.

"fewer" are a task's goals; "ingredients" is the first of them with one thing changed at
a time; "pruned" is it with so many synapses pruned. A setting is chosen by validation
samples, from one seed; the test samples are scored once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from paper_table import COLUMNS, FOLDER, Results, cells, results

from snn_deploy.tuning import Choices

Changes = Mapping[str, Any]
"""Of ``Choices``."""

FEWER: Mapping[str, Mapping[str, Changes]] = {
    "digits": {"8 steps": {"steps": 8, "settle": 2}},
    "caltech101-faces": {
        "16 steps": {"steps": 16, "settle": 8},
        "30 Hz": {"max_rate_hz": 30.0},
    },
    "caltech101-airplanes": {"15 Hz": {"max_rate_hz": 15.0}},
    "msd-hippocampus": {"32 steps, 40 Hz": {"steps": 32, "max_rate_hz": 40.0}},
}
"""Folder of the data → the goals."""
INGREDIENTS: Mapping[str, Changes] = {
    "gradient through the mean currents": {"gradient": "rate"},
    "no averaged weights": {"averaging": 0.0},
    "spikes shared by worth": {"shares": "worth"},
    "taught by the ANN": {"teacher": "ann"},
    "a quarter of the read-out left out": {"settle": None},
}
PRUNED: Mapping[str, Changes] = {
    f"{share:.0%} pruned": {"sparsity": share} for share in (0.5, 0.8)
}
PARTS = ("fewer", "ingredients", "pruned")
TITLES = {
    "digits": "Digits",
    "faces": "Faces, random split",
    "faces-blocks": "Faces, split by blocks",
    "airplanes": "Airplanes",
    "hippocampus": "Hippocampus",
}


def settings(folder: str, part: str, choices: Choices) -> dict[str, Choices]:
    """Name → how a network of this part is fine-tuned."""
    goals = FEWER[folder]
    if part == "fewer":
        return {name: replace(choices, **changes) for name, changes in goals.items()}
    first = replace(choices, **next(iter(goals.values())))
    changed = INGREDIENTS if part == "ingredients" else PRUNED
    return {name: replace(first, **changes) for name, changes in changed.items()}


def document() -> str:
    """A table for each task of which something has been measured."""
    sections = []
    for task, title in TITLES.items():
        found = results(task)
        if any(part in found for part in PARTS):
            sections.append("\n".join([f"### {title}", "", *table(found), ""]))
    return "\n".join(sections)


def table(found: Results) -> list[str]:
    """A row for each setting, over the seeds; the ANN's first."""
    lines = [f"| network | seeds | {COLUMNS} |", "|---" * 9 + "|"]
    for part in PARTS:
        each = found.get(part, [])
        names = dict.fromkeys(name for result in each for name in result["rows"])
        for name in names:
            having = [result for result in each if name in result["rows"]]
            rows = [result["rows"][name] for result in having]
            seeds = " ".join(str(result["seed"]) for result in having)
            lines.append(f"| {name} | {seeds} | {' | '.join(cells(rows, ()))} |")
    return lines


if __name__ == "__main__":
    (FOLDER / "paper_fewer.md").write_text(document())
    print(document())
