"""Pictures of what ``paper.py`` measured: answers side by side, and curves.

Run: python benchmarks/paper_figures.py --work build/paper
Writes docs/paper_masks.png, docs/paper_boxes.png and docs/paper_curves.png. The samples
shown are evenly spaced among the test samples that hold an object, not picked.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from paper_table import TITLES, results

from snn_deploy.models.data.boxes import iou
from snn_deploy.models.data.masks import dice

DOCS = Path(__file__).parent.parent / "docs"
ANSWERS = {"ann": "ANN", "converted": "converted", "hybrid": "hybrid"}
COLOURS = {"ann": "#4477aa", "converted": "#cc6677", "hybrid": "#228833"}
TRUTH = "#ddaa33"
LEVELS = {"ann": ("ANN", "--"), "trivial": ("constant answer", ":")}  # no spikes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/paper"))
    given = parser.parse_args()
    mpl.rcParams.update({"font.size": 9, "axes.spines.top": False})
    mpl.rcParams.update({"axes.spines.right": False})
    for name, task, draw in (
        ("paper_masks", "hippocampus-0", masks),
        ("paper_boxes", "airplanes-0", boxes),
    ):
        answers = given.work / task / "hybrid.npz"
        if answers.exists():
            with np.load(answers) as found:
                save(draw(dict(found)), name)
    save(curves(), "paper_curves")


def save(figure: Figure, name: str) -> None:
    figure.savefig(DOCS / f"{name}.png", dpi=110)
    print(DOCS / f"{name}.png")


def spaced(holds: Any, count: int) -> Any:
    """So many indices, evenly spaced among those where ``holds``."""
    there = np.flatnonzero(holds)
    return there[np.linspace(0, len(there) - 1, count).round().astype(int)]


def masks(found: dict[str, Any], rows: int = 4) -> Figure:
    """Input, truth, and each network's mask with its Dice: the paper's figure 3."""
    truth = found["truth"]
    figure = Figure(figsize=(7.5, 1.35 * rows + 0.3), layout="constrained")
    axes = figure.subplots(rows, 2 + len(ANSWERS))
    for number, index in enumerate(spaced(truth.any((1, 2, 3)), rows)):
        shown = {"input": found["images"][index], "truth": truth[index]}
        shown |= {words: found[name][index] > 0.5 for name, words in ANSWERS.items()}
        for axis, (words, picture) in zip(axes[number], shown.items()):
            axis.imshow(picture[..., 0], cmap="gray")
            axis.set(xticks=[], yticks=[])
            if number == 0:
                axis.set_title(words)
            if words in ANSWERS.values():
                axis.set_xlabel(f"Dice {dice(picture, truth[index]):.2f}", labelpad=2)
    return figure


def boxes(found: dict[str, Any], count: int = 8) -> Figure:
    """Pictures with the true box and each network's."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    holds = np.ones(len(found["truth"]), bool)
    for axis, index in zip(figure.subplots(2, count // 2).flat, spaced(holds, count)):
        height, width = found["images"].shape[1:3]
        axis.imshow(found["images"][index], extent=(0, width, height, 0))
        axis.set(xticks=[], yticks=[])
        truth = found["truth"][index]
        outline(axis, truth, TRUTH, (width, height))
        scores = []
        for name in ANSWERS:
            outline(axis, found[name][index], COLOURS[name], (width, height))
            scores.append(f"{iou(found[name][index], truth):.2f}")
        axis.set_xlabel("IoU " + " · ".join(scores), labelpad=2)
    lines = {"truth": TRUTH, **{ANSWERS[n]: COLOURS[n] for n in ANSWERS}}
    marks = [Rectangle((0, 0), 1, 1, fill=False, ec=c) for c in lines.values()]
    figure.legend(
        marks, lines, loc="outside upper center", ncols=len(lines), frameon=False
    )
    return figure


def outline(axis: Axes, box: Any, colour: str, size: tuple[int, int]) -> None:
    x, y, right, bottom = box * np.tile(size, 2)
    axis.add_patch(
        Rectangle((x, y), right - x, bottom - y, fill=False, ec=colour, lw=1.5)
    )


def curves() -> Figure:
    """Score of the integers against steps, and of hybrids against their mean rate."""
    tasks = [task for task in TITLES if "ours" in results(task)]
    figure = Figure(figsize=(2.6 * len(tasks) + 0.4, 4.6), layout="constrained")
    axes = figure.subplots(2, len(tasks), squeeze=False)
    for (above, below), task in zip(axes.T, tasks):
        found = results(task)["ours"]
        for name in ("converted", "hybrid"):
            each = [result["rows"][name]["curve"] for result in found]
            steps = sorted(set.intersection(*(set(map(int, c)) for c in each)))
            scores = np.array([[c[str(n)]["score"] for n in steps] for c in each])
            draw(above, steps, scores, name)
            rows = [result["rows"][name]["integers"] for result in found]
            if name == "hybrid":
                for result in results(task).get("budgets", ()):
                    rows += [row["integers"] for row in result["rows"].values()]
            dots = np.array([(row["hz"], row["score"]) for row in rows])
            below.plot(*dots.T, "o", ms=4, color=COLOURS[name], label=ANSWERS[name])
        for axis in (above, below):
            for name, (words, style) in LEVELS.items():
                level = np.mean([r["rows"][name]["float"]["score"] for r in found])
                axis.axhline(level, ls=style, color="#777777", lw=1, label=words)
            axis.set_ylim(-0.02, 1)
        above.set(title=TITLES[task].replace(", ", "\n"), xscale="log", xlabel="steps")
        above.set_xticks(steps, [str(n) for n in steps])
        above.minorticks_off()
        below.set(xlabel="mean firing rate, Hz", xlim=(0, None))
    for axis in axes[:, 0]:
        axis.set_ylabel("score")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=len(labels), frameon=False
    )
    return figure


def draw(axis: Axes, x: Any, scores: Any, name: str) -> None:
    """The mean over the seeds, and from the lowest to the highest."""
    axis.plot(x, scores.mean(0), "o-", ms=3, color=COLOURS[name], label=ANSWERS[name])
    axis.fill_between(x, scores.min(0), scores.max(0), color=COLOURS[name], alpha=0.2)


if __name__ == "__main__":
    main()
