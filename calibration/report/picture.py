"""One picture of a run: sample images with answers, one sample's raster, mean rates."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...toolchain.errors import DataError
from ...toolchain.graph.nodes import FloatArray
from ...toolchain.program.host import BoolArray
from ...toolchain.program.recording import Recording
from .report import write_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

IMAGES = 8  # at most
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
    "svg.hashsalt": "snn-deploy",  # the same picture is the same file
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Boxes:
    """Sample images with the boxes found in them.

    Boxes are (images, 4): x_min, y_min, x_max, y_max as shares of width and height.
    """

    images: FloatArray  # (images, height, width) or (…, 1 or 3 channels), 0 … 1
    true: FloatArray
    predicted: FloatArray
    iou: FloatArray  # (images,)


@dataclass(frozen=True, eq=False, kw_only=True)
class Masks:
    """Sample images with the masks found in them; True where the object is."""

    images: FloatArray  # as in Boxes
    true: BoolArray  # (images, height, width) or (…, 1)
    predicted: BoolArray
    dice: FloatArray  # (images,)


Answers = Boxes | Masks


def save_picture(
    path: str | Path,
    recording: Recording,
    sample: int = 0,
    answers: Answers | None = None,
) -> None:
    """Write a picture as PNG, SVG or PDF, by the suffix of ``path``.

    Top: up to eight images with true and predicted boxes, or beside them the same with
    the true and the predicted mask. Below: which neuron spiked
    when in one sample (where the recording has spikes), and the mean rates over all.

    Raises:
        DataError: suffix, sample or answers are not as said, or nothing can be written.
    """
    kind = Path(path).suffix[1:].lower()
    if kind not in ("png", "svg", "pdf"):
        raise DataError(
            f"Picture {str(path)!r}: allowed endings are .png, .svg and .pdf"
        )
    if not 0 <= sample < recording.samples:
        raise DataError(
            f"Picture of sample {sample}: the recording has {recording.samples} samples"
        )
    if answers is not None:
        parts = answers.true, answers.predicted, _scores(answers)
        sizes = {len(part) for part in parts}
        if sizes != {len(answers.images)}:
            raise DataError(
                f"Picture of {len(answers.images)} images: answers and scores are of "
                f"{sorted(sizes)}; one of each for every image is needed"
            )
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    content = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure = Figure(layout="constrained")
        FigureCanvasAgg(figure)
        _draw(figure, recording, sample, answers)
        metadata = {"Date": None} if kind == "svg" else None
        figure.savefig(content, format=kind, dpi=150, metadata=metadata)
    write_file(path, content.getvalue())


def _draw(
    figure: Figure, recording: Recording, sample: int, answers: Answers | None
) -> None:
    names = list(recording.counts)
    below: Any = figure
    heights = [1.0 + 0.5 * len(names)]  # inches
    if answers is not None and len(answers.images):
        heights.insert(0, 0.4 + 1.6 * (2 if len(answers.images) > IMAGES // 2 else 1))
        above, below = figure.subfigures(2, 1, height_ratios=heights)
        _draw_images(above, answers)
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


def _scores(answers: Answers) -> FloatArray:
    return answers.iou if isinstance(answers, Boxes) else answers.dice


def _draw_images(figure: Any, answers: Answers) -> None:
    count = min(len(answers.images), IMAGES)
    rows = 2 if count > IMAGES // 2 else 1
    what, score = ("box", "IoU") if isinstance(answers, Boxes) else ("mask", "Dice")
    axes = figure.subplots(rows, -(-count // rows))
    for index, axis in enumerate(np.atleast_1d(axes).ravel()):
        axis.set_axis_off()
        if index < count:
            _draw_image(axis, answers, index)
            text = f"{score} {_scores(answers)[index]:.2f}"
            if not (np.any(answers.true[index]) or np.any(answers.predicted[index])):
                text = f"no {what}, and none found"
            axis.text(0.5, -0.03, text, transform=axis.transAxes, ha="center", va="top")
    figure.legend(
        [_outline((0, 0, 1, 1), colour) for colour in (TRUE, PREDICTED)],
        (f"true {what}", f"predicted {what}"),
        loc="outside upper left",
        ncols=2,
        frameon=False,
    )


def _draw_image(axis: Axes, answers: Answers, index: int) -> None:
    picture = _rgb(answers.images[index])
    height, width = picture.shape[:2]
    if isinstance(answers, Masks):
        pairs = ((answers.true, TRUE), (answers.predicted, PREDICTED))
        tinted = [_tinted(picture, mask[index], colour) for mask, colour in pairs]
        axis.imshow(np.concatenate([picture, *tinted], axis=1))
        return
    axis.imshow(picture, extent=(0, width, height, 0))
    for box, colour in ((answers.true, TRUE), (answers.predicted, PREDICTED)):
        corners = box[index] * (width, height, width, height)
        axis.add_patch(_outline(corners, colour))


def _rgb(image: FloatArray) -> FloatArray:
    """(height, width) or (…, 1 or 3 channels) → (height, width, 3), 0 … 1."""
    channels = image if image.ndim == 3 else image[..., None]
    pixels: FloatArray = np.clip(np.broadcast_to(channels, (*image.shape[:2], 3)), 0, 1)
    return pixels


def _tinted(picture: FloatArray, mask: BoolArray, colour: str) -> FloatArray:
    """The picture, half of its light the colour's where the mask is."""
    from matplotlib.colors import to_rgb

    where = mask.reshape(*picture.shape[:2], 1)
    tinted: FloatArray = np.where(where, (picture + to_rgb(colour)) / 2, picture)
    return tinted


def _outline(corners: Any, colour: str) -> Any:
    from matplotlib.patches import Rectangle

    x, y, right, bottom = corners
    size = (right - x, bottom - y)
    return Rectangle((x, y), *size, fill=False, ec=colour, lw=1.8)


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
        float(recording.counts[name].mean()) / (recording.steps * recording.dt)
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
    labels = [f"{name}\n{recording.counts[name].shape[1]}" for name in names]
    axis.set_yticks(np.arange(len(names)) + 0.5, labels)
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(len(names), 0)
    for edge in range(1, len(names)):
        axis.axhline(edge, color=GRID, lw=0.6, zorder=0)
    axis.spines[["top", "right", "left"]].set_visible(False)
