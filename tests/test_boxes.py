"""Pictures with boxes: what loads, what is refused and how, overlap, splits."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat

from snn_deploy.models.data.boxes import (
    OFFICIAL_FOLDERS,
    iou,
    load_caltech101,
    load_folder,
    mean_box,
    median_box,
)
from snn_deploy.models.data.split import split
from snn_deploy.toolchain.errors import DataError

HEADER = "image,x_min,y_min,x_max,y_max\n"


def picture(path: Path, width: int = 40, height: int = 20) -> None:
    """A picture whose red grows to the right and green to the bottom."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)
    pixels[..., 1] = np.linspace(0, 255, height)[:, None]
    Image.fromarray(pixels).save(path, quality=95)


@pytest.fixture
def folder(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        picture(tmp_path / "images" / name)
    (tmp_path / "boxes.csv").write_text(HEADER + "a.jpg,10,5,20,15\nb.jpg,0,0,40,20\n")
    return tmp_path


def test_a_folder_loads_as_fractions_and_pixels(folder):
    data = load_folder(folder)
    assert data.names == ("a.jpg", "b.jpg")
    assert data.boxes.tolist() == [[0.25, 0.25, 0.5, 0.75], [0, 0, 1, 1]]
    images = data.images((10, 20, 3))
    assert images.shape == (2, 10, 20, 3) and images.dtype == np.float32
    np.testing.assert_allclose(
        images[0, 5, :, 0], np.linspace(0.01, 0.99, 20), atol=0.03
    )
    assert data.images((10, 20, 1)).shape == (2, 10, 20, 1)
    assert data.take([1]).names == ("b.jpg",)
    assert data.take([1]).boxes.tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("d.jpg,1,1,2,2", "d.jpg: the picture is missing"),
        ("c.jpg,30,1,41,2", "outside its picture"),
        ("c.jpg,-1,1,3,2", "outside its picture"),
        *[
            (f"c.jpg,{','.join(corners)}", "four finite numbers")
            for bad in ("nan", "inf", "-inf", "1" + "0" * 400)
            for corners in ((bad, "1", "3", "2"), ("0", "1", bad, "2"))
        ],
        ("c.jpg,3,3,3,9", "no area"),
        ("c.jpg,9,3,3,9", "no area"),
        ("c.jpg,1,1,2", "four numbers"),
        ("c.jpg,1,1,2,two", "four numbers"),
        ("a.jpg,1,1,2,2", r"a.jpg has a box already \(.*line 2\)"),
        ("./a.jpg,1,1,2,2", r"a.jpg has a box already \(.*line 2\)"),
        ("../images/c.jpg,1,1,2,2", "leads out of .*images"),
        ("/etc/passwd,1,1,2,2", "leads out of .*images"),
        (",1,1,2,2", "leads out of .*images"),
        ("\x1b[2Jc.jpg,1,1,2,2", r"x1b.*control characters"),
        (f"{'c' * 5000},1,1,2,2", "cannot be read .File name too long"),
    ],
)
def test_a_bad_row_is_named(folder, row, words):
    picture(folder / "images" / "c.jpg")
    with (folder / "boxes.csv").open("a") as file:
        file.write(row + "\n")
    with pytest.raises(DataError, match=f"boxes.csv, line 4.*{words}"):
        load_folder(folder)


def test_a_box_lies_in_its_picture_as_it_is_shown(tmp_path):
    """Seen upright the picture is 20 by 40; stored it lies on its side."""
    (tmp_path / "images").mkdir()
    exif = Image.Exif()
    exif[274] = 6
    stored = Image.new("RGB", (40, 20))
    stored.paste((255, 255, 255), (0, 0, 20, 20))
    stored.save(tmp_path / "images" / "a.jpg", exif=exif)
    table = tmp_path / "boxes.csv"
    table.write_text(HEADER + "a.jpg,0,0,20,20\n")
    data = load_folder(tmp_path)
    assert data.boxes.tolist() == [[0, 0, 1, 0.5]]
    image = data.images((40, 20, 1))[0, ..., 0]
    assert image[:19].min() > 0.9 and image[21:].max() < 0.1
    table.write_text(HEADER + "a.jpg,0,0,40,20\n")
    with pytest.raises(DataError, match="20 by 40 pixels as it is shown"):
        load_folder(tmp_path)


def test_equal_pictures_have_one_digest_whatever_their_names(folder):
    picture(folder / "images" / "c.jpg", 20, 20)
    with (folder / "boxes.csv").open("a") as file:
        file.write("c.jpg,1,1,9,9\n")
    data = load_folder(folder)
    assert data.digests[0] == data.digests[1] != data.digests[2]
    assert data.take([2, 1]).digests == (data.digests[2], data.digests[0])
    (folder / "images" / "c.jpg").unlink()
    with pytest.raises(DataError, match="c.jpg: it cannot be read"):
        _ = data.take([2]).digests


def test_missing_things_are_named(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        load_folder(tmp_path / "none")
    with pytest.raises(DataError, match="boxes.csv: no such file"):
        load_folder(tmp_path)
    (tmp_path / "boxes.csv").write_text(HEADER)
    with pytest.raises(DataError, match="no picture"):
        load_folder(tmp_path)
    (tmp_path / "boxes.csv").write_text("name,x\n")
    with pytest.raises(DataError, match="first line"):
        load_folder(tmp_path)
    (tmp_path / "boxes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="no CSV"):
        load_folder(tmp_path)


def test_a_broken_picture_is_named(folder):
    file = folder / "images" / "b.jpg"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(DataError, match="line 3.*b.jpg.*truncated"):
        load_folder(folder).images((10, 20, 3))
    file.write_bytes(b"no picture")
    with pytest.raises(DataError, match="line 3.*no readable picture"):
        load_folder(folder)


def test_a_size_without_meaning_is_refused(folder):
    with pytest.raises(DataError, match=r"\(10, 20, 2\)"):
        load_folder(folder).images((10, 20, 2))


@pytest.mark.parametrize("category", ["Faces", "airplanes", "accordion"])
def test_the_published_caltech101_loads(tmp_path, category):
    annotations = tmp_path / "Annotations" / OFFICIAL_FOLDERS.get(category, category)
    annotations.mkdir(parents=True)
    for number in (2, 1):
        picture(tmp_path / f"101_ObjectCategories/{category}/image_000{number}.jpg")
        coordinates = {"box_coord": np.array([[5, 15, 10, 20 + number]], np.uint16)}
        savemat(annotations / f"annotation_000{number}.mat", coordinates)
    data = load_caltech101(tmp_path, category)
    assert data.names == ("image_0001.jpg", "image_0002.jpg")
    assert data.boxes.tolist() == [[0.25, 0.25, 0.525, 0.75], [0.25, 0.25, 0.55, 0.75]]
    second = annotations / "annotation_0002.mat"
    for found, words in (
        (np.array([[5, 15, 10, np.nan]]), "four finite numbers"),
        (np.array([[5, 15, 10, 22 + 1j]]), "box_coord is of complex"),
        (np.array(["text"]), "box_coord"),
        (np.array([[5, 15, 10]]), "box_coord"),
    ):
        savemat(second, {"box_coord": found})
        with pytest.raises(DataError, match=rf"annotation_0002.mat.*{words}"):
            load_caltech101(tmp_path, category)
    second.write_bytes(b"MATLAB 5.0 and no more")
    with pytest.raises(DataError, match=r"annotation_0002.mat.*box_coord"):
        load_caltech101(tmp_path, category)
    second.unlink()
    with pytest.raises(DataError, match="no such folder"):
        load_caltech101(tmp_path, "Motorbikes")


corner = st.integers(0, 12)


@given(*[corner] * 8)
def test_iou_counts_pixels(ax, ay, aw, ah, bx, by, bw, bh):
    a, b = np.zeros((2, 24, 24), bool)
    a[ay : ay + ah, ax : ax + aw] = True
    b[by : by + bh, bx : bx + bw] = True
    common, union = (a & b).sum(), (a | b).sum()
    found = iou([ax, ay, ax + aw, ay + ah], [bx, by, bx + bw, by + bh])
    assert found == pytest.approx(common / union if union else 0)


def test_iou_of_boxes_the_wrong_way_round_is_0():
    turned = [[0.8, 0.2, 0.2, 0.8], [0.2, 0.8, 0.8, 0.2], [0.8, 0.8, 0.2, 0.2]]
    assert iou(turned, [0.2, 0.2, 0.8, 0.8]).tolist() == [0, 0, 0]


def test_constant_boxes():
    boxes = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0.3, 0.3, 0.7, 0.7]])
    assert median_box(boxes).tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(mean_box(boxes), [0.1, 0.1, 0.9, 0.9])


@given(st.integers(3, 200), st.integers(0, 5), st.integers(1, 20), st.randoms())
def test_every_picture_is_in_one_part_whatever_their_order(count, seed, block, random):
    names = [f"image_{i:04d}.jpg" for i in range(count)]
    if -(-count // block) < 3:
        with pytest.raises(DataError, match="cannot be split"):
            split(names, seed, block)
        return
    parts = split(names, seed, block)
    everything = [*parts.train, *parts.validation, *parts.test]
    assert sorted(everything) == list(range(count))
    assert min(map(len, (parts.train, parts.validation, parts.test))) > 0
    shuffled = random.sample(names, count)
    again = split(shuffled, seed, block)
    assert {shuffled[i] for i in again.test} == {names[i] for i in parts.test}
    for start in range(0, count, block):
        neighbours = set(range(start, min(start + block, count)))
        assert (
            sum(bool(neighbours & set(p.tolist())) for p in vars(parts).values()) == 1
        )


def test_the_split_is_70_15_15():
    parts = split([f"{i:03d}" for i in range(391)], seed=0)
    sizes = len(parts.train), len(parts.validation), len(parts.test)
    assert sizes == (273, 59, 59)
    assert set(parts.test) != set(split([f"{i:03d}" for i in range(391)], 1).test)


@pytest.mark.skipif(
    "SNN_DEPLOY_DATA" not in os.environ, reason="SNN_DEPLOY_DATA names no data folder"
)
def test_the_faces_and_their_constant_box():
    data = load_folder(Path(os.environ["SNN_DEPLOY_DATA"]) / "caltech101-faces")
    assert len(data) == 391
    assert iou(median_box(data.boxes), data.boxes).mean() == pytest.approx(
        0.64, abs=0.01
    )
