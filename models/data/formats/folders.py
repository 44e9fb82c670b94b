"""A folder for each class, with its pictures; perhaps train/ and test/ above them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ....toolchain.errors import DataError
from ....toolchain.graph.nodes import Array, Shape
from ..dataset import Dataset, IndexArray
from ..digest import file_digest
from ..pictures import read_picture

PARTS = {"train": "train", "training": "train", "test": "test", "val": "train"}
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".webp")


def is_class_folder(path: Path) -> bool:
    """Whether there are folders in it, and pictures in one of these."""
    return path.is_dir() and any(
        _pictures(inner) for top in (path, *_folders(path)) for inner in _folders(top)
    )


def read_class_folder(path: Path) -> Dataset:
    """Pictures as samples, their folder as class; classes are sorted by name.

    Pictures are 0 … 1, resized to what the network takes. Folders named train and test
    above the classes' own are its parts.

    Raises:
        DataError: a class has no pictures, or there is only one class.
    """
    tops = {top.name.lower(): top for top in _folders(path)}
    split = {"train", "test"} <= {PARTS.get(name, "") for name in tops}
    parts = [t for n, t in tops.items() if n in PARTS] if split else [path]
    classes = tuple(sorted({inner.name for top in parts for inner in _folders(top)}))
    files: list[Path] = []
    labels: list[int] = []
    part: list[str] = []
    for top in parts:
        for index, name in enumerate(classes):
            found = _pictures(top / name)
            if not found:
                raise DataError(
                    f"{top / name}: there are no pictures of this class "
                    f"({', '.join(SUFFIXES)}); add some, or remove the folder"
                )
            files += found
            labels += [index] * len(found)
            part += [PARTS[top.name.lower()] if split else ""] * len(found)
    if len(classes) < 2:
        raise DataError(f"{path}: one class, {classes}; at least two are needed")

    def read(indices: IndexArray, shape: Shape) -> Array:
        if len(shape) != 3 or shape[2] not in (1, 3):
            raise DataError(
                f"{path}: pictures are (height, width, 1 or 3 channels), and the "
                f"network takes {shape}; give its samples as arrays (.npz with x and y)"
            )
        size = (shape[0], shape[1], shape[2])
        drawn = [read_picture(files[i], size) for i in indices]
        return np.stack(drawn) if drawn else np.zeros((0, *shape), np.float32)

    return Dataset(
        source=path.resolve().name,
        names=tuple(file.relative_to(path).as_posix() for file in files),
        read=read,
        digest=lambda indices: tuple(file_digest(files[i]) for i in indices),
        answers=np.array(labels, np.int64),
        classes=classes,
        kind="classes",
        part=tuple(part) if split else None,
    )


def _folders(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.is_dir() and p.name[0] != ".")


def _pictures(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
