"""Slices with a mask each: data sets, a user's pictures, Dice, trivial baselines."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ...toolchain.errors import DataError
from .boxes import FloatArray
from .digest import content_digest
from .files import list_files, read_table, require_file, require_folder
from .pictures import ImageArray, Size, check_size, open_picture, resize
from .split import IndexArray, Split, split

MaskArray = npt.NDArray[np.bool_]
LabelArray = npt.NDArray[np.int32]

HEADER = ["image", "subject"]
SUFFIXES = (".png", ".jpg", ".jpeg")  # of pictures; masks are .png
PLAIN = ("1", "L", "I", "I;16", "I;16B")  # Pillow's modes of grey without more
MOST_CLASSES = 20  # of masks; more values are shades, not classes
DECATHLON = re.compile(r"hippocampus_(\d+)\.nii")


@dataclass(frozen=True, eq=False)
class MaskData:
    """Volumes, or single pictures as volumes of one slice, cut into slices.

    Attributes:
        names: of the volumes.
        subjects: volume → the person, or whatever else, that must not be trained and
            tested with at once.
        images: (slices, height, width, channels), 0 … 1.
        masks: (slices, height, width, 1), where the object is; of several classes,
            (slices, height, width), each pixel's index in ``classes``.
        volume: slice → index of its volume, (slices,), rising.
        classes: what the labels held for each class, rising, 0 first; empty for masks
            of one object.
    """

    names: tuple[str, ...]
    subjects: tuple[str, ...]
    images: ImageArray
    masks: npt.NDArray[Any]
    volume: IndexArray
    classes: tuple[int, ...] = ()

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
            self.classes,
        )

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """Volume → digest of its slices' images, as they are held here."""
        volumes = range(len(self))
        return tuple(content_digest(self.images[self.volume == i]) for i in volumes)


def stack(
    names: Sequence[str],
    subjects: Sequence[str],
    images: Sequence[ImageArray],
    masks: Sequence[npt.NDArray[Any]],
    classes: tuple[int, ...] = (),
) -> MaskData:
    """One volume after the other; each (slices, height, width, channels)."""
    counts = [len(part) for part in images]
    return MaskData(
        tuple(names),
        tuple(subjects),
        np.concatenate(images),
        np.concatenate(masks),
        np.repeat(np.arange(len(counts)), counts),
        classes,
    )


def stack_labels(
    names: Sequence[str],
    subjects: Sequence[str],
    images: Sequence[ImageArray],
    labels: Sequence[LabelArray],
) -> MaskData:
    """``stack``, of labels of several classes, (slices, height, width, 1) each.

    Raises:
        DataError: they hold more than ``MOST_CLASSES`` values.
    """
    classes = sorted(set[int]().union({0}, *(np.unique(x).tolist() for x in labels)))
    if len(classes) > MOST_CLASSES:
        most = max(range(len(labels)), key=lambda i: np.unique(labels[i]).size)
        raise DataError(
            f"The masks hold {len(classes)} values, {np.unique(labels[most]).size} of "
            f"them in that of {names[most]}; at most {MOST_CLASSES} are allowed, one "
            "for each class, 0 for none; write each pixel's class"
        )
    masks = [np.searchsorted(classes, x[..., 0]).astype(np.uint8) for x in labels]
    return stack(names, subjects, images, masks, tuple(classes))


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
    if not os.path.lexists(table):
        return tuple(_decathlon_person(name) for name in names)
    require_file(table, "no such file; repair or remove the link")
    found, lines = dict[str, str](), dict[str, str]()
    for origin, cells in read_table(table, HEADER):
        if len(cells) != 2 or not all(cells):
            raise DataError(
                f"{origin}: {','.join(cells)!r}; a row is a file name and a subject"
            )
        name, subject = cells
        if name in found:
            raise DataError(
                f"{origin}: {name!r} has a subject already ({lines[name]}); remove one "
                "of the two"
            )
        found[name], lines[name] = subject, origin
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


def load_pictures(
    path: str | os.PathLike[str], size: Size, *, classes: bool = False
) -> MaskData:
    """Pictures ``path``/images/NAME.png (or .jpg), masks ``path``/masks/NAME.png.

    A mask has its picture's width and height, both as they are shown (turned as EXIF
    says). What is not 0 (black) in it is the object, in whichever channel; it is
    resized to ``size`` so that a pixel belongs where more than half of it does.
    ``path``/subjects.csv: see ``read_subjects``.

    Args:
        path: the folder.
        size: (height, width, channels) of the slices.
        classes: masks tell several classes apart. They are grey or have a palette,
            each pixel's value (in the palette: its index) being its class, 0 none; the
            nearest pixel's is taken when they are resized.

    Raises:
        DataError: a folder or file is missing, damaged or of the wrong shape, two
            pictures share a mask, or there are more than ``MOST_CLASSES``.
    """
    folder = Path(path)
    check_size(size)
    files = list_images(folder, "images", "masks", SUFFIXES)
    pairs = _with_masks(files, folder / "masks")
    images, masks = [], list[npt.NDArray[Any]]()
    for file, partner in pairs:
        picture, mask = open_picture(file), _open_mask(partner)
        if picture.size != mask.size:
            raise DataError(
                f"{partner}: it is {mask.width} by {mask.height} pixels, its picture "
                f"{picture.width} by {picture.height}, as they are shown; make them "
                "equal"
            )
        images.append(resize(picture, size, str(file))[None])
        masks.append((_labels if classes else _object)(mask, size, partner)[None])
    names = [file.name for file in files]
    gather = stack_labels if classes else stack
    return gather(names, read_subjects(folder, names), images, masks)


def list_images(
    folder: Path, images: str, masks: str, suffixes: tuple[str, ...]
) -> list[Path]:
    """The files of these suffixes in ``folder``/``images``, by name.

    Raises:
        DataError: a folder is missing, or there is no such file.
    """
    for part in (folder, folder / images, folder / masks):
        require_folder(
            part,
            f"no such folder; the data are {images}/ and {masks}/ with files of the "
            "same names",
        )
    return list_files(folder / images, suffixes)


def _with_masks(files: Sequence[Path], masks: Path) -> list[tuple[Path, Path]]:
    """Each picture and its mask's file, of which none serves two."""
    of: dict[Path, Path] = {}
    for file in files:
        partner = require_file(
            masks / f"{file.stem}.png", f"the mask of {file} is missing; add it"
        )
        if partner in of:
            raise DataError(
                f"{partner}: it would be the mask of both {of[partner]} and {file}; "
                "rename one picture and give it a mask of its own"
            )
        of[partner] = file
    return [(file, partner) for partner, file in of.items()]


def _open_mask(file: Path) -> Image.Image:
    mask = open_picture(file)
    if mask.format != "PNG":  # compression would have changed its values
        raise DataError(
            f"{file}: it is a {mask.format} file whatever its name; save the mask as "
            "PNG"
        )
    return mask


def _object(mask: Image.Image, size: Size, file: Path) -> MaskArray:
    """Where a mask is not black, (height, width, 1)."""
    if mask.mode in PLAIN:
        marked = np.asarray(mask) != 0
    else:
        marked = np.asarray(mask.convert("RGB")).any(axis=-1)
    if mask.mode == "P" and not marked.any() and np.ptp(np.asarray(mask)) > 0:
        raise DataError(
            f"{file}: every colour of its palette that it uses is black, which is no "
            "object; give the object another colour"
        )
    grey = Image.fromarray(marked.astype(np.float32))
    found = grey.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return (np.asarray(found) > 0.5)[..., None]


def _labels(mask: Image.Image, size: Size, file: Path) -> LabelArray:
    """The class that a mask gives each pixel, (height, width, 1)."""
    if mask.mode in (*PLAIN, "P"):
        values = np.asarray(mask)
    else:
        colours = np.asarray(mask.convert("RGB"))
        values = colours[..., 0]
        if (colours != values[..., None]).any():
            raise DataError(
                f"{file}: it is in colours, which are no numbers of classes; save it "
                "as grey or with a palette, each pixel's value its class"
            )
    found = Image.fromarray(values.astype(np.int32))
    found = found.resize((size[1], size[0]), Image.Resampling.NEAREST)
    return np.asarray(found, np.int32)[..., None]


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
