"""Answers to new samples, kept in a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..calibration.report.report import write_files
from ..toolchain.errors import DataError
from ..toolchain.graph.nodes import Array
from .classes import chosen
from .contract import Question

MOST = 1000  # outputs a sample that a row of a table may have


def check_predictions(path: Path) -> None:
    """Raise DataError for a file that answers cannot be written to."""
    if path.suffix.lower() not in (".csv", ".npz"):
        raise DataError(f"Predictions {str(path)!r}: allowed endings are .csv and .npz")


def save_predictions(
    path: Path,
    names: Sequence[str],
    output: Array,
    question: Question,
    classes: Sequence[str] | None,
) -> None:
    """Write a row a sample: its name, its class where there are classes, all outputs.

    Args:
        path: .csv, or .npz with ``name``, ``output`` and perhaps ``class``.
        names: of the samples.
        output: of the network, (samples, …).
        question: what the network was asked.
        classes: names of the classes; None where the answers are no classes.

    Raises:
        DataError: the ending is another, a row would be too long, or the file cannot
            be written.
    """
    check_predictions(path)
    taken = None
    if classes is not None:
        index = chosen(output, question).tolist()
        taken = [classes[i] if i < len(classes) else str(i) for i in index]
    content = io.BytesIO()
    if path.suffix.lower() == ".npz":
        given = {} if taken is None else {"class": np.array(taken)}
        np.savez(content, name=np.array(names), output=output, **given)
    else:
        content.write(_table(names, taken, output.reshape(len(output), -1)).encode())
    write_files({path: content.getvalue()})


def _table(names: Sequence[str], taken: Sequence[str] | None, flat: Array) -> str:
    if flat.shape[1] > MOST:
        raise DataError(
            f"Predictions: {flat.shape[1]} outputs a sample are too many for a table; "
            "name a .npz file"
        )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = [] if taken is None else ["class"]
    writer.writerow(["name", *head, *(f"output_{i}" for i in range(flat.shape[1]))])
    for row, name in enumerate(names):
        answer = [] if taken is None else [taken[row]]
        writer.writerow([name, *answer, *flat[row].tolist()])
    return text.getvalue()
