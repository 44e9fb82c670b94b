"""Generated pictures of discs and squares: masks of three classes."""

from __future__ import annotations

import numpy as np

from ..dataset import Dataset
from ..formats.labels import Labels
from ..formats.rows import rows
from ..pictures import Size

CLASSES = ("background", "disc", "square")
RADIUS = 0.15, 0.3  # of a shape, as a fraction of the smaller side
NOISE = 0.1  # standard deviation; a shape is 0.3 to 0.7 brighter than the background


def shape_data(count: int, seed: int, size: Size) -> Dataset:
    """Pictures (height, width, channels), 0 … 1, each with a disc and a square.

    Where both lie, the square is in front. Picture ``i`` of a seed is the same whatever
    the count.
    """
    height, width, channels = size
    place = np.moveaxis(np.mgrid[:height, :width], 0, -1) + 0.5
    images = np.zeros((count, *size), np.float32)
    masks = np.zeros((count, height, width), np.uint8)
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        light = np.full((height, width), rng.uniform(0.1, 0.3))
        for label, order in ((1, 2), (2, np.inf)):
            radius = rng.uniform(*RADIUS) * min(height, width)
            centre = rng.uniform(radius, np.array([height, width]) - radius)
            inside = np.linalg.norm(place - centre, ord=order, axis=-1) < radius
            masks[i][inside] = label
            light[inside] = rng.uniform(0.3, 0.7) + 0.2
        light += rng.normal(0, NOISE, light.shape)
        images[i] = np.clip(light, 0, 1)[..., None]
    return rows("generated shapes", images, Labels(masks, "masks", CLASSES))
