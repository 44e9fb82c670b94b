"""A picture of the first difference: one neuron's membrane on two targets."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ...toolchain.verdict.compare import Difference
from ...toolchain.verdict.history import History
from .picture import GRID, INK, PREDICTED, TRUE, blank_figure, picture_kind
from .report import write_files

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def save_divergence(
    path: str | Path, first: Difference, histories: Mapping[str, History]
) -> None:
    """Write a picture as PNG, SVG or PDF, by the suffix of ``path``.

    Above, the membrane potential of the neuron against its threshold, with the spikes
    that each target recorded; below, what arrived at it.

    Args:
        path: where to.
        first: the difference.
        histories: target → the neuron around that step, two of them.

    Raises:
        DataError: another suffix, or the file cannot be written.
    """
    kind = picture_kind(path)
    content = io.BytesIO()
    with blank_figure() as figure:
        figure.set_size_inches(8, 5)
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        _draw_membrane(above, histories)
        _draw_input(below, histories)
        for axis in (above, below):
            axis.axvspan(first.step - 0.5, first.step + 0.5, color=GRID, zorder=0)
            axis.spines[["top", "right"]].set_visible(False)
        figure.suptitle(f"first difference: {first}", fontsize=9)
        figure.savefig(content, format=kind, dpi=150)
    write_files({Path(path): content.getvalue()})


def _draw_membrane(axis: Axes, histories: Mapping[str, History]) -> None:
    for (target, history), colour, width in zip(
        histories.items(), (TRUE, PREDICTED), (4, 1.6)
    ):
        axis.plot(
            history.step, history.v, color=colour, lw=width, marker="o", label=target
        )
        spikes = history.spikes != 0
        axis.plot(
            history.step[spikes],
            history.v[spikes],
            color=colour,
            ls="",
            marker="^",
            ms=6 + 2 * width,
            label=f"spike of {target}",
        )
    axis.axhline(history.threshold, color=INK, lw=0.8, ls="--", label="threshold")
    axis.set_ylabel("membrane potential v")
    axis.legend(frameon=False)


def _draw_input(axis: Axes, histories: Mapping[str, History]) -> None:
    for (_, history), colour, width in zip(
        histories.items(), (TRUE, PREDICTED), (4, 1.6)
    ):
        axis.step(history.step, history.q, where="mid", color=colour, lw=width)
    axis.set_ylabel("input q")
    axis.set_xlabel("step")
