"""Pictures with one box each: loaders, intersection over union, trivial baselines."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from ...toolchain.errors import DataError
from ...toolchain.rehearsal import rehearsed
from .digest import file_digest
from .files import inside, list_files, read_table, require_file, require_folder
from .pictures import ImageArray, Size, check_size, read_picture, resize, shown_size

FloatArray = npt.NDArray[np.float64]

HEADER = ["image", "x_min", "y_min", "x_max", "y_max"]
ROOT = "101_ObjectCategories"  # of Caltech-101; a folder a category
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

    def digest(self) -> str:
        """Of what is drawn; equal where two pictures are."""


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

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """Picture → digest of its file's bytes.

        Raises:
            DataError: a file cannot be read.
        """
        return tuple(
            file_digest(picture) if isinstance(picture, Path) else picture.digest()
            for picture in self.pictures
        )

    def images(self, size: Size) -> ImageArray:
        """All pictures as ``read_picture`` gives them, (pictures, *size).

        Raises:
            DataError: a picture cannot be read, or ``size`` is none of a picture.
        """
        check_size(size)
        images = np.empty((len(self), *size), np.float32)
        for i, (picture, origin) in enumerate(zip(self.pictures, self.origins)):
            if not isinstance(picture, Path):
                images[i] = resize(picture.draw(*size[:2]), size, origin)
                continue
            try:
                images[i] = read_picture(picture, size)
            except DataError as error:
                raise DataError(f"{origin}: {error}") from error
        return images


def load_folder(path: str | os.PathLike[str]) -> BoxData:
    """Pictures ``path``/images/… and their boxes in ``path``/boxes.csv.

    boxes.csv has the header image,x_min,y_min,x_max,y_max, and one row a picture, in
    pixels of the picture as it is shown, turned as its EXIF orientation says. Picture
    headers are read now, to know their sizes; pixels are not.

    Raises:
        DataError: folder, file, header, row, picture or box is missing or wrong.
    """
    folder = Path(path)
    table = folder / "boxes.csv"
    require_folder(folder, "no such folder; it holds images/ and boxes.csv")
    require_file(table, f"no such file; it lists {','.join(HEADER)}, one row a picture")
    entries = []
    for origin, cells in read_table(table, HEADER):
        try:
            name, *corners = cells
            x_min, y_min, x_max, y_max = map(float, corners)
        except ValueError as error:
            raise DataError(
                f"{origin}: {','.join(cells)!r}; a row is a file name and four numbers"
            ) from error
        picture = inside(folder / "images", name, origin)
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
    pictures = Path(root) / ROOT / category
    for folder in (pictures, annotations):
        require_folder(
            folder,
            f"no such folder; Caltech-101 holds {ROOT}/<category> and "
            "Annotations/<category>",
        )
    entries = []
    for file in list_files(annotations, (".mat",)):
        if not file.name.startswith("annotation_"):
            continue
        name = file.stem.replace("annotation", "image") + ".jpg"
        entries.append((name, pictures / name, _box_coord(file), str(file)))
    return _checked(entries, annotations)


def _box_coord(file: Path) -> tuple[float, float, float, float]:
    require_file(file, "no such annotation; add it")
    try:
        y_min, y_max, x_min, x_max = _box_numbers(file)
    except Exception as error:  # loadmat raises whatever its parser trips over
        raise DataError(
            f"{file}: no readable annotation; it must hold box_coord, four real "
            f"numbers [y_min y_max x_min x_max] ({error})"
        ) from error
    return x_min, y_min, x_max, y_max


@rehearsed
def _box_numbers(file: Path) -> list[float]:
    """box_coord of a MATLAB file; raises whatever its parser trips over."""
    from scipy.io import loadmat

    found = loadmat(file, variable_names=["box_coord"])["box_coord"]
    if found.dtype.kind not in "iuf":  # bool, complex, text, cells
        raise TypeError(f"box_coord is of {found.dtype}")
    numbers: list[float] = found.astype(float).ravel().tolist()
    return numbers


Entry = tuple[str, Path, tuple[float, float, float, float], str]


def _checked(entries: Sequence[Entry], source: Path) -> BoxData:
    if not entries:
        raise DataError(f"{source}: it lists no picture; at least one is needed")
    boxes, seen = np.empty((len(entries), 4)), dict[Path, str]()
    for i, (_, picture, corners, origin) in enumerate(entries):
        if picture in seen:
            raise DataError(
                f"{origin}: {picture} has a box already ({seen[picture]}); a picture "
                "has one box here; remove one of the two"
            )
        seen[picture] = origin
        boxes[i] = _fractions(picture, corners, origin)
    names, pictures, _, origins = zip(*entries)
    return BoxData(names, pictures, boxes, origins)


def _fractions(
    picture: Path, corners: tuple[float, float, float, float], origin: str
) -> FloatArray:
    """A box in pixels as fractions of its picture's sides, (4,)."""
    try:
        sides = np.tile(shown_size(picture), 2)
    except DataError as error:
        raise DataError(f"{origin}: {error}") from error
    box = np.array(corners)
    if not np.isfinite(box).all():
        raise DataError(
            f"{origin}: the box {corners} is not of four finite numbers; correct or "
            "remove it"
        )
    if not ((box >= 0) & (box <= sides)).all():
        raise DataError(
            f"{origin}: the box {corners} lies outside its picture {picture}, "
            f"{sides[0]} by {sides[1]} pixels as it is shown; correct or remove it"
        )
    if not (box[:2] < box[2:]).all():
        raise DataError(
            f"{origin}: the box {corners} has no area; x_min < x_max and y_min < y_max "
            "are needed"
        )
    return box / sides


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
