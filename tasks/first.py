"""A task without a network yet: the data say what one would take and give."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..models.data.dataset import Dataset
from ..models.data.formats.reading import Reading
from ..models.data.parts import parts_of
from ..toolchain.errors import DataError
from ..toolchain.graph.nodes import Shape
from .contract import Kind, Question, find_kind
from .task import GENERATED, SEED, Task, in_steps

SERIES = 8  # numbers in both axes of samples from which on they are no series
COLOURS = (1, 3)  # channels of a picture


def first_task(
    name: str,
    path: Path | None,
    *,
    size: Shape | None = None,
    reading: Reading,
    events: bool = False,
    seed: int = SEED,
) -> Task:
    """The data as questions to a network that is yet to be made.

    Args:
        name: of the kind of task.
        path: data; generated ones where None or ``GENERATED``.
        size: of samples; arrays and tables tell theirs.
        reading: how the data are to be read.
        events: samples are events; the network takes their mean over steps.
        seed: of the split.

    Raises:
        DataError: the data are missing, damaged, without answers, or no network can be
            made for them.
    """
    kind = find_kind(name)
    if path is None or path == GENERATED:
        question, data = _generated(kind, size)
    else:
        data = _read(kind, path, size, replace(reading, kind=name))
        question = _question(kind, data, size, events)
    if events:
        question = in_steps(question, data, reading.bins)
    return Task(
        kind=kind,
        question=question,
        data=data,
        parts=parts_of(data, {}, seed),
        why="as named",
        reading=replace(reading, kind=name, steps=_bins(data, question, reading)),
    )


def _bins(data: Dataset, question: Question, reading: Reading) -> int | None:
    """Steps that events were binned into, so that they are again; None of no events."""
    lists = data.shape is None and question.shape[-1] not in COLOURS
    return reading.bins if lists else reading.steps


def _generated(kind: Kind, size: Shape | None) -> tuple[Question, Dataset]:
    question = kind.example(size)
    data = None if question is None else kind.generated(question)
    if question is None or data is None:
        raise DataError(
            f"Generated data: there are none of {kind.name} for samples of size "
            f"{size}; leave out --size, or name data with --data"
        )
    return question, data


def _read(kind: Kind, path: Path, size: Shape | None, reading: Reading) -> Dataset:
    if not path.exists():
        raise DataError(f"Data {str(path)!r}: no such file or folder")
    if size is None and kind.recognises(path):
        raise _without_size(str(path))
    shape = size or ()
    # two outputs or more: masks keep their classes apart
    question = Question(shape=shape, output=(*shape[:2], 2))
    data = kind.read(path, question, reading)
    if data.answers is None:
        raise DataError(
            f"{data.source}: it has no labels; training needs them (y beside x, a "
            "column named with --answer, or a folder for each class)"
        )
    return data


def _question(kind: Kind, data: Dataset, size: Shape | None, events: bool) -> Question:
    held = data.shape
    if held is None and size is None:
        raise _without_size(data.source)
    if size is None and held is not None:
        size = _taken(data.source, held[1:] if events else held)
    assert size is not None
    return Question(shape=size, output=kind.output_for(data, size))


def _taken(source: str, held: Shape) -> Shape:
    """What a network takes of samples of this shape: (n,), or with channels last.

    Of two axes both of ``SERIES`` numbers or more make a grey picture, others a series
    (steps, 1, channels).
    """
    if len(held) == 1:
        return held
    if len(held) == 2:
        return (*held, 1) if min(held) >= SERIES else (held[0], 1, held[1])
    if len(held) != 3:
        raise DataError(
            f"{source}: samples have shape {held}; vectors, series (steps, channels) "
            "and pictures (height, width, channels) are allowed; say --encoder events "
            "where their first axis is the steps of events"
        )
    if held[0] in COLOURS and held[2] >= SERIES:
        raise DataError(
            f"{source}: samples have shape {held}, which looks like channels first; "
            "store them channels last (x.transpose(0, 2, 3, 1))"
        )
    return held


def _without_size(source: str) -> DataError:
    return DataError(
        f"{source}: samples in files of their own have no one size; name it with "
        "--size HEIGHT WIDTH CHANNELS (1 or 3 of pictures, 2 of event lists)"
    )
