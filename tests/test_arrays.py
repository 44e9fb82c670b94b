"""Arrays as data: what is read of .npz, .npy and HDF5, and what is refused."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from snn_deploy.models.data.formats import npy
from snn_deploy.models.data.formats import rows as rows_module
from snn_deploy.models.data.formats.formats import read_data
from snn_deploy.models.data.formats.reading import Reading
from snn_deploy.models.data.formats.rows import demand_shape
from snn_deploy.toolchain import memory
from snn_deploy.toolchain.errors import DataError

NUMBERS = arrays.boolean_dtypes() | arrays.integer_dtypes() | arrays.floating_dtypes()
SAMPLES = NUMBERS.flatmap(
    lambda dtype: arrays.arrays(
        dtype,
        arrays.array_shapes(min_dims=2, max_dims=4, max_side=4),
        elements=None if dtype.kind != "f" else st.floats(-99, 99, width=16),
    )
)


def write_npz(folder: Path, **held: object) -> Path:
    np.savez(folder / "d.npz", **held)
    return folder / "d.npz"


def write_packed(folder: Path, **held: object) -> Path:
    np.savez_compressed(folder / "p.npz", **held)
    return folder / "p.npz"


def write_hdf5(folder: Path, **held: object) -> Path:
    with h5py.File(folder / "d.h5", "w") as file:
        for name, array in held.items():
            array = np.asarray(array)
            file[name] = array.tolist() if array.dtype.kind == "U" else array
    return folder / "d.h5"


def write_folder(folder: Path, **held: object) -> Path:
    inner = folder / "arrays"
    inner.mkdir(exist_ok=True)
    for name, array in held.items():
        np.save(inner / f"{name}.npy", array)
    return inner


def write_pair(folder: Path, **held: object) -> Path:
    return write_folder(folder, **held) / "x.npy"


WRITERS = (write_npz, write_packed, write_hdf5, write_folder, write_pair)
X = np.arange(24.0).reshape(6, 4)
Y = np.array([0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize("write", WRITERS)
@given(SAMPLES, st.randoms())
def test_samples_come_back_whatever_holds_them(tmp_path_factory, write, x, random):
    folder = tmp_path_factory.mktemp("data")
    data = read_data(write(folder, x=x, y=np.arange(len(x))))
    indices = np.array([random.randrange(len(x)) for _ in range(5)])
    drawn = data.read(indices, x.shape[1:])
    assert drawn.dtype == np.float32
    np.testing.assert_array_equal(drawn, x[indices].astype(np.float32))
    assert data.read(np.arange(0), x.shape[1:]).shape == (0, *x.shape[1:])
    assert len(data) == len({*data.names}) == len(x) and data.shape == x.shape[1:]
    assert data.kind == "classes" and data.answers.tolist() == list(range(len(x)))


@pytest.mark.parametrize("write", WRITERS[:-1])
def test_parts_and_their_labels_are_joined(tmp_path, write):
    path = write(
        tmp_path, x_train=X, y_train=Y, x_test=X[:2].astype("f4"), y_test=Y[:2]
    )
    data = read_data(path)
    assert data.part == ("train",) * 6 + ("test",) * 2
    assert data.answers.tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert data.names[5:7] == ("training row 5", "test row 0")
    np.testing.assert_array_equal(
        data.read(np.array([7, 1, 1, 5]), (4,)), X[[1, 1, 1, 5]]
    )
    # equal samples have equal digests, in whichever type they are stored
    assert data.digest(np.array([6, 7, 0])) == data.digest(np.array([0, 1, 6]))
    assert len({*data.digest(np.arange(6))}) == 6


def test_digests_are_of_the_numbers_alone(tmp_path):
    first = read_data(write_npz(tmp_path, x=X.reshape(6, 2, 2, 1)))
    second = read_data(write_hdf5(tmp_path, x=X.astype(np.uint8)))
    order = np.array([3, 0, 3])
    assert first.digest(order) == second.digest(order)


def test_portions_change_nothing(tmp_path, monkeypatch):
    data = read_data(write_hdf5(tmp_path, x=X))
    whole = data.read(np.arange(6), (4,)), data.digest(np.arange(6))
    monkeypatch.setattr(rows_module, "PORTION", 70)  # two rows
    np.testing.assert_array_equal(data.read(np.arange(6), (4,)), whole[0])
    assert data.digest(np.arange(6)) == whole[1]


def test_the_three_files_of_snn_toolbox(tmp_path):
    for name, array in (("x_norm", X), ("x_test", X[:3]), ("y_test", np.eye(3))):
        np.savez_compressed(tmp_path / name, array)  # as arr_0
    data = read_data(tmp_path)
    assert data.part == ("train",) * 6 + ("test",) * 3
    assert data.labelled.tolist() == [False] * 6 + [True] * 3
    assert data.kind == "classes" and data.answers[6:].tolist() == [0, 1, 2]


FORMS = {  # labels → kind, answers, names of classes
    "whole numbers": (Y, "classes", Y, ()),
    "a column": (Y[:, None].astype(np.uint8), "classes", Y, ()),
    "truth": (Y > 0, "classes", Y > 0, ()),
    "one-hot": (np.eye(3, dtype="f4")[Y], "classes", Y, ()),
    "texts": (np.array(["b", "ä", "c"])[Y], "classes", [0, 2, 1] * 2, ("b", "c", "ä")),
    "values": (Y / 2, "values", Y[:, None] / 2, ()),
    "rows of values": (X[:, :2], "values", X[:, :2], ()),
    "several whole numbers": (np.stack([Y, Y], 1), "values", np.stack([Y, Y], 1), ()),
}


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("form", FORMS)
def test_labels_say_what_they_are(tmp_path, form, write):
    y, kind, answers, classes = FORMS[form]
    data = read_data(write(tmp_path, x=X, y=y))
    assert (data.kind, data.classes) == (kind, classes)
    np.testing.assert_array_equal(data.answers, answers)


def test_a_named_task_decides_what_labels_may_be(tmp_path):
    path = write_npz(tmp_path, x=X, y=Y.astype(float))
    assert read_data(path).kind == "values"
    named = read_data(path, Reading(kind="classes"))
    assert named.kind == "classes" and named.answers.tolist() == Y.tolist()
    assert read_data(path, Reading(kind="ranks of a plug-in")).kind == "values"
    path = write_npz(tmp_path, x=X, y=Y - 1)
    assert read_data(path, Reading(kind="values")).answers[0].tolist() == [-1]


@pytest.mark.parametrize("channel", [(), (1,)])
def test_labels_as_large_as_pictures_are_masks(tmp_path, channel):
    x = np.zeros((6, 4, 5, 1))
    mask = np.arange(6 * 20).reshape(6, 4, 5) % 3
    for y in (mask.reshape(6, 4, 5, *channel), mask.astype("f4"), np.eye(3)[mask]):
        data = read_data(write_npz(tmp_path, x=x, y=y))
        assert data.kind == "masks"
        np.testing.assert_array_equal(data.answers, mask)
    assert read_data(write_npz(tmp_path, x=x, y=mask / 2)).kind == "values"


def test_without_labels_there_are_no_answers(tmp_path):
    for held in ({"x": X}, {"x": X, "y": []}, {"x_test": X}):
        data = read_data(write_npz(tmp_path, **held))
        assert data.answers is None and data.kind is None and len(data) == 6
    data = read_data(write_npz(tmp_path, x_train=X, x_test=X))
    assert data.answers is None and data.labelled is None and data.part is not None


SHAPES = {  # held, asked, fits
    ((8, 8), (8, 8, 1), True),
    ((8, 8, 1), (8, 8), True),
    ((1, 8, 8), (8, 8, 1), True),
    ((64,), (8, 8, 1), True),
    ((4, 4, 3), (48,), True),
    ((187, 1), (187, 1, 1), True),
    ((4, 6), (6, 4), False),
    ((4, 6), (3, 8), False),
    ((63,), (8, 8, 1), False),
    ((8, 8, 3), (8, 8, 1), False),
    ((5, 8, 8), (8, 8), False),
}


@pytest.mark.parametrize("held, asked, fits", sorted(SHAPES))
def test_samples_take_the_shape_that_the_network_takes(tmp_path, held, asked, fits):
    x = np.random.default_rng(0).random((3, *held), np.float32)
    data = read_data(write_npz(tmp_path, x=x))
    if fits:
        drawn = data.read(np.array([2]), asked)
        np.testing.assert_array_equal(drawn, x[2:].reshape(1, *asked))
    else:
        with pytest.raises(DataError) as caught:
            data.read(np.array([2]), asked)
        assert f"{held} and the network takes {asked}" in str(caught.value)


def test_channels_first_is_named(tmp_path):
    for held, asked in (((3, 8, 6), (8, 6, 3)), ((2, 9), (9, 2))):
        with pytest.raises(DataError, match="say --channels-first where"):
            demand_shape("d.npz", held, asked)
        demand_shape("d.npz", asked, asked)


BAD = {
    "no names": (dict(images=X, digits=Y), "d.npz: it holds digits, images; x and y"),
    "many names": ({f"n{i}": X for i in range(10)}, "n7 and 2 more; x and y"),
    "no test": (dict(x_train=X, y_train=Y), "it holds x_train, y_train; x and y, or"),
    "no y_test": (dict(x_train=X, y_train=Y, x_test=X), "y_train without y_test"),
    "y alone": (dict(x=X, y_test=Y), "it holds x, y_test; x and y, or"),
    "two sets": (dict(x=X, x_train=X, x_test=X), "it holds x, x_test, x_train; x and"),
    "lengths": (dict(x=X, y=Y[1:]), r"x has 6 samples and y is of shape \(5,\); give"),
    "lengths of parts": (
        dict(x_train=X, y_train=Y, x_test=X[:4], y_test=Y),
        "x_test has 4 samples and y_test is of shape",
    ),
    "shapes of parts": (
        dict(x_train=X, x_test=X[:, :3]),
        r"training part have shape \(4,\), of the test part \(3,\)",
    ),
    "forms of parts": (
        dict(x_train=X, y_train=Y, x_test=X, y_test=Y.astype(str)),
        "y_train is int64 .* and y_test <U21 .* in one form",
    ),
    "no samples": (dict(x=X[:0], y=Y[:0]), r"x has shape \(0, 4\).*at least one"),
    "no numbers": (dict(x=X[:, :0], y=Y), r"x has shape \(6, 0\).*at least one"),
    "one number": (dict(x=3.0), r"x has shape \(\).*is needed"),
    "scalars": (dict(x=Y), r"x has shape \(6,\).*is needed"),
    "one label": (dict(x=X, y=3), r"y is of shape \(\); give one answer for each"),
    "texts": (dict(x=X.astype(str)), "x is <U32; numbers are needed"),
    "complex": (dict(x=X * 1j), "x is complex128; numbers are needed"),
    "complex y": (dict(x=X, y=Y * 1j), "y is complex128; whole numbers, one-hot rows"),
    "NaN in y": (
        dict(x=X, y=[0, 1, np.nan, 0, 1, 2]), "y of row 2 is not finite; correct"
    ),
    "infinite test y": (
        dict(x_train=X, y_train=Y / 2, x_test=X, y_test=[0.5, 0, np.inf, 0, 0, 0]),
        "y of test row 2 is not finite",
    ),
    "negative": (dict(x=X, y=Y - 1), "y of row 0 is the label -1; classes are counted"),
    "large": (dict(x=X, y=Y * 2**40), "row 1 is the label 1099511627776; .*--task val"),
    "many texts": (
        dict(x=X, y=np.array([["a", "b"]] * 6)), r"texts, of shape \(6, 2\); one for"
    ),
    "bytes": (dict(x=X, y=np.array([b"\xff"] * 6)), "no UTF-8"),
    "negative mask": (
        dict(x=np.zeros((2, 3, 3)), y=np.full((2, 3, 3), -1)), "row 0 is the label -1"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_arrays_are_one_sentence(tmp_path, name):
    held, words = BAD[name]
    with pytest.raises(DataError, match=words):
        read_data(write_npz(tmp_path, **held))


AS_KIND = {
    "fractions as classes": ("classes", X, Y / 2, r"float64 of shape \(6,\); classes"),
    "rows as classes": ("classes", X, X[:, :2], r"shape \(6, 2\); classes are"),
    "texts as values": ("values", X, Y.astype(str), "y is <U21; whole numbers"),
    "classes as masks": ("masks", X, Y, r"shape \(\) for samples of shape \(4,\); a m"),
    "fractions as masks": (
        "masks", np.zeros((6, 2, 2)), np.full((6, 2, 2), 0.5), "say --task values"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", AS_KIND)
def test_labels_that_cannot_be_of_the_named_task(tmp_path, name):
    kind, x, y, words = AS_KIND[name]
    with pytest.raises(DataError, match=words):
        read_data(write_npz(tmp_path, x=x, y=y), Reading(kind=kind))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e39])
@pytest.mark.parametrize("write", [write_npz, write_hdf5])
def test_a_sample_that_is_not_finite_is_named_where_it_is_read(tmp_path, bad, write):
    test = X.copy()
    test[1, 2] = bad
    data = read_data(write(tmp_path, x_train=X, x_test=test))
    data.read(np.array([0, 6]), (4,))
    with pytest.raises(DataError, match="x of test row 1 is not finite as a 32-bit"):
        data.read(np.array([8, 7, 0]), (4,))


class Bomb:
    """Unpickled, it leaves a trace."""

    def __reduce__(self):
        return Path.touch, (Path(os.environ["TRACE"]),)


@pytest.mark.parametrize("write", [write_npz, write_packed, write_folder, write_pair])
@pytest.mark.parametrize("name", ["x", "y"])
def test_objects_are_never_unpickled(tmp_path, write, name, monkeypatch):
    trace = tmp_path / "trace"
    monkeypatch.setenv("TRACE", str(trace))
    bombs = np.array([Bomb() for _ in range(6)], object)
    path = write(tmp_path, **{"x": X, "y": Y, name: bombs})
    with pytest.raises(DataError, match="it holds objects; objects are never read"):
        read_data(path)
    assert not trace.exists()
    pickle.loads(pickle.dumps(Bomb()))  # what would have happened
    assert trace.exists()


def test_hdf5_objects_are_refused(tmp_path):
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file.create_dataset("x", (3, 2), h5py.vlen_dtype(np.float32))
    with pytest.raises(DataError, match="x is object; numbers are needed"):
        read_data(tmp_path / "d.h5")


@pytest.mark.parametrize("how", ["external link", "soft link", "storage", "virtual"])
def test_hdf5_that_points_elsewhere_is_refused(tmp_path, how):
    (tmp_path / "secret").write_bytes(bytes(64))
    write_hdf5(tmp_path, x=X).rename(tmp_path / "other.h5")
    with h5py.File(tmp_path / "d.h5", "w") as file:
        if how == "external link":
            file["x"] = h5py.ExternalLink("other.h5", "/x")
        elif how == "soft link":
            file["x"] = h5py.SoftLink("/z")
        elif how == "storage":
            place = [(str(tmp_path / "secret"), 0, 64)]
            file.create_dataset("x", (2, 4), "f8", external=place)
        else:
            layout = h5py.VirtualLayout((6, 4), "f8")
            layout[:] = h5py.VirtualSource("other.h5", "x", (6, 4))
            file.create_virtual_dataset("x", layout)
    with pytest.raises(DataError, match="'x' only points to where its numbers are"):
        read_data(tmp_path / "d.h5")


def forged(shape: tuple[int, ...], numbers: bytes = bytes(64)) -> bytes:
    """An .npy whose header says another shape than it has."""
    file = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + numbers


@pytest.mark.parametrize("shape", [(10**9, 10**9), (17, 1), (2**62, 4), (-1, -16)])
def test_a_header_that_says_more_than_there_is(tmp_path, shape):
    (tmp_path / "x.npy").write_bytes(forged(shape))
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / "d.npz", "w", compression) as file:
            file.writestr("x.npy", forged(shape))
        for path in (tmp_path / "x.npy", tmp_path / "d.npz"):
            with pytest.raises(DataError, match="64 are there; it is damaged"):
                read_data(path)


def test_a_compressed_array_beyond_the_memory_is_refused_and_the_advice_helps(
    tmp_path, monkeypatch
):
    x = np.zeros((100, 50))
    path = write_packed(tmp_path, x=x)
    monkeypatch.setattr(memory, "memory", lambda: 30_000)
    with pytest.raises(DataError, match=r"x.npy: .*save the array as an .npy file"):
        read_data(path)
    np.save(tmp_path / "x.npy", x)
    assert read_data(tmp_path / "x.npy").read(np.arange(50), (50,)).shape == (50, 50)
    with pytest.raises(DataError, match="200 samples of shape .*use fewer samples"):
        read_data(tmp_path / "x.npy").read(np.zeros(200, int), (50,))


def test_a_large_member_that_is_not_compressed_is_mapped(tmp_path, monkeypatch):
    monkeypatch.setattr(npy, "MAPPED", 8)
    path = write_npz(tmp_path, x=np.asfortranarray(X), y=X[:, 0])
    monkeypatch.setattr(memory, "memory", lambda: 60)
    data = read_data(path)
    np.testing.assert_array_equal(data.read(np.array([5, 0]), (4,)), X[[5, 0]])


def test_twenty_gigabytes_are_opened_and_only_what_is_asked_is_read(tmp_path):
    path = tmp_path / "x.npy"
    x = np.lib.format.open_memmap(path, "w+", np.uint8, (20_000, 1000, 1000, 1))
    x[12_345, 1, 2] = 7
    del x
    if path.stat().st_blocks * 512 > 2**24:
        pytest.skip("this file system has no sparse files")
    np.save(tmp_path / "y.npy", np.arange(20_000) % 10)
    data = read_data(path)
    assert len(data) == 20_000 and data.kind == "classes"
    drawn = data.read(np.array([12_345, 3]), (1000, 1000, 1))
    assert drawn[0, 1, 2, 0] == 7 and not drawn[1].any()
    assert len({*data.digest(np.array([12_345, 3, 4]))}) == 2


DAMAGE = {
    "cut .npz": ("d.npz", lambda b: b[:-30]),
    "cut .npy": ("x.npy", lambda b: b[:20]),
    "no .npy": ("x.npy", lambda b: b"\x93NUMPX" + b[6:]),
    "cut HDF5": ("d.h5", lambda b: b[:700]),
    "empty .npz": ("d.npz", lambda b: b""),
    "empty .h5": ("d.h5", lambda b: b""),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_one_sentence(tmp_path, name):
    file, damage = DAMAGE[name]
    write_npz(tmp_path, x=X), write_hdf5(tmp_path, x=X), np.save(tmp_path / "x.npy", X)
    content = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(damage(content))
    with pytest.raises(DataError, match=f"{file}.*(cannot be read as arrays|damaged)"):
        read_data(tmp_path / file)


def test_a_member_cannot_say_more_than_deflate_holds(tmp_path):
    path = write_packed(tmp_path, x=X)
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\1\2") + 24  # its size, in the table at the end
    content[place : place + 4] = (0xFFFFFFF0).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(DataError, match="it says 4294967280 bytes"):
        read_data(path)


@given(st.data())
def test_a_flipped_byte_is_found_or_changes_nothing(tmp_path_factory, data):
    """What an .npz holds has checksums; only names and times have none."""
    folder = tmp_path_factory.mktemp("flip")
    path = write_packed(folder, x=X, y=Y)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(
        st.integers(1, 255)
    )
    path.write_bytes(content)
    try:
        found = read_data(path)
    except DataError as error:
        assert "\n" not in str(error)
        return
    np.testing.assert_array_equal(found.read(np.arange(6), (4,)), X)
    assert found.answers is None or found.answers.tolist() == Y.tolist()


def test_answers_lie_beside(tmp_path):
    for name, beside in (("x_train.npy", "y_train.npy"), ("max-x.npy", "max-y.npy")):
        np.save(tmp_path / name, X), np.save(tmp_path / beside, Y)
        assert read_data(tmp_path / name).answers.tolist() == Y.tolist()
        (tmp_path / beside).unlink()
        assert read_data(tmp_path / name).answers is None
    np.save(tmp_path / "mix.npy", X), np.save(tmp_path / "miy.npy", Y)
    assert read_data(tmp_path / "mix.npy").answers is None


def test_a_folder_with_the_same_array_twice(tmp_path):
    np.save(tmp_path / "x.npy", X), np.savez(tmp_path / "x.npz", X)
    with pytest.raises(DataError, match="x.npy and x.npz are both there; remove one"):
        read_data(tmp_path)
    (tmp_path / "x.npy").unlink()
    np.savez(tmp_path / "x.npz", a=X, b=X)
    with pytest.raises(DataError, match="x.npz: it holds a, b; in a folder each"):
        read_data(tmp_path)


def test_what_is_no_data_at_all(tmp_path):
    (tmp_path / "notes.txt").touch()
    for path in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(DataError, match="no samples that can be read; arrays"):
            read_data(path)
    for name in ("x.npz", "x.npy", "x.h5", "x.csv"):
        with pytest.raises(DataError, match=f"{name}: no such file"):
            read_data(tmp_path / name)
