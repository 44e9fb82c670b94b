"""NIfTI volumes with label volumes: read, normalised one by one, cut into slices."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...toolchain.errors import DataError
from .boxes import FloatArray
from .files import require_file
from .masks import MaskData, list_images, read_subjects, stack, stack_labels
from .pictures import ImageArray, Size

FOLDERS = (("images", "labels"), ("imagesTr", "labelsTr"))  # the Decathlon's second
SUFFIXES = (".nii", ".nii.gz")
LARGEST = 2**26  # voxels of a volume; reading it takes some 16 bytes each
LARGEST_LABEL = 2**31 - 1
APART = 0.1  # voxels between a label and its image, at most
PERCENTILES = 1.0, 99.0  # of a volume's voxels; they become 0 and 1


def load_volumes(
    path: str | os.PathLike[str], size: Size, *, classes: bool = False
) -> MaskData:
    """Volumes ``path``/images/NAME.nii.gz, their labels ``path``/labels/NAME.nii.gz.

    Slices lie along the last axis. Each volume is normalised (``normalise``), then
    padded with zeros, or cropped, about its middle to height and width of ``size``.
    A label greater than 0 is the object. imagesTr/ and labelsTr/ do as well, and
    ``path``/subjects.csv says who is who (``masks.read_subjects``).

    Args:
        path: the folder.
        size: (height, width, 1) of the slices.
        classes: labels tell several classes apart, 0 none.

    Raises:
        DataError: a folder or file is missing, damaged or of the wrong shape, labels
            do not lie on their image or are no classes, or ``size`` would cut off part
            of an object.
    """
    folder = Path(path)
    if size[2] != 1 or min(size) < 1:
        raise DataError(
            f"picture size {size}: volumes have 1 channel; (height, width, 1) is "
            "allowed"
        )
    inputs, labels = next((f for f in FOLDERS if (folder / f[0]).is_dir()), FOLDERS[0])
    files = list_images(folder, inputs, labels, SUFFIXES)
    images, masks = [], list[npt.NDArray[Any]]()
    for file in files:
        image, label = _read(file, folder / labels / file.name, classes)
        fitted = fit(label, size)
        if np.count_nonzero(fitted) < np.count_nonzero(label):
            raise DataError(
                f"{file}: its slices of {label.shape[0]} by {label.shape[1]} voxels "
                f"are larger than {size[0]} by {size[1]}, and part of the object would "
                "be cut off; choose a larger size"
            )
        images.append(fit(image, size))
        masks.append(fitted)
    names = [file.name for file in files]
    gather = stack_labels if classes else stack
    return gather(names, read_subjects(folder, names), images, masks)


def _read(
    file: Path, partner: Path, classes: bool
) -> tuple[ImageArray, npt.NDArray[Any]]:
    """A volume, 0 … 1, and its labels or mask; (height, width, slices) each."""
    require_file(partner, f"the labels of {file} are missing; add them")
    opened, labels = _open(file), _open(partner)
    if opened.shape != labels.shape:
        raise DataError(
            f"{partner}: its shape is {labels.shape}, that of {file} {opened.shape}; "
            "they must be equal"
        )
    _check_place(opened, file, labels, partner)
    voxels = _voxels(opened, file)
    try:
        image = normalise(voxels)
    except DataError as error:
        raise DataError(f"{file}: {error}") from error
    del voxels  # before as many are read
    label = _voxels(labels, partner)
    if not classes:
        return image, label > 0
    if not ((label == np.rint(label)) & (label >= 0) & (label <= LARGEST_LABEL)).all():
        raise DataError(
            f"{partner}: its labels are {label.min():g} … {label.max():g}; whole "
            f"numbers from 0 to {LARGEST_LABEL} are allowed, 0 for what is no object"
        )
    return image, label.astype(np.int32)


def _open(file: Path) -> Any:
    """A NIfTI volume whose header is sound; its voxels are not read."""
    import nibabel

    require_file(file, "no such volume; add it")
    try:
        opened: Any = nibabel.load(file)
        shape, kind = opened.shape, opened.get_data_dtype()
    except Exception as error:  # nibabel raises whatever its parsers trip over
        raise _damaged(file, error) from error
    if len(shape) != 3 or not 0 < math.prod(shape) <= LARGEST:
        raise DataError(
            f"{file}: its shape is {shape}; (height, width, slices) with 1 … {LARGEST} "
            "voxels is allowed; cut it up, or resample it"
        )
    if kind.kind not in "iuf":
        raise DataError(
            f"{file}: its voxels are {kind}; real numbers, one a voxel, are allowed; "
            "save it so"
        )
    return opened


def _check_place(image: Any, file: Path, labels: Any, partner: Path) -> None:
    """Both affines must take the volume's corners to the same places."""
    last = np.array(image.shape) - 1
    corners = np.array([(*(last * c), 1) for c in np.ndindex(2, 2, 2)])
    with np.errstate(all="ignore"):  # of a forged header; what is no number is refused
        away = np.abs(corners @ (image.affine - labels.affine).T).max()
        voxel = np.linalg.norm(image.affine[:3, :3], axis=0).min()
    if not away <= APART * voxel:
        raise DataError(
            f"{partner}: by their affines its voxels lie up to {away:.3g} mm from "
            f"those of {file}; resample the labels to the image, or, where they are "
            "known to lie on it, save them with the image's affine"
        )


def _voxels(opened: Any, file: Path) -> FloatArray:
    try:
        voxels: FloatArray = opened.get_fdata(caching="unchanged")
    except Exception as error:  # as above
        raise _damaged(file, error) from error
    if not np.isfinite(voxels).all():
        raise DataError(f"{file}: it holds NaN or infinite voxels; repair it")
    return voxels


def _damaged(file: Path, error: Exception) -> DataError:
    return DataError(f"{file}: no readable NIfTI volume ({error}); repair or remove it")


def normalise(voxels: FloatArray) -> ImageArray:
    """0 at the 1st percentile of a volume's voxels, 1 at the 99th, clipped beyond.

    Volumes have no common scale, and their brightest voxels say little of it.

    Raises:
        DataError: both percentiles are the same, or no float holds their difference.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused …
        low, high = np.percentile(voxels, PERCENTILES)
        extent = high - low
        scaled = voxels - low  # … or beyond the percentile, and clipped
    if not np.isfinite(extent):
        raise DataError("its voxels are too large for 64-bit floats; scale them down")
    if not extent > 0:
        raise DataError(f"nearly all of its voxels are {low:g}; it shows nothing")
    scaled /= extent
    return np.clip(scaled, 0, 1, out=scaled).astype(np.float32)


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
