"""Random crops, flips and light for training, drawn anew for each epoch and picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .boxes import FloatArray
from .pictures import ImageArray

MARGIN = 0.25  # of a side: how far the edge pixels are continued around a picture
FINENESS = 2  # training pictures are kept this much finer than the network's input
ZOOM = 0.25  # largest |ln| of the magnification
STRETCH = 0.1  # largest |ln| of one side's magnification against the other's
CONTRAST = 0.4  # largest |ln| of the contrast
BRIGHTNESS = 0.15  # largest change of brightness, pictures being 0 … 1

WHOLE = np.array([0.0, 0.0, 1.0, 1.0])
MIDDLE = [0.3, 0.3, 0.7, 0.7]  # what stays in sight, fractions of a slice


def widen(images: ImageArray) -> ImageArray:
    """Pictures with a margin of continued edge pixels, (n, height, width, channels)."""
    rows, columns = (round(side * MARGIN) for side in images.shape[1:3])
    pad = ((0, 0), (rows, rows), (columns, columns), (0, 0))
    return np.pad(images, pad, mode="edge")


def with_boxes(
    widened: ImageArray,
    boxes: FloatArray,
    rng: np.random.Generator,
    *,
    size: tuple[int, int],
    crops: float = 1.0,
) -> tuple[ImageArray, ImageArray]:
    """``widen``ed pictures cut, flipped and lit at random, and the boxes in them.

    Args:
        crops: how far the windows are from the whole picture: 0 not at all, 1 as far
            as ``windows`` draws them. Where objects lie much alike, as a network may
            well learn, large crops take that from it.

    Returns:
        pictures (n, height, width, channels) and boxes (n, 4), float32.
    """
    window, flips = windows(boxes, rng)
    window = WHOLE + crops * (window - WHOLE)
    seen = cut(widened, window, flips, size)
    found = seen_through(boxes, window, flips)
    return relight(seen, rng), found.astype(np.float32)


def with_masks(
    widened: ImageArray, rng: np.random.Generator, *, size: tuple[int, int]
) -> tuple[ImageArray, ImageArray]:
    """Slices shifted, zoomed and mirrored along their first axis, light changed.

    The first axis of a volume is the one from left to right, of which a body has both
    sides; the others it has once.

    Args:
        widened: slices, their mask as last channel.

    Returns:
        slices (n, height, width, channels − 1) and masks (n, height, width, 1).
    """
    window, mirrored = windows(np.tile(MIDDLE, (len(widened), 1)), rng)
    seen = cut(widened, window, np.zeros(len(widened), bool), size)
    seen[mirrored] = seen[mirrored, ::-1]
    masks = (seen[..., -1:] > 0.5).astype(np.float32)
    return relight(seen[..., :-1], rng), masks


def windows(
    boxes: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """A window to cut from each picture, its object inside, and whether to flip it.

    Args:
        boxes: (n, 4), fractions of the picture.

    Returns:
        windows: (n, 4), x_min, y_min, x_max, y_max as fractions of the picture; they
            reach beyond it, at most ``MARGIN`` on each side.
        flips: (n,), left for right.
    """
    count = len(boxes)
    zoom = rng.uniform(-ZOOM, ZOOM, (count, 1))
    stretch = rng.uniform(-STRETCH, STRETCH, (count, 1)) * [0.5, -0.5]
    sides = np.exp(-zoom + stretch)  # of the window, in pictures
    sides = np.clip(sides, boxes[:, 2:] - boxes[:, :2], 1 + MARGIN)
    lowest = np.maximum(boxes[:, 2:] - sides, -MARGIN)
    highest = np.minimum(boxes[:, :2], 1 + MARGIN - sides)
    low = lowest + rng.random((count, 2)) * np.maximum(highest - lowest, 0)
    return np.concatenate([low, low + sides], axis=1), rng.random(count) < 0.5


def seen_through(
    boxes: FloatArray, window: FloatArray, flips: npt.NDArray[np.bool_]
) -> FloatArray:
    """The boxes as fractions of their windows, flipped with them; (n, 4).

    >>> one = np.array([[0.5, 0.25, 1.0, 0.5]])
    >>> seen_through(one, np.array([[0.0, 0.0, 1.0, 0.5]]), np.array([True])).tolist()
    [[0.0, 0.5, 0.5, 1.0]]
    """
    low, sides = window[:, :2], window[:, 2:] - window[:, :2]
    moved = (boxes - np.tile(low, 2)) / np.tile(sides, 2)
    flipped = moved.copy()
    flipped[:, 0], flipped[:, 2] = 1 - moved[:, 2], 1 - moved[:, 0]
    return np.where(flips[:, None], flipped, moved)


def relight(images: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Random contrast about each picture's mean and random brightness; 0 … 1."""
    shape = (len(images), 1, 1, 1)
    contrast = np.exp(rng.uniform(-CONTRAST, CONTRAST, shape))
    brightness = rng.uniform(-BRIGHTNESS, BRIGHTNESS, shape)
    mean = images.mean((1, 2, 3), keepdims=True)
    return np.clip((images - mean) * contrast + mean + brightness, 0, 1).astype("f4")


def cut(
    widened: ImageArray,
    window: FloatArray,
    flips: npt.NDArray[np.bool_],
    size: tuple[int, int],
) -> ImageArray:
    """The windows of ``widen``ed pictures, resampled to (height, width).

    Bilinear at ``FINENESS`` points a pixel and side, whose mean is the pixel.
    """
    height, width = size
    out = np.empty((len(widened), *size, widened.shape[3]), np.float32)
    for i, picture in enumerate(widened):
        x = _points(window[i, 0], window[i, 2], width, picture.shape[1])
        y = _points(window[i, 1], window[i, 3], height, picture.shape[0])
        rows = _blend(picture, y, 0)
        pixels = _blend(rows, x, 1)
        pixels = pixels.reshape(height, FINENESS, width, FINENESS, -1).mean((1, 3))
        out[i] = pixels[:, ::-1] if flips[i] else pixels
    return out


def _points(low: float, high: float, pixels: int, stored: int) -> FloatArray:
    """Where to sample, in pixel centres of a widened side of ``stored`` pixels."""
    count = pixels * FINENESS
    fraction = low + (high - low) * (np.arange(count) + 0.5) / count
    margin = round(stored * MARGIN / (1 + 2 * MARGIN))
    points: FloatArray = np.clip(
        margin + fraction * (stored - 2 * margin) - 0.5, 0, stored - 1
    )
    return points


def _blend(picture: ImageArray, points: FloatArray, axis: int) -> ImageArray:
    before = np.minimum(points.astype(int), picture.shape[axis] - 2)
    share = (points - before).astype(np.float32)
    share = share[:, None, None] if axis == 0 else share[:, None]
    a, b = picture.take(before, axis), picture.take(before + 1, axis)
    return a + (b - a) * share
