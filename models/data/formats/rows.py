"""Arrays whose rows are samples, as a data set; what is read of them, and how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....toolchain.errors import DataError
from ....toolchain.graph.nodes import Array, Shape
from ..dataset import Dataset, IndexArray
from ..digest import content_digest


def rows(
    source: str,
    x: Any,
    y: Array | None = None,
    *,
    kind: str | None = None,
    classes: tuple[str, ...] = (),
    part: Sequence[str] | None = None,
    unlabelled: int = 0,
) -> Dataset:
    """Samples x (samples, …), their answers y (samples, …), as they are held or mapped.

    Nothing is scaled: whole numbers stay the values they are.

    Args:
        source: the data, in words.
        x: samples; an array, a memory map, or a chain of them (``Chain``).
        y: answers; None without labels. Without ``kind`` it is found out
            (``labels_of``).
        kind: of task.
        classes: names of the classes.
        part: "train" or "test" for each.
        unlabelled: so many samples at the start have no answer in y.

    Raises:
        DataError: lengths differ, there are no samples, or they are no numbers.
    """
    if x.ndim < 2 or not len(x) or not x[0].size:
        raise DataError(
            f"{source}: x has shape {x.shape}; samples (samples, …), at least one, are "
            "needed"
        )
    if x.dtype.kind not in "fiub":
        raise DataError(
            f"{source}: x is {x.dtype}; numbers are needed (objects are never read, "
            "as they could execute anything)"
        )
    answers, found = y, kind
    if y is not None:
        if len(y) + unlabelled != len(x):
            raise DataError(
                f"{source}: x has {len(x) - unlabelled} samples, y {len(y)} answers; "
                "give one answer for each sample"
            )
        if kind is None:
            answers, found, classes = labels_of(source, y, x.shape)
    if answers is not None and unlabelled:
        empty = np.zeros((unlabelled, *answers.shape[1:]), answers.dtype)
        answers = np.concatenate([empty, answers])
    return Dataset(
        source=source,
        names=tuple(f"row {i}" for i in range(len(x))),
        read=lambda indices, shape: _read(source, x, indices, shape),
        digest=lambda indices: tuple(content_digest(np.asarray(x[i])) for i in indices),
        answers=answers,
        classes=classes,
        kind=found,
        part=None if part is None else tuple(part),
        shape=tuple(x.shape[1:]),
        labelled=np.arange(len(x)) >= unlabelled if unlabelled else None,
        by_name=False,
    )


def labels_of(
    source: str, y: Array, shape: Shape
) -> tuple[Array, str, tuple[str, ...]]:
    """Answers in their kind's form, the kind, and names of classes.

    Whole numbers from 0 on, rows that are one-hot, and texts are classes; an array as
    large as the samples' pictures is masks; other numbers are values.

    Raises:
        DataError: they are no numbers or texts, not finite, or negative classes.
    """
    if y.dtype.kind in "US":
        texts = np.asarray(y).astype(str).reshape(len(y), -1)
        if texts.shape[1] != 1:
            raise DataError(f"{source}: y has shape {y.shape}; one text a sample")
        names, index = np.unique(texts[:, 0], return_inverse=True)
        return index.astype(np.int64), "classes", tuple(map(str, names))
    if y.dtype.kind not in "fiub":
        raise DataError(
            f"{source}: y is {y.dtype}; whole numbers, one-hot rows, texts or values "
            "are allowed (objects are never read, as they could execute anything)"
        )
    y = np.asarray(y)
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        row = int(np.flatnonzero(~np.isfinite(y.reshape(len(y), -1)).all(1))[0])
        raise DataError(f"{source}: y of row {row} is not finite; repair or remove it")
    picture = len(shape) >= 3 and y.ndim >= 3 and y.shape[1:3] == shape[1:3]
    whole = y.dtype.kind in "iub"
    if picture:
        return _classes(source, y.reshape(y.shape[:3])), "masks", ()
    if whole and y.size == len(y):
        return _classes(source, y.reshape(-1)), "classes", ()
    flat = y.reshape(len(y), -1)
    ones = ((flat == 0) | (flat == 1)).all() and (flat.sum(1) == 1).all()
    if y.ndim == 2 and y.shape[1] > 1 and ones:
        return flat.argmax(1).astype(np.int64), "classes", ()
    return y.astype(np.float64).reshape(len(y), *(y.shape[1:] or (1,))), "values", ()


def _classes(source: str, y: Array) -> Array:
    if y.dtype.kind == "f" and (y != np.floor(y)).any():
        raise DataError(
            f"{source}: y is a picture of fractions; masks are whole numbers, the "
            "class of each pixel (0 and 1 where there is one object)"
        )
    if y.min() < 0:
        raise DataError(
            f"{source}: y holds the label {int(y.min())}; classes are counted from 0"
        )
    return y.astype(np.int64)


def _read(source: str, x: Any, indices: IndexArray, shape: Shape) -> Array:
    """Rows as float32 of the shape that the network takes."""
    held = tuple(x.shape[1:])
    order = np.argsort(indices, kind="stable")
    drawn = np.asarray(x[np.asarray(indices)[order]], np.float32)
    found = np.empty_like(drawn)
    found[order] = drawn
    if not np.isfinite(found).all():
        bad = int(np.flatnonzero(~np.isfinite(found.reshape(len(found), -1)).all(1))[0])
        raise DataError(
            f"{source}: row {indices[bad]} of x is not finite; repair or remove it"
        )
    squeezed = [tuple(n for n in s if n != 1) for s in (held, shape)]
    vector = len(held) == 1 or len(shape) == 1
    same = int(np.prod(held)) == int(np.prod(shape))
    if held == shape or squeezed[0] == squeezed[1] or (vector and same):
        return found.reshape(len(found), *shape)
    if len(held) == 3 and (*held[1:], held[0]) == shape:
        raise DataError(
            f"{source}: samples have shape {held} and the network takes {shape}; say "
            "--channels-first where their first axis is the channels"
        )
    raise DataError(
        f"{source}: samples have shape {held} and the network takes {shape}; give "
        "samples of that shape"
    )
