"""Pictures with one box each: loaders, intersection over union, trivial baselines."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from ...toolchain.errors import DataError

FloatArray = npt.NDArray[np.float64]
ImageArray = npt.NDArray[np.float32]
Size = tuple[int, int, int]
"""(height, width, channels) of a picture; 1 channel is grey, 3 are RGB."""

HEADER = ["image", "x_min", "y_min", "x_max", "y_max"]
_UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
OFFICIAL_FOLDERS = {  # Caltech-101: category → folder of its annotations
    "airplanes": "Airplanes_Side_2",
    "Faces": "Faces_2",
    "Faces_easy": "Faces_3",
    "Motorbikes": "Motorbikes_16",
}


class Drawn(Protocol):
    """A picture that is drawn when it is asked for, at any size."""

    def draw(self, height: int, width: int) -> Image.Image:
        """The picture, RGB."""


@dataclass(frozen=True, eq=False)
class BoxData:
    """Pictures and the box of the one object in each.

    Attributes:
        names: of the pictures, in order.
        pictures: image files, decoded when ``images`` is called, or drawn pictures.
        boxes: (pictures, 4), x_min, y_min, x_max, y_max as fractions of the picture's
            width and height, origin top left.
        origins: where each picture and box was read, for messages.
    """

    names: tuple[str, ...]
    pictures: tuple[Path | Drawn, ...]
    boxes: FloatArray
    origins: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def take(self, indices: Sequence[int] | npt.NDArray[Any]) -> BoxData:
        """The pictures at these indices, in that order."""
        return BoxData(
            tuple(self.names[i] for i in indices),
            tuple(self.pictures[i] for i in indices),
            self.boxes[np.asarray(indices, int)],
            tuple(self.origins[i] for i in indices),
        )

    def images(self, size: Size) -> ImageArray:
        """All pictures, resized, (pictures, height, width, channels), 0 … 1.

        Raises:
            DataError: a picture is truncated, or has no 1 or 3 channels to give.
        """
        height, width, channels = size
        if channels not in (1, 3) or min(size) < 1:
            raise DataError(
                f"picture size {size}: (height, width, channels) with 1 channel (grey) "
                "or 3 (RGB) is allowed"
            )
        images = np.empty((len(self), *size), np.float32)
        for i, (picture, origin) in enumerate(zip(self.pictures, self.origins)):
            if isinstance(picture, Path):
                decoded = _decode(picture, origin)
            else:
                decoded = picture.draw(height, width)
            decoded = decoded.convert("L" if channels == 1 else "RGB")
            if decoded.size != (width, height):
                decoded = decoded.resize((width, height), Image.Resampling.BILINEAR)
            images[i] = np.asarray(decoded, np.float32).reshape(size) / 255
        return images


def _decode(picture: Path, origin: str) -> Image.Image:
    try:
        with Image.open(picture) as opened:
            return opened.convert("RGB")
    except _UNREADABLE as error:
        raise DataError(
            f"{origin}: {picture} is a broken or truncated picture ({error}); repair "
            "or remove it"
        ) from error


def load_folder(path: str | os.PathLike[str]) -> BoxData:
    """Pictures ``path``/images/… and their boxes in ``path``/boxes.csv.

    boxes.csv has the header image,x_min,y_min,x_max,y_max, and one row a picture, in
    pixels. Picture headers are read now, to know their sizes; pixels are not.

    Raises:
        DataError: folder, file, header, row, picture or box is missing or wrong.
    """
    folder = Path(path)
    table = folder / "boxes.csv"
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; it holds images/ and boxes.csv")
    if not table.is_file():
        raise DataError(
            f"{table}: no such file; it lists {','.join(HEADER)}, one row a picture"
        )
    try:
        lines = list(csv.reader(io.StringIO(table.read_text("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table}: it is no CSV text ({error})") from error
    if not lines or [cell.strip() for cell in lines[0]] != HEADER:
        raise DataError(f"{table}: its first line must be {','.join(HEADER)}")
    entries = []
    for number, line in enumerate(lines[1:], 2):
        origin = f"{table}, line {number}"
        if not line:
            continue
        try:
            name, *corners = line
            x_min, y_min, x_max, y_max = map(float, corners)
        except ValueError as error:
            raise DataError(
                f"{origin}: {','.join(line)!r}; a row is a file name and four numbers"
            ) from error
        picture = folder / "images" / name
        entries.append((name, picture, (x_min, y_min, x_max, y_max), origin))
    return _checked(entries, table)


def load_caltech101(root: str | os.PathLike[str], category: str) -> BoxData:
    """One category of Caltech-101 as it is published.

    ``root``/101_ObjectCategories/<category>/image_0001.jpg and
    ``root``/Annotations/<folder>/annotation_0001.mat, whose ``box_coord`` is
    [y_min, y_max, x_min, x_max] in pixels. Four categories' annotations lie in folders
    of another name (``OFFICIAL_FOLDERS``).

    Raises:
        DataError: a folder, annotation, picture or box is missing or wrong.
    """
    annotations = Path(root) / "Annotations" / OFFICIAL_FOLDERS.get(category, category)
    pictures = Path(root) / "101_ObjectCategories" / category
    for folder in (pictures, annotations):
        if not folder.is_dir():
            raise DataError(
                f"{folder}: no such folder; Caltech-101 holds "
                "101_ObjectCategories/<category> and Annotations/<category>"
            )
    entries = []
    for file in sorted(annotations.glob("annotation_*.mat")):
        name = file.stem.replace("annotation", "image") + ".jpg"
        entries.append((name, pictures / name, _box_coord(file), str(file)))
    return _checked(entries, annotations)


def _box_coord(file: Path) -> tuple[float, float, float, float]:
    from scipy.io import loadmat

    try:
        found = np.asarray(loadmat(file)["box_coord"], float).ravel()
        y_min, y_max, x_min, x_max = found.tolist()
    except Exception as error:  # loadmat raises whatever its parser trips over
        raise DataError(
            f"{file}: no readable annotation; it must hold box_coord, four numbers "
            f"[y_min y_max x_min x_max] ({error})"
        ) from error
    return x_min, y_min, x_max, y_max


Entry = tuple[str, Path, tuple[float, float, float, float], str]


def _checked(entries: Sequence[Entry], source: Path) -> BoxData:
    if not entries:
        raise DataError(f"{source}: it lists no picture; at least one is needed")
    boxes = np.empty((len(entries), 4))
    for i, (_, picture, corners, origin) in enumerate(entries):
        width, height = _dimensions(picture, origin)
        x_min, y_min, x_max, y_max = corners
        if not (0 <= min(x_min, x_max) and max(x_min, x_max) <= width) or not (
            0 <= min(y_min, y_max) and max(y_min, y_max) <= height
        ):
            raise DataError(
                f"{origin}: the box {corners} lies outside its picture {picture}, "
                f"{width} by {height} pixels; correct or remove the row"
            )
        if x_max <= x_min or y_max <= y_min:
            raise DataError(
                f"{origin}: the box {corners} has no area; x_min < x_max and "
                "y_min < y_max are needed"
            )
        boxes[i] = x_min / width, y_min / height, x_max / width, y_max / height
    names, pictures, _, origins = zip(*entries)
    return BoxData(names, pictures, boxes, origins)


def _dimensions(picture: Path, origin: str) -> tuple[int, int]:
    if not picture.is_file():
        raise DataError(f"{origin}: {picture} is missing; add it or remove the row")
    try:
        with Image.open(picture) as opened:
            return opened.size
    except _UNREADABLE as error:
        raise DataError(
            f"{origin}: {picture} is no readable picture; repair or remove it"
        ) from error


def iou(a: npt.ArrayLike, b: npt.ArrayLike) -> FloatArray:
    """Intersection over union of boxes (…, 4) and (…, 4), broadcast; (…).

    A box whose corners are the wrong way round has no area and overlaps nothing.

    >>> iou([0.0, 0.0, 1.0, 1.0], [[0.5, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]]).tolist()
    [0.5, 1.0]
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., 2:], b[..., 2:])
    common = np.prod(np.maximum(high - low, 0), axis=-1)
    union = _area(a) + _area(b) - common
    return np.divide(common, union, out=np.zeros_like(union), where=union > 0)


def _area(boxes: FloatArray) -> FloatArray:
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    area: FloatArray = np.prod(sides, axis=-1)
    return area


def median_box(boxes: FloatArray) -> FloatArray:
    """The constant box: the median of each coordinate, (4,)."""
    return np.asarray(np.median(boxes, axis=0), np.float64)


def mean_box(boxes: FloatArray) -> FloatArray:
    """The mean of each coordinate, (4,)."""
    return np.asarray(np.mean(boxes, axis=0), np.float64)
