"""Fewer spikes, fewer steps: the settings that ``paper.py`` measures, and their table.

Run: python benchmarks/paper.py --parts fewer ingredients pruned …, then
     python benchmarks/paper_fewer.py
Writes benchmarks/results/paper_fewer.md of what has been measured.

"fewer" are a task's goals; "ingredients" is the first of them with one thing changed at
a time; "pruned" is it with so many synapses pruned. A setting is chosen by validation
samples, from one seed; the test samples are scored once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from paper_table import FOLDER, Results, cells, results, spread

from snn_deploy.toolchain.graph.nodes import FloatArray
from snn_deploy.tuning import Choices

Changes = Mapping[str, Any]
"""Of ``Choices``."""

CHANNELS = {"caltech101-faces": (8, 16, 32)}
"""Folder of the data → a smaller LocNet than ``paper.py``'s, as ``train`` has it."""
SHORT: Changes = {"adapt_epochs": 80, "epochs": 20}
FEWER: Mapping[str, Mapping[str, Changes]] = {
    "digits": {"8 steps": {"steps": 8, "settle": 2}},
    "caltech101-faces": {
        "16 steps": {"steps": 16, "settle": 8, "gradient": "rate", **SHORT},
        "30 Hz": {"max_rate_hz": 30.0, **SHORT},
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
    """The tables of each task of which something has been measured."""
    sections = []
    for task, title in TITLES.items():
        found = {p: each for p, each in results(task).items() if p in PARTS}
        if found:
            lines = [*table(found), *above(found), "", *energies(found)]
            sections.append("\n".join([f"### {title}", "", *lines, ""]))
    return "\n".join(sections)


def named(found: Results) -> dict[str, list[dict[str, Any]]]:
    """Setting → its rows, one a seed, with the seed; the ANN first."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for part in PARTS:
        for result in found.get(part, ()):
            for name, row in result["rows"].items():
                if name != "ann" or part == next(iter(found)):
                    rows.setdefault(name, []).append({"seed": result["seed"], **row})
    return rows


def table(found: Results) -> list[str]:
    """Scores and activity, a row for each setting, over the seeds."""
    lines = [
        "| network | seeds | steps | float | 8-bit integers | mean rate | spikes per "
        "neuron and inference | synaptic operations | synapses | cores |",
        "|---" * 10 + "|",
    ]
    for name, rows in named(found).items():
        seeds = " ".join(str(row["seed"]) for row in rows)
        name = "ANN" if name == "ann" else name
        shown = [name, seeds, *cells(rows, ())[:4], *activity(rows)]
        lines.append(f"| {' | '.join(shown)} |")
    return lines


def activity(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Spikes and synaptic operations of an inference, synapses, cores."""
    integers = [row["integers"] for row in rows if "integers" in row]
    if not integers:
        return [""] * 4
    spikes = [i["spikes_per_neuron_and_step"] * i["steps"] for i in integers]
    costs = [row["cost"] for row in rows if "cost" in row]
    held = [
        f"{np.mean([cost[figure] for cost in costs]):,.0f}" if costs else ""
        for figure in ("synapses", "cores")
    ]
    operations = np.mean([i["synops"] for i in integers])
    return [spread(spikes, 2), f"{operations:,.0f}", *held]


def energies(found: Results) -> list[str]:
    """The network's energy, how many times that of each opponent; over the seeds."""
    priced = {
        name: [row["cost"] for row in rows if "cost" in row]
        for name, rows in named(found).items()
    }
    priced = {name: costs for name, costs in priced.items() if costs}
    if not priced:
        return []
    lines = [f"| energy | {' | '.join(priced)} |", "|---" * (len(priced) + 1) + "|"]
    for what, figure in (
        ("proxy, µJ", "energy_uj"),
        ("of it without a spike, µJ", "silent_uj"),
    ):
        means = (np.mean([c[figure] for c in costs]) for costs in priced.values())
        lines.append(f"| {what} | {' | '.join(f'{m:.3g}' for m in means)} |")
    for opponent in next(iter(priced.values()))[0]["opponents"]:
        times = (beside(opponent, costs) for costs in priced.values())
        lines.append(f"| times {plain(opponent)} | {' | '.join(times)} |")
    return lines


def plain(opponent: str) -> str:
    """Without the bits, which follow from the steps."""
    return opponent.split("-bit ")[-1]


def beside(opponent: str, costs: Sequence[dict[str, Any]]) -> str:
    """How many times the opponent's energy, and what the bands say where not less."""
    found = [
        each
        for cost in costs
        for name, each in cost["opponents"].items()
        if plain(name) == plain(opponent)
    ]
    sides = {each["side"] for each in found}
    said = " (within the bands)" if "either" in sides else ""
    said = " **loses**" if "more" in sides else said
    return f"{np.mean([each['factor'] for each in found]):.3g}{said}"


def above(found: Results) -> list[str]:
    """Boxes beside the constant one, paired over the test pictures of all seeds."""
    each = found.get("fewer", [])
    rows = [row for result in each for row in result["rows"].items()]
    names = dict.fromkeys(name for name, row in rows if "above_constant" in row)
    return ["", *(above_line(name, each) for name in names)] if names else []


def above_line(name: str, each: Sequence[dict[str, Any]]) -> str:
    """Of a setting that all seeds have."""
    paired = [result["rows"][name]["above_constant"] for result in each]
    sizes = np.array([result["test_samples"] for result in each])
    means, spreads = (np.array([p[key] for p in paired]) for key in paired[0])
    mean, error = pooled(sizes, means, spreads)
    return (
        f"- {name}: {mean:+.3f} ± {error:.3f} above the constant box (paired, standard "
        f"error, {sizes.sum()} test pictures); "
        + ", ".join(f"{m:+.3f}" for m in means)
        + " by seed"
    )


def pooled(
    sizes: FloatArray, means: FloatArray, spreads: FloatArray
) -> tuple[float, float]:
    """Mean and its standard error, of groups with these standard deviations."""
    count, mean = sizes.sum(), np.average(means, weights=sizes)
    squares = ((sizes - 1) * spreads**2 + sizes * (means - mean) ** 2).sum()
    return float(mean), float(np.sqrt(squares / (count - 1) / count))


if __name__ == "__main__":
    (FOLDER / "paper_fewer.md").write_text(document())
    print(document())
