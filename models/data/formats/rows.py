"""Arrays whose rows are samples, as a data set; what is read of them, and how."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ....toolchain.errors import DataError
from ....toolchain.graph.nodes import Array, Shape
from ....toolchain.memory import demand_memory
from ..dataset import Dataset, IndexArray
from ..digest import content_digest
from .labels import Labels, first_bad
from .npy import OBJECTS

PORTION = 2**24  # bytes that are read at a time


def rows(
    source: str,
    x: Any,
    labels: Labels | None = None,
    *,
    names: Sequence[str] | None = None,
    part: Sequence[str] | None = None,
    unlabelled: int = 0,
) -> Dataset:
    """Samples x (samples, …) with their answers; x may lie in a file and stays there.

    Nothing is scaled: whole numbers stay the values they are. A digest is of the
    numbers that the network would take, whatever type and shape they are stored in.

    Args:
        source: the data, in words.
        x: samples; anything with shape and dtype, of which slices are arrays.
        labels: answers, one a sample.
        names: of the samples, in words; "row 0", … where None.
        part: "train" or "test" for each.
        unlabelled: so many samples at the start have no answer.

    Raises:
        DataError: x holds no samples of numbers.
    """
    demand_samples(source, "x", x)
    names = names or row_names("", len(x))
    answers = None if labels is None else labels.answers
    if answers is not None and unlabelled:
        empty = np.zeros((unlabelled, *answers.shape[1:]), answers.dtype)
        answers = np.concatenate([empty, answers])
    return Dataset(
        source=source,
        names=tuple(names),
        read=lambda indices, shape: _read(source, x, names, indices, shape),
        digest=lambda indices: _digests(x, indices),
        answers=answers,
        classes=() if labels is None else labels.classes,
        kind=None if labels is None else labels.kind,
        part=None if part is None else tuple(part),
        shape=tuple(x.shape[1:]),
        labelled=np.arange(len(x)) >= unlabelled if unlabelled else None,
        by_name=False,
    )


def row_names(part: str, count: int) -> tuple[str, ...]:
    """ "row 0", "row 1", …; of a part "test row 0", …."""
    start = f"{part} row ".lstrip()
    return tuple(f"{start}{i}" for i in range(count))


def demand_samples(source: str, name: str, x: Any) -> None:
    """Raise DataError where an array holds no samples of numbers."""
    shape = x.shape
    if shape is None or len(shape) < 2 or not math.prod(shape):
        raise DataError(
            f"{source}: {name} has shape {shape}; (samples, …) is needed, at least one "
            "sample of at least one number"
        )
    if x.dtype.kind not in "fiub":
        raise DataError(
            f"{source}: {name} is {x.dtype}; numbers are needed ({OBJECTS})"
        )


def demand_shape(source: str, held: Shape, shape: Shape) -> None:
    """Raise DataError where samples of shape ``held`` are none of ``shape``.

    Axes of size 1 may be there or not; where one of them is a vector it holds the
    other's numbers in C order.
    """
    squeezed, wanted = (tuple(n for n in s if n != 1) for s in (held, shape))
    vector = len(held) == 1 or len(shape) == 1
    if squeezed == wanted or (vector and math.prod(held) == math.prod(shape)):
        return
    advice = "give samples of that shape"
    if (*held[1:], held[0]) == shape:
        advice = "say --channels-first where their first axis is the channels"
    elif held[1:] == shape:
        advice = "say --encoder events where their first axis is steps of events"
    raise DataError(
        f"{source}: samples have shape {held} and the network takes {shape}; {advice}"
    )


def _read(
    source: str, x: Any, names: Sequence[str], indices: IndexArray, shape: Shape
) -> Array:
    """Rows as float32 of the shape that the network takes."""
    held = tuple(x.shape[1:])
    demand_shape(source, held, shape)
    demand_memory(
        f"{source}: {len(indices)} samples of shape {held}",
        4 * len(indices) * math.prod(held),
        "use fewer samples",
    )
    wanted, place = np.unique(np.asarray(indices, np.intp), return_inverse=True)
    found = np.empty((len(wanted), *held), np.float32)
    at = 0
    with np.errstate(over="ignore"):  # what no float32 holds is refused below
        for first, last in _runs(wanted, x):
            found[at : at + last - first] = _slice(source, x, first, last)
            at += last - first
    bad = first_bad(found)
    if bad is not None:
        raise DataError(
            f"{source}: x of {names[wanted[bad]]} is not finite as a 32-bit float; "
            "correct or remove the sample"
        )
    return found[place].reshape(len(indices), *shape)


def _digests(x: Any, indices: IndexArray) -> tuple[str, ...]:
    found = {}
    for first, last in _runs(np.unique(np.asarray(indices, np.intp)), x):
        with np.errstate(over="ignore", invalid="ignore"):
            block = np.asarray(x[first:last]).astype("<f4")
        for i, row in enumerate(block.reshape(last - first, -1), first):
            found[i] = content_digest(row)
    return tuple(found[i] for i in np.asarray(indices).tolist())


def _runs(indices: IndexArray, x: Any) -> Iterator[tuple[int, int]]:
    """First and last + 1 of the neighbours among rising indices, a portion at most."""
    most = max(PORTION // (x.dtype.itemsize * math.prod(x.shape[1:])), 1)
    breaks = np.flatnonzero(np.diff(indices) != 1) + 1
    for run in np.split(indices, breaks):
        for start in range(0, len(run), most):
            some = run[start : start + most]
            yield int(some[0]), int(some[-1]) + 1


def _slice(source: str, x: Any, first: int, last: int) -> Array:
    try:
        return np.asarray(x[first:last])
    except (OSError, RuntimeError) as error:  # HDF5 unpacks only now
        raise DataError(
            f"{source}: x of rows {first} to {last - 1} cannot be read ({error}); save "
            "it again"
        ) from error
