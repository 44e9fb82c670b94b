"""The box of the one object in a picture."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..calibration.report.figures.predictions import (
    SHOWN,
    OutputValue,
    Prediction,
    Predictions,
    png_of,
)
from ..calibration.report.picture import PREDICTED, TRUE
from ..models.data import augment
from ..models.data.boxes import (
    BoxData,
    Size,
    iou,
    load_caltech101,
    load_folder,
    median_box,
)
from ..models.data.dataset import Dataset
from ..models.data.formats.reading import Reading
from ..models.data.generated.scenes import scene_data
from ..models.data.parts import Parts
from ..toolchain.errors import DataError
from ..toolchain.graph.nodes import Array, FloatArray, Shape
from .contract import Constant, Examples, Kind, Lessons, Metadata, Question
from .images import draw_grid, grid_height, name_colours, outline, rgb
from .metrics import Metric, mean_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCENES = 1500  # generated scenes; split like any other data
CORNERS = ("x_min", "y_min", "x_max", "y_max")
CATEGORIES = "101_ObjectCategories"  # Caltech-101's folder


class Boxes(Kind):
    """x_min, y_min, x_max, y_max as shares of the picture's width and height."""

    name, asks = "boxes", "four outputs, x_min, y_min, x_max, y_max as shares"
    losses = ("iou", "smooth_l1", "mse")

    def recognises(self, path: Path) -> bool:
        inside = Path(os.path.abspath(path)).parent.name == CATEGORIES
        return inside or (path / "boxes.csv").is_file()

    def generated(self, question: Question) -> Dataset | None:
        if len(question.shape) != 3 or question.output != (4,):
            return None
        return dataset_of(
            read_boxes(None, picture_size(question.shape)), "generated scenes"
        )

    def read(self, path: Path, question: Question, reading: Reading) -> Dataset:
        if not self.recognises(path):
            return super().read(path, question, reading)
        size = picture_size(question.shape)
        return dataset_of(read_boxes(path, size), path.resolve().name)

    def checked(self, data: Dataset, question: Question) -> Dataset:
        if data.answers is not None and data.kind != "boxes":
            raise DataError(
                f"{data.source}: its answers are no boxes; give a folder with images/ "
                "and boxes.csv, or arrays with y (samples, 4), x_min, y_min, x_max, "
                "y_max as shares of width and height"
            )
        return data

    def suits(self, question: Question, data: Dataset) -> bool:
        return question.output == (4,)

    def metrics(self, question: Question, data: Dataset) -> tuple[Metric, ...]:
        return (mean_of(iou, "mean IoU"),)

    def constant(self, answers: Array, question: Question) -> Constant:
        return Constant("constant box", median_box(answers))

    def picture(
        self, examples: Examples, output: FloatArray, question: Question
    ) -> BoxPicture | None:
        assert examples.y is not None
        count = len(output)
        return BoxPicture(examples.x[:count], examples.y[:count], output)

    def predictions(
        self, examples: Examples, output: FloatArray, question: Question, data: Dataset
    ) -> Predictions:
        assert examples.y is not None
        count = min(len(output), SHOWN)
        found, wanted = output[:count], examples.y[:count].astype(np.float64)
        shares = iou(found, wanted)
        return Predictions(
            kind="boxes",
            metric="IoU",
            samples=tuple(
                Prediction(
                    sample=examples.unit[i],
                    picture=png_of(examples.x[i]),
                    score=float(shares[i]),
                    outputs=tuple(
                        OutputValue(name=name, found=float(f), wanted=float(w))
                        for name, f, w in zip(CORNERS, found[i], wanted[i])
                    ),
                )
                for i in range(count)
            ),
        )

    def lessons(
        self, data: Dataset, parts: Parts, question: Question, recipe: Metadata
    ) -> Lessons:
        """Pictures are kept finer than the input, and cut and lit anew each epoch;
        arrays, which have one size, are taken as they are."""
        if data.shape is not None:
            return super().lessons(data, parts, question, recipe)
        assert data.answers is not None
        height, width, channels = size = picture_size(question.shape)
        fine = (height * augment.FINENESS, width * augment.FINENESS, channels)
        crops = recipe.get("crops", 1.0)
        wanted = data.answers.astype(np.float32)
        return Lessons(
            train=(
                augment.widen(data.read(parts.train, fine)),
                wanted[parts.train],
            ),
            validation=(data.read(parts.validation, size), wanted[parts.validation]),
            shown=data.read(parts.train, size),
            augment=lambda x, y, rng: augment.with_boxes(
                x, y, rng, size=size[:2], crops=crops
            ),
        )


KIND = Boxes()


def picture_size(shape: Shape) -> Size:
    """The shape, where it is that of a picture.

    Raises:
        DataError: it is not.
    """
    if len(shape) != 3 or shape[2] not in (1, 3):
        raise DataError(
            f"The network takes samples of shape {shape}; pictures (height, width, 1 "
            "or 3 channels) are what can be read from a folder of pictures; give "
            "other samples as arrays (.npz with x and y)"
        )
    height, width, channels = shape
    return height, width, channels


def read_boxes(path: Path | None, size: Size) -> BoxData:
    """A folder with images/ and boxes.csv, or 101_ObjectCategories/<category>.

    Args:
        path: the folder; generated scenes where None.
        size: (height, width, channels) of the scenes.

    Raises:
        DataError: it is neither, or something in it is missing or damaged.
    """
    if path is None:
        return scene_data(SCENES, 0, size)
    path = Path(os.path.abspath(path))  # a link keeps its folder
    if path.parent.name == CATEGORIES:
        return load_caltech101(path.parent.parent, path.name)
    return load_folder(path)


def dataset_of(data: BoxData, source: str) -> Dataset:
    """The pictures as samples, their boxes as answers."""
    return Dataset(
        source=source,
        names=data.names,
        read=lambda indices, shape: data.take(indices).images(picture_size(shape)),
        answers=data.boxes,
        kind="boxes",
        digest=lambda indices: tuple(data.digests[i] for i in indices),
    )


@dataclass(frozen=True, eq=False)
class BoxPicture:
    """Sample images with the boxes found in them.

    Boxes are (images, 4): x_min, y_min, x_max, y_max as shares of width and height.
    """

    images: Array  # (images, height, width) or (…, 1 or 3 channels), 0 … 1
    true: FloatArray
    predicted: FloatArray

    @property
    def height(self) -> float:
        """inches"""
        return grid_height(len(self.images))

    def draw(self, figure: Any) -> None:
        """Each image with the true and the predicted box, their IoU below."""
        shares = iou(self.predicted, self.true)

        def text(index: int) -> tuple[str, str]:
            return f"IoU {shares[index]:.2f}", "black"

        draw_grid(figure, self.images, text, self._image)
        name_colours(figure, (("true box", TRUE), ("predicted box", PREDICTED)))

    def _image(self, axis: Axes, index: int) -> None:
        picture = rgb(self.images[index])
        height, width = picture.shape[:2]
        axis.imshow(picture, extent=(0, width, height, 0))
        for box, colour in ((self.true, TRUE), (self.predicted, PREDICTED)):
            corners = box[index] * (width, height, width, height)
            axis.add_patch(outline(corners, colour))
