"""Formats of data that any kind of task may have: a line each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ....toolchain.errors import DataError
from ..dataset import Dataset
from .arrays import is_arrays, read_arrays
from .events import is_events, read_events
from .folders import is_pictures, read_pictures
from .reading import Reading
from .tables import is_table, read_csv

Recognises = Callable[[Path], bool]
Read = Callable[[Path, Reading], Dataset]

FORMATS: tuple[tuple[Recognises, Read], ...] = (  # the first that knows it reads it
    (is_table, read_csv),
    (is_events, read_events),
    (is_arrays, read_arrays),
    (is_pictures, read_pictures),
)
AS_NAMED = Reading()


def read_data(path: Path, reading: Reading = AS_NAMED) -> Dataset:
    """The data at a path, in whichever format they are.

    Raises:
        DataError: they are missing, damaged, or in none of these formats.
    """
    for recognises, read in FORMATS:
        if recognises(path):
            return read(path, reading)
    raise DataError(
        f"Data {str(path)!r}: there are no samples that can be read; arrays (.npz, "
        ".npy, .h5 with x and y), a folder for each class with its pictures or event "
        "lists (.npy), a table (.csv), or a folder of images/ with boxes.csv, masks/ "
        "or labels/ are allowed"
    )
