"""Generated scenes: aircraft of random place, size, attitude and light, with boxes.

Drawn, not photographed, so that a network can be trained and shown without any data.
Scene ``i`` of a seed is the same whatever the count, and places and lengths are
fractions of the picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from ..boxes import BoxData, FloatArray
from ..digest import content_digest
from ..pictures import ImageArray, Size

FINENESS = 2  # drawn this much finer than asked for, then averaged
SMALLEST, LARGEST = 0.25, 0.75  # larger side of the box, as a fraction of its side
NOISE = 2.0, 16.0  # standard deviation, grey levels of 255, in pictures of …
NOISE_PIXELS = 32 * 48  # … and more in finer ones, so that it averages to the same
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
    drawn = tuple(Scene(seed, i, aspect) for i in range(count))
    return BoxData(
        tuple(f"scene_{i:05d}" for i in range(count)),
        drawn,
        np.array([scene.layout()[1] for scene in drawn]).reshape(count, 4),
        tuple(f"scene {i} of seed {seed}" for i in range(count)),
    )


@dataclass(frozen=True)
class Scene:
    """One scene, drawn when asked for."""

    seed: int
    index: int
    aspect: float  # width / height of its pictures

    def layout(self) -> tuple[list[FloatArray], FloatArray, np.random.Generator]:
        """Outlines of the aircraft's parts, its box, and where chance stands then."""
        rng = np.random.default_rng([self.seed, self.index])
        return *_placed(_seen(_aircraft(rng), rng), self.aspect, rng), rng

    def digest(self) -> str:
        """Of what it is drawn from."""
        return content_digest(np.array([self.seed, self.index, self.aspect]))

    def draw(self, height: int, width: int) -> Image.Image:
        """The picture, RGB."""
        parts, _, rng = self.layout()
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
        fine = np.asarray(picture, np.float64)
        pixels = fine.reshape(height, FINENESS, width, FINENESS, 3).mean((1, 3))
        noise = rng.uniform(*NOISE) * math.sqrt(width * height / NOISE_PIXELS)
        pixels += rng.normal(0, noise, (height, width, 1))
        return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def _rgb(colour: FloatArray, brighter: float = 0.0) -> tuple[int, ...]:
    return tuple(np.clip(np.rint(colour + brighter), 0, 255).astype(int).tolist())


def _aircraft(rng: np.random.Generator) -> list[FloatArray]:
    """Convex parts, each (points, 3): x forward, y to the left, z up."""
    radius = rng.uniform(0.08, 0.14)
    span, chord, sweep = rng.uniform((0.6, 0.25, 0.0), (1.1, 0.45, 0.6))
    tail, fin = rng.uniform(0.25, 0.45, 2)
    angles = np.arange(8) * (np.pi / 4)
    ring = np.stack([0 * angles, np.cos(angles), np.sin(angles)], axis=1) * radius
    stations = ((1.0, 0.1), (0.8, 0.8), (0.5, 1.0), (-0.4, 1.0), (-1.0, 0.3))
    fuselage = np.concatenate([ring * share + (x, 0, 0) for x, share in stations])
    left = np.array([1, 1, 1]), np.array([1, -1, 1])
    wings = [_plate(0.35, chord, span, sweep) * side for side in left]
    tails = [_plate(-0.7, 0.25, tail, 0.15) * side for side in left]
    upright = _plate(-0.65, 0.3, radius + fin, 0.25)[:, [0, 2, 1]]
    return [*wings, *tails, fuselage, upright]


def _plate(front: float, chord: float, reach: float, sweep: float) -> FloatArray:
    """A wing along y from x = front at the root, swept back to a tip half as deep."""
    edge = [[front, 0, 0], [front - chord, 0, 0]]
    tip = [[front - sweep, reach, 0], [front - sweep - chord / 2, reach, 0]]
    flat = np.array([*edge, *tip], np.float64)
    return np.concatenate([flat, flat + (0, 0, THICKNESS)])


def _seen(parts: list[FloatArray], rng: np.random.Generator) -> list[FloatArray]:
    """The parts' outlines, (points, 2) each, from a random side, in perspective."""
    yaw, pitch, roll = rng.uniform((-np.pi, -0.6, -0.8), (np.pi, 0.6, 0.8))
    turn = _rotation(yaw, 1, 0) @ _rotation(pitch, 0, 2) @ _rotation(roll, 1, 2)
    tilt = _rotation(rng.uniform(-1.2, 1.2), 2, 1)  # seen from above or below
    distance = rng.uniform(4, 10)
    outlines = []
    for part in parts:
        x, depth, z = tilt @ turn @ part.T
        points = np.stack([x, -z], axis=1) / (1 + depth / distance)[:, None]
        outlines.append(_hull(points))
    return outlines


def _rotation(angle: float, a: int, b: int) -> FloatArray:
    matrix = np.eye(3)
    matrix[[a, b], [a, b]] = np.cos(angle)
    matrix[a, b], matrix[b, a] = -np.sin(angle), np.sin(angle)
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
    parts: list[FloatArray], aspect: float, rng: np.random.Generator
) -> tuple[list[FloatArray], FloatArray]:
    """The parts at a random size and place in the picture (fractions); their box."""
    points = np.concatenate(parts)
    low = points.min(0)
    extent = (points.max(0) - low) / (aspect, 1.0)
    scale = rng.uniform(SMALLEST, LARGEST) / extent.max()
    corner = rng.random(2) * (1 - extent * scale)
    placed = [(part - low) / (aspect, 1.0) * scale + corner for part in parts]
    return placed, np.concatenate([corner, corner + extent * scale])


def _gradient(
    sky: FloatArray, rng: np.random.Generator, width: int, height: int
) -> Image.Image:
    slope = rng.uniform(-30, 30, 2)  # grey levels from the middle to an edge
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    light = (slope[0] * x + slope[1] * y)[..., None]
    return Image.fromarray(np.clip(np.rint(sky + light), 0, 255).astype(np.uint8))


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
