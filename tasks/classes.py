"""Which of several classes a sample belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..calibration.report.figures.predictions import (
    SHOWN,
    VALUES,
    OutputValue,
    Prediction,
    Predictions,
    png_of,
)
from ..calibration.report.picture import TRUE
from ..calibration.report.report import Confusion
from ..models.data.dataset import Dataset
from ..models.data.generated.moving_shapes import moving_shape_data
from ..toolchain.errors import DataError
from ..toolchain.graph.nodes import Array, FloatArray, Shape
from .contract import Constant, Examples, Kind, Question
from .images import WRONG, draw_grid
from .metrics import Metric, mean_of

GENERATED = 600  # event lists
TOP = 5  # of top-5 accuracy
MANY = 10  # classes from which on top-5 accuracy is given


class Classes(Kind):
    """One answer for each sample, the class of the largest output.

    A network of one output tells two classes apart: the second where the output is
    above 0.5 (a probability) or above 0.
    """

    name, asks = "classes", "one output for each class"
    losses = ("cross_entropy",)

    def example(self, size: Shape | None) -> Question:
        return Question(shape=size or (16, 16, 2), output=(3,))

    def output_for(self, data: Dataset, shape: Shape) -> Shape:
        return (max(_classes(data), 2),)

    def generated(self, question: Question) -> Dataset | None:
        turns = int(np.prod(question.output))
        if len(question.shape) != 3 or question.shape[2] != 2 or turns != 3:
            return None
        return moving_shape_data(GENERATED, 0, *question.shape[:2])

    def checked(self, data: Dataset, question: Question) -> Dataset:
        if data.answers is not None and data.kind != "classes":
            raise DataError(
                f"{data.source}: its answers are no classes (whole numbers from 0 on, "
                f"one-hot rows or texts), but {data.answers.dtype} of shape "
                f"{data.answers.shape}; name another --task"
            )
        return data

    def suits(self, question: Question, data: Dataset) -> bool:
        outputs = int(np.prod(question.output))
        if question.picked:
            return outputs == 1
        return max(question.output) == outputs and _classes(data) <= max(outputs, 2)

    def metrics(self, question: Question, data: Dataset) -> tuple[Metric, ...]:
        count = max(int(np.prod(question.output)), 2)
        if question.picked:
            count = max(_classes(data), 2)

        def taken(output: Array) -> Array:
            return chosen(output, question)

        def hits(output: Array, truth: Array) -> Array:
            return taken(output) == truth

        def each(output: Array, truth: Array) -> FloatArray:
            """Hits and samples, class by class."""
            rows = np.zeros((len(truth), 2 * count))
            rows[np.arange(len(truth)), truth] = hits(output, truth)
            rows[np.arange(len(truth)), count + truth] = 1
            return rows

        def balanced(sums: FloatArray) -> FloatArray:
            right, asked = sums[..., :count], sums[..., count:]
            share = np.where(asked > 0, right / np.maximum(asked, 1), np.nan)
            mean: FloatArray = np.nanmean(share, axis=-1)
            return mean

        def near(output: Array, truth: Array) -> Array:
            best = np.argsort(-_flat(output), axis=1, kind="stable")[:, :TOP]
            return (best == truth[:, None]).any(1)

        accuracy = mean_of(hits, "accuracy", share=True)
        top = mean_of(near, f"top-{TOP} accuracy", share=True)
        return (
            accuracy,
            *([top] if count >= MANY and not question.picked else []),
            Metric("balanced accuracy", each, balanced),
        )

    def constant(self, answers: Array, question: Question) -> Constant:
        frequent = int(np.bincount(answers).argmax())
        outputs = int(np.prod(question.output))
        if question.picked:
            answer = np.array([float(frequent)])
        elif outputs == 1:
            middle = 0.5 if question.probability else 0.0
            answer = np.array([middle + (0.5 if frequent else -0.5)])
        else:
            answer = np.eye(outputs)[frequent]
        return Constant("most frequent class", answer.reshape(question.output))

    def picture(
        self, examples: Examples, output: FloatArray, question: Question
    ) -> ClassPicture | None:
        assert examples.y is not None
        return ClassPicture(
            examples.x[: len(output)],
            examples.y[: len(output)],
            chosen(output, question),
            examples.classes,
        )

    def confusion(
        self, examples: Examples, output: Array, question: Question
    ) -> Confusion:
        assert examples.y is not None
        found = chosen(output, question)
        count = max(int(np.prod(question.output)), 2, *(found + 1), *(examples.y + 1))
        counts = np.zeros((count, count), int)
        np.add.at(counts, (examples.y, found), 1)
        names = examples.classes
        return Confusion(
            classes=tuple(names[i] if i < len(names) else str(i) for i in range(count)),
            counts=tuple(tuple(row) for row in counts.tolist()),
        )

    def predictions(
        self, examples: Examples, output: FloatArray, question: Question, data: Dataset
    ) -> Predictions:
        assert examples.y is not None
        taken, flat, names = chosen(output, question), _flat(output), examples.classes

        def name(index: int) -> str:
            return names[index] if index < len(names) else str(index)

        def outputs(row: FloatArray) -> tuple[OutputValue, ...]:
            if len(row) == 1:
                return (OutputValue(name="output", found=float(row[0])),)
            first = np.argsort(-row, kind="stable")[:VALUES].tolist()
            return tuple(OutputValue(name=name(c), found=float(row[c])) for c in first)

        return Predictions(
            kind="classes",
            samples=tuple(
                Prediction(
                    sample=examples.unit[i],
                    picture=png_of(examples.x[i]),
                    found=name(int(taken[i])),
                    wanted=name(int(examples.y[i])),
                    right=bool(taken[i] == examples.y[i]),
                    outputs=outputs(flat[i]),
                )
                for i in range(min(len(output), SHOWN))
            ),
        )

    def wanted(self, answers: Array, question: Question) -> Array:
        return answers.astype(np.int64)


KIND = Classes()


def chosen(output: Array, question: Question) -> Array:
    """The class that each output stands for, (samples,)."""
    flat = _flat(output)
    if question.picked:
        return flat[:, 0].astype(int)
    if flat.shape[1] == 1:
        taken: Array = (flat[:, 0] > (0.5 if question.probability else 0)).astype(int)
        return taken
    return flat.argmax(1)


def _flat(output: Array) -> Array:
    return output.reshape(len(output), -1)


def _classes(data: Dataset) -> int:
    """How many classes the answers need."""
    found = 0 if data.answers is None else int(data.answers.max()) + 1
    return max(found, len(data.classes))


@dataclass(frozen=True, eq=False)
class ClassPicture:
    """Samples with the class they were taken for."""

    x: Array
    true: Array
    predicted: Array
    classes: tuple[str, ...]

    @property
    def height(self) -> float:
        """inches"""
        return 2.0

    def draw(self, figure: Any) -> None:
        """A row of samples, the class below each, in red where it is wrong."""

        def text(index: int) -> tuple[str, str]:
            true, found = self.true[index], self.predicted[index]
            if true == found:
                return self._name(found), TRUE
            return f"{self._name(found)}, is {self._name(true)}", WRONG

        draw_grid(figure, self.x, text)

    def _name(self, index: int) -> str:
        return self.classes[index] if index < len(self.classes) else str(index)
