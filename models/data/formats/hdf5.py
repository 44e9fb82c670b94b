"""Arrays in an HDF5 file, read when they are asked for, and from that file alone."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ....toolchain.errors import DataError
from ....toolchain.rehearsal import rehearse
from ..files import require_file
from .npy import sound

SUFFIXES = (".h5", ".hdf5", ".hdf")
DEPTH = 3  # of groups: part/class/name
PORTION = 2**24  # bytes, rehearsed at a time


def hdf5_datasets(path: Path) -> dict[str, Any]:
    """Name → h5py.Dataset; texts as h5py gives them, of a dtype that holds objects.

    Raises:
        DataError: the file is missing or damaged, or something in it lies elsewhere.
    """
    require_file(path, "no such file")
    with sound(path):
        rehearse(read_through, path)
        return _datasets(path)


def read_through(path: Path) -> None:
    """Read all that can be asked for, in portions, and keep nothing.

    Numbers that lie in one piece have nothing that can mislead HDF5 but their ends.
    """
    import h5py

    for dataset in _datasets(path).values():
        if not dataset.shape or not dataset.size:
            dataset[()]
        elif h5py.check_string_dtype(dataset.dtype) is not None:
            dataset.asstr()[()].astype(str)
        elif dataset.chunks is None and not dataset.dtype.hasobject:
            dataset[:1], dataset[-1:]
        else:
            rows = _portion(dataset)
            for start in range(0, len(dataset), rows):
                dataset[start : start + rows]


def _portion(dataset: Any) -> int:
    """Rows to be read at a time: whole chunks, where they are no larger than that."""
    row = dataset.dtype.itemsize * math.prod(dataset.shape[1:])
    rows, chunk = max(PORTION // row, 1), (dataset.chunks or (1,))[0]
    return max(rows // chunk * chunk, min(rows, chunk))


def _datasets(path: Path) -> dict[str, Any]:
    import h5py

    return dict(_inside(path, h5py.File(path, "r"), ()))


def _inside(path: Path, group: Any, above: tuple[str, ...]) -> list[tuple[str, Any]]:
    import h5py

    found = []
    for name in group:
        place = "/".join((*above, name))
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise _elsewhere(path, place)
        item = group[name]
        if isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise _elsewhere(path, place)
            found.append((place, item))
        elif isinstance(item, h5py.Group) and len(above) + 1 < DEPTH:
            found += _inside(path, item, (*above, name))
    return found


def _elsewhere(path: Path, name: str) -> DataError:
    return DataError(
        f"{path}: {name!r} only points to where its numbers are, which is not "
        "followed; save the numbers themselves in this file"
    )
