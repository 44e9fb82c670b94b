"""What tells samples apart whatever their names: digests, and groups of equal ones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...toolchain.errors import DataError
from .files import unreadable

DIGITS = 16  # of a digest, hexadecimal: 64 bits tell any data set's samples apart
PORTION = 2**20  # bytes of a file held at a time


def content_digest(array: npt.NDArray[np.generic]) -> str:
    """Of an array's type, shape and numbers: BLAKE2b (RFC 7693), its first digits.

    >>> content_digest(np.zeros(3)) == content_digest(np.zeros((3, 1)))
    False
    """
    digest = hashlib.blake2b(f"{array.dtype.str} {array.shape} ".encode())
    flat = np.ascontiguousarray(array).reshape(-1)
    digest.update(flat.view(np.uint8).data)
    return digest.hexdigest()[:DIGITS]


def file_digest(path: Path) -> str:
    """Of a file's bytes.

    Raises:
        DataError: it cannot be read.
    """
    digest = hashlib.blake2b()
    try:
        with path.open("rb") as file:
            while portion := file.read(PORTION):
                digest.update(portion)
    except OSError as error:
        raise DataError(unreadable(path, error)) from error
    return digest.hexdigest()[:DIGITS]


def group(*labels: Sequence[str]) -> npt.NDArray[np.intp]:
    """Sample → the first sample of its group, which must not be split.

    Samples are in one group where they share a label of any kind, directly or through
    others.

    Args:
        labels: kinds of them, such as digests and subjects; one a sample in each.

    >>> group(["a", "b", "c", "a"], ["p", "q", "q", "r"]).tolist()
    [0, 1, 1, 0]
    """
    kinds = [np.unique(np.asarray(kind), return_inverse=True)[1] for kind in labels]
    found = np.arange(len(labels[0]))
    while True:
        before = found
        for kind in kinds:
            first = np.full(len(found), len(found))
            np.minimum.at(first, kind, found)
            found = first[kind]
        if np.array_equal(found, before):
            return found
