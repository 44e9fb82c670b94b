"""Predictions: what the network answered to a few samples, to be looked at."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from ....toolchain.graph.nodes import Array

SHOWN = 8  # samples
VALUES = 10  # outputs of a sample that are kept
SIDE = 128  # pixels of a picture's longer side, at most

Png = str
"""A PNG as base64; empty: there is no picture."""


@dataclass(frozen=True, kw_only=True)
class OutputValue:
    """One output, and what it should be; None: it has no such (a class's output)."""

    name: str
    found: float
    wanted: float | None = None


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One sample and its answer.

    Attributes:
        sample: its name.
        picture: of the sample.
        found: the answer in words; empty: ``outputs`` or masks say it.
        wanted: the right answer likewise.
        right: whether a class is right; None of other kinds.
        score: of this sample alone, in ``Predictions.metric``; None: there is none.
        outputs: ``VALUES`` at most; of classes the largest, largest first.
        found_mask: the object's pixels, opaque where they are; or classes' colours.
        wanted_mask: likewise.
    """

    sample: str
    picture: Png = ""
    found: str = ""
    wanted: str = ""
    right: bool | None = None
    score: float | None = None
    outputs: tuple[OutputValue, ...] = ()
    found_mask: Png = ""
    wanted_mask: Png = ""


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Answers to a few samples, ``SHOWN`` at most.

    Attributes:
        kind: how they are drawn: boxes (x_min, y_min, x_max, y_max as shares of the
            picture), masks, classes or values.
        metric: that each sample's ``score`` is of; empty: none.
        samples: the answers.
    """

    kind: Literal["boxes", "masks", "classes", "values"]
    metric: str = ""
    samples: tuple[Prediction, ...] = ()


def png_of(sample: Array) -> Png:
    """A sample as a picture, where it is one: (height, width) or (…, 1 to 3 channels).

    Values are stretched from least to most; of events, (steps, …), all steps are shown
    at once, the two polarities red and green. Pictures larger than ``SIDE`` are made
    smaller. Empty for any other sample.
    """
    image = np.asarray(sample, np.float64)
    if image.ndim == 4:
        image = image.mean(0)
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[2] not in (1, 2, 3) or min(image.shape) < 1:
        return ""
    if min(image.shape[:2]) < 2:  # a signal as a thin picture
        return ""
    if image.shape[2] == 2:
        image = np.concatenate([image, np.zeros_like(image[..., :1])], axis=2)
    low, high = float(image.min()), float(image.max())
    if low < 0 or high > 1:
        image = (image - low) / max(high - low, 1e-12)
    pixels = np.rint(255 * np.broadcast_to(image, (*image.shape[:2], 3)))
    return _encoded(Image.fromarray(pixels.astype(np.uint8)))


def mask_png(mask: Array, colours: tuple[str, ...]) -> Png:
    """Classes of pixels (height, width) in their colours, class 0 see-through.

    Args:
        mask: whole numbers from 0 on.
        colours: of class 1 and the next, "#rrggbb"; they begin again after the last.
    """
    table = np.zeros((int(mask.max()) + 1, 4), np.uint8)
    for index in range(1, len(table)):
        colour = colours[(index - 1) % len(colours)]
        table[index] = (*bytes.fromhex(colour[1:]), 255)
    return _encoded(Image.fromarray(table[mask]))


def _encoded(image: Image.Image) -> Png:
    if max(image.size) > SIDE:
        image.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")
