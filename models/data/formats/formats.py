"""Formats of data that any kind of task may have: a line each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ....toolchain.errors import DataError
from .arrays import is_arrays, read_arrays
from ..dataset import Dataset
from .folders import is_class_folder, read_class_folder
from .tables import is_table, read_csv

FORMATS: tuple[tuple[Callable[[Path], bool], Callable[[Path], Dataset]], ...] = (
    (is_table, read_csv),
    (is_arrays, read_arrays),
    (is_class_folder, read_class_folder),
)


def read_data(path: Path) -> Dataset:
    """The data at a path, in whichever format they are.

    Raises:
        DataError: they are missing, damaged, or in none of these formats.
    """
    for recognised, read in FORMATS:
        if recognised(path):
            return read(path)
    raise DataError(
        f"Data {str(path)!r}: there are no samples that can be read; arrays (.npz, "
        ".npy, .h5 with x and y), a folder for each class with its pictures, a table "
        "(.csv), or a folder of images/ with boxes.csv, masks/ or labels/ are allowed"
    )
