"""Slices with masks: what loads, what is refused and how, Dice, splits by person."""

from __future__ import annotations

import gzip
import os
import struct
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


def patch(file: Path, offset: int, value: bytes) -> None:
    """Bytes of a NIfTI file's header (nifti1.h) replaced."""
    whole = bytearray(gzip.decompress(file.read_bytes()))
    whole[offset : offset + len(value)] = value
    file.write_bytes(gzip.compress(bytes(whole)))


def save_placed(path: Path, voxels: np.ndarray, affine: np.ndarray) -> None:
    nibabel.save(nibabel.Nifti1Image(voxels, affine), path)


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
    "a pipe": (
        lambda f: [(f / IMAGE).unlink(), os.mkfifo(f / IMAGE)],
        "002.*no regular file",
    ),
    "complex voxels": (
        lambda f: save(f / IMAGE, np.ones((12, 20, 5), np.complex64)),
        "images.*002.*complex64; real numbers",
    ),
    "complex labels": (
        lambda f: save(f / LABEL, np.ones((12, 20, 5), np.complex64)),
        "labels.*002.*complex64; real numbers",
    ),
    "RGB voxels": (
        lambda f: save(f / IMAGE, np.zeros((12, 20, 5), "u1,u1,u1").astype(RGB)),
        "002.*real numbers",
    ),
    "huge voxels": (
        lambda f: save(f / IMAGE, np.resize([-1.7e308, 1.7e308], (12, 20, 5))),
        "002.*too large",
    ),
    "infinite voxels": (
        lambda f: save(f / IMAGE, np.full((12, 20, 5), np.inf)),
        "002.*NaN or infinite",
    ),
    "offset inf": (
        lambda f: patch(f / IMAGE, 108, struct.pack("<f", np.inf)),  # vox_offset
        "002.*no readable",
    ),
    "many voxels": (
        lambda f: patch(f / IMAGE, 42, struct.pack("<3h", 645, 645, 645)),  # dim[1:4]
        r"\(645, 645, 645\).*allowed",
    ),
    "labels mirrored": (
        lambda f: save_placed(
            f / LABEL, np.ones((12, 20, 5), np.uint8), np.diag([-1.0, 1, 1, 1])
        ),
        "labels.*002.*up to 22 mm from those of .*images.*002.*image's affine",
    ),
    "labels half a voxel off": (
        lambda f: save_placed(
            f / LABEL,
            np.ones((12, 20, 5), np.uint8),
            np.eye(4) + 0.5 * np.eye(4, k=3),
        ),
        "0.5 mm",
    ),
    "affine NaN": (
        lambda f: patch(f / LABEL, 280, struct.pack("<f", np.nan)),  # srow_x[0]
        "nan mm",
    ),
}
RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
IMAGE, LABEL = (f"{part}/hippocampus_002.nii.gz" for part in ("images", "labels"))


@pytest.mark.parametrize("name", BAD)
def test_a_bad_volume_is_named(folder, name):
    damage, words = BAD[name]
    damage(folder)
    with pytest.raises(DataError, match=words):
        load_volumes(folder, SIZE)


def test_the_advice_on_affines_helps(folder):
    save_placed(folder / LABEL, np.ones((12, 20, 5), np.uint8), 2 * np.eye(4))
    with pytest.raises(DataError, match="save them with the image's affine"):
        load_volumes(folder, SIZE)
    image, labels = nibabel.load(folder / IMAGE), nibabel.load(folder / LABEL)
    voxels = np.asarray(labels.dataobj)
    save_placed(folder / LABEL, voxels, image.affine)
    assert load_volumes(folder, SIZE).masks[5:10].sum() == 12 * 20 * 5


def test_labels_of_several_classes_become_indices(folder):
    save(folder / LABEL, 7 * nibabel.load(folder / LABEL).get_fdata())
    data = load_volumes(folder, SIZE, classes=True)
    assert data.classes == (0, 1, 2, 7, 14)
    assert data.masks.shape == (15, 16, 24) and data.masks.dtype == np.uint8
    assert data.take([1]).classes == data.classes
    found = [np.unique(volume).tolist() for volume in data.masks.reshape(3, -1)]
    assert found == [[0, 1, 2], [0, 3, 4], [0, 1, 2]]
    binary = load_volumes(folder, SIZE)
    np.testing.assert_array_equal(binary.masks[..., 0], data.masks > 0)
    assert binary.classes == ()


@pytest.mark.parametrize("value", [0.5, -1, 2.0**40])
def test_labels_that_are_no_classes_are_refused(folder, value):
    label = nibabel.load(folder / LABEL).get_fdata()
    label[5, 13, 1] = value
    save(folder / LABEL, label)
    with pytest.raises(DataError, match="labels.*002.*whole numbers from 0"):
        load_volumes(folder, SIZE, classes=True)


def test_shades_are_no_classes(folder):
    label = nibabel.load(folder / LABEL).get_fdata()
    label[4:8, 12:16, 1] = np.arange(16).reshape(4, 4) + 9
    save(folder / LABEL, label)
    load_volumes(folder, SIZE, classes=True)
    label[4:8, 12:16, 2] = np.arange(16).reshape(4, 4) + 25
    save(folder / LABEL, label)
    with pytest.raises(DataError, match="35 values, 34 of them in that of .*002.*20"):
        load_volumes(folder, SIZE, classes=True)


def test_equal_volumes_have_one_digest_whatever_their_names(folder):
    for part in ("images", "labels"):
        whole = (folder / part / "hippocampus_001.nii.gz").read_bytes()
        (folder / part / "hippocampus_009.nii.gz").write_bytes(whole)
    volume(folder, "hippocampus_004", shape=(10, 20, 5))
    data = load_volumes(folder, SIZE)
    assert data.subjects == ("person 1", "person 1", "person 2", "person 2", "person 5")
    assert len(data.digests) == 5 and data.digests[0] == data.digests[4]
    assert data.digests[3] != data.digests[0]


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
        (
            "\n".join(["image,subject", *rows, rows[1][:-1] + "C"]),
            r"line 4.*001.nii.gz' has a subject already \(.*line 3\)",
        ),
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


def paint(pictures: Path, colours: np.ndarray, mode: str) -> None:
    """b.png's mask: background, and three areas of eight columns each."""
    index = np.zeros((32, 48), np.uint8)
    for i in (1, 2, 3):
        index[8:16, 8 * i : 8 * i + 8] = i
    mask = Image.fromarray(np.asarray(colours, np.uint8)[index], mode="RGB")
    if mode == "P":
        mask = Image.fromarray(index, mode="L")
        mask.putpalette(np.asarray(colours, np.uint8).ravel().tolist())
    elif mode != "RGB":
        mask = mask.convert(mode)
    mask.save(pictures / "masks" / "b.png")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_any_colour_but_black_is_the_object(pictures, mode):
    colours = [[0, 0, 0], [1, 0, 0], [0, 0, 1], [0, 4, 0]]  # greys of 0
    paint(pictures, colours, mode)
    expected = np.zeros((16, 24, 1), bool)
    expected[4:8, 4:16] = True
    np.testing.assert_array_equal(load_pictures(pictures, SIZE).masks[1], expected)


def test_a_palette_tells_by_its_colours(pictures):
    """An optimiser of PNG files may put white first."""
    paint(pictures, [[255] * 3, [0] * 3, [0] * 3, [0] * 3], "P")
    found = load_pictures(pictures, SIZE).masks[1]
    assert not found[4:8, 4:16].any() and found.sum() == 16 * 24 - 4 * 12
    paint(pictures, [[0] * 3] * 4, "P")
    with pytest.raises(DataError, match="masks/b.png: every colour.*is black"):
        load_pictures(pictures, SIZE)


@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_masks_of_several_classes_become_indices(pictures, mode):
    greys = [[0] * 3, [1] * 3, [2] * 3, [9] * 3]
    paint(pictures, greys, mode)
    data = load_pictures(pictures, SIZE, classes=True)
    last = 3 if mode == "P" else 9  # the palette's index counts, not its colour
    assert data.classes == (0, 1, 2, last, 255)
    expected = np.zeros((16, 24), np.uint8)
    for i in (1, 2, 3):
        expected[4:8, 4 * i : 4 * i + 4] = i
    np.testing.assert_array_equal(data.masks[1], expected)
    halved = load_pictures(pictures, (8, 12, 1), classes=True)
    np.testing.assert_array_equal(halved.masks[1], expected[1::2, 1::2])


def test_16_bit_masks_hold_classes(pictures):
    index = np.zeros((32, 48), np.uint16)
    index[:, 24:] = 1000
    Image.fromarray(index).save(pictures / "masks" / "b.png")
    assert load_pictures(pictures, SIZE, classes=True).classes == (0, 1, 255, 1000)
    assert load_pictures(pictures, SIZE).masks[1].mean() == 0.5


def test_colours_are_no_classes(pictures):
    paint(pictures, [[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]], "RGB")
    with pytest.raises(DataError, match="masks/b.png: it is in colours.*palette"):
        load_pictures(pictures, SIZE, classes=True)
    paint(pictures, [[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]], "P")
    assert load_pictures(pictures, SIZE, classes=True).classes == (0, 1, 2, 3, 255)


def test_two_pictures_share_no_mask(pictures):
    Image.new("L", (48, 32)).save(pictures / "images" / "a.jpg")
    with pytest.raises(DataError, match=r"a.png: .*both .*a.jpg and .*a.png; rename"):
        load_pictures(pictures, SIZE)


def test_a_lossy_mask_is_refused(pictures):
    Image.new("L", (48, 32)).save(pictures / "masks" / "b.png", "JPEG")
    with pytest.raises(DataError, match="masks/b.png: it is a JPEG file"):
        load_pictures(pictures, SIZE)


def test_a_picture_and_its_mask_are_taken_as_they_are_shown(pictures):
    exif = Image.Exif()
    exif[274] = 6  # shown, it stands upright
    with Image.open(pictures / "images" / "b.jpg") as stored:
        stored.save(pictures / "images" / "b.jpg", exif=exif, quality=95)
    with pytest.raises(DataError, match="48 by 32 pixels, its picture 32 by 48"):
        load_pictures(pictures, SIZE)
    with Image.open(pictures / "masks" / "b.png") as mask:
        mask.rotate(-90, expand=True).save(pictures / "masks" / "b.png")
    data = load_pictures(pictures, (24, 16, 1))
    bright = data.images[1] > 0.5
    assert dice(bright, data.masks[1]) > 0.9


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
