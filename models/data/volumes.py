"""NIfTI volumes with label volumes: read, normalised one by one, cut into slices."""

from __future__ import annotations

import math
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...toolchain.errors import DataError
from .boxes import FloatArray, ImageArray, Size
from .masks import MaskArray, MaskData, list_images, read_subjects, stack

FOLDERS = (("images", "labels"), ("imagesTr", "labelsTr"))  # the Decathlon's second
SUFFIXES = (".nii", ".nii.gz")
LARGEST = 2**28  # voxels of a volume
PERCENTILES = 1.0, 99.0  # of a volume's voxels; they become 0 and 1


def load_volumes(path: str | os.PathLike[str], size: Size) -> MaskData:
    """Volumes ``path``/images/NAME.nii.gz, their labels ``path``/labels/NAME.nii.gz.

    Slices lie along the last axis. Each volume is normalised (``normalise``), then
    padded with zeros, or cropped, about its middle to height and width of ``size``.
    A label greater than 0 is the object. imagesTr/ and labelsTr/ do as well, and
    ``path``/subjects.csv says who is who (``masks.read_subjects``).

    Raises:
        DataError: a folder or file is missing, damaged or of the wrong shape, or
            ``size`` would cut off part of an object.
    """
    folder = Path(path)
    if size[2] != 1:
        raise DataError(
            f"picture size {size}: volumes have 1 channel; (height, width, 1) is "
            "allowed"
        )
    inputs, labels = next((f for f in FOLDERS if (folder / f[0]).is_dir()), FOLDERS[0])
    files = list_images(folder, inputs, labels, SUFFIXES)
    images, masks = [], []
    for file in files:
        image, mask = _read(file, folder / labels / file.name)
        fitted = fit(mask, size)
        if fitted.sum() < mask.sum():
            raise DataError(
                f"{file}: its slices of {mask.shape[0]} by {mask.shape[1]} voxels are "
                f"larger than {size[0]} by {size[1]}, and part of the object would be "
                "cut off; choose a larger size"
            )
        images.append(fit(image, size))
        masks.append(fitted)
    names = [file.name for file in files]
    return stack(names, read_subjects(folder, names), images, masks)


def _read(file: Path, partner: Path) -> tuple[ImageArray, MaskArray]:
    """A volume, 0 … 1, and where its object is; (height, width, slices) each."""
    if not partner.is_file():
        raise DataError(f"{partner}: the labels of {file} are missing; add them")
    voxels, label = _voxels(file), _voxels(partner)
    if voxels.shape != label.shape:
        raise DataError(
            f"{partner}: its shape is {label.shape}, that of {file} {voxels.shape}; "
            "they must be equal"
        )
    try:
        return normalise(voxels), label > 0
    except DataError as error:
        raise DataError(f"{file}: {error}") from error


def _voxels(file: Path) -> FloatArray:
    import nibabel

    damaged: tuple[type[Exception], ...] = (
        OSError,
        EOFError,
        ValueError,
        zlib.error,
        nibabel.filebasedimages.ImageFileError,
        nibabel.spatialimages.HeaderDataError,
    )
    try:
        opened: Any = nibabel.load(file)
        shape = opened.shape
        if len(shape) != 3 or not 0 < math.prod(shape) <= LARGEST:
            raise DataError(
                f"{file}: its shape is {shape}; (height, width, slices) with 1 … "
                f"{LARGEST} voxels is allowed"
            )
        voxels: FloatArray = opened.get_fdata(caching="unchanged")
    except damaged as error:
        raise DataError(
            f"{file}: no readable NIfTI volume ({error}); repair or remove it"
        ) from error
    if not np.isfinite(voxels).all():
        raise DataError(f"{file}: it holds NaN or infinite voxels; repair it")
    return voxels


def normalise(voxels: FloatArray) -> ImageArray:
    """0 at the 1st percentile of a volume's voxels, 1 at the 99th, clipped beyond.

    Volumes have no common scale, and their brightest voxels say little of it.

    Raises:
        DataError: both percentiles are the same.
    """
    low, high = np.percentile(voxels, PERCENTILES)
    if not low < high:
        raise DataError(f"nearly all of its voxels are {low:g}; it shows nothing")
    scaled = (voxels - low) / (high - low)
    return np.clip(scaled, 0, 1).astype(np.float32)


def fit(volume: npt.NDArray[Any], size: Size) -> npt.NDArray[Any]:
    """(height, width, slices) → (slices, *size[:2], 1), about the middle."""
    for axis, wanted in enumerate(size[:2]):
        have = volume.shape[axis]
        start = max(have - wanted, 0) // 2
        volume = volume.take(range(start, start + min(have, wanted)), axis)
        missing = wanted - volume.shape[axis]
        pad = [(0, 0)] * 3
        pad[axis] = missing // 2, missing - missing // 2
        volume = np.pad(volume, pad)
    return np.moveaxis(volume, -1, 0)[..., None]
