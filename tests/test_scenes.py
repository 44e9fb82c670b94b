"""Generated scenes: reproducible, boxed exactly, and no task for a constant box."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from snn_deploy.models.data.boxes import iou, mean_box, median_box
from snn_deploy.models.data.generated import scenes as module
from snn_deploy.models.data.generated.scenes import scene_data, scenes

SIZE = (32, 48, 3)


def test_same_seed_same_scenes_whatever_the_count():
    images, boxes = scenes(6, 3, SIZE)
    more_images, more_boxes = scenes(9, 3, SIZE)
    assert images.shape == (6, *SIZE) and images.dtype == np.float32
    np.testing.assert_array_equal(images, more_images[:6])
    np.testing.assert_array_equal(boxes, more_boxes[:6])
    assert (images != scenes(6, 4, SIZE)[0]).any()
    assert 0 <= images.min() and images.max() <= 1


def test_a_constant_box_does_badly():
    boxes = scene_data(400, 0, SIZE).boxes
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= 1).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    for constant in (median_box(boxes), mean_box(boxes)):
        assert iou(constant, boxes).mean() < 0.35


def test_boxes_are_exact():
    """The aircraft painted alone fills its box to the last pixel, and no more."""
    width, height = 480, 320
    for i in range(50):
        parts, box, _ = module.Scene(0, i, width / height).layout()
        mask = Image.new("1", (width, height))
        for part in parts:
            ImageDraw.Draw(mask).polygon([tuple(p) for p in part * (width, height)], 1)
        painted = np.array(mask.getbbox()) - [0, 0, 1, 1]
        np.testing.assert_allclose(
            painted, np.multiply(box, [width, height] * 2), atol=1.01
        )


def test_scenes_laid_out_at_once_are_those_laid_out_alone():
    """To the last bit; and chance stands where ``uniform`` would have left it."""
    data = module.scene_data(20, 5, (32, 48, 1))
    for i, box in enumerate(data.boxes):
        _, alone, rng = module.Scene(5, i, 48 / 32).layout()
        np.testing.assert_array_equal(box, alone)
        other = np.random.default_rng([5, i])
        other.uniform(0.08, 0.14)
        other.uniform(size=module.CHANCES - 1)
        assert other.random() == rng.random()


def test_the_aircraft_stands_out_from_what_is_around_it():
    """Pixels in the box's middle differ from those just outside it, in most scenes."""
    images, boxes = scenes(60, 2, (64, 96, 1))
    found = 0
    for image, box in zip(images[..., 0], boxes):
        x0, y0, x1, y1 = (box * [96, 64, 96, 64]).round().astype(int)
        inside = image[y0:y1, x0:x1]
        found += inside.std() > 0.05
    assert found > 50


def test_grey_scenes_are_the_coloured_ones():
    grey, boxes = scenes(3, 5, (32, 48, 1))
    coloured, same = scenes(3, 5, (32, 48, 3))
    np.testing.assert_array_equal(boxes, same)
    luma = coloured @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(grey[..., 0], luma, atol=1.01 / 255)


@pytest.mark.parametrize("size", [(16, 16, 1), (48, 72, 3)])
def test_any_size(size):
    assert scenes(2, 0, size)[0].shape == (2, *size)
