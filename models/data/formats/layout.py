"""Files of one sample each in folders of classes, perhaps train/ and test/ above."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ....toolchain.errors import DataError
from ..files import entries

TRAIN, TEST = ("train", "training"), ("test", "testing")
VALIDATION = ("val", "valid", "validation")
DEPTH = 3  # of a file: part/class/name


@dataclass(frozen=True, eq=False)
class Layout:
    """What the places of files say of them.

    Attributes:
        labels: class index of each file; None where there are no classes.
        classes: their names, sorted.
        part: "train" or "test" for each file; None where there are no parts.
    """

    labels: npt.NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    part: tuple[str, ...] | None = None


def holds(folder: Path, suffixes: tuple[str, ...], depth: int = DEPTH) -> bool:
    """Whether there is such a file in a folder, or in one ``depth`` deep at most."""
    return depth > 0 and any(
        holds(entry, suffixes, depth - 1)
        if entry.is_dir()
        else entry.name.lower().endswith(suffixes)
        for entry in entries(folder)
    )


def list_names(folder: Path, suffixes: tuple[str, ...]) -> tuple[str, ...]:
    """Such files in a folder and the folders in it, by name: "cat/01.png".

    Raises:
        DataError: a folder holds none.
    """
    return tuple(f.relative_to(folder).as_posix() for f in _walk(folder, suffixes))


def _walk(folder: Path, suffixes: tuple[str, ...], depth: int = 0) -> Iterator[Path]:
    if depth > DEPTH:  # a link may lead to a folder above
        raise DataError(
            f"{folder}: files lie in a folder for each class, and train/ and test/ "
            "above these; this one is deeper; move it"
        )
    empty = True
    for entry in entries(folder):
        if entry.is_dir():
            yield from _walk(entry, suffixes, depth + 1)
            empty = False
        elif entry.name.lower().endswith(suffixes):
            yield entry
            empty = False
    if empty:
        raise DataError(
            f"{folder}: this folder holds no {' or '.join(suffixes)}; add samples of "
            "its class, or remove it"
        )


def layout_of(source: str, names: Sequence[str]) -> Layout:
    """What names say: NAME (no labels), CLASS/NAME, or PART/CLASS/NAME.

    Parts are train and test; samples for validation join the first, or are the second
    where there is no other.

    Raises:
        DataError: the names are of different depths, or there is only one class.
    """
    paths = [name.split("/") for name in names]
    for name, path in zip(names, paths):
        if len(path) != len(paths[0]) or len(path) > DEPTH:
            raise DataError(
                f"{source}: {name!r} and {names[0]!r} lie at different depths; a "
                "folder for each class, and perhaps train/ and test/ above them, is "
                "allowed"
            )
    if len(paths[0]) == 1:
        return Layout()
    tops = {path[0]: path[0].lower() for path in paths}
    parted = len(paths[0]) == DEPTH
    known = {*TRAIN, *TEST, *VALIDATION}
    if parted != ({*tops.values()} <= known):
        raise DataError(
            f"{source}: it holds {', '.join(sorted(tops)[:8])}; either folders of "
            "classes with samples in them, or train/ and test/ with folders of classes "
            "in each are allowed"
        )
    part = _parts(tops, [path[0] for path in paths]) if parted else None
    classes, labels = np.unique([path[-2] for path in paths], return_inverse=True)
    names_ = tuple(map(str, classes))
    _demand_trained(source, names_, labels, part)
    return Layout(labels.astype(np.int64), names_, part)


def _parts(tops: dict[str, str], given: list[str]) -> tuple[str, ...] | None:
    """ "train" or "test" for each sample; None where all are of one part."""
    tested = any(top in TEST for top in tops.values())
    rest = TRAIN + (VALIDATION if tested else ())
    part = tuple("train" if tops[top] in rest else "test" for top in given)
    return part if len({*part}) > 1 else None


def _demand_trained(
    source: str,
    classes: tuple[str, ...],
    labels: npt.NDArray[np.intp],
    part: tuple[str, ...] | None,
) -> None:
    if len(classes) < 2:
        raise DataError(
            f"{source}: it holds one class, {classes[0]!r}; at least two are needed, "
            "or the files themselves without a folder (no labels)"
        )
    trained = labels if part is None else labels[np.array(part) == "train"]
    for index, name in enumerate(classes):
        if index not in trained:
            raise DataError(
                f"{source}: class {name!r} is in the test part and not in the training "
                "part; add it there, or remove it"
            )
