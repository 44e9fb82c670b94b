"""Arrays in files: .npz, .npy and HDF5 with x and y; large ones are never loaded whole.

Names: ``x, y`` or ``x_train, y_train, x_test, y_test``, labels left out where there are
none. SNN Toolbox's folder of ``x_norm.npz``, ``x_test.npz`` and ``y_test.npz`` is read
too: what it normalises with is the training part, without labels.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ....toolchain.errors import DataError
from ....toolchain.graph.nodes import Array
from ....toolchain.memory import demand_memory
from ..dataset import Dataset
from ..files import entries
from . import hdf5
from .labels import Labels, labels_of
from .npy import npz_members, open_npy, sound
from .reading import Reading
from .rows import demand_samples, row_names, rows

NAMES = ("x", "y", "x_train", "y_train", "x_test", "y_test")
NORM = "x_norm"  # SNN Toolbox's name of what it normalises with
SHOWN = 8  # names that a message lists
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
    def dtype(self) -> np.dtype[Any]:
        """What both can be held as."""
        return np.result_type(self.first.dtype, self.second.dtype)

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def __getitem__(self, index: slice) -> Array:
        """Rows from index.start to index.stop."""
        size = len(self.first)
        parts = (
            self.first[min(index.start, size) : min(index.stop, size)],
            self.second[max(index.start - size, 0) : max(index.stop - size, 0)],
        )
        return np.concatenate(parts, dtype=self.dtype)


def is_arrays(path: Path) -> bool:
    """Whether this is a file of arrays, or a folder of .npy or SNN Toolbox's .npz."""
    if path.is_dir():
        return bool(_files(path))
    return path.suffix.lower() in (".npz", ".npy", *hdf5.SUFFIXES)


def read_arrays(path: Path, reading: Reading) -> Dataset:
    """The arrays of a file or folder.

    Raises:
        DataError: a name is missing, the file is damaged, or holds objects, which are
            never unpickled.
    """
    return _joined(path.resolve().name, _open(path), reading)


def _open(path: Path) -> dict[str, Any]:
    """Name → array, those of ``NAMES`` and ``NORM``; they lie in the file still."""
    kind = path.suffix.lower()
    if path.is_dir():
        return {name: _array(file) for name, file in _files(path).items()}
    if kind == ".npy":
        beside = path.with_name(re.sub(r"(?<![a-zA-Z])x(?![a-zA-Z])", "y", path.name))
        answered = beside != path and beside.is_file()
        return {"x": open_npy(path), **({"y": open_npy(beside)} if answered else {})}
    if kind == ".npz":
        members = npz_members(path)
        _demand_names(path, members)
        return {name: members[name].load() for name in NAMES if name in members}
    datasets = hdf5.hdf5_datasets(path)
    _demand_names(path, datasets)
    with sound(path):
        return {name: _texts(datasets[name]) for name in NAMES if name in datasets}


def _files(folder: Path) -> dict[str, Path]:
    """Name → the file in a folder that holds that array."""
    found: dict[str, Path] = {}
    for file in entries(folder):
        if file.suffix in (".npy", ".npz") and file.stem in (*NAMES, NORM):
            if file.stem in found:
                raise DataError(
                    f"{folder}: {found[file.stem].name} and {file.name} are both "
                    "there; remove one of them"
                )
            found[file.stem] = file
    return found


def _array(path: Path) -> Array:
    """The one array of a file."""
    if path.suffix == ".npy":
        return open_npy(path)
    members = npz_members(path)
    if len(members) != 1:
        raise DataError(
            f"{path}: it holds {_listed(members)}; in a folder each .npz holds one "
            "array"
        )
    (member,) = members.values()
    return member.load()


def _texts(dataset: Any) -> Any:
    """An h5py.Dataset; of texts, these."""
    import h5py

    if dataset.shape is None or h5py.check_string_dtype(dataset.dtype) is None:
        return dataset
    return dataset.asstr()[()].astype(str)


def _demand_names(path: Path, held: Iterable[str]) -> None:
    if not {*NAMES} & {*held}:
        raise DataError(f"{path}: it holds {_listed(held)}; {ALLOWED} are needed")


def _listed(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return (", ".join(listed[:SHOWN]) or "nothing") + more


def _joined(source: str, found: dict[str, Any], reading: Reading) -> Dataset:
    """x and y, or training and test part one after the other."""
    train = "x_train" if "x_train" in found else NORM
    samples = [name for name in ("x", train, "x_test") if name in found]
    alone = [n for n in found if n[0] == "y" and n.replace("y", "x", 1) not in found]
    sets = ["x"], ["x_test"], [train, "x_test"]
    if samples not in sets or alone or {"x_train", NORM} <= {*found}:
        raise DataError(f"{source}: it holds {_listed(found)}; {ALLOWED} are needed")
    for name in samples:
        demand_samples(source, name, found[name])
    answers = {name: _answers(source, name, found) for name in samples}
    if len(samples) == 1:
        (name,) = samples
        x, y = found[name], answers[name]
        return rows(source, x, _labels(source, x, y, row_names("", len(x)), reading))
    return _in_parts(source, found[train], found["x_test"], answers, reading)


def _in_parts(
    source: str,
    learned: Any,
    test: Any,
    answers: dict[str, Array | None],
    reading: Reading,
) -> Dataset:
    if tuple(learned.shape[1:]) != tuple(test.shape[1:]):
        raise DataError(
            f"{source}: samples of the training part have shape {learned.shape[1:]}, "
            f"of the test part {test.shape[1:]}; give samples of one shape"
        )
    x, (first, second) = Chain(learned, test), answers.values()
    names = row_names("training", len(learned)) + row_names("test", len(test))
    if second is None and first is not None:
        raise DataError(
            f"{source}: it holds y_train without y_test; {ALLOWED} are needed"
        )
    if second is not None and first is not None:
        forms = [(y.shape[1:], y.dtype.kind in "SU") for y in (first, second)]
        if forms[0] != forms[1]:
            raise DataError(
                f"{source}: y_train is {first.dtype} of shape {first.shape} and y_test "
                f"{second.dtype} of shape {second.shape}; give both in one form"
            )
    missing = 0 if first is not None or second is None else len(learned)
    known = [y for y in (first, second) if y is not None]
    y = np.concatenate(known) if known else None
    return rows(
        source,
        x,
        _labels(source, x, y, names[missing:], reading),
        names=names,
        part=["train"] * len(learned) + ["test"] * len(test),
        unlabelled=missing,
    )


def _answers(source: str, name: str, found: dict[str, Any]) -> Array | None:
    """The array y of an array x, in memory; None where there is none or it is empty."""
    y = found.get(name.replace("x", "y", 1))
    if y is None or y.shape is None or not math.prod(y.shape):
        return None
    if not y.shape or len(y) != len(found[name]):
        raise DataError(
            f"{source}: {name} has {len(found[name])} samples and "
            f"{name.replace('x', 'y', 1)} is of shape {y.shape}; give one answer for "
            "each sample"
        )
    demand_memory(
        f"{source}: answers of shape {y.shape}",
        math.prod(y.shape) * max(y.dtype.itemsize, 8),
        "give fewer samples",
    )
    with sound(Path(source)):
        return np.asarray(y[()])


def _labels(
    source: str, x: Any, y: Array | None, names: tuple[str, ...], reading: Reading
) -> Labels | None:
    if y is None:
        return None
    return labels_of(source, y, tuple(x.shape[1:]), names, reading.kind)
