"""Which pixels are an object's, or which of several classes each pixel is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..calibration.report.figures.predictions import (
    SHOWN,
    Prediction,
    Predictions,
    mask_png,
    png_of,
)
from ..calibration.report.picture import PREDICTED, TRUE
from ..calibration.report.report import Score
from ..models.data import augment
from ..models.data.boxes import Size
from ..models.data.dataset import Dataset
from ..models.data.formats.reading import Reading
from ..models.data.generated.blobs import blob_data
from ..models.data.generated.shapes import CLASSES, shape_data
from ..models.data.masks import MaskData, load_pictures, mean_mask
from ..models.data.parts import Parts
from ..models.data.volumes import load_volumes
from ..toolchain.errors import DataError
from ..toolchain.graph.nodes import Array, FloatArray, Shape
from .boxes import picture_size
from .contract import Constant, Examples, Kind, Lessons, Metadata, Question
from .images import draw_grid, grid_height, name_colours, rgb
from .metrics import Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLOBS = 200  # generated volumes; split like any other data
SHAPES = 1000  # generated pictures of several classes
COLOURS = ("#2f9e44", "#e8590c", "#1971c2", "#f08c00", "#9c36b5", "#0c8599")


class Masks(Kind):
    """Binary: one output a pixel, the object's where it is above its middle, 0.5 of a
    probability. Several classes: an output for each, the largest is the pixel's."""

    name, asks = "masks", "a picture as large as the input, one output a class"
    losses = ("bce_dice", "mse", "ce_dice", "cross_entropy")

    def recognises(self, path: Path) -> bool:
        return (path / "masks").is_dir() or (path / "labels").is_dir()

    def example(self, size: Shape | None) -> Question:
        size = size or (24, 32, 1)
        return Question(shape=size, output=(*size[:2], len(CLASSES)))

    def output_for(self, data: Dataset, shape: Shape) -> Shape:
        """Two classes are told apart by two outputs, as more are."""
        if len(shape) != 3 or any(side % 2 for side in shape[:2]):
            raise DataError(
                f"{data.source}: samples have shape {shape}; a segmenter takes "
                "pictures (height, width, channels) of even height and width; pad "
                "them, or name another --size where the pictures lie in a folder"
            )
        assert data.answers is not None
        return (*shape[:2], max(int(data.answers.max()) + 1, len(data.classes), 2))

    def generated(self, question: Question) -> Dataset | None:
        if len(question.shape) != 3 or question.output[:-1] != question.shape[:2]:
            return None
        size = picture_size(question.shape)
        if question.output[-1] == 1:
            return dataset_of(read_masks(None, size), "generated blobs")
        return shape_data(SHAPES, 0, size)

    def read(self, path: Path, question: Question, reading: Reading) -> Dataset:
        if not self.recognises(path):
            return super().read(path, question, reading)
        size = picture_size(question.shape)
        several = question.output[-1:] > (1,)
        return dataset_of(read_masks(path, size, several), path.resolve().name)

    def checked(self, data: Dataset, question: Question) -> Dataset:
        if data.answers is not None and data.kind != "masks":
            raise DataError(
                f"{data.source}: its answers are {data.answers.dtype} of shape "
                f"{data.answers.shape}; masks are (samples, height, width), a class "
                "each pixel; name another --task"
            )
        return data

    def suits(self, question: Question, data: Dataset) -> bool:
        if len(question.output) != 3 or data.answers is None:
            return False
        classes = max(int(data.answers.max()) + 1, 2)
        same = question.output[:2] == data.answers.shape[1:3]
        return same and classes <= max(question.output[-1], 2)

    def metrics(self, question: Question, data: Dataset) -> tuple[Metric, ...]:
        if question.output[-1] == 1:

            def both(output: Array, truth: Array) -> FloatArray:
                return _overlap(found(output, question) > 0, _index(truth) > 0)

            return (Metric("Dice", both, _dice),)
        count = question.output[-1]

        def overlaps(output: Array, truth: Array) -> FloatArray:
            taken, wanted = found(output, question), _index(truth)
            parts = [_overlap(taken == c, wanted == c) for c in range(count)]
            return np.hstack(parts)

        def mean(sums: FloatArray) -> FloatArray:
            values: FloatArray = np.nanmean(
                [_dice(sums[..., 2 * c : 2 * c + 2]) for c in range(count)], axis=0
            )
            return values

        def one(c: int) -> Metric:
            def share(sums: FloatArray) -> FloatArray:
                dice = _dice(sums[..., 2 * c : 2 * c + 2])
                return dice / (2 - dice)  # IoU = Dice / (2 − Dice)

            name = data.classes[c] if c < len(data.classes) else str(c)
            return Metric(f"IoU of {name}", overlaps, share)

        return Metric("mean Dice", overlaps, mean), *map(one, range(count))

    def constant(self, answers: Array, question: Question) -> Constant:
        """The mask of best Dice; of several classes, each pixel's most frequent."""
        wanted, count = _index(answers), question.output[-1]
        if count == 1:
            best = mean_mask(wanted > 0)[..., None]
            middle = 0.5 if question.probability else 0.0
            return Constant("mean mask", middle + np.where(best, 0.5, -0.5))
        votes = np.stack([(wanted == c).mean(0) for c in range(count)], axis=-1)
        return Constant("mean mask", votes)

    def scores(
        self,
        examples: Examples,
        answers: Mapping[str, Array],
        question: Question,
        data: Dataset,
    ) -> tuple[Score, ...]:
        """Dice of all pixels pooled; of each volume where whole volumes were run."""
        pooled = super().scores(examples, answers, question, data)
        names, index = np.unique(
            np.array(examples.unit)[examples.whole], return_inverse=True
        )
        if len(names) == len(examples) or not len(names) or question.output[-1] > 1:
            return pooled
        assert examples.y is not None
        metric, *_ = self.metrics(question, data)

        def each(output: Array, truth: Array) -> FloatArray:
            """Dice of each volume, and a 1."""
            sums = np.zeros((len(names), 2))
            np.add.at(sums, index, metric.statistics(output, truth))
            return np.column_stack([_dice(sums), np.ones(len(names))])

        volumes = Metric("mean Dice of a volume", each, lambda s: s[..., 0] / s[..., 1])
        note = f"{len(names)} whole test volumes"
        return pooled + tuple(
            volumes.score(
                name, output[examples.whole], examples.y[examples.whole], note
            )
            for name, output in answers.items()
        )

    def picture(
        self, examples: Examples, output: FloatArray, question: Question
    ) -> MaskPicture | None:
        assert examples.y is not None
        count = len(output)
        return MaskPicture(
            examples.x[:count], _index(examples.y[:count]), found(output, question)
        )

    def predictions(
        self, examples: Examples, output: FloatArray, question: Question, data: Dataset
    ) -> Predictions:
        assert examples.y is not None
        count, several = min(len(output), SHOWN), question.output[-1] > 1
        taken, wanted = found(output[:count], question), _index(examples.y[:count])
        if not several:
            wanted = (wanted > 0).astype(int)
        scores = _dice(_overlap(taken > 0, wanted > 0))
        return Predictions(
            kind="masks",
            metric="Dice of all that is not class 0" if several else "Dice",
            samples=tuple(
                Prediction(
                    sample=examples.unit[i],
                    picture=png_of(examples.x[i]),
                    score=float(scores[i]),
                    found_mask=mask_png(taken[i], COLOURS if several else (PREDICTED,)),
                    wanted_mask=mask_png(wanted[i], COLOURS if several else (TRUE,)),
                )
                for i in range(count)
            ),
        )

    def lessons(
        self, data: Dataset, parts: Parts, question: Question, recipe: Metadata
    ) -> Lessons:
        """Slices with a binary mask are cut, mirrored and lit anew each epoch."""
        plain = super().lessons(data, parts, question, recipe)
        if question.output[-1] > 1 or question.steps:
            return plain
        both = np.concatenate(plain.train, axis=-1)
        height, width, _ = question.shape
        return Lessons(
            train=(augment.widen(both), plain.train[1]),
            validation=plain.validation,
            shown=plain.shown,
            augment=lambda x, y, rng: augment.with_masks(x, rng, size=(height, width)),
        )

    def losses_for(self, question: Question) -> tuple[str, ...]:
        """Of one class, of its probability; of several, of their logits."""
        return self.losses[2:] if question.output[-1] > 1 else self.losses[:2]

    def wanted(self, answers: Array, question: Question) -> Array:
        index = _index(answers)
        if question.output[-1] == 1:
            return (index > 0)[..., None].astype(np.float32)
        return index.astype(np.int64)


KIND = Masks()


def read_masks(path: Path | None, size: Size, several: bool = False) -> MaskData:
    """A folder with images/ and masks/ (pictures), or images/ and labels/ (NIfTI).

    Args:
        path: the folder; generated blobs where None.
        size: (height, width, channels) of the slices.
        several: keep several classes apart; what is not 0 is the object otherwise.

    Raises:
        DataError: it is neither, or something in it is missing or damaged.
    """
    if path is None:
        return blob_data(BLOBS, 0, size)
    load = load_pictures if (path / "masks").is_dir() else load_volumes
    return load(path, size, classes=several)


def dataset_of(data: MaskData, source: str) -> Dataset:
    """The slices as samples; a volume's stay together, and a subject's volumes."""
    place = np.concatenate([np.arange(n) for n in np.bincount(data.volume)])
    return Dataset(
        source=source,
        names=tuple(
            f"{data.names[v]}/{i}" for v, i in zip(data.volume.tolist(), place.tolist())
        ),
        read=lambda indices, shape: data.images[indices],
        answers=data.masks,
        kind="masks",
        unit=tuple(data.names[v] for v in data.volume),
        group=tuple(data.subjects[v] for v in data.volume),
        digest=lambda indices: tuple(data.digests[data.volume[i]] for i in indices),
    )


def found(output: Array, question: Question) -> Array:
    """The class of each pixel, (samples, height, width)."""
    if question.output[-1] > 1:
        classes: Array = output.argmax(-1)
        return classes
    return (output[..., 0] > (0.5 if question.probability else 0)).astype(int)


def _index(masks: Array) -> Array:
    """(samples, height, width), whether there is an axis of 1 behind or not."""
    return (masks[..., 0] if masks.ndim == 4 else masks).astype(int)


def _overlap(a: Array, b: Array) -> FloatArray:
    """Pixels in both, and in one plus in the other, of each sample."""
    axes = tuple(range(1, a.ndim))
    return np.column_stack([(a & b).sum(axes), a.sum(axes) + b.sum(axes)]).astype(float)


def _dice(sums: FloatArray) -> FloatArray:
    """2 |A ∩ B| / (|A| + |B|); 1 where both are empty."""
    both, all_ = sums[..., 0], sums[..., 1]
    dice: FloatArray = np.where(all_ > 0, 2 * both / np.maximum(all_, 1), 1.0)
    return dice


@dataclass(frozen=True, eq=False)
class MaskPicture:
    """Sample images with the masks found in them, (images, height, width)."""

    images: Array  # (images, height, width, 1 or 3 channels), 0 … 1
    true: Array
    predicted: Array

    @property
    def height(self) -> float:
        """inches"""
        return grid_height(len(self.images))

    def draw(self, figure: Any) -> None:
        """Each image, and beside it the same with the true and the predicted mask."""

        def text(index: int) -> tuple[str, str]:
            true, predicted = self.true[index], self.predicted[index]
            if not (true.any() or predicted.any()):
                return "no mask, and none found", "black"
            dice = _dice(_overlap(predicted[None] > 0, true[None] > 0).sum(0))
            return f"Dice {float(dice):.2f}", "black"

        draw_grid(figure, self.images, text, self._image)
        if self._classes == 2:
            name_colours(figure, (("true mask", TRUE), ("predicted mask", PREDICTED)))

    @property
    def _classes(self) -> int:
        return int(max(self.true.max(), self.predicted.max(), 1)) + 1

    def _image(self, axis: Axes, index: int) -> None:
        picture = rgb(self.images[index])
        pairs = ((self.true, TRUE), (self.predicted, PREDICTED))
        several = self._classes > 2
        tinted = [
            _tinted(picture, masks[index], COLOURS if several else (colour,))
            for masks, colour in pairs
        ]
        axis.imshow(np.concatenate([picture, *tinted], axis=1))


def _tinted(picture: FloatArray, mask: Array, colours: tuple[str, ...]) -> FloatArray:
    """The picture, half of its light its class's colour where there is one."""
    from matplotlib.colors import to_rgb

    for index, colour in enumerate(colours, start=1):
        where = (mask == index)[..., None]
        picture = np.where(where, (picture + to_rgb(colour)) / 2, picture)
    return picture
