"""Data folders, read as a task to deploy for and as lessons to fine-tune on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .model_files import Metadata, Model
from .models.data import augment
from .models.data.blobs import blob_data
from .models.data.boxes import BoxData, Size, load_caltech101, load_folder, median_box
from .models.data.masks import MaskData, load_pictures, mean_mask, split_subjects
from .models.data.scenes import scene_data
from .models.data.split import Split, split
from .models.data.volumes import load_volumes
from .tasks.contract import BoxTask, MaskTask, Task
from .toolchain.errors import DataError
from .toolchain.graph.graph import Graph
from .toolchain.graph.nodes import Array

SCENES = 1500  # generated scenes; split like any other data
BLOBS = 200  # generated volumes; likewise
SEED = 0  # of the split, where the model names none


def read_task(path: Path | None, model: Model, calibration: int, test: int) -> Task:
    """Calibration samples of the training part, test samples of the test part.

    A network whose output is a picture of one channel, as large as its input, is asked
    for masks, any other for boxes. The split is the one the model was trained with,
    where its metadata says so.

    Args:
        path: a folder of images and boxes, or of Caltech-101's category, or of images
            or volumes and masks; generated data where None.
        model: decides the size of the pictures.
        calibration, test: how many samples of each at most.

    Raises:
        DataError: the data are missing, damaged, or the network takes no pictures.
    """
    size = _picture_size(model.graph)
    read = _read_mask_task if _asks_masks(model.graph) else _read_box_task
    return read(path, size, model.metadata, calibration, test)


def _picture_size(graph: Graph) -> Size:
    if len(graph.input.shape) != 3:
        raise DataError(
            f"The network takes samples of shape {graph.input.shape}; pictures "
            "(height, width, channels) are what can be read from a folder"
        )
    height, width, channels = graph.input.shape
    return height, width, channels


def _asks_masks(graph: Graph) -> bool:
    return graph.shapes[graph.output.name] == (*graph.input.shape[:2], 1)


def _read_box_task(
    path: Path | None, size: Size, metadata: Metadata, calibration: int, test: int
) -> BoxTask:
    data = read_boxes(path, size)
    parts, how = _split(data.names, metadata, lambda: split(data.names, SEED))
    train, held = data.take(parts.train), data.take(parts.test[:test])
    shown = train.take(range(min(calibration, len(train))))
    where = "generated scenes" if path is None else str(path.resolve().name)
    return BoxTask(
        source=f"{where}, {how}",
        calibration=shown.images(size).astype(np.float64),
        test=held.images(size).astype(np.float64),
        truth=held.boxes,
        constant=median_box(train.boxes),
    )


def _read_mask_task(
    path: Path | None, size: Size, metadata: Metadata, calibration: int, test: int
) -> MaskTask:
    """Slices are drawn at random, the same ones each time: neighbours are alike."""
    data = read_masks(path, size)
    parts, how = _split(data.names, metadata, lambda: split_subjects(data, SEED))
    train, held = data.take(parts.train), data.take(parts.test)
    rng = np.random.default_rng(SEED)
    shown = rng.permutation(len(train.images))[:calibration]
    asked = rng.permutation(len(held.images))[:test]
    where = "generated blobs" if path is None else str(path.resolve().name)
    return MaskTask(
        source=f"{where}, {how}",
        calibration=train.images[shown].astype(np.float64),
        test=held.images[asked].astype(np.float64),
        truth=held.masks[asked],
        volume=held.volume[asked],
        slices=np.bincount(held.volume),
        constant=mean_mask(train.masks),
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class Lessons:
    """What a network is fine-tuned on; test samples are not among it."""

    train: tuple[Array, Array]  # what ``augment`` takes
    validation: tuple[Array, Array]
    shown: Array  # training samples as the network takes them
    augment: Callable[[Array, Array, np.random.Generator], tuple[Array, Array]]
    loss: str  # that suits the task


def read_lessons(path: Path | None, model: Model, seed: int) -> Lessons:
    """Training and validation samples of a task, with its augmentation.

    Args:
        path: as ``read_task``'s.
        model: decides the task and the split, as there.
        seed: of the split, where the model names none.

    Raises:
        DataError: the data are missing or damaged.
    """
    size = height, width, channels = _picture_size(model.graph)
    if _asks_masks(model.graph):
        masks = read_masks(path, size)
        parts, _ = _split(
            masks.names, model.metadata, lambda: split_subjects(masks, seed)
        )
        learn, held = masks.take(parts.train), masks.take(parts.validation)
        wanted = learn.masks.astype(np.float32)
        both = np.concatenate([learn.images, wanted], axis=-1)
        return Lessons(
            train=(augment.widen(both), wanted),
            validation=(held.images, held.masks.astype(np.float32)),
            shown=learn.images,
            augment=lambda x, y, rng: augment.with_masks(x, rng, size=size[:2]),
            loss="bce_dice",
        )
    boxes = read_boxes(path, size)
    parts, _ = _split(boxes.names, model.metadata, lambda: split(boxes.names, seed))
    seen, kept = boxes.take(parts.train), boxes.take(parts.validation)
    recipe = model.metadata.get("recipe")  # as the ANN was trained
    crops = recipe.get("crops", 1.0) if isinstance(recipe, dict) else 1.0
    fine = (height * augment.FINENESS, width * augment.FINENESS, channels)
    return Lessons(
        train=(augment.widen(seen.images(fine)), seen.boxes.astype(np.float32)),
        validation=(kept.images(size), kept.boxes.astype(np.float32)),
        shown=seen.images(size),
        augment=lambda x, y, rng: augment.with_boxes(
            x, y, rng, size=size[:2], crops=crops
        ),
        loss="iou",
    )


def read_boxes(path: Path | None, size: Size) -> BoxData:
    """A folder with images/ and boxes.csv, or 101_ObjectCategories/<category>.

    Args:
        path: the folder; generated scenes where None.
        size: (height, width, channels) of the scenes.

    Raises:
        DataError: it is neither, or something in it is missing or damaged.
    """
    if path is None:
        return scene_data(SCENES, SEED, size)
    if path.parent.name == "101_ObjectCategories":
        return load_caltech101(path.parent.parent, path.name)
    return load_folder(path)


def read_masks(path: Path | None, size: Size) -> MaskData:
    """A folder with images/ and masks/ (pictures), or images/ and labels/ (NIfTI).

    Args:
        path: the folder; generated blobs where None.
        size: (height, width, channels) of the slices.

    Raises:
        DataError: it is neither, or something in it is missing or damaged.
    """
    if path is None:
        return blob_data(BLOBS, SEED, size)
    load = load_pictures if (path / "masks").is_dir() else load_volumes
    return load(path, size)


def _split(
    names: Sequence[str], metadata: Metadata, fresh: Callable[[], Split]
) -> tuple[Split, str]:
    """The split the model was trained with, where it is one of these pictures."""
    known = metadata.get("split")
    index = {name: i for i, name in enumerate(names)}
    if isinstance(known, dict) and set().union(*known.values()) == set(index):
        parts = {
            part: np.array([index[name] for name in chosen], np.intp)
            for part, chosen in known.items()
        }
        return Split(**parts), "test part of the model's split"
    return fresh(), f"test part of a split of seed {SEED}"
