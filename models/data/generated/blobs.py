"""Generated volumes: blobs to be found in noise, among others that are not meant.

Drawn, not scanned, so that a network can be trained and shown without any data. Volume
``i`` of a seed is the same whatever the count; places and radii are fractions of the
volume.
"""

from __future__ import annotations

import numpy as np

from ..boxes import FloatArray
from ..masks import MaskArray, MaskData, stack
from ..pictures import ImageArray, Size
from ..volumes import normalise

SLICES = 12
RADIUS = 0.15, 0.3  # of a blob, as a fraction of each side
DECOYS = 12  # smaller blobs, as bright or as dark, that are not meant
DECOY_RADIUS = 0.03, 0.08
WAVE = 0.15  # half of the depth of the dents in a blob, in radii
NOISE = 0.25  # standard deviation; a blob is 1 brighter than what is around it


def blob_data(count: int, seed: int, size: Size) -> MaskData:
    """``count`` volumes of ``SLICES`` slices of this size, each its own subject."""
    names = [f"blob_{i:04d}" for i in range(count)]
    volumes = [blob_volume(seed, i, size) for i in range(count)]
    return stack(names, names, [v[0] for v in volumes], [v[1] for v in volumes])


def blob_volume(seed: int, index: int, size: Size) -> tuple[ImageArray, MaskArray]:
    """Images (slices, height, width, channels), 0 … 1, and masks (…, 1)."""
    rng = np.random.default_rng([seed, index])
    height, width, channels = size
    sides = [(np.arange(n) + 0.5) / n for n in (SLICES, height, width)]
    place = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1)
    light = (place - 0.5) @ rng.uniform(-1, 1, 3)  # from one end to the other
    volume = light.copy()
    for _ in range(DECOYS):
        decoy = np.linalg.norm(_ball(place, rng, DECOY_RADIUS), axis=-1) < 1
        volume[decoy] += rng.choice([-1.0, 1.0])
    mask = _wavy(_ball(place, rng, RADIUS), rng)
    volume[mask] = light[mask] + 1
    volume += rng.normal(0, NOISE, volume.shape)
    images = np.repeat(normalise(volume)[..., None], channels, axis=-1)
    return images, mask[..., None]


def _ball(
    place: FloatArray, rng: np.random.Generator, radius: tuple[float, float]
) -> FloatArray:
    """Places seen from the middle of an ellipsoid in the volume, in its radii."""
    radii = rng.uniform(*radius, 3)
    offset: FloatArray = (place - rng.uniform(radii, 1 - radii)) / radii
    return offset


def _wavy(offset: FloatArray, rng: np.random.Generator) -> MaskArray:
    """Where the ellipsoid is, its sides dented by two to four waves."""
    angle = np.arctan2(offset[..., 1], offset[..., 2])
    wave = 1 - np.cos(rng.integers(2, 5) * angle + rng.uniform(0, 2 * np.pi))
    across = np.hypot(offset[..., 1], offset[..., 2])  # 0 on the axis
    inside: MaskArray = np.linalg.norm(offset, axis=-1) < 1 - WAVE * across * wave
    return inside
