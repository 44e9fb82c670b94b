"""Folders of pictures: one for each class, perhaps train/ and test/ above them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ....toolchain.errors import DataError
from ....toolchain.graph.nodes import Array, Shape
from ....toolchain.memory import demand_memory
from ..dataset import Dataset, IndexArray
from ..digest import file_digest
from ..pictures import read_picture
from .layout import holds, layout_of, list_names
from .reading import Reading

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".webp")


def is_pictures(path: Path) -> bool:
    """Whether this is a folder with pictures in it, or in folders in it."""
    return path.is_dir() and holds(path, SUFFIXES)


def read_pictures(path: Path, reading: Reading) -> Dataset:
    """Pictures as samples, their folder as class; classes are sorted by name.

    Pictures are 0 … 1, resized to what the network takes. Without folders there are no
    labels.

    Raises:
        DataError: a class has no pictures, or there is only one class.
    """
    names = list_names(path, SUFFIXES)
    layout = layout_of(str(path), names)

    def read(indices: IndexArray, shape: Shape) -> Array:
        if len(shape) != 3 or shape[2] not in (1, 3):
            raise DataError(
                f"{path}: pictures are (height, width, 1 or 3 channels), and the "
                f"network takes {shape}; give its samples as arrays (.npz with x and y)"
            )
        size = (shape[0], shape[1], shape[2])
        demand_memory(
            f"{path}: {len(indices)} pictures of {size}",
            4 * len(indices) * size[0] * size[1] * size[2],
            "use fewer pictures",
        )
        found = np.empty((len(indices), *size), np.float32)
        for picture, index in zip(found, indices):
            picture[:] = read_picture(path / names[index], size)
        return found

    return Dataset(
        source=path.resolve().name,
        names=names,
        read=read,
        digest=lambda indices: tuple(file_digest(path / names[i]) for i in indices),
        answers=layout.labels,
        classes=layout.classes,
        kind=None if layout.labels is None else "classes",
        part=layout.part,
    )
