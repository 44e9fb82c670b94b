"""The results of conversion.py as Markdown.

Run: python benchmarks/conversion_table.py
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results"
NAMES = {
    "digits": "digits, 2 convolutions",
    "plain6": "digits, 6 convolutions",
    "plain12": "digits, 12 convolutions",
    "plain20": "digits, 20 convolutions",
    "caltech": "faces or airplanes, 3 convolutions",
    "residual": "digits, residual (ResNet-8)",
    "separable": "digits, depthwise-separable (MobileNet)",
    "locnet": "LocNet, faces",
    "cae": "CAE, hippocampus",
}

Row = dict[str, Any]


def document(rows: list[Row]) -> str:
    """Tables: scores and slopes over the seeds, and every network's scores."""
    return "\n".join(
        [
            "Untrained conversion, 8-bit integers on `reference`, 64 calibration",
            "samples of the training part, all test samples. Mean ± standard deviation",
            f"over the seeds. Written by `benchmarks/conversion.py`. {commits(rows)}",
            *("", *summary(rows)),
            *("", "Slope of the outputs against the ANN's, before a last softmax or"),
            "sigmoid, on test samples / on calibration samples:",
            *("", *slopes(rows, "slope")),
            *("", "The same of what each output deviates from its mean:"),
            *("", *slopes(rows, "slope within")),
            *("", "Each network, with its 95 % interval:", "", *every(rows), ""),
        ]
    )


def brief(rows: list[Row]) -> list[str]:
    """What README shows: mean scores, before and with the default calibration."""
    steps, kinds = ("16", "32", "64", "128"), ("before", "fast")
    words = ("5 ms", "**calibrated**")
    head = [f"{word}, {steps[0]} steps" for word in words]
    head = [head[0], *steps[1:], head[1], *steps[1:]]
    lines = [["network", "seeds", "trivial", "ANN", *head]]
    lines.append(["---"] * len(lines[0]))
    for name in dict.fromkeys(row["network"] for row in rows):
        mine = [row for row in rows if row["network"] == name]
        cells = [
            f"{np.mean([row['converted'][kind][n]['score'][0] for row in mine]):.3f}"
            for kind in kinds
            for n in steps
        ]
        trivial = np.mean([row["trivial"] for row in mine])
        ann = np.mean([row["ANN"][0] for row in mine])
        first = [NAMES.get(name, name), str(len(mine)), f"{trivial:.3f}", f"{ann:.3f}"]
        lines.append([*first, *cells])
    return ["| " + " | ".join(line) + " |" for line in lines]


def commits(rows: list[Row]) -> str:
    """Which commit each conversion was measured with."""
    found: dict[str, set[str]] = {}
    for row in rows:
        for method, converted in row["converted"].items():
            found.setdefault(method, set()).add(converted["commit"])
    each = (f"`{m}`: {', '.join(sorted(names))}" for m, names in found.items())
    return f"Commits: {'; '.join(each)}."


def summary(rows: list[Row]) -> list[str]:
    """Scores, a line for each kind of network and conversion."""
    head = ["test samples", "trivial", "ANN"]

    def beside(mine: list[Row]) -> list[str]:
        samples = sorted({row["test samples"] for row in mine})
        return [
            " to ".join(map(str, (samples[0], samples[-1])[: len(samples)])),
            spread([row["trivial"] for row in mine]),
            spread([row["ANN"][0] for row in mine]),
        ]

    return _lines(
        rows, head, beside, lambda cells: spread(c["score"][0] for c in cells)
    )


def slopes(rows: list[Row], key: str) -> list[str]:
    """Slopes, likewise."""

    def both(cells: list[Row]) -> str:
        parts = ("test", "calibration")
        return " / ".join(
            f"{np.mean([cell[key][part] for cell in cells]):.2f}" for part in parts
        )

    return _lines(rows, [], lambda mine: [], both)


def every(rows: list[Row]) -> list[str]:
    """Scores of each seed's network, with their intervals."""

    def beside(mine: list[Row]) -> list[str]:
        (row,) = mine
        return [
            *(str(row["seed"]), row["metric"], str(row["test samples"])),
            *(f"{row['trivial']:.3f}", interval(row["ANN"])),
        ]

    head = ["seed", "metric", "test samples", "trivial", "ANN"]
    lines: list[str] = []
    for row in rows:
        part = _lines([row], head, beside, lambda cells: interval(cells[0]["score"]))
        lines += part[2:] if lines else part
    return lines


def _lines(
    rows: list[Row],
    head: list[str],
    beside: Callable[[list[Row]], list[str]],
    cell: Callable[[list[Row]], str],
) -> list[str]:
    """A table with a line for each kind of network and conversion, steps across."""
    methods = dict.fromkeys(m for row in rows for m in row["converted"])
    steps = dict.fromkeys(
        s for row in rows for c in row["converted"].values() for s in c if s != "commit"
    )
    lines = [["network", *head, "conversion", *(f"{s} steps" for s in steps)]]
    lines.append(["---"] * len(lines[0]))
    for name in dict.fromkeys(row["network"] for row in rows):
        for method in methods:
            mine = [
                row
                for row in rows
                if row["network"] == name and method in row["converted"]
            ]
            if mine:
                cells = [cell([r["converted"][method][s] for r in mine]) for s in steps]
                lines.append([NAMES.get(name, name), *beside(mine), method, *cells])
    return ["| " + " | ".join(line) + " |" for line in lines]


def spread(values: Iterable[float]) -> str:
    """Mean ± standard deviation; of one value, it."""
    found = list(values)
    if len(found) == 1:
        return f"{found[0]:.3f}"
    return f"{np.mean(found):.3f} ± {np.std(found, ddof=1):.3f}"


def interval(score: list[float | None]) -> str:
    """A score and its 95 % interval, where it has one."""
    value, low, high = score
    return f"{value:.3f}" + ("" if low is None else f" [{low:.3f}, {high:.3f}]")


if __name__ == "__main__":
    rows = json.loads((RESULTS / "conversion.json").read_text())
    (RESULTS / "conversion.md").write_text(document(rows))
