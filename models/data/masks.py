"""Slices with a mask each: data sets, a user's pictures, Dice, trivial baselines."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ...toolchain.errors import DataError
from .boxes import FloatArray, ImageArray, Size
from .split import IndexArray, Split, split

MaskArray = npt.NDArray[np.bool_]

HEADER = ["image", "subject"]
SUFFIXES = (".png", ".jpg", ".jpeg")  # of pictures; masks are .png
DECATHLON = re.compile(r"hippocampus_(\d+)\.nii")
_UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


@dataclass(frozen=True, eq=False)
class MaskData:
    """Volumes, or single pictures as volumes of one slice, cut into slices.

    Attributes:
        names: of the volumes.
        subjects: volume → the person, or whatever else, that must not be trained and
            tested with at once.
        images: (slices, height, width, channels), 0 … 1.
        masks: (slices, height, width, 1), where the object is.
        volume: slice → index of its volume, (slices,), rising.
    """

    names: tuple[str, ...]
    subjects: tuple[str, ...]
    images: ImageArray
    masks: MaskArray
    volume: IndexArray

    def __len__(self) -> int:
        """Number of volumes."""
        return len(self.names)

    def take(self, indices: Sequence[int] | npt.NDArray[Any]) -> MaskData:
        """The volumes at these indices, in that order, each with all its slices."""
        slices = [np.flatnonzero(self.volume == i) for i in indices]
        chosen = np.concatenate([np.zeros(0, np.intp), *slices])
        return MaskData(
            tuple(self.names[i] for i in indices),
            tuple(self.subjects[i] for i in indices),
            self.images[chosen],
            self.masks[chosen],
            np.repeat(np.arange(len(slices)), [len(s) for s in slices]),
        )


def stack(
    names: Sequence[str],
    subjects: Sequence[str],
    images: Sequence[ImageArray],
    masks: Sequence[MaskArray],
) -> MaskData:
    """One volume after the other; each (slices, height, width, channels)."""
    counts = [len(part) for part in images]
    return MaskData(
        tuple(names),
        tuple(subjects),
        np.concatenate(images),
        np.concatenate(masks),
        np.repeat(np.arange(len(counts)), counts),
    )


def split_subjects(data: MaskData, seed: int, block: int = 1) -> Split:
    """``split`` of the subjects; a volume's index is where its subject is.

    Raises:
        DataError: too few subjects.
    """
    subjects = sorted(set(data.subjects))
    parts = split(subjects, seed, block)
    where = {name: i for i, name in enumerate(subjects)}
    index = np.array([where[subject] for subject in data.subjects])
    train, validation, test = (
        np.flatnonzero(np.isin(index, part))
        for part in (parts.train, parts.validation, parts.test)
    )
    return Split(train, validation, test)


def read_subjects(folder: Path, names: Sequence[str]) -> tuple[str, ...]:
    """The subject of each image: as ``folder``/subjects.csv (image,subject) has it.

    Without that file each image is a subject of its own; but numbers 2k − 1 and 2k of
    the Medical Segmentation Decathlon's hippocampus_NNN are the two hippocampi of one
    person, (NNN + 1) // 2.

    Raises:
        DataError: the table is damaged, or does not list just these images.
    """
    table = folder / "subjects.csv"
    if not table.is_file():
        return tuple(_decathlon_person(name) for name in names)
    try:
        lines = list(csv.reader(io.StringIO(table.read_text("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table}: it is no CSV text ({error})") from error
    if not lines or [cell.strip() for cell in lines[0]] != HEADER:
        raise DataError(f"{table}: its first line must be {','.join(HEADER)}")
    found: dict[str, str] = {}
    for number, line in enumerate(lines[1:], 2):
        if len(line) != 2 or not all(cell.strip() for cell in line):
            raise DataError(
                f"{table}, line {number}: {','.join(line)!r}; a row is a file name and "
                "a subject"
            )
        found[line[0].strip()] = line[1].strip()
    for name in sorted({*found} ^ {*names}):
        raise DataError(
            f"{table}: {name!r} is "
            + ("listed, but no such image is there" if name in found else "not listed")
            + "; one row for each image is needed"
        )
    return tuple(found[name] for name in names)


def _decathlon_person(name: str) -> str:
    match = DECATHLON.match(name)
    return f"person {(int(match[1]) + 1) // 2}" if match else name


def load_pictures(path: str | os.PathLike[str], size: Size) -> MaskData:
    """Pictures ``path``/images/NAME.png (or .jpg), masks ``path``/masks/NAME.png.

    A mask has its picture's width and height; what is not 0 (black) in it is the
    object. Both are resized to ``size``, a mask's pixel belonging where more than half
    of it does. ``path``/subjects.csv: see ``read_subjects``.

    Raises:
        DataError: a folder or file is missing, damaged or of the wrong shape.
    """
    folder = Path(path)
    check_size(size)
    files = list_images(folder, "images", "masks", SUFFIXES)
    images, masks = [], []
    for file in files:
        partner = folder / "masks" / f"{file.stem}.png"
        if not partner.is_file():
            raise DataError(f"{partner}: the mask of {file} is missing; add it")
        picture, mask = _decoded(file, size[2]), _decoded_mask(partner)
        if picture.shape[:2] != mask.shape[:2]:
            raise DataError(
                f"{partner}: it is {mask.shape[1]} by {mask.shape[0]} pixels, its "
                f"picture {picture.shape[1]} by {picture.shape[0]}; make them equal"
            )
        images.append(_resized(picture, size)[None])
        masks.append(_resized(mask, size)[None] > 0.5)
    names = [file.name for file in files]
    return stack(names, read_subjects(folder, names), images, masks)


def check_size(size: Size) -> None:
    """Raise DataError for a size that slices cannot have."""
    if size[2] not in (1, 3) or min(size) < 1:
        raise DataError(
            f"picture size {size}: (height, width, channels) with 1 channel (grey) or "
            "3 (RGB) is allowed"
        )


def list_images(
    folder: Path, images: str, masks: str, suffixes: tuple[str, ...]
) -> list[Path]:
    """The files of these suffixes in ``folder``/``images``, by name.

    Raises:
        DataError: a folder is missing, or there is no such file.
    """
    for part in (folder, folder / images, folder / masks):
        if not part.is_dir():
            raise DataError(
                f"{part}: no such folder; the data are {images}/ and {masks}/ with "
                "files of the same names"
            )
    found = [
        file
        for file in sorted((folder / images).iterdir())
        if file.name.lower().endswith(suffixes) and not file.name.startswith(".")
    ]
    if not found:
        raise DataError(
            f"{folder / images}: it holds no {' or '.join(suffixes)}; at least one is "
            "needed"
        )
    return found


def _open(file: Path) -> Image.Image:
    try:
        with Image.open(file) as opened:
            opened.load()
            return opened
    except _UNREADABLE as error:
        raise DataError(
            f"{file}: a broken or truncated picture ({error}); repair or remove it"
        ) from error


def _decoded(file: Path, channels: int) -> ImageArray:
    """(height, width, channels), 0 … 1; of 8 or 16 bits."""
    picture = _open(file)
    if picture.mode.startswith("I"):
        grey = np.asarray(picture, np.float32)[..., None] / 65535
        return np.repeat(grey, channels, axis=2)
    pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"), np.float32)
    return pixels.reshape(picture.height, picture.width, channels) / 255


def _decoded_mask(file: Path) -> ImageArray:
    """(height, width, 1), 0 or 1."""
    picture = _open(file)
    if len(picture.getbands()) > 1:
        picture = picture.convert("RGB").convert("L")
    return (np.asarray(picture) > 0)[..., None].astype(np.float32)


def _resized(pixels: ImageArray, size: Size) -> ImageArray:
    height, width = size[:2]
    planes = [
        Image.fromarray(pixels[..., c]).resize(
            (width, height), Image.Resampling.BILINEAR
        )
        for c in range(pixels.shape[2])
    ]
    return np.stack([np.asarray(plane, np.float32) for plane in planes], axis=-1)


def dice(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """2 · |a ∧ b| / (|a| + |b|) of masks, pixels pooled; 1 where both are empty.

    >>> dice([True, True, False, False], [True, False, False, False])
    0.6666666666666666
    """
    a, b = np.asarray(a, bool), np.asarray(b, bool)
    both = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / both if both else 1.0


def dice_of_volumes(a: MaskArray, b: MaskArray, volume: IndexArray) -> FloatArray:
    """Dice of each volume that has slices here, (volumes,)."""
    return np.array([dice(a[volume == i], b[volume == i]) for i in np.unique(volume)])


def mean_mask(masks: MaskArray) -> MaskArray:
    """The constant mask of highest pooled Dice with these (slices, …); (…).

    It holds the pixels that most masks hold. With p of them, which n_i masks hold, it
    is 2 · Σ n_i / (p · slices + Σ all n); the best p is found by trying each.
    """
    share = masks.sum(axis=0, dtype=np.int64).ravel()
    order = np.argsort(-share, kind="stable")
    pixels = np.arange(1, share.size + 1)
    overlap = 2 * np.cumsum(share[order]) / (pixels * len(masks) + share.sum())
    best = np.zeros(share.size, bool)
    best[order[: int(np.argmax(overlap)) + 1]] = share.any()
    return best.reshape(masks.shape[1:])
