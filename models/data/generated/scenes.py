"""Generated scenes: aircraft of random place, size, attitude and light, with boxes.

Drawn, not photographed, so that a network can be trained and shown without any data.
Scene ``i`` of a seed is the same whatever the count, and places and lengths are
fractions of the picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from ..boxes import BoxData, FloatArray
from ..digest import content_digest
from ..pictures import ImageArray, Size

FINENESS = 2  # drawn this much finer than asked for, then averaged
SMALLEST, LARGEST = 0.25, 0.75  # larger side of the box, as a fraction of its side
NOISE = 2.0, 16.0  # standard deviation, grey levels of 255, in pictures of …
NOISE_PIXELS = 32 * 48  # … and more in finer ones, so that it averages to the same
CHANCES = 14  # numbers at random that lay a scene out
THICKNESS = 0.03  # of wings and tail; an aircraft is 2 long


def scenes(count: int, seed: int, size: Size) -> tuple[ImageArray, FloatArray]:
    """Pictures (count, height, width, channels), 0 … 1, and boxes (count, 4).

    A box is x_min, y_min, x_max, y_max as fractions of width and height.
    """
    data = scene_data(count, seed, size)
    return data.images(size), data.boxes


def scene_data(count: int, seed: int, size: Size) -> BoxData:
    """The scenes as a data set for pictures of this shape, drawn when asked for."""
    aspect = size[1] / size[0]
    blank = [Scene(seed, i, aspect) for i in range(count)]
    chances = np.array([scene.chance()[0] for scene in blank]).reshape(count, CHANCES)
    parts, boxes = _placed(_seen(chances), aspect, chances)
    return BoxData(
        tuple(f"scene_{i:05d}" for i in range(count)),
        tuple(
            replace(scene, parts=tuple(part[i] for part in parts))
            for i, scene in enumerate(blank)
        ),
        boxes,
        tuple(f"scene {i} of seed {seed}" for i in range(count)),
    )


@dataclass(frozen=True)
class Scene:
    """One scene, drawn when asked for."""

    seed: int
    index: int
    aspect: float  # width / height of its pictures
    parts: tuple[FloatArray, ...] = field(default=(), compare=False, repr=False)
    """Points of the aircraft's parts, where they are known; they follow from these."""

    def chance(self) -> tuple[FloatArray, np.random.Generator]:
        """(CHANCES,) numbers from 0 to 1 that lay it out, and where chance stands then.

        ``rng.uniform(a, b)`` is a + (b − a) of the next one (``_between``).
        """
        rng = np.random.default_rng([self.seed, self.index])
        return rng.random(CHANCES), rng

    def layout(self) -> tuple[list[FloatArray], FloatArray, np.random.Generator]:
        """Outlines of the aircraft's parts, its box, and where chance stands then."""
        chance, rng = self.chance()
        parts, boxes = _placed(_seen(chance[None]), self.aspect, chance[None])
        return [_hull(part[0]) for part in parts], boxes[0], rng

    def outlines(self) -> tuple[list[FloatArray], np.random.Generator]:
        """Outlines of the aircraft's parts, and where chance stands then."""
        if not self.parts:
            parts, _, rng = self.layout()
            return parts, rng
        return list(map(_hull, self.parts)), self.chance()[1]

    def digest(self) -> str:
        """Of what it is drawn from."""
        return content_digest(np.array([self.seed, self.index, self.aspect]))

    def draw(self, height: int, width: int) -> Image.Image:
        """The picture, RGB."""
        parts, rng = self.outlines()
        columns, rows = width * FINENESS, height * FINENESS
        sky = rng.uniform(50, 215) + rng.uniform(-20, 20, 3)  # RGB, 0 … 255
        picture = _clouds(_gradient(sky, rng, columns, rows), sky, rng)
        draw = ImageDraw.Draw(picture)
        _ground(draw, sky, rng, columns, rows)
        bright = sky.mean() < 90 or (sky.mean() < 170 and rng.random() < 0.5)
        contrast = rng.uniform(80, 140) * (1 if bright else -1)
        for part, shade in zip(parts, rng.uniform(0.6, 1.4, len(parts))):
            outline = [(x * columns, y * rows) for x, y in part]
            draw.polygon(outline, _rgb(sky, contrast * shade))
        pixels = _averaged(np.asarray(picture))
        noise = rng.uniform(*NOISE) * math.sqrt(width * height / NOISE_PIXELS)
        pixels += rng.normal(0, noise, (height, width, 1))
        return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def _averaged(fine: ImageArray) -> FloatArray:
    """Means of FINENESS × FINENESS pixels, which are whole numbers: exact."""
    every = [
        fine[i::FINENESS, j::FINENESS].astype(np.float64)
        for i in range(FINENESS)
        for j in range(FINENESS)
    ]
    mean: FloatArray = sum(every[1:], every[0]) / FINENESS**2
    return mean


def _rgb(colour: FloatArray, brighter: float = 0.0) -> tuple[int, ...]:
    return tuple(int(min(max(round(c), 0), 255)) for c in (colour + brighter).tolist())


def _between(low: float, high: float, chance: FloatArray) -> FloatArray:
    """``rng.uniform(low, high)`` to its last bit."""
    found: FloatArray = low + (high - low) * chance
    return found


def _aircraft(chances: FloatArray) -> list[FloatArray]:
    """Convex parts, each (scenes, points, 3): x forward, y to the left, z up.

    Args:
        chances: (scenes, CHANCES), of which the first six are these.
    """
    limits = ((0.08, 0.14), (0.6, 1.1), (0.25, 0.45), (0.0, 0.6), *2 * [(0.25, 0.45)])
    radius, span, chord, sweep, tail, fin = (
        _between(*limit, chances[:, i]) for i, limit in enumerate(limits)
    )
    angles = np.arange(8) * (np.pi / 4)
    ring = np.stack([0 * angles, np.cos(angles), np.sin(angles)], axis=1)
    rings = ring * radius[:, None, None]
    stations = ((1.0, 0.1), (0.8, 0.8), (0.5, 1.0), (-0.4, 1.0), (-1.0, 0.3))
    fuselage = np.concatenate([rings * s + (x, 0, 0) for x, s in stations], axis=1)
    left = np.array([1, 1, 1]), np.array([1, -1, 1])
    wings = [_plate(0.35, chord, span, sweep) * side for side in left]
    quarter, third, low = (np.full_like(tail, x) for x in (0.25, 0.3, 0.15))
    tails = [_plate(-0.7, quarter, tail, low) * side for side in left]
    upright = _plate(-0.65, third, radius + fin, quarter)[..., [0, 2, 1]]
    return [*wings, *tails, fuselage, np.ascontiguousarray(upright)]


def _plate(
    front: float, chord: FloatArray, reach: FloatArray, sweep: FloatArray
) -> FloatArray:
    """Wings along y, (scenes, 8, 3), from x = front at the root, swept back to a tip
    half as deep."""
    flat = np.zeros((len(chord), 4, 3))
    flat[:, 0, 0], flat[:, 1, 0] = front, front - chord
    flat[:, 2, 0], flat[:, 3, 0] = front - sweep, front - sweep - chord / 2
    flat[:, 2:, 1] = reach[:, None]
    return np.concatenate([flat, flat + (0, 0, THICKNESS)], axis=1)


def _seen(chances: FloatArray) -> list[FloatArray]:
    """The parts' points, (scenes, points, 2) each, from a random side, in perspective.

    Args:
        chances: (scenes, CHANCES), of which five from the seventh on say which.
    """
    limits = ((-np.pi, np.pi), (-0.6, 0.6), (-0.8, 0.8), (-1.2, 1.2), (4, 10))
    yaw, pitch, roll, above, distance = (
        _between(*limit, chances[:, 6 + i]) for i, limit in enumerate(limits)
    )
    turn = _rotation(yaw, 1, 0) @ _rotation(pitch, 0, 2) @ _rotation(roll, 1, 2)
    turned = _rotation(above, 2, 1) @ turn  # seen from above or below
    shown = []
    for part in _aircraft(chances):
        x, depth, z = np.moveaxis(turned @ part.swapaxes(1, 2), 1, 0)
        far = (1 + depth / distance[:, None])[..., None]
        shown.append(np.stack([x, -z], axis=2) / far)
    return shown


def _rotation(angle: FloatArray, a: int, b: int) -> FloatArray:
    """(scenes, 3, 3)"""
    matrix = np.tile(np.eye(3), (len(angle), 1, 1))
    matrix[:, a, a] = matrix[:, b, b] = np.cos(angle)
    matrix[:, a, b], matrix[:, b, a] = -np.sin(angle), np.sin(angle)
    return matrix


def _hull(points: FloatArray) -> FloatArray:
    """Convex hull in order around it: Andrew's monotone chain (1979)."""
    ordered = sorted(points.tolist())
    hull: list[list[float]] = []
    for chain in (ordered, ordered[::-1]):
        start = len(hull)
        for x, y in chain:
            while len(hull) > start + 1:
                (ax, ay), (bx, by) = hull[-2:]
                if (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0:
                    break
                hull.pop()
            hull.append([x, y])
        hull.pop()
    return np.array(hull)


def _placed(
    parts: list[FloatArray], aspect: float, chances: FloatArray
) -> tuple[list[FloatArray], FloatArray]:
    """The parts at a random size and place in the picture (fractions); their boxes.

    Args:
        parts: as ``_seen`` gives them.
        aspect: of the picture, width / height.
        chances: (scenes, CHANCES), of which the last three say where.
    """
    points = np.concatenate(parts, axis=1)
    low = points.min(1)
    extent = (points.max(1) - low) / (aspect, 1.0)
    largest = _between(SMALLEST, LARGEST, chances[:, 11])
    scale = (largest / extent.max(1))[:, None]
    corner = chances[:, 12:] * (1 - extent * scale)
    placed = [
        (part - low[:, None]) / (aspect, 1.0) * scale[:, None] + corner[:, None]
        for part in parts
    ]
    return placed, np.concatenate([corner, corner + extent * scale], axis=1)


def _gradient(
    sky: FloatArray, rng: np.random.Generator, width: int, height: int
) -> Image.Image:
    slope = rng.uniform(-30, 30, 2)  # grey levels from the middle to an edge
    x, y = np.linspace(-1, 1, width), np.linspace(-1, 1, height)[:, None]
    light = (slope[0] * x + slope[1] * y)[..., None]
    shown = np.rint(sky + light)
    np.clip(shown, 0, 255, out=shown)
    return Image.fromarray(shown.astype(np.uint8))


def _clouds(
    picture: Image.Image, sky: FloatArray, rng: np.random.Generator
) -> Image.Image:
    width, height = picture.size
    mask = Image.new("L", picture.size)
    draw = ImageDraw.Draw(mask)
    for _ in range(rng.integers(0, 6)):
        x, y, across, down = rng.uniform((0, 0, 0.1, 0.05), (1, 1, 0.4, 0.15))
        corners = (x - across) * width, (y - down) * height
        opposite = (x + across) * width, (y + down) * height
        draw.ellipse([corners, opposite], fill=int(rng.integers(40, 160)))
    mask = mask.filter(ImageFilter.BoxBlur(height / 16))
    picture.paste(_rgb(sky, rng.uniform(-60, 60)), (0, 0), mask)
    return picture


def _ground(
    draw: ImageDraw.ImageDraw,
    sky: FloatArray,
    rng: np.random.Generator,
    width: int,
    height: int,
) -> None:
    """Hills along the lower edge and poles upon them, in part of the scenes."""
    horizon = rng.uniform(0.75, 1.2)
    line = horizon + np.cumsum(rng.normal(0, 0.04, 9))
    hills = [(i / 8 * width, y * height) for i, y in enumerate(line)]
    paint = _rgb(sky * rng.uniform(0.4, 0.8), rng.uniform(-20, 20))
    draw.polygon([(0, height * 2), *hills, (width, height * 2)], paint)
    for _ in range(rng.integers(0, 4)):
        x, top, thick = rng.uniform((0, 0.4, 0.005), (1, 1, 0.02))
        draw.rectangle([x * width, top * height, (x + thick) * width, height], paint)
