"""A table of numbers, .csv: a sample a row, its answer in columns of their own."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from ....toolchain.errors import DataError
from ....toolchain.graph.nodes import Array
from ..dataset import Dataset
from ..files import read_lines, require_file
from .labels import labels_of
from .reading import Reading
from .rows import row_names, rows

ANSWERS = ("y", "label", "class", "target", "answer")
Line = tuple[str, list[str]]


def is_table(path: Path) -> bool:
    """Whether it is a .csv file."""
    return path.suffix.lower() == ".csv"


def read_csv(path: Path, reading: Reading) -> Dataset:
    """The columns as the numbers of a vector, without those of its answer.

    The first line names the columns. The answer's are the ones that are named, else
    the one called y, label, class, target or answer, else there are no labels.

    Raises:
        DataError: a column is missing, or a cell is no number, with line and column.
    """
    require_file(path, "no such file")
    (where, names), *lines = read_lines(path) or [(str(path), [])]
    _demand_header(where, names, len(lines))
    asked = reading.answer or [n for n in names if n.lower() in ANSWERS]
    unknown = [name for name in asked if name not in names]
    if reading.unlabelled and len(unknown) == len(asked):
        asked, unknown = [], []
    if unknown or len({*asked}) == len(names) or len(asked) > 1 > len(reading.answer):
        raise DataError(
            f"{path}: its columns are {', '.join(names)}, with {', '.join(asked)} for "
            f"the answer; name columns of it with --answer and leave some others (a "
            f"column called {', '.join(ANSWERS)} is an answer by itself)"
        )
    for where, cells in lines:
        if len(cells) != len(names):
            raise DataError(
                f"{where}: it has {len(cells)} cells and the first line {len(names)}; "
                "give each row a cell for each column"
            )
    inputs = [i for i, name in enumerate(names) if name not in asked]
    x = np.stack([_numbers(lines, i, names[i]) for i in inputs], axis=1)
    if not asked:
        return rows(path.name, x)
    columns = [_answers(lines, names.index(name), name, reading) for name in asked]
    y = columns[0] if len(columns) == 1 else np.stack(columns, axis=1)
    found = row_names("", len(lines))
    labels = labels_of(path.name, y, x.shape[1:], found, reading.kind)
    return rows(path.name, x, labels, names=found)


def _demand_header(where: str, names: list[str], count: int) -> None:
    numbers = [name for name in names if _number(name) is not None]
    if numbers or not all(names) or len({*names}) < len(names):
        raise DataError(
            f"{where}: {','.join(names)[:60]!r}; the first line names the columns, "
            "each differently and not by a number"
        )
    if not count or not names:
        raise DataError(
            f"{where}: the table holds {len(names)} columns and {count} rows; at least "
            "one of numbers, and a row, are needed below a line of names"
        )


def _numbers(lines: list[Line], column: int, name: str) -> Array:
    found = np.empty(len(lines))
    for row, (where, cells) in enumerate(lines):
        number = _number(cells[column])
        if number is None or not math.isfinite(number):
            raise DataError(
                f"{where}, column {name!r}: {cells[column][:40]!r} is no finite "
                "number; correct it, or remove the row or the column"
            )
        found[row] = number
    return found


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _answers(lines: list[Line], column: int, name: str, reading: Reading) -> Array:
    """Whole numbers where all are, else numbers, else the texts.

    Of several columns, and of values, only numbers.
    """
    cells = [cells[column] for _, cells in lines]
    texts = any(_number(cell) is None for cell in cells)
    if texts and reading.kind != "values" and len(reading.answer) < 2:
        for (where, _), cell in zip(lines, cells):
            if not cell:
                raise DataError(
                    f"{where}, column {name!r}: the answer is missing; give one"
                )
        return np.array(cells)
    numbers = _numbers(lines, column, name)
    whole = all(cell.lstrip("+-").isdecimal() for cell in cells)
    return (
        numbers.astype(np.int64) if whole and (abs(numbers) < 2**53).all() else numbers
    )
