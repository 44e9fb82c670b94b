"""A table of numbers, .csv: a sample a row, its answer in the last column."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ....toolchain.errors import DataError
from ....toolchain.graph.nodes import Array
from ..dataset import Dataset
from ..files import read_lines
from .rows import rows

ANSWER = ("y", "label", "class", "target", "answer")


def is_table(path: Path) -> bool:
    """Whether it is a .csv file."""
    return path.suffix.lower() == ".csv"


def read_csv(path: Path) -> Dataset:
    """The columns as the numbers of a vector, one column as its answer.

    The first line names the columns; the answer's is called y, label, class, target or
    answer. Without such a column there are no labels.

    Raises:
        DataError: a cell is no number, with its line and column.
    """
    lines = read_lines(path)
    names, lines = (lines[0][1], lines[1:]) if lines else ([], [])
    answers = [i for i, name in enumerate(names) if name.lower() in ANSWER]
    if len(answers) > 1 or len(names) - len(answers) < 1 or not lines:
        raise DataError(
            f"{path}: its columns are {', '.join(names)}, with {len(lines)} rows; at "
            f"least one of numbers, at most one named {', '.join(ANSWER)}, and a row "
            "are needed"
        )
    x = np.zeros((len(lines), len(names) - len(answers)))
    y: list[str] = []
    for row, (where, line) in enumerate(lines):
        if len(line) != len(names):
            raise DataError(
                f"{where}: {len(line)} cells; the first line has {len(names)}"
            )
        y += [line[i] for i in answers]
        cells = [i for i in range(len(names)) if i not in answers]
        x[row] = [_number(f"{where}, column {names[i]!r}", line[i]) for i in cells]
    return rows(path.name, x, _answers(y) if answers else None)


def _number(where: str, cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise DataError(f"{where}: {cell[:40]!r} is no number") from None


def _answers(cells: list[str]) -> Array:
    """Whole numbers where all are, else numbers, else the texts."""
    for kind in (np.int64, np.float64):
        try:
            return np.array(cells).astype(kind)
        except ValueError:
            continue
    return np.array(cells)
