"""One picture of a run: samples with answers, one sample's raster, mean rates."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...toolchain.errors import DataError
from ...toolchain.program.host import BoolArray
from ...toolchain.program.recording import Recording
from ...toolchain.visible import visible
from .numbers import energy
from .report import Report, write_files

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROWS = 30  # neurons of a layer in the raster, at most
BAND = 0.86  # share of its band that a layer fills
TRUE, PREDICTED, INK, GRID = "#2f9e44", "#e8590c", "#343a40", "#dee2e6"
STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.parse_math": False,  # names of layers are no formulas
    "svg.hashsalt": "snn-deploy",  # the same picture is the same file
}


class Answers(Protocol):
    """Samples with a network's answers, drawn above the spikes."""

    @property
    def height(self) -> float:
        """inches"""

    def draw(self, figure: Any) -> None:
        """Draw into a matplotlib figure."""


def save_picture(
    path: str | Path,
    recording: Recording,
    sample: int = 0,
    answers: Answers | None = None,
) -> None:
    """Write a picture as PNG, SVG or PDF, by the suffix of ``path``; see ``drawn``.

    Raises:
        DataError: suffix or sample are not as said, or nothing can be written.
    """
    kind = picture_kind(path)
    write_files({Path(path): drawn(recording, sample, answers, kind)})


def picture_kind(path: str | Path) -> str:
    """The kind of picture, "png", "svg" or "pdf", by the suffix of ``path``.

    Raises:
        DataError: it is another.
    """
    kind = Path(path).suffix[1:].lower()
    if kind not in ("png", "svg", "pdf"):
        raise DataError(
            f"Picture {str(path)!r}: allowed endings are .png, .svg and .pdf"
        )
    return kind


def drawn(
    recording: Recording,
    sample: int = 0,
    answers: Answers | None = None,
    kind: str = "png",
    of: Report | None = None,
) -> bytes:
    """The file of a picture.

    Top: samples with the network's answers. Below: which neuron spiked
    when in one sample (where the recording has spikes), and the mean rates over all.
    On top of all, the title of the report ``of`` the run, where there is one.

    Raises:
        DataError: there is no such sample.
    """
    if not 0 <= sample < recording.samples:
        raise DataError(
            f"Picture of sample {sample}: the recording has {recording.samples} samples"
        )
    content = io.BytesIO()
    with blank_figure() as figure:
        _draw(figure, recording, sample, answers)
        if of is not None:
            figure.suptitle(title_of(of), fontsize=11, x=0.01, ha="left")
        metadata = {"Date": None} if kind == "svg" else None
        figure.savefig(content, format=kind, dpi=150, metadata=metadata)
    return content.getvalue()


def title_of(report: Report) -> str:
    """Model and target, score and energy."""
    model = visible(report.provenance.model) if report.provenance else "network"
    words = [f"{model} on {visible(report.target)}"]
    if report.scores:
        score = report.scores[0]
        words.append(f"{visible(score.metric)} {score.value:.3f} ({score.name})")
    found = report.energy.whole or report.energy.total.total
    if found is not None:
        words.append(f"{energy(found.value)} an inference (estimated)")
    return " · ".join(words)


@contextmanager
def blank_figure() -> Iterator[Figure]:
    """A figure in our style, without remarks on letters that no font has."""
    os.environ["MPLBACKEND"] = "agg"  # one that is not there would fail the import
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")
        figure = Figure(layout="constrained")
        FigureCanvasAgg(figure)
        yield figure


def _draw(
    figure: Figure, recording: Recording, sample: int, answers: Answers | None
) -> None:
    names = list(recording.tallies or recording.counts)
    below: Any = figure
    heights = [1.0 + 0.5 * len(names)]  # inches
    if answers is not None:
        heights.insert(0, answers.height)
        above, below = figure.subfigures(2, 1, height_ratios=heights)
        answers.draw(above)
    figure.set_size_inches(11, sum(heights))
    colours = _colours(len(names))
    if recording.spikes:
        raster, bars = below.subplots(1, 2, width_ratios=(3, 1), sharey=True)
        _draw_raster(raster, recording, sample, names, colours)
    else:
        bars = below.subplots(1, 1)
    _draw_rates(bars, recording, names, colours)


def _colours(count: int) -> list[Any]:
    from matplotlib import colormaps

    return list(colormaps["viridis"](np.linspace(0.0, 0.85, max(count, 1))))


def _draw_raster(
    axis: Axes,
    recording: Recording,
    sample: int,
    names: Sequence[str],
    colours: Sequence[Any],
) -> None:
    for band, (name, colour) in enumerate(zip(names, colours)):
        spikes: BoolArray = recording.spikes[name][sample]
        neurons = spikes.shape[1]
        shown = np.unique(np.linspace(0, neurons - 1, min(ROWS, neurons)).astype(int))
        step, row = np.nonzero(spikes[:, shown])
        height = BAND / len(shown)
        bottom = band + (1 - BAND) / 2 + row * height
        time = (step + 0.5) * recording.dt * 1e3
        axis.vlines(time, bottom, bottom + 0.9 * height, colors=colour, lw=1.6)
    axis.set_xlim(0, recording.steps * recording.dt * 1e3)
    axis.set_xlabel(f"time (ms), {recording.steps} steps of {recording.dt * 1e3:g} ms")
    axis.set_title(
        f"spikes of sample {sample}, up to {ROWS} neurons a layer", loc="left"
    )
    _name_bands(axis, recording, names)


def _draw_rates(
    axis: Axes, recording: Recording, names: Sequence[str], colours: Sequence[Any]
) -> None:
    rates = [
        recording.tally(name).sums.mean()
        / (recording.samples * recording.steps * recording.dt)
        for name in names
    ]
    middle = np.arange(len(names)) + 0.5
    bars = axis.barh(middle, rates, height=0.55, color=list(colours))
    axis.bar_label(bars, [f"{rate:.0f}" for rate in rates], padding=3)
    axis.set_xlim(0, max([*rates, 1e-9]) * 1.2)
    axis.set_xlabel("mean firing rate (Hz)")
    axis.set_title(f"{recording.samples} samples, {recording.kind}", loc="left")
    _name_bands(axis, recording, names)


def _name_bands(axis: Axes, recording: Recording, names: Sequence[str]) -> None:
    """One band of the y axis for each population, the first one on top."""
    labels = [f"{name}\n{recording.tally(name).neurons}" for name in names]
    axis.set_yticks(np.arange(len(names)) + 0.5, labels)
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(len(names), 0)
    for edge in range(1, len(names)):
        axis.axhline(edge, color=GRID, lw=0.6, zorder=0)
    axis.spines[["top", "right", "left"]].set_visible(False)
