"""What a network is asked: how samples are read and split, and answers scored.

A kind of task is one file here, which holds a ``Kind`` named ``KIND``, and one word in
``kinds.KINDS``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ..calibration.report.figures.curve import Judge
from ..calibration.report.figures.predictions import Predictions
from ..calibration.report.picture import Answers
from ..calibration.report.report import Confusion, Score
from ..models.data.dataset import Dataset, IndexArray
from ..models.data.formats.formats import read_data
from ..models.data.formats.reading import Reading
from ..models.data.parts import Parts
from ..models.data.samples import Samples
from ..toolchain.errors import DataError
from ..toolchain.graph.graph import Graph
from ..toolchain.graph.nodes import Array, FloatArray, Shape
from ..toolchain.program.host import demand_events, mean_over_steps
from .kinds import KINDS
from .metrics import Metric, scores_of

Metadata = Mapping[str, Any]
Batch = tuple[Array, Array]
Augment = Callable[[Array, Array, np.random.Generator], Batch]


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a network takes and gives, as far as a task must know.

    Attributes:
        shape: of what the network takes.
        output: of its answer.
        steps: of events in a sample, each of that shape; None: samples are no events.
        probability: the answer is one (softmax or sigmoid), so 0.5 is its middle.
        picked: the answer is the number of a class (argmax).
    """

    shape: Shape
    output: Shape
    steps: int | None = None
    probability: bool = False
    picked: bool = False

    def read(self, data: Dataset, indices: IndexArray) -> Array:
        """Samples as they are sent: float32, events bool.

        Raises:
            DataError: a sample has another shape, or events are not 0 and 1.
        """
        if self.steps is None:
            return data.read(indices, self.shape)
        x = data.read(indices, (self.steps, *self.shape))
        demand_events(x)
        return x.astype(bool)

    def taken(self, graph: Graph, x: Array | Samples) -> Array | Samples:
        """Samples as this float network takes them: a spiking one takes events."""
        if graph.is_spiking:
            return x
        return x.mapped(self.still) if isinstance(x, Samples) else self.still(x)

    def still(self, x: Array) -> FloatArray:
        """Samples as a network of rates takes them, float64: of events the mean."""
        return x.astype(np.float64) if self.steps is None else mean_over_steps(x)


@dataclass(frozen=True, eq=False, kw_only=True)
class Examples:
    """Samples, their answers, and what they are part of.

    Attributes:
        x: (samples, …), as they are sent: float64, events bool; of very many, what
            reads them a slice at a time.
        y: (samples, …), the kind's own form of answers; None without labels.
        unit: of each sample, what a split deals with as one (a volume; itself).
        whole: whether all samples of its unit are among these, (samples,).
        classes: names of the classes, where there are such.
    """

    x: Array | Samples
    y: Array | None
    unit: tuple[str, ...]
    whole: Array
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.x)

    @property
    def held(self) -> Array:
        """All samples, in memory."""
        return self.x[:]

    def first(self, count: int) -> Examples:
        """The first ``count`` of them."""
        return Examples(
            x=self.x[:count],
            y=None if self.y is None else self.y[:count],
            unit=self.unit[:count],
            whole=self.whole[:count],
            classes=self.classes,
        )


@dataclass(frozen=True, eq=False)
class Constant:
    """The trivial answer: one for all samples, as the training part has it best."""

    name: str  # "most frequent class", "constant box", …
    answer: Array  # (…), in the form of a network's outputs


@dataclass(frozen=True, eq=False, kw_only=True)
class Lessons:
    """What a network is fine-tuned on; test samples are not among it."""

    train: Batch  # what ``augment`` takes
    validation: Batch
    shown: Array  # training samples as they are sent
    augment: Augment | None


class Kind(ABC):
    """A kind of task.

    Attributes:
        name: as ``--task`` names it.
        asks: what an answer is, in words, for messages.
        losses: that it can be trained with, by name; the first is the default.
    """

    name: str
    asks: str
    losses: tuple[str, ...]

    def recognises(self, path: Path) -> bool:
        """Whether a folder has a layout of this kind's own."""
        return False

    def example(self, size: Shape | None) -> Question | None:
        """What a network takes and gives that its generated data are for; None: there
        are no such, or none for a network of the user's.

        Args:
            size: of samples, where the user names one.
        """
        return None

    def output_for(self, data: Dataset, shape: Shape) -> Shape:
        """What a network of samples of this shape must give to answer the data.

        Raises:
            DataError: no network that can be made for them would.
        """
        raise DataError(
            f"{data.source}: there is no first network to train for {self.name}; "
            "train your own, or one of those of `snn-deploy train --help`"
        )

    def generated(self, question: Question) -> Dataset | None:
        """The data that stand in where none are at hand; None: there are no such."""
        return None

    def read(self, path: Path, question: Question, reading: Reading) -> Dataset:
        """The data at a path, with answers in this kind's form where there are any.

        Raises:
            DataError: they are missing, damaged, or no data of this kind.
        """
        return self.checked(read_data(path, replace(reading, kind=self.name)), question)

    @abstractmethod
    def checked(self, data: Dataset, question: Question) -> Dataset:
        """Arrays, tables or folders that any kind may have, where they are this one's.

        Raises:
            DataError: their answers are of another form.
        """

    @abstractmethod
    def suits(self, question: Question, data: Dataset) -> bool:
        """Whether the network's outputs can answer the data's questions."""

    @abstractmethod
    def metrics(self, question: Question, data: Dataset) -> tuple[Metric, ...]:
        """Its scores; the first is the one to choose by."""

    @abstractmethod
    def constant(self, answers: Array, question: Question) -> Constant:
        """The trivial answer, from the training part's answers."""

    @abstractmethod
    def picture(
        self, examples: Examples, output: FloatArray, question: Question
    ) -> Answers | None:
        """The first samples with the network's answers; None where none are drawn."""

    def scores(
        self,
        examples: Examples,
        answers: Mapping[str, Array],
        question: Question,
        data: Dataset,
    ) -> tuple[Score, ...]:
        """How well each network does; every metric for each of them."""
        assert examples.y is not None
        note = f"{len(examples)} test samples"
        return scores_of(self.metrics(question, data), answers, examples.y, note)

    def confusion(
        self, examples: Examples, output: Array, question: Question
    ) -> Confusion | None:
        """Which class was taken for which; None where there are no classes."""
        return None

    def predictions(
        self, examples: Examples, output: FloatArray, question: Question, data: Dataset
    ) -> Predictions | None:
        """The first samples with the network's answers, as a report keeps them; None:
        there are none to look at."""
        return None

    def judged(self, examples: Examples, question: Question, data: Dataset) -> Judge:
        """How answers to these samples, which have labels, are scored."""
        truth = examples.y
        assert truth is not None
        metric = self.metrics(question, data)[0]
        return Judge(
            metric.name, metric.better, lambda answers: metric.of(answers, truth)
        )

    def lessons(
        self, data: Dataset, parts: Parts, question: Question, recipe: Metadata
    ) -> Lessons:
        """Samples to fine-tune on, as they are; kinds of pictures augment them.

        Args:
            data: as ``read`` gives them.
            parts: the split.
            question: what the network takes.
            recipe: how the ANN was trained, where it says so.
        """
        assert data.answers is not None
        x = question.read(data, parts.train)
        return Lessons(
            train=(x, self.wanted(data.answers[parts.train], question)),
            validation=(
                question.read(data, parts.validation),
                self.wanted(data.answers[parts.validation], question),
            ),
            shown=x,
            augment=None,
        )

    def losses_for(self, question: Question) -> tuple[str, ...]:
        """Those of ``losses`` that suit the network, the best first."""
        return self.losses

    def loss(self, question: Question, named: str | None = None) -> str:
        """The loss that is named, by default the one that suits the network best.

        Raises:
            DataError: a loss of ours that it cannot be trained with.
        """
        suiting = self.losses_for(question)
        if named is None or "." in named:  # of the user's own: from Python, by module
            return named or suiting[0]
        if named not in suiting:
            raise DataError(
                f"Loss {named!r}: {self.name} of a network that gives "
                f"{question.output} are trained with {' or '.join(suiting)}; name that"
            )
        return named

    def unit(self, wanted: Array) -> float:
        """In which a loss takes answers of this kind, so that it is of size 1."""
        return 1.0

    def judge(
        self, question: Question, data: Dataset
    ) -> tuple[str, Callable[[Array, Array], float]]:
        """Name of the score that training is judged by, and (outputs, wanted) → it."""
        metric = self.metrics(question, data)[0]
        return (
            metric.name,
            lambda output, wanted: metric.better * metric.of(output, wanted),
        )

    def wanted(self, answers: Array, question: Question) -> Array:
        """Answers as a loss takes them, (samples, *output) or class indices."""
        return answers.astype(np.float32)


def find_kind(name: str) -> Kind:
    """The kind of this name.

    Raises:
        DataError: there is none.
    """
    if name not in KINDS:
        raise DataError(f"Task {name!r}: it is unknown; there are: {', '.join(KINDS)}")
    kind: Kind = import_module(f"{__package__}.{name}").KIND
    return kind
