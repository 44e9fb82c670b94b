"""The figure of ``speed.py``: ratios, and how time grows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

COLOURS = {
    "reference": "#1b7837",
    "loihi-emulator": "#2166ac",
    "lava": "#b2182b",
    "lava Sparse": "#b2182b",
    "nengo-dl": "#e08214",
}


def draw(found: Mapping[str, Any], path: Path) -> None:
    """Bars for the ratios; lines for neurons, activity, steps and samples."""
    figure = plt.figure(figsize=(11, 7.5), layout="constrained")
    grid = figure.add_gridspec(2, 6)
    places = list(dict.fromkeys(row["place"] for row in found["ratios"]))
    above = (grid[0, :3], grid[0, 3:])
    for place, where in zip(places, above):
        rows = [row for row in found["ratios"] if row["place"] == place]
        bars(figure.add_subplot(where), rows, place)
    below = (grid[1, :2], grid[1, 2:4], grid[1, 4:])
    lines(
        figure.add_subplot(below[0]), found["series"], "neurons", "ms a step and sample"
    )
    if "activity" in found["series"]:
        axes = figure.add_subplot(below[1])
        lines(axes, found["series"], "activity", "ms a step and sample")
        axes.set_xlabel("spikes a neuron and step (10⁴ neurons)")
        growth(figure.add_subplot(below[2]), found["series"])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def bars(axes: Axes, rows: list[Mapping[str, Any]], title: str) -> None:
    """How many times as fast as each other target, for each network."""
    names = ("loihi-emulator", "lava", "nengo-dl")
    for i, name in enumerate(names):
        height = [row[name] or 0 for row in rows]
        at = [x + 0.27 * (i - 1) for x in range(len(rows))]
        drawn = axes.bar(at, height, 0.25, color=COLOURS[name], label=name)
        axes.bar_label(drawn, [f"{h:.0f}" if h else "" for h in height], fontsize=8)
    axes.set_yscale("log")
    axes.set_ylim(1, 3000)
    labels = [f"{r['network']}\n{100 * r['activity']:.1f} %" for r in rows]
    axes.set_xticks(range(len(rows)), labels, fontsize=7)
    axes.set_title(f"reference is … times as fast: {title}", fontsize=10)
    axes.legend(fontsize=8, loc="upper right", ncols=3)


def lines(axes: Axes, series: Mapping[str, Any], name: str, label: str) -> None:
    """Time of each target."""
    rows = [row for row in series[name] if row["ms"]]
    for target in dict.fromkeys(row["target"] for row in rows):
        points = [(row[name], row["ms"]) for row in rows if row["target"] == target]
        axes.loglog(*zip(*points), "o-", ms=4, color=COLOURS[target], label=target)
    axes.set_xlabel(name)
    axes.set_ylabel(label)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def growth(axes: Axes, series: Mapping[str, Any]) -> None:
    """Time of a whole run of the reference over steps and over samples."""
    for name, field, style in (("steps", "steps", "o-"), ("batch", "samples", "s--")):
        rows = series[name]
        times = [row["ms"] * row["steps"] * row["samples"] for row in rows]
        size = [row[field] for row in rows]
        axes.loglog(size, times, style, ms=4, color=COLOURS["reference"], label=field)
    axes.set_xlabel("steps of 1 sample, one core\nsamples of 64 steps, two cores")
    axes.set_ylabel("ms a run of reference (10⁴ neurons)")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
