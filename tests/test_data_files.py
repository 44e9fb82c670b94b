"""A data folder's files and tables, digests and groups: found, read, or refused."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from snn_deploy.models.data import files
from snn_deploy.models.data.digest import content_digest, file_digest, group
from snn_deploy.models.data.files import (
    inside,
    list_files,
    read_table,
    require_file,
    require_folder,
)
from snn_deploy.toolchain.errors import DataError


def test_rows_are_read_with_where_they_stand(tmp_path):
    table = tmp_path / "t.csv"
    table.write_bytes('\ufeffa,b\r\n\r\n 1 ,"x, y"\r\n2,"z\nw"\r\n3,\r\n'.encode())
    assert read_table(table, ["a", "b"]) == [
        (f"{table}, line 3", ["1", "x, y"]),
        (f"{table}, line 5", ["2", "z\nw"]),
        (f"{table}, line 6", ["3", ""]),
    ]


BAD = {
    "another header": (b"a,c\n", "first line must be a,b"),
    "empty": (b"", "first line must be a,b"),
    "no text": (b"\xff\xfe\x00", "no CSV text.*save it as UTF-8"),
    "a huge cell": (b"a,b\n1," + b"x" * 200_000, "line 2: it is no CSV text"),
    "too large": (b"a,b\n" + b"1,2\n" * 100, "more than 99 bytes"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_table_is_named(tmp_path, name, monkeypatch):
    content, words = BAD[name]
    table = tmp_path / "t.csv"
    table.write_bytes(content)
    if name == "too large":
        monkeypatch.setattr(files, "LARGEST_TABLE", 99)
    with pytest.raises(DataError, match=f"t.csv.*{words}"):
        read_table(table, ["a", "b"])


def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    cases = {
        "none": "add it",
        "pipe": "no regular file",
        "loop": "cannot be read .Too many levels",
        "x" * 300: "cannot be read .File name too long",
        "nul\0": "cannot be read .*embedded null",
    }
    for name, words in cases.items():
        with pytest.raises(DataError, match=words):
            require_file(tmp_path / name, "add it")
    with pytest.raises(DataError, match="no regular file"):
        require_file(tmp_path, "add it")
    with pytest.raises(DataError, match="make it"):
        require_folder(tmp_path / "pipe", "make it")
    assert require_folder(tmp_path, "make it") == tmp_path


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_a_sentence(tmp_path):
    private = tmp_path / "private"
    (private / "inner").mkdir(parents=True)
    table = tmp_path / "t.csv"
    table.write_text("a,b\n")
    table.chmod(0)
    private.chmod(0)
    for read in (
        lambda: read_table(table, ["a", "b"]),
        lambda: file_digest(table),
        lambda: require_file(private / "inner", "add it"),
        lambda: list_files(private, (".png",)),
    ):
        with pytest.raises(DataError, match="cannot be read .Permission denied"):
            read()
    private.chmod(0o700)


def test_only_files_of_the_suffixes_are_listed(tmp_path):
    for name in ("b.png", "a.PNG", ".hidden.png", "c.txt"):
        (tmp_path / name).touch()
    assert [file.name for file in list_files(tmp_path, (".png",))] == ["a.PNG", "b.png"]
    with pytest.raises(DataError, match="holds no .jpg or .jpeg"):
        list_files(tmp_path, (".jpg", ".jpeg"))


@given(st.text(max_size=20))
def test_a_name_stays_inside_or_is_refused(tmp_path_factory, name):
    folder = tmp_path_factory.getbasetemp()
    try:
        found = inside(folder, name, "line 2")
    except DataError as error:
        assert str(error).startswith("line 2: ")
        return
    assert os.path.normpath(found).startswith(f"{folder}{os.sep}")
    assert name.isprintable()


@given(arrays.arrays(arrays.scalar_dtypes(), arrays.array_shapes(min_dims=0)))
def test_a_digest_is_of_type_shape_and_numbers(array):
    digest = content_digest(array)
    assert digest == content_digest(array.copy(order="F"))
    assert len(digest) == 16 and int(digest, 16) >= 0
    assert digest != content_digest(array[None])
    assert digest != content_digest(array.reshape(-1).view(np.uint8)[None, None])
    changed = array.copy()
    changed.reshape(-1)[:1].view(np.uint8)[0] ^= 1
    assert digest != content_digest(changed)


def test_digests_have_not_changed(tmp_path):
    """Splits are stored by them."""
    numbers = np.arange(6, dtype="<f4").reshape(2, 3)
    assert content_digest(numbers) == "dc3b427afc48e6a3"
    (tmp_path / "a").write_bytes(b"pixels")
    assert file_digest(tmp_path / "a") == "918861296737d38c"


labels = st.integers(0, 8).map(str)


@given(st.lists(st.tuples(labels, labels), max_size=20))
def test_groups_are_what_labels_connect(pairs):
    kinds = [[pair[i] for pair in pairs] for i in (0, 1)]
    found = group(*kinds)
    whole: list[set[int]] = []  # merged one sample at a time
    for i, pair in enumerate(pairs):
        touched = [
            s for s in whole if any(a == b for j in s for a, b in zip(pairs[j], pair))
        ]
        whole = [s for s in whole if s not in touched] + [{i}.union(*touched)]
    for members in whole:
        assert {int(found[i]) for i in members} == {min(members)}
