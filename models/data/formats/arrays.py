"""Arrays in files: .npz, .npy and HDF5 with x and y; large ones are never loaded whole.

Names: ``x, y`` or ``x_train, y_train, x_test, y_test``, labels left out where there are
none. SNN Toolbox's folder of ``x_norm.npz``, ``x_test.npz`` and ``y_test.npz`` is read
too: what it normalises with is the training part, without labels.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ....toolchain.errors import DataError
from ....toolchain.graph.nodes import Array
from ..dataset import Dataset
from .rows import rows

NAMES = ("x", "y", "x_train", "y_train", "x_test", "y_test")
LARGEST = 2**33  # bytes of an array that must be held in memory
HDF5 = (".h5", ".hdf5", ".hdf")
ALLOWED = "x and y, or x_train, y_train, x_test and y_test (without y: no labels)"


@dataclass(frozen=True, eq=False)
class Chain:
    """Two arrays as one, the second's rows behind the first's; neither is copied."""

    first: Any
    second: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, …)"""
        return (len(self), *self.first.shape[1:])

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """What both can be held as."""
        return np.result_type(self.first.dtype, self.second.dtype)

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def __getitem__(self, index: Any) -> Array:
        """Rows at one index or at an array of rising indices."""
        size = len(self.first)
        if np.ndim(index) == 0:
            return np.asarray(
                self.first[index] if index < size else self.second[index - size]
            )
        index = np.asarray(index)
        parts = [
            self.first[index[index < size]],
            self.second[index[index >= size] - size],
        ]
        return np.concatenate(parts)


def is_arrays(path: Path) -> bool:
    """Whether this is a file of arrays, or a folder of .npy or SNN Toolbox's .npz."""
    if path.is_dir():
        names = {file.name for file in path.iterdir()}
        return any(f"{n}{s}" in names for n in NAMES for s in (".npy", ".npz"))
    return path.suffix.lower() in (".npz", ".npy", *HDF5)


def read_arrays(path: Path) -> Dataset:
    """The arrays of a file or folder.

    Raises:
        DataError: a name is missing, the file is damaged, or holds objects, which are
            never unpickled.
    """
    try:
        found = _open(path)
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(
            f"Data {str(path)!r}: it cannot be read as arrays of numbers ({error})"
        ) from error
    return _joined(path.name or str(path), found)


def _open(path: Path) -> dict[str, Any]:
    if path.is_dir():
        files = {
            name: path / f"{name}{suffix}"
            for suffix in (".npz", ".npy")
            for name in (*NAMES, "x_norm")
            if (path / f"{name}{suffix}").is_file()
        }
        return {name: _file(file) for name, file in files.items()}
    if path.suffix == ".npz":
        return _members(path, NAMES)
    if path.suffix == ".npy":
        beside = {"x": path, "y": path.with_name(path.name.replace("x", "y", 1))}
        names = {n: f for n, f in beside.items() if n == "x" or f != path}
        return {name: _file(file) for name, file in names.items() if file.is_file()}
    return _hdf5(path)


def _file(path: Path) -> Any:
    """One array: of .npy mapped, of .npz the first it holds."""
    if path.suffix == ".npy":
        return np.load(path, mmap_mode="r", allow_pickle=False)
    (array,) = _members(path, ("arr_0", path.stem)).values()
    return array


def _members(path: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """Arrays of an .npz, held in memory, no larger than ``LARGEST``."""
    with zipfile.ZipFile(path) as file:
        for info in file.infolist():
            if info.file_size > LARGEST:
                raise DataError(
                    f"Data {str(path)!r}: {info.filename!r} unpacks to "
                    f"{info.file_size / 2**30:.1f} GiB; save arrays of that size as "
                    ".npy files, which are read where they lie"
                )
        _check_headers(path, file)
    with np.load(path, allow_pickle=False) as held:
        return {name: held[name] for name in names if name in held}


def _check_headers(path: Path, file: zipfile.ZipFile) -> None:
    """Raise where an array claims another size than its member has."""
    for info in file.infolist():
        with file.open(info) as member:
            version = np.lib.format.read_magic(member)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, _, dtype = read(member)
            if dtype.hasobject:
                raise DataError(
                    f"Data {str(path)!r}: {info.filename!r} holds objects, which are "
                    "never read, as they could execute anything; save numbers or texts"
                )
            size = int(np.prod(shape, dtype=object)) * dtype.itemsize
            if size > info.file_size:
                raise DataError(
                    f"Data {str(path)!r}: {info.filename!r} says {size} bytes of "
                    f"numbers and has {info.file_size}; it is damaged"
                )


def _hdf5(path: Path) -> dict[str, Any]:
    """Datasets of an HDF5 file, read when they are asked for."""
    import h5py

    file = h5py.File(path, "r")
    found = {}
    for name in NAMES:
        if name in file:
            link = file.get(name, getlink=True)
            dataset = file[name] if isinstance(link, h5py.HardLink) else None
            if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual:
                raise DataError(
                    f"Data {str(path)!r}: {name!r} is no array of this file; links to "
                    "other files are not followed"
                )
            if dataset.external:
                raise DataError(f"Data {str(path)!r}: {name!r} lies in another file")
            text = h5py.check_string_dtype(dataset.dtype) is not None
            found[name] = dataset.asstr()[:].astype(str) if text else dataset
    return found


def _joined(source: str, found: Mapping[str, Any]) -> Dataset:
    """x and y, or training and test part one after the other."""
    if "x" in found:
        return rows(source, found["x"], _whole(found.get("y")))
    learned = found.get("x_train", found.get("x_norm"))
    if learned is None and "x_test" in found:
        return rows(source, found["x_test"], _whole(found.get("y_test")))
    if learned is None or "x_test" not in found:
        has = ", ".join(sorted(found)) or "none of them"
        raise DataError(f"{source}: it holds {has}; {ALLOWED} are needed")
    test = found["x_test"]
    if tuple(learned.shape[1:]) != tuple(test.shape[1:]):
        raise DataError(
            f"{source}: samples of the training part have shape {learned.shape[1:]}, "
            f"of the test part {test.shape[1:]}; give samples of one shape"
        )
    first, second = _whole(found.get("y_train")), _whole(found.get("y_test"))
    for name, x, y in (("train", learned, first), ("test", test, second)):
        if y is not None and len(y) != len(x):
            raise DataError(
                f"{source}: x_{name} has {len(x)} samples and y_{name} {len(y)} "
                "answers; give one answer for each sample"
            )
    part = ["train"] * len(learned) + ["test"] * len(test)
    both = Chain(learned, test)
    if first is None:  # SNN Toolbox: what it normalises with has no labels
        missing = 0 if second is None else len(learned)
        return rows(source, both, second, part=part, unlabelled=missing)
    if second is None:
        raise DataError(
            f"{source}: it holds y_train without y_test; {ALLOWED} are needed"
        )
    return rows(source, both, np.concatenate([first, second]), part=part)


def _whole(y: Any) -> Array | None:
    return None if y is None else np.asarray(y[:] if hasattr(y, "id") else y)
