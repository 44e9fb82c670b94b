"""One picture of a run: boxes on sample images, a raster of one sample, mean rates."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..toolchain.errors import DataError
from ..toolchain.host import BoolArray
from ..toolchain.nodes import FloatArray
from ..toolchain.recording import Recording
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


def save_picture(
    path: str | Path, recording: Recording, sample: int = 0, boxes: Boxes | None = None
) -> None:
    """Write a picture as PNG, SVG or PDF, by the suffix of ``path``.

    Top: up to eight images with true and predicted boxes. Below: which neuron spiked
    when in one sample (where the recording has spikes), and the mean rates over all.

    Raises:
        DataError: suffix, sample or boxes are not as said, or nothing can be written.
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
    if boxes is not None:
        sizes = {len(part) for part in (boxes.true, boxes.predicted, boxes.iou)}
        if sizes != {len(boxes.images)}:
            raise DataError(
                f"Picture of {len(boxes.images)} images: boxes and IoU are of "
                f"{sorted(sizes)}; one of each for every image is needed"
            )
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    content = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure = Figure(layout="constrained")
        FigureCanvasAgg(figure)
        _draw(figure, recording, sample, boxes)
        metadata = {"Date": None} if kind == "svg" else None
        figure.savefig(content, format=kind, dpi=150, metadata=metadata)
    write_file(path, content.getvalue())


def _draw(
    figure: Figure, recording: Recording, sample: int, boxes: Boxes | None
) -> None:
    names = list(recording.counts)
    below: Any = figure
    heights = [1.0 + 0.5 * len(names)]  # inches
    if boxes is not None and len(boxes.images):
        heights.insert(0, 0.4 + 1.6 * (2 if len(boxes.images) > IMAGES // 2 else 1))
        above, below = figure.subfigures(2, 1, height_ratios=heights)
        _draw_images(above, boxes)
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


def _draw_images(figure: Any, boxes: Boxes) -> None:
    count = min(len(boxes.images), IMAGES)
    rows = 2 if count > IMAGES // 2 else 1
    axes = figure.subplots(rows, -(-count // rows))
    for index, axis in enumerate(np.atleast_1d(axes).ravel()):
        axis.set_axis_off()
        if index < count:
            _draw_image(axis, boxes, index)
    figure.legend(
        [_outline((0, 0, 1, 1), colour) for colour in (TRUE, PREDICTED)],
        ("true box", "predicted box"),
        loc="outside upper left",
        ncols=2,
        frameon=False,
    )


def _draw_image(axis: Axes, boxes: Boxes, index: int) -> None:
    picture = np.clip(boxes.images[index], 0.0, 1.0)
    if picture.shape[-1] == 1:
        picture = picture[..., 0]
    height, width = picture.shape[:2]
    axis.imshow(picture, cmap="gray", vmin=0, vmax=1, extent=(0, width, height, 0))
    for box, colour in ((boxes.true, TRUE), (boxes.predicted, PREDICTED)):
        corners = box[index] * (width, height, width, height)
        axis.add_patch(_outline(corners, colour))
    iou = f"IoU {boxes.iou[index]:.2f}"
    axis.text(0.5, -0.03, iou, transform=axis.transAxes, ha="center", va="top")


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
