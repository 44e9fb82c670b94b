"""Answers in the form of a kind of task: classes, values or masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ....toolchain.errors import DataError
from ....toolchain.graph.nodes import Array, Shape

MOST = 2**20  # classes: a larger number is no label, but a value


@dataclass(frozen=True, eq=False)
class Labels:
    """Answers, and what they are.

    Attributes:
        answers: (samples, …): class indices (samples,), values, or the class of each
            pixel (samples, height, width).
        kind: of task.
        classes: names of the classes, where they have such.
    """

    answers: Array
    kind: str
    classes: tuple[str, ...] = ()


def labels_of(
    source: str,
    y: Array,
    shape: Shape,
    rows: Sequence[str],
    kind: str | None = None,
) -> Labels:
    """What an array of answers says.

    Texts, whole numbers (samples,) or (samples, 1), and one-hot rows are classes; whole
    numbers as large as the samples' pictures are masks; other numbers are values. Where
    the kind is named, floats may be classes or boxes, and whole numbers values.

    Args:
        source: the data, in words.
        y: (samples, …).
        shape: of a sample.
        rows: names of the samples.
        kind: of task, where it is named.

    Raises:
        DataError: they are no numbers or texts, not finite, or cannot be of that kind.
    """
    if kind not in _READERS:  # not named, or with answers of any form
        kind = "classes" if y.dtype.kind in "SU" else None
    if y.dtype.kind in "SU" and kind == "classes":
        return _texts(source, y)
    if y.dtype.kind not in "fiub":
        raise DataError(
            f"{source}: y is {y.dtype}; whole numbers, one-hot rows or texts for "
            "classes, and numbers for values are allowed"
        )
    bad = first_bad(y)
    if bad is not None:
        raise DataError(
            f"{source}: y of {rows[bad]} is not finite; correct the answer or remove "
            "the sample"
        )
    read = _READERS[kind or _kind_of(y, shape)]
    return read(source, y, shape, rows)


def first_bad(array: Array) -> int | None:
    """The first row that holds NaN or an infinite number."""
    if array.dtype.kind != "f":
        return None
    good = np.isfinite(array).all(tuple(range(1, array.ndim)))
    return None if good.all() else int(np.argmin(good))


def _kind_of(y: Array, shape: Shape) -> str:
    if _of_pictures(y, shape) and (_whole(y) or _one_hot(y)):
        return "masks"
    single = y.size == len(y) and y.dtype.kind in "iub"
    return "classes" if single or (y.ndim == 2 and _one_hot(y)) else "values"


def _texts(source: str, y: Array) -> Labels:
    if y.size != len(y):
        raise DataError(
            f"{source}: y holds texts, of shape {y.shape}; one for each sample, the "
            "name of its class, is allowed"
        )
    flat = y.reshape(-1)
    if flat.dtype.kind == "S":
        try:
            flat = np.char.decode(flat, "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{source}: y holds texts that are no UTF-8 ({error}); save them so"
            ) from error
    names, index = np.unique(flat, return_inverse=True)
    return Labels(index.astype(np.int64), "classes", tuple(map(str, names)))


def _classes(source: str, y: Array, shape: Shape, rows: Sequence[str]) -> Labels:
    if y.ndim == 2 and y.shape[1] > 1 and _one_hot(y):
        return Labels(y.argmax(1).astype(np.int64), "classes")
    if y.size != len(y) or not _whole(y):
        raise DataError(
            f"{source}: y is {y.dtype} of shape {y.shape}; classes are whole numbers "
            "from 0 on or texts, one for each sample, or one-hot rows"
        )
    return Labels(_counted(source, y.reshape(-1), rows), "classes")


def _values(source: str, y: Array, shape: Shape, rows: Sequence[str]) -> Labels:
    return Labels(
        y.astype(np.float64).reshape(len(y), *(y.shape[1:] or (1,))), "values"
    )


def _masks(source: str, y: Array, shape: Shape, rows: Sequence[str]) -> Labels:
    if not _of_pictures(y, shape):
        raise DataError(
            f"{source}: y has shape {y.shape[1:]} for samples of shape {shape}; a mask "
            "is (height, width), the class of each pixel, or one-hot (height, width, "
            "classes)"
        )
    if y.ndim == 4 and y.shape[3] > 1 and _one_hot(y):
        return Labels(y.argmax(3).astype(np.int64), "masks")
    if y.size != len(y) * shape[0] * shape[1] or not _whole(y):
        raise DataError(
            f"{source}: y holds {y.shape[1:]} numbers for each sample that are no "
            "classes of its pixels; whole numbers (height, width) or one-hot (height, "
            "width, classes) are allowed, or say --task values"
        )
    return Labels(_counted(source, y.reshape(y.shape[:3]), rows), "masks")


def _boxes(source: str, y: Array, shape: Shape, rows: Sequence[str]) -> Labels:
    if y.shape[1:] != (4,):
        raise DataError(
            f"{source}: y has shape {y.shape}; boxes are (samples, 4): x_min, y_min, "
            "x_max, y_max as shares of width and height"
        )
    inside = (y >= 0).all(1) & (y <= 1).all(1) & (y[:, :2] < y[:, 2:]).all(1)
    if not inside.all():
        bad = int(np.argmin(inside))
        raise DataError(
            f"{source}: y of {rows[bad]} is the box {y[bad].tolist()}; x_min, y_min, "
            "x_max, y_max as shares of width and height are allowed, 0 … 1, the first "
            "two below the others"
        )
    return Labels(y.astype(np.float64), "boxes")


_READERS = {"classes": _classes, "values": _values, "masks": _masks, "boxes": _boxes}


def _of_pictures(y: Array, shape: Shape) -> bool:
    return len(shape) in (2, 3) and y.ndim in (3, 4) and y.shape[1:3] == shape[:2]


def _whole(y: Array) -> bool:
    return y.dtype.kind in "iub" or bool((y == np.floor(y)).all())


def _one_hot(y: Array) -> bool:
    """Whether along the last axis there is one 1, and otherwise 0."""
    if y.shape[-1] < 2:
        return False
    return bool(((y == 0) | (y == 1)).all() and ((y != 0).sum(-1) == 1).all())


def _counted(source: str, y: Array, rows: Sequence[str]) -> Array:
    wrong = ((y < 0) | (y >= MOST)).reshape(len(y), -1)
    if wrong.any():
        bad = int(wrong.any(1).argmax())
        label = y[bad].reshape(-1)[int(wrong[bad].argmax())]
        raise DataError(
            f"{source}: y of {rows[bad]} is the label {label:.0f}; classes are counted "
            "from 0; number them so, or say --task values where y are values"
        )
    return y.astype(np.int64)
