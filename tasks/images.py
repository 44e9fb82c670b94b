"""Sample images in a grid, with what is said of each below it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..toolchain.graph.nodes import Array, FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

IMAGES = 8  # at most
WRONG = "#c92a2a"
HEAD, ROW = 0.4, 1.6  # inches

Text = Callable[[int], tuple[str, str]]
"""Sample → what is said of it, and in which colour."""


def grid_height(count: int) -> float:
    """inches, of a grid of so many images."""
    return HEAD + ROW * _rows(count)


def draw_grid(
    figure: Any,
    x: Array,
    text: Text,
    draw: Callable[[Axes, int], None] | None = None,
) -> None:
    """Up to ``IMAGES`` samples side by side.

    Args:
        figure: matplotlib's.
        x: (samples, …): images are shown, anything else is drawn as a line.
        text: what stands below each.
        draw: draws a sample in its own way instead.
    """
    count = min(len(x), IMAGES)
    rows = _rows(count)
    axes = figure.subplots(rows, -(-count // rows))
    for index, axis in enumerate(np.atleast_1d(axes).ravel()):
        axis.set_axis_off()
        if index < count:
            if draw is None:
                draw_sample(axis, x[index])
            else:
                draw(axis, index)
            words, colour = text(index)
            axis.text(
                *(0.5, -0.03, words),
                transform=axis.transAxes,
                ha="center",
                va="top",
                color=colour,
                parse_math=False,
            )


def draw_sample(axis: Axes, sample: Array) -> None:
    """An image, its values from least to most; a series or a vector as a line."""
    if sample.ndim == 4:  # events: (steps, …), all steps at once
        sample = sample.mean(0)
    if sample.ndim == 2 or (sample.ndim == 3 and sample.shape[-1] in (1, 2, 3)):
        axis.imshow(rgb(_stretched(sample)))
    else:
        axis.plot(sample.reshape(-1), lw=0.8)


def rgb(image: Array) -> FloatArray:
    """(height, width) or (…, 1 to 3 channels) → (height, width, 3), 0 … 1."""
    channels = image if image.ndim == 3 else image[..., None]
    if channels.shape[-1] == 2:  # events: on and off
        channels = np.concatenate([channels, np.zeros_like(channels[..., :1])], -1)
    pixels: FloatArray = np.clip(np.broadcast_to(channels, (*image.shape[:2], 3)), 0, 1)
    return pixels


def name_colours(figure: Any, names: Sequence[tuple[str, str]]) -> None:
    """A legend: name, colour."""
    figure.legend(
        [outline((0, 0, 1, 1), colour) for _, colour in names],
        [name for name, _ in names],
        loc="outside upper left",
        ncols=len(names),
        frameon=False,
    )


def outline(corners: Any, colour: str) -> Any:
    """An empty rectangle, x_min, y_min, x_max, y_max."""
    from matplotlib.patches import Rectangle

    x, y, right, bottom = corners
    size = (right - x, bottom - y)
    return Rectangle((x, y), *size, fill=False, ec=colour, lw=1.8)


def _rows(count: int) -> int:
    return 2 if count > IMAGES // 2 else 1


def _stretched(sample: Array) -> FloatArray:
    low, high = float(sample.min()), float(sample.max())
    stretched: FloatArray = (sample - low) / max(high - low, 1e-12)
    return stretched
