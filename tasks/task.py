"""A task: a network's question, data that ask it, and the parts they fall into."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..calibration.conversion.fewest_steps import Scored
from ..calibration.report.figures.curve import Judge
from ..calibration.report.figures.predictions import Predictions
from ..calibration.report.picture import Answers
from ..calibration.report.report import Confusion, Score
from ..models.data.dataset import Dataset, IndexArray
from ..models.data.formats.formats import AS_NAMED, read_data
from ..models.data.formats.reading import Reading, completed
from ..models.data.parts import Parts, parts_of
from ..models.data.samples import samples_of
from ..toolchain.errors import DataError
from ..toolchain.graph.graph import Graph
from ..toolchain.graph.nodes import Argmax, Array, FloatArray, Sigmoid, Softmax
from ..toolchain.memory import demand_memory
from .agreement import agreement
from .contract import Constant, Examples, Kind, Lessons, Question, find_kind
from .kinds import KINDS

FEWEST_UNLEARNT = 64  # validation samples to choose by; fewer tell little
SEED = 0  # of the split, where the model names none, and of the samples shown
WIDTH = 4 + 8  # bytes a number, as it is read and as it is sent
GENERATED = Path("generated")  # ``--data generated``
MADE_HERE = re.compile(  # what such data are called; a user's file may be, nearly
    r"(a |\d+ )?generated (scenes|blobs|shapes|moving shapes|function)( of seed \d+)?"
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Task:
    """What a network is asked, with samples.

    Attributes:
        kind: of task; None where the data have no labels and no kind was named.
        question: what the network takes and gives.
        data: all samples.
        parts: which of them train, validate and test.
        why: how the kind was found out, in words.
        reading: how the data were read.
    """

    kind: Kind | None
    question: Question
    data: Dataset
    parts: Parts
    why: str
    reading: Reading

    @property
    def source(self) -> str:
        """The data and the part of them that is tested on, in words."""
        return f"{self.data.source}, {self.parts.how}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What was taken for what, in words."""
        kind = "none" if self.kind is None else self.kind.name
        return (f"task {kind} ({self.why}); {self.source}",)

    def calibration(self, count: int, *, unlearnt: bool = False) -> Array:
        """Samples of the training part, drawn at random, the same each time.

        Args:
            count: how many.
            unlearnt: of the validation part, where that has FEWEST_UNLEARNT: a network
                is surer of what it has learnt, and right at steps too few for others.
        """
        return self._sent(self._calibrating(count, unlearnt))

    def judge(
        self, count: int, *, unlearnt: bool = False
    ) -> Callable[[FloatArray], Scored] | None:
        """The score of answers to the same ``calibration``; None where not all of these
        have labels."""
        part, labelled = self._calibrating(count, unlearnt), self.data.labelled
        if self.kind is None or (labelled is not None and not labelled[part].all()):
            return None
        if self.data.answers is None:
            return None
        metric = self.kind.metrics(self.question, self.data)[0]
        truth = self.data.answers[part]
        return lambda answers: metric.scored(answers, truth)

    def training(self, count: int, beyond: int = 0) -> Examples:
        """Such samples with their answers; as far as there are, not the first ones."""
        return self._examples(_drawn(self.learned, beyond + count)[-count:])

    def choosing(self, count: int) -> tuple[Examples, str]:
        """Samples to choose settings by, and which part they are of, in words.

        Of the validation part where FEWEST_UNLEARNT of it have labels, else of the
        training part; where that has none either, without. Never of the test part.
        """
        labelled = self.data.labelled
        for name, part, fewest in (
            ("validation part", self.parts.validation, FEWEST_UNLEARNT),
            ("training part", self.parts.train, 1),
        ):
            known = part if labelled is None else part[labelled[part]]
            if len(known) >= fewest:
                return self._examples(_drawn(known, count)), name
        examples = self._examples(_drawn(self.parts.train, count))
        return replace(examples, y=None), "training part, without labels"

    def test(self, count: int | None) -> Examples:
        """Samples of the test part: all, or so many drawn at random."""
        part = self.parts.test
        return self._examples(part if count is None else _drawn(part, count))

    @property
    def constant(self) -> Constant | None:
        """The trivial answer; None without labels."""
        if self.kind is None or self.data.answers is None:
            return None
        return self.kind.constant(self.data.answers[self.learned], self.question)

    @property
    def trivial(self) -> str | None:
        """Name of the trivial answer in the scores; None without labels."""
        return None if self.constant is None else self.constant.name

    @property
    def learned(self) -> IndexArray:
        """The training part's samples that have an answer; the test part's where none
        of those has (SNN Toolbox's data)."""
        labelled, parts = self.data.labelled, self.parts
        if labelled is None:
            return parts.train
        known = parts.train[labelled[parts.train]]
        return known if len(known) else parts.test

    def scores(
        self, examples: Examples, answers: Mapping[str, Array]
    ) -> tuple[Score, ...]:
        """How well each network does, and the trivial answer beside them.

        Without labels: how well they agree, the second with the first.

        Args:
            examples: samples of this task.
            answers: network, in words → its answers to them.
        """
        constant = self.constant
        if constant is None or self.kind is None:
            return agreement(answers)
        trivial = np.broadcast_to(
            constant.answer, (len(examples), *constant.answer.shape)
        )
        asked = {**answers, constant.name: trivial}
        return self.kind.scores(examples, asked, self.question, self.data)

    def picture(self, examples: Examples, output: FloatArray) -> Answers | None:
        """The first samples with the network's answers."""
        if self.kind is None or examples.y is None:
            return None
        return self.kind.picture(examples, output, self.question)

    def predictions(self, examples: Examples, output: FloatArray) -> Predictions | None:
        """The same, as a report keeps it."""
        if self.kind is None or examples.y is None:
            return None
        return self.kind.predictions(examples, output, self.question, self.data)

    def judged(self, examples: Examples) -> Judge | None:
        """How answers to these are scored; None without labels."""
        if self.kind is None or examples.y is None:
            return None
        return self.kind.judged(examples, self.question, self.data)

    def confusion(self, examples: Examples, output: FloatArray) -> Confusion | None:
        """Which class was taken for which, where there are classes."""
        if self.kind is None or examples.y is None:
            return None
        return self.kind.confusion(examples, output, self.question)

    def lessons(self, recipe: Mapping[str, Any]) -> Lessons:
        """Samples to fine-tune on.

        Raises:
            DataError: there are no labels, or samples of which it cannot be told
                whether they were trained on.
        """
        if self.kind is None or self.data.answers is None:
            raise DataError(
                f"{self.data.source}: it has no labels; training needs them (y beside "
                "x), and --task where their kind cannot be told"
            )
        if self.data.labelled is not None and not self.data.labelled.all():
            raise DataError(
                f"{self.data.source}: its training part has no labels; training needs "
                "y_train beside x_train"
            )
        if self.parts.doubtful:
            raise DataError(
                f"{self.data.source}: {self.parts.how}; whether the network was "
                "trained on what they hold cannot be told, so nothing can be chosen "
                "or tested with them. Give them new names, or take them away"
            )
        return self.kind.lessons(self.data, self.parts, self.question, recipe)

    def _examples(self, indices: IndexArray) -> Examples:
        data, answers = self.data, self.data.answers
        units = data.names if data.unit is None else data.unit
        left = {units[i] for i in set(range(len(units))) - set(indices.tolist())}
        mine = tuple(units[i] for i in indices)
        return Examples(
            x=samples_of(indices, self._sent),
            y=None if answers is None else answers[indices],
            unit=mine,
            whole=np.array([unit not in left for unit in mine], bool),
            classes=data.classes,
        )

    def _calibrating(self, count: int, unlearnt: bool) -> IndexArray:
        validation = self.parts.validation
        unlearnt = unlearnt and len(validation) >= FEWEST_UNLEARNT
        return _drawn(validation if unlearnt else self.parts.train, count)

    def _sent(self, indices: IndexArray) -> Array:
        """Samples as they are sent: float64, events bool."""
        question = self.question
        numbers = len(indices) * (question.steps or 1) * math.prod(question.shape)
        demand_memory(
            f"{self.data.source}: {len(indices)} samples",
            WIDTH * numbers,
            "run fewer (--samples)",
        )
        x = question.read(self.data, indices)
        return x if question.steps else x.astype(np.float64)


def question_of(graph: Graph) -> Question:
    """What a network takes and gives."""
    source = graph[graph.output.inputs[0]]
    return Question(
        shape=graph.input.shape,
        output=graph.shapes[graph.output.name],
        probability=isinstance(source, Sigmoid | Softmax),
        picked=isinstance(source, Argmax),
    )


def read_task(
    path: Path | None,
    graph: Graph,
    metadata: Mapping[str, Any],
    *,
    reading: Reading = AS_NAMED,
    events: bool = False,
    seed: int = SEED,
) -> Task:
    """The data as questions to this network.

    The kind of task is the one that is named, else the one the network was trained
    for, else what the data's layout says.

    Args:
        path: data; ``GENERATED``, or None for a network that was trained on generated
            data, for such.
        graph: the network.
        metadata: of the network.
        reading: how the data are to be read, their kind of task included; what it
            leaves out is as the network was trained.
        events: samples are events, a step of them for each of the network's.
        seed: of a split made anew.

    Raises:
        DataError: the data are missing, damaged, or no question to this network.
    """
    question = question_of(graph)
    if path is None and not MADE_HERE.fullmatch(str(metadata.get("data"))):
        raise DataError(
            "No data: a build measures rates, energy and score on samples of the "
            "network's own kind; name them with --data (arrays .npz with x and y, a "
            "folder for each class, …), or take --data generated where the network "
            "is meant for generated scenes or blobs"
        )
    chosen: Kind | None
    reading = completed(reading, metadata)
    named = find_kind(reading.kind) if reading.kind else None
    if path is None or path == GENERATED:
        chosen, data, why = _generated(named, question)
    else:
        chosen, data, why = _read(named, path, question, reading)
    if events:
        question = in_steps(question, data, reading.bins)
    if chosen is not None and data.answers is not None:
        _demand_suiting(chosen, question, data)
    parts = parts_of(data, metadata, seed, _block(metadata))
    return Task(
        kind=chosen,
        question=question,
        data=data,
        parts=parts,
        why=why,
        reading=reading,
    )


def in_steps(question: Question, data: Dataset, bins: int) -> Question:
    """The question with events: as many steps as arrays hold, event lists ``bins``.

    Raises:
        DataError: arrays hold no steps.
    """
    if data.shape is None:
        return replace(question, steps=bins)
    if len(data.shape) <= len(question.shape):
        raise DataError(
            f"{data.source}: samples have shape {data.shape}, and events are (steps, "
            f"{str(question.shape)[1:]}: 0 or 1 in each step for each input of the "
            "network; give such, or leave out --encoder events"
        )
    return replace(question, steps=data.shape[0])


def _read(
    named: Kind | None, path: Path, question: Question, reading: Reading
) -> tuple[Kind | None, Dataset, str]:
    """The kind, the data, and why that kind."""
    if not path.exists():
        raise DataError(f"Data {str(path)!r}: no such file or folder")
    if named is not None:
        return named, named.read(path, question, reading), "as named"
    for kind in map(find_kind, KINDS):
        if kind.recognises(path):
            return kind, kind.read(path, question, reading), "from the folder's layout"
    data = read_data(path, reading)
    if data.kind is None or data.answers is None:
        return None, data, "no labels"
    kind = find_kind(data.kind)
    return kind, kind.checked(data, question), "from the labels' form"


def _generated(named: Kind | None, question: Question) -> tuple[Kind, Dataset, str]:
    for kind in [named] if named else map(find_kind, KINDS):
        data = kind.generated(question)
        if data is not None:
            return kind, data, "as the network's output says"
    raise DataError(
        f"Generated data: there are none for a network that takes {question.shape} "
        f"and gives {question.output}; name data with --data"
    )


def _demand_suiting(kind: Kind, question: Question, data: Dataset) -> None:
    assert data.answers is not None
    if kind.suits(question, data):
        return
    shape = data.answers.shape[1:]
    held = f"{data.answers.dtype} of shape {shape}"
    if kind.name in ("classes", "masks"):
        held = f"{max(int(data.answers.max()) + 1, len(data.classes))} classes"
        held += f", of shape {shape}" if shape else ""
    raise DataError(
        f"{data.source}: its answers are {held}, and the network gives "
        f"{question.output} for each sample; {kind.name} want {kind.asks}. Name "
        "another --task, or data of this network"
    )


def _block(metadata: Mapping[str, Any]) -> int:
    recipe = metadata.get("recipe")
    block = recipe.get("block", 1) if isinstance(recipe, Mapping) else 1
    return block if isinstance(block, int) and block > 0 else 1


def _drawn(part: IndexArray, count: int) -> IndexArray:
    drawn: IndexArray = np.random.default_rng(SEED).permutation(part)[:count]
    return drawn
