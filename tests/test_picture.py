"""The picture of a run: it is drawn from what there is, whole or not at all."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from snn_deploy.calibration.report.picture import save_picture
from snn_deploy.tasks.boxes import BoxPicture
from snn_deploy.tasks.classes import ClassPicture
from snn_deploy.tasks.masks import MaskPicture
from snn_deploy.tasks.values import ValuePicture
from snn_deploy.toolchain.errors import DataError
from snn_deploy.toolchain.program.recording import Recording


def recording() -> Recording:
    rng = np.random.default_rng(2)
    spikes = {
        name: rng.random((3, 12, size)) < 0.2
        for name, size in (("conv", 300), ("dense", 7), ("output", 1))
    }
    return Recording(
        target="reference",
        kind="integer emulation",
        dt=0.001,
        steps=12,
        counts={k: s.sum(axis=1, dtype=np.int64) for k, s in spikes.items()},
        spikes=spikes,
        output=np.zeros((3, 1)),
        wall_time=0.1,
    )


def boxes(count: int, shape: tuple[int, ...] = (10, 16)) -> BoxPicture:
    rng = np.random.default_rng(3)
    return BoxPicture(
        images=rng.random((count, *shape)),
        true=np.tile([0.2, 0.2, 0.7, 0.8], (count, 1)),
        predicted=np.tile([0.3, 0.2, 0.8, 0.7], (count, 1)),
    )


@pytest.mark.parametrize("count", [1, 3, 6, 12])
def test_images_stand_above_raster_and_rates(tmp_path, count):
    bare, full = tmp_path / "bare.png", tmp_path / "full.png"
    save_picture(bare, recording())
    save_picture(full, recording(), sample=2, answers=boxes(count))
    with Image.open(bare) as below, Image.open(full) as all_of_it:
        assert below.size[0] == all_of_it.size[0]
        assert below.size[1] < all_of_it.size[1]
        assert np.asarray(below.convert("L")).min() < 100  # something is drawn
    assert {p.name for p in tmp_path.iterdir()} == {"bare.png", "full.png"}


@pytest.mark.parametrize("shape", [(9, 9), (9, 9, 1), (9, 9, 3)])
def test_grey_and_colour_images_are_drawn(tmp_path, shape):
    save_picture(tmp_path / "p.png", recording(), answers=boxes(2, shape))
    assert (tmp_path / "p.png").stat().st_size > 5000


def masks(count: int) -> MaskPicture:
    rng = np.random.default_rng(4)
    true, predicted = (rng.random((2, count, 10, 16)) < 0.3).astype(int)
    images = rng.random((count, 10, 16, 1))
    return MaskPicture(images, true, predicted)


@pytest.mark.parametrize("count", [1, 5])
def test_masks_are_tinted_beside_their_images(tmp_path, count):
    save_picture(tmp_path / "p.png", recording(), answers=masks(count))
    with Image.open(tmp_path / "p.png") as picture:
        pixels = np.asarray(picture.convert("RGB"), int)
    red, green, blue = np.moveaxis(pixels, -1, 0)
    assert ((green - red > 20) & (green - blue > 20)).sum() > 1000  # true
    assert ((red - blue > 60) & (red - green > 30)).sum() > 1000  # predicted


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (9, 9, 2), (20,), (5, 9, 9, 2)])
def test_classes_stand_below_their_samples(tmp_path, shape):
    rng = np.random.default_rng(5)
    true, predicted = rng.integers(0, 3, (2, 6))
    names = ("cat", "dog $x^{$", "cow")  # a name is no formula
    answers = ClassPicture(rng.random((6, *shape)), true, predicted, names)
    save_picture(tmp_path / "p.svg", recording(), answers=answers)
    text = (tmp_path / "p.svg").read_text()
    assert ("cat" in text) and ElementTree.fromstring(text) is not None


@pytest.mark.parametrize("count", [1, 3])
def test_values_are_drawn_against_the_truth(tmp_path, count):
    true, predicted = np.random.default_rng(6).random((2, 9, count))
    save_picture(tmp_path / "p.png", recording(), answers=ValuePicture(true, predicted))
    assert (tmp_path / "p.png").stat().st_size > 5000


def test_an_svg_is_well_formed_and_the_same_every_time(tmp_path):
    for name in ("a.svg", "b.svg"):
        save_picture(tmp_path / name, recording(), answers=boxes(2))
    assert ElementTree.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_counts_alone_and_silence_are_drawn(tmp_path):
    counts_only = replace(recording(), spikes={})
    save_picture(tmp_path / "counts.png", counts_only)
    quiet = {name: np.zeros_like(c) for name, c in counts_only.counts.items()}
    save_picture(tmp_path / "quiet.png", replace(counts_only, counts=quiet))
    assert (tmp_path / "quiet.png").stat().st_size > 1000


def test_what_cannot_be_drawn_is_one_clear_error(tmp_path):
    with pytest.raises(DataError, match=r"\.png, \.svg and \.pdf"):
        save_picture(tmp_path / "p.bmp", recording())
    with pytest.raises(DataError, match="3 samples"):
        save_picture(tmp_path / "p.png", recording(), sample=3)
    with pytest.raises(DataError, match="cannot be written"):
        save_picture(tmp_path / "missing" / "p.png", recording())
    assert list(tmp_path.iterdir()) == []
