"""Folders of pictures as data: a folder for each class, train/ and test/ above."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from snn_deploy.models.data.formats.formats import read_data
from snn_deploy.models.data.formats.layout import layout_of
from snn_deploy.toolchain import memory
from snn_deploy.toolchain.errors import DataError


def write(folder, *names):
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 3), 10 * i).save(folder / name)
    return folder


def test_folders_are_classes_by_name(tmp_path):
    write(tmp_path, "dog/b.png", "cat/z.jpg", "dog/a.BMP", "ant/1.png")
    (tmp_path / "cat" / "notes.txt").touch()
    (tmp_path / ".git").mkdir()
    data = read_data(tmp_path)
    assert data.names == ("ant/1.png", "cat/z.jpg", "dog/a.BMP", "dog/b.png")
    assert data.classes == ("ant", "cat", "dog") and data.kind == "classes"
    assert data.answers.tolist() == [0, 1, 2, 2] and data.part is None
    assert data.shape is None and data.by_name
    drawn = data.read(np.array([3, 0]), (6, 5, 3))
    assert drawn.shape == (2, 6, 5, 3) and drawn.dtype == np.float32
    np.testing.assert_allclose([drawn[0].max(), drawn[1].min()], [0, 30 / 255])
    assert len({*data.digest(np.array([0, 2, 3]))}) == 3


PARTS = {  # folders above the classes → part of each
    ("train", "test"): ("test", "train"),
    ("Training", "Testing"): ("test", "train"),
    ("train", "val"): ("train", "test"),
    ("train", "val", "test"): ("test", "train", "train"),
    ("train",): None,
    ("validation", "test"): ("test", "train"),
}


@pytest.mark.parametrize("tops", PARTS)
def test_train_and_test_above_are_parts(tmp_path, tops):
    write(tmp_path, *(f"{top}/{name}/1.png" for top in tops for name in "ab"))
    data = read_data(tmp_path)
    assert data.classes == ("a", "b")
    wanted = PARTS[tops]
    assert data.part == (wanted and tuple(part for part in wanted for _ in "ab"))


def test_pictures_without_folders_have_no_labels(tmp_path):
    data = read_data(write(tmp_path, "1.png", "2.png"))
    assert data.answers is None and data.kind is None and data.classes == ()


BAD = {
    "one class": (["a/1.png"], "it holds one class, 'a'; at least two are needed, or"),
    "beside": (["a/1.png", "b/1.png", "x.png"], "'x.png' and 'a/1.png' lie at diff"),
    "deeper": (["a/1.png", "b/c/1.png"], "'b/c/1.png' and 'a/1.png' lie at different"),
    "too deep": (["a/1.png", "b/c/d/e/1.png"], "is deeper; move it"),
    "no part": (["train/a/1.png", "extra/b/1.png"], "it holds extra, train; either"),
    "no classes": (["train/1.png", "test/1.png"], "it holds test, train; either"),
    "tested alone": (
        ["train/a/1.png", "train/b/1.png", "test/c/1.png"],
        "class 'c' is in the test part and not in the training part",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_another_layout_is_one_sentence(tmp_path, name):
    names, words = BAD[name]
    write(tmp_path, *names)
    with pytest.raises(DataError, match=words):
        read_data(tmp_path)


def test_a_class_without_pictures(tmp_path):
    write(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "readme.txt").touch()
    with pytest.raises(DataError, match="c: this folder holds no .png or .*remove it"):
        read_data(tmp_path)
    (tmp_path / "c" / "readme.txt").unlink()
    (tmp_path / "c").rmdir()
    assert read_data(tmp_path).classes == ("a", "b")


def test_a_folder_that_leads_to_itself(tmp_path):
    write(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "b" / "again").symlink_to(tmp_path)
    with pytest.raises(DataError, match="is deeper; move it"):
        read_data(tmp_path)


@pytest.mark.parametrize("shape", [(64,), (8, 8), (8, 8, 2), (3, 8, 8, 1)])
def test_a_network_that_takes_no_pictures(tmp_path, shape):
    data = read_data(write(tmp_path, "a/1.png", "b/1.png"))
    with pytest.raises(DataError) as caught:
        data.read(np.array([0]), shape)
    assert f"the network takes {shape}; give its samples as arrays" in str(caught.value)


def test_pictures_beyond_the_memory(tmp_path, monkeypatch):
    data = read_data(write(tmp_path, "a/1.png", "b/1.png"))
    monkeypatch.setattr(memory, "memory", lambda: 1000)
    with pytest.raises(DataError, match="2 pictures of .*use fewer pictures"):
        data.read(np.array([0, 1]), (64, 64, 1))


def test_a_broken_picture_is_named(tmp_path):
    data = read_data(write(tmp_path, "a/1.png", "b/1.png"))
    (tmp_path / "b" / "1.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="b/1.png: it is no readable picture"):
        data.read(np.array([1]), (3, 4, 1))


def test_names_alone_have_no_classes():
    assert layout_of("x", ["1", "2"]).labels is None
