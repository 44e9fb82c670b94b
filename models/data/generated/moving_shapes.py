"""Generated event lists: bright discs and squares that move left, right or up.

An event camera's pixel sends an event where the light has changed by a threshold since
its last one (Lichtsteiner, Posch and Delbruck 2008), brighter (1) before a shape and
darker (0) behind it. So the direction shows in the mean over time too: one polarity's
trace lies ahead of the other's.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from ....toolchain.graph.nodes import Array
from ..dataset import Dataset
from ..formats.events import event_data
from ..formats.reading import Reading

EVENT = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "?")])  # t in µs
DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1)}  # x, y; origin top left
DURATION = 64  # ms; the light is looked at once a ms
PATH = 0.3, 0.5  # of a shape's way, as a fraction of the frame
RADIUS = 0.1, 0.18  # of a shape, likewise
THRESHOLD = 0.1  # change of light for an event; a shape is 0.6 to 1 brighter
NOISE = 0.02  # events a pixel, without cause


def moving_shape_data(count: int, seed: int, height: int, width: int) -> Dataset:
    """``count`` recordings, as many of each direction or one more, in their turn."""
    turns = [list(DIRECTIONS)[i % len(DIRECTIONS)] for i in range(count)]
    return event_data(
        "generated moving shapes",
        [f"{turn}/{i:05d}" for i, turn in enumerate(turns)],
        [
            partial(moving_shape, seed, i, turn, height, width)
            for i, turn in enumerate(turns)
        ],
        Reading(),
    )


def moving_shape(
    seed: int, index: int, direction: str, height: int, width: int
) -> Array:
    """One recording, (events,) of ``EVENT``; the same whatever is drawn beside it.

    Args:
        seed, index: what it is drawn from.
        direction: of ``DIRECTIONS``.
        height, width: of the frame, in pixels.
    """
    rng = np.random.default_rng([seed, index])
    light = _light(rng, np.array(DIRECTIONS[direction]), height, width)
    seen, found = light[0].copy(), []
    for moment, now in enumerate(light[1:]):
        y, x = np.nonzero(abs(now - seen) > THRESHOLD)
        found.append((np.full_like(x, moment), x, y, now[y, x] > seen[y, x]))
        seen[y, x] = now[y, x]
    events = _events(rng, *map(np.concatenate, zip(*found)))
    stray = rng.poisson(NOISE * height * width)
    where = rng.integers(0, (DURATION - 1, width, height, 2), (stray, 4))
    events = np.concatenate([events, _events(rng, *where.T)])
    return events[np.argsort(events["t"], kind="stable")]


def _light(
    rng: np.random.Generator, direction: Array, height: int, width: int
) -> Array:
    """Brightness of each pixel, (ms, height, width); edges are a pixel wide."""
    side = min(height, width)
    radius, way = rng.uniform(*RADIUS) * side, rng.uniform(*PATH) * side
    frame = np.array([width, height])
    ends = way / 2 * abs(direction) + radius
    centre = rng.uniform(ends, frame - ends)
    share = np.linspace(-0.5, 0.5, DURATION)[:, None]
    path = centre + share * way * direction
    pixels = np.moveaxis(np.mgrid[:height, :width][::-1], 0, -1) + 0.5
    x, y = np.moveaxis(abs(pixels - path[:, None, None]), -1, 0)
    away = np.hypot(x, y) if rng.random() < 0.5 else np.maximum(x, y)  # disc, square
    light: Array = rng.uniform(0.6, 1) * np.clip(radius - away + 0.5, 0, 1)
    return light


def _events(
    rng: np.random.Generator, moment: Array, x: Array, y: Array, p: Array
) -> Array:
    """Events within the ms that follow ``moment``, (events,) each."""
    events = np.empty(len(x), EVENT)
    events["t"] = 1000 * moment + rng.integers(0, 1000, len(x))
    events["x"], events["y"], events["p"] = x, y, p
    return events
