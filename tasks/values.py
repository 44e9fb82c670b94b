"""Real numbers: regression."""

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
from ..calibration.report.picture import PREDICTED
from ..models.data.dataset import Dataset
from ..models.data.generated.formulas import INPUTS, formula_data
from ..toolchain.errors import DataError
from ..toolchain.graph.nodes import Array, FloatArray, Shape
from .contract import Constant, Examples, Kind, Question
from .metrics import Metric, mean_of, with_ones

GENERATED = 2000  # samples


class Values(Kind):
    """One or more real numbers for each sample."""

    name, asks = "values", "one output for each value"
    losses = ("mse", "huber")

    def example(self, size: Shape | None) -> Question:
        return Question(shape=size or (INPUTS,), output=(1,))

    def output_for(self, data: Dataset, shape: Shape) -> Shape:
        assert data.answers is not None
        return (int(np.prod(data.answers.shape[1:])),)

    def generated(self, question: Question) -> Dataset | None:
        if question.shape != (INPUTS,) or question.output != (1,):
            return None
        return formula_data(GENERATED, 0)

    def checked(self, data: Dataset, question: Question) -> Dataset:
        if data.answers is not None and data.answers.dtype.kind not in "fiub":
            raise DataError(
                f"{data.source}: its answers are {data.answers.dtype}, not numbers; "
                "name another --task"
            )
        return data

    def suits(self, question: Question, data: Dataset) -> bool:
        assert data.answers is not None
        return int(np.prod(data.answers.shape[1:])) == int(np.prod(question.output))

    def metrics(self, question: Question, data: Dataset) -> tuple[Metric, ...]:
        def squares(output: Array, truth: Array) -> FloatArray:
            error, wanted = _errors(output, truth), _flat(truth)
            parts = (error**2).mean(1), wanted, wanted**2
            return with_ones(np.column_stack(parts))

        def r2(sums: FloatArray) -> FloatArray:
            """1 − mean squared error / variance of the answers."""
            count = sums[..., -1]
            wanted = (sums.shape[-1] - 2) // 2
            means = sums[..., 1 : 1 + wanted] / count[..., None]
            seconds = sums[..., 1 + wanted : -1] / count[..., None]
            variance = (seconds - means**2).mean(-1)
            with np.errstate(invalid="ignore", divide="ignore"):
                share: FloatArray = 1 - sums[..., 0] / count / variance
            return share

        def absolute(output: Array, truth: Array) -> FloatArray:
            means: FloatArray = np.abs(_errors(output, truth)).mean(1)
            return means

        def rmse(sums: FloatArray) -> FloatArray:
            root: FloatArray = np.sqrt(sums[..., 0] / sums[..., -1])
            return root

        return (
            Metric("R²", squares, r2),
            mean_of(absolute, "MAE", better=-1),
            Metric("RMSE", squares, rmse, better=-1),
        )

    def constant(self, answers: Array, question: Question) -> Constant:
        mean = answers.astype(np.float64).mean(0)
        return Constant("mean value", mean.reshape(question.output))

    def picture(
        self, examples: Examples, output: FloatArray, question: Question
    ) -> ValuePicture | None:
        assert examples.y is not None
        return ValuePicture(_flat(examples.y[: len(output)]), _flat(output))

    def predictions(
        self, examples: Examples, output: FloatArray, question: Question, data: Dataset
    ) -> Predictions:
        assert examples.y is not None
        found, wanted = _flat(output), _flat(examples.y)
        return Predictions(
            kind="values",
            samples=tuple(
                Prediction(
                    sample=examples.unit[i],
                    picture=png_of(examples.x[i]),
                    outputs=tuple(
                        OutputValue(name=str(k), found=f, wanted=w)
                        for k, (f, w) in enumerate(
                            zip(found[i].tolist(), wanted[i].tolist())
                        )
                    )[:VALUES],
                )
                for i in range(min(len(output), SHOWN))
            ),
        )

    def unit(self, wanted: Array) -> float:
        """Their standard deviation."""
        return float(np.std(wanted)) or 1.0

    def wanted(self, answers: Array, question: Question) -> Array:
        return answers.reshape(-1, *question.output).astype(np.float32)


KIND = Values()


def _flat(values: Array) -> FloatArray:
    flat: FloatArray = np.asarray(values, np.float64).reshape(len(values), -1)
    return flat


def _errors(output: Array, truth: Array) -> FloatArray:
    return _flat(output) - _flat(truth)


@dataclass(frozen=True, eq=False)
class ValuePicture:
    """Predicted against true values."""

    true: FloatArray
    predicted: FloatArray

    @property
    def height(self) -> float:
        """inches"""
        return 3.0

    def draw(self, figure: Any) -> None:
        """Points along a diagonal, for each value its own plot, four at most."""
        for axis, column in zip(
            np.atleast_1d(figure.subplots(1, min(self.true.shape[1], 4))), range(4)
        ):
            true, found = self.true[:, column], self.predicted[:, column]
            ends = [min(true.min(), found.min()), max(true.max(), found.max())]
            axis.plot(ends, ends, color="0.7", lw=1)
            axis.plot(true, found, ".", color=PREDICTED, ms=4)
            axis.set_xlabel("true value")
            axis.set_ylabel("predicted")
