"""Arrays in an HDF5 file, read when they are asked for, and from that file alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ....toolchain.errors import DataError
from ..files import require_file
from .npy import sound

SUFFIXES = (".h5", ".hdf5", ".hdf")
DEPTH = 3  # of groups: part/class/name


def hdf5_datasets(path: Path) -> dict[str, Any]:
    """Name → h5py.Dataset; texts as h5py gives them, of a dtype that holds objects.

    Raises:
        DataError: the file is missing or damaged, or something in it lies elsewhere.
    """
    import h5py

    require_file(path, "no such file")
    with sound(path):
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
