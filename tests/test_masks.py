"""Slices with masks: what loads, what is refused and how, Dice, splits by person."""

from __future__ import annotations

import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from snn_deploy.models.data.masks import (
    MaskData,
    dice,
    dice_of_volumes,
    load_pictures,
    mean_mask,
    split_subjects,
    stack,
)
from snn_deploy.models.data.volumes import fit, load_volumes, normalise
from snn_deploy.toolchain.errors import DataError

SIZE = (16, 24, 1)


def save(path: Path, voxels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), path)


def volume(folder: Path, name: str, shape=(12, 20, 5), scale=1.0) -> None:
    """A ramp along the second axis, and a label in its brighter half."""
    ramp = np.broadcast_to(np.linspace(0, scale, shape[1])[:, None], shape)
    label = np.zeros(shape, np.uint8)
    label[4:8, 12:16, 1:3] = 1
    label[4:8, 12:16, 3] = 2
    save(folder / "images" / f"{name}.nii.gz", ramp.astype(np.float32))
    save(folder / "labels" / f"{name}.nii.gz", label)


@pytest.fixture
def folder(tmp_path):
    for number, scale in ((1, 1.0), (2, 255.0), (3, 1e6)):
        volume(tmp_path, f"hippocampus_{number:03d}", scale=scale)
    return tmp_path


def test_volumes_become_slices_on_one_scale(folder):
    data = load_volumes(folder, SIZE)
    assert data.names == tuple(f"hippocampus_{i:03d}.nii.gz" for i in (1, 2, 3))
    assert data.subjects == ("person 1", "person 1", "person 2")
    assert data.images.shape == data.masks.shape == (15, *SIZE)
    assert data.images.dtype == np.float32 and data.masks.dtype == bool
    assert data.volume.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    np.testing.assert_allclose(data.images[:5], data.images[10:], atol=1e-6)
    assert data.masks.reshape(3, 5, -1).sum((0, 2)).tolist() == [0, 48, 48, 48, 0]
    inside = data.images[1, 2:14, 2:22, 0]
    assert inside.min() == 0 and inside.max() == 1
    assert data.masks[1, 6:10, 14:18].all()  # the label moves with the padding
    outside = data.images.copy()
    outside[:, 2:14, 2:22] = 0
    assert not outside.any()


def test_chosen_volumes_keep_their_slices(folder):
    data = load_volumes(folder, SIZE).take([2, 0])
    assert data.names == ("hippocampus_003.nii.gz", "hippocampus_001.nii.gz")
    assert data.volume.tolist() == [0] * 5 + [1] * 5
    assert len(data) == 2 and len(data.images) == 10


def test_the_decathlons_own_folder_names_do(folder):
    for name in ("images", "labels"):
        (folder / name).rename(folder / f"{name}Tr")
    (folder / "imagesTr" / "._hippocampus_001.nii.gz").write_bytes(b"of macOS")
    assert len(load_volumes(folder, SIZE)) == 3


def test_large_volumes_are_cropped_but_no_object_is(folder):
    assert load_volumes(folder, (8, 16, 1)).masks.sum() == 3 * 48
    with pytest.raises(DataError, match="12 by 20 voxels.*larger than 8 by 8.*cut off"):
        load_volumes(folder, (8, 8, 1))
    with pytest.raises(DataError, match="1 channel"):
        load_volumes(folder, (16, 24, 3))


@given(st.tuples(*[st.integers(1, 9)] * 3), st.tuples(*[st.integers(1, 9)] * 2))
def test_fit_keeps_the_middle(shape, size):
    whole = np.arange(1, np.prod(shape) + 1).reshape(shape)
    fitted = fit(whole, (*size, 1))
    assert fitted.shape == (shape[2], *size, 1)
    kept = [min(have, wanted) for have, wanted in zip(shape, size)]
    assert (fitted > 0).sum() == np.prod(kept) * shape[2]
    back = fit(np.moveaxis(fitted[..., 0], 0, -1), (*kept, 1))
    np.testing.assert_array_equal(back, fit(whole, (*kept, 1)))


@given(st.floats(1e-3, 1e6), st.floats(-1e6, 1e6))
def test_normalised_volumes_forget_their_scale(gain, offset):
    voxels = np.random.default_rng(0).normal(size=(5, 6, 7))
    found = normalise(voxels * gain + offset)
    assert found.min() == 0 and found.max() == 1
    np.testing.assert_allclose(found, normalise(voxels), atol=1e-4)


def truncate(file: Path) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])


def poison(file: Path) -> None:
    voxels = nibabel.load(file).get_fdata()
    voxels[0, 0, 0] = np.nan
    save(file, voxels)


BAD = {
    "labels missing": (lambda f: (f / LABEL).unlink(), "labels.*002.*are missing"),
    "shapes differ": (
        lambda f: save(f / LABEL, np.zeros((12, 20, 4), np.uint8)),
        r"\(12, 20, 4\).*\(12, 20, 5\)",
    ),
    "image truncated": (lambda f: truncate(f / IMAGE), "images.*002.*no readable"),
    "labels truncated": (lambda f: truncate(f / LABEL), "labels.*002.*no readable"),
    "no NIfTI": (lambda f: (f / IMAGE).write_bytes(b"x" * 999), "no readable"),
    "empty file": (lambda f: (f / IMAGE).write_bytes(b""), "no readable"),
    "NaN voxels": (lambda f: poison(f / IMAGE), "002.*NaN"),
    "NaN labels": (lambda f: poison(f / LABEL), "labels.*002.*NaN"),
    "flat": (lambda f: save(f / IMAGE, np.ones((12, 20, 5))), "002.*shows nothing"),
    "four axes": (
        lambda f: save(f / IMAGE, np.ones((12, 20, 5, 2))),
        r"\(12, 20, 5, 2\).*allowed",
    ),
    "no voxels": (lambda f: save(f / IMAGE, np.ones((12, 20, 0))), "002"),
}
IMAGE, LABEL = (f"{part}/hippocampus_002.nii.gz" for part in ("images", "labels"))


@pytest.mark.parametrize("name", BAD)
def test_a_bad_volume_is_named(folder, name):
    damage, words = BAD[name]
    damage(folder)
    with pytest.raises(DataError, match=words):
        load_volumes(folder, SIZE)


def test_missing_folders_are_named(tmp_path):
    with pytest.raises(DataError, match="none: no such folder"):
        load_volumes(tmp_path / "none", SIZE)
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match="labels: no such folder"):
        load_volumes(tmp_path, SIZE)
    (tmp_path / "labels").mkdir()
    with pytest.raises(DataError, match=r"images: it holds no .nii"):
        load_volumes(tmp_path, SIZE)


def test_subjects_are_read_where_they_are_listed(folder):
    rows = [f"hippocampus_{i:03d}.nii.gz,{who}" for i, who in ((2, "B"), (1, "A"))]
    table = folder / "subjects.csv"
    table.write_text("\n".join(["image,subject", *rows, "hippocampus_003.nii.gz,A"]))
    assert load_volumes(folder, SIZE).subjects == ("A", "B", "A")
    for text, words in (
        ("image,subject\n" + rows[0], "001.nii.gz' is not listed"),
        (table.read_text() + "\nnone.nii.gz,C", "no such image"),
        ("image\n", "first line"),
        ("image,subject\nhippocampus_001.nii.gz,", "line 2.*a subject"),
    ):
        table.write_text(text)
        with pytest.raises(DataError, match=f"subjects.csv.*{words}"):
            load_volumes(folder, SIZE)


@pytest.fixture
def pictures(tmp_path):
    """A bright square each, marked; as 8-bit grey, RGB, and 16-bit grey."""
    grey = np.full((32, 48), 50, np.uint8)
    grey[8:16, 24:36] = 200
    mask = Image.fromarray((grey > 100).astype(np.uint8) * 255)
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    kinds = {
        "a.png": Image.fromarray(grey),
        "b.jpg": Image.fromarray(np.repeat(grey[..., None], 3, axis=2)),
        "c.png": Image.fromarray(grey.astype(np.uint16) * 257),
    }
    marks = mask, mask.convert("RGBA"), mask.point(lambda value: value // 255)
    for (name, picture), mark in zip(kinds.items(), marks):
        picture.save(tmp_path / "images" / name)
        mark.save(tmp_path / "masks" / f"{name[0]}.png")
    return tmp_path


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_every_kind_become_slices(pictures, channels):
    data = load_pictures(pictures, (16, 24, channels))
    assert data.names == data.subjects == ("a.png", "b.jpg", "c.png")
    assert data.images.shape == (3, 16, 24, channels)
    expected = np.zeros((16, 24, 1), bool)
    expected[4:8, 12:18] = True
    for image, mask in zip(data.images, data.masks):
        np.testing.assert_array_equal(mask, expected)
        assert image[5, 14] == pytest.approx(200 / 255, abs=0.02)
        assert image[12, 4] == pytest.approx(50 / 255, abs=0.02)


def test_a_bad_picture_is_named(pictures):
    (pictures / "masks" / "b.png").unlink()
    with pytest.raises(DataError, match="b.png: the mask of .*b.jpg is missing"):
        load_pictures(pictures, SIZE)
    Image.new("L", (9, 9)).save(pictures / "masks" / "b.png")
    with pytest.raises(DataError, match="9 by 9 pixels.*48 by 32"):
        load_pictures(pictures, SIZE)
    truncate(pictures / "images" / "a.png")
    with pytest.raises(DataError, match="a.png: a broken or truncated picture"):
        load_pictures(pictures, SIZE)
    with pytest.raises(DataError, match=r"\(16, 24, 2\)"):
        load_pictures(pictures, (16, 24, 2))


def given_subjects(subjects) -> MaskData:
    names = [f"{i:03d}" for i in range(len(subjects))]
    empty = [np.zeros((1, 1, 1, 1), np.float32)] * len(names)
    return stack(names, subjects, empty, [part > 0 for part in empty])


@given(st.lists(st.integers(0, 30), min_size=3, max_size=60), st.integers(0, 5))
def test_nothing_of_a_person_is_on_two_sides(people, seed):
    data = given_subjects([str(person) for person in people])
    if len(set(people)) < 3:
        with pytest.raises(DataError, match="cannot be split"):
            split_subjects(data, seed)
        return
    parts = split_subjects(data, seed)
    seen = [data.take(part).subjects for part in vars(parts).values()]
    assert sum(map(len, seen)) == len(people) and all(seen)
    assert len(set().union(*seen)) == sum(len(set(part)) for part in seen)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_dice_counts_pixels(pairs):
    a, b = np.array(pairs).T
    both = a.sum() + b.sum()
    assert dice(a, b) == (2 * (a & b).sum() / both if both else 1)


def test_dice_of_volumes_pools_each_volumes_slices():
    true = np.array([[1, 1], [0, 0], [1, 0], [0, 0]], bool)
    found = np.array([[1, 0], [1, 0], [0, 0], [0, 0]], bool)
    each = dice_of_volumes(found, true, np.array([1, 1, 4, 7]))
    assert each.tolist() == [0.5, 0.0, 1.0]


@given(st.lists(st.integers(0, 15), min_size=1, max_size=8))
def test_no_constant_mask_beats_the_mean_mask(patterns):
    every = (np.arange(16)[:, None] >> np.arange(4)) % 2 == 1
    masks = every[patterns]
    scores = [dice(np.broadcast_to(mask, masks.shape), masks) for mask in every]
    best = mean_mask(masks)
    assert dice(np.broadcast_to(best, masks.shape), masks) == pytest.approx(max(scores))


@pytest.mark.skipif(
    "SNN_DEPLOY_DATA" not in os.environ, reason="SNN_DEPLOY_DATA names no data folder"
)
def test_the_hippocampus_and_its_mean_mask():
    path = Path(os.environ["SNN_DEPLOY_DATA"]) / "msd-hippocampus"
    data = load_volumes(path, (48, 64, 1))
    assert (len(data), len(data.images), len(set(data.subjects))) == (232, 8197, 153)
    parts = split_subjects(data, seed=0)
    train, test = data.take(parts.train), data.take(parts.test)
    trivial = np.broadcast_to(mean_mask(train.masks), test.masks.shape)
    assert dice(trivial, test.masks) == pytest.approx(0.31, abs=0.01)
