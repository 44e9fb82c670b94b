"""What training notes in a model's file, read without TensorFlow."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ...toolchain.errors import ModelError
from ...toolchain.files import parse_json
from ...toolchain.frontends.keras.files import FAILURES, member
from ...toolchain.frontends.keras.hdf5 import MAGIC, open_hdf5
from ...toolchain.rehearsal import rehearsed

NAME = "snn_deploy_metadata"  # of a .h5's attribute, or of its dataset of bytes
MEMBER = "snn-deploy.json"  # of a .keras
MOST_IN_ATTRIBUTE = 60_000  # bytes; HDF5 takes up to 64 KiB
MOST = 1 << 27  # bytes; a million samples' names and digests have some 50 MB


def write_metadata(path: Path, metadata: dict[str, Any]) -> None:
    """Keep ``metadata`` as JSON in the model file (.h5 or .keras)."""
    text = json.dumps(metadata).encode()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(MEMBER, text)
        return
    import h5py

    with h5py.File(path, "r+") as file:
        if len(text) <= MOST_IN_ATTRIBUTE:
            file.attrs[NAME] = text.decode()
        else:
            file[NAME] = np.frombuffer(text, np.uint8)


def read_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What ``train`` says of the model in this file: split, seed, scores, versions, …

    Raises:
        ModelError: the file is missing, damaged, or was not written by ``train``.
    """
    found = find_metadata(Path(path))
    if found is None:
        raise ModelError(
            f"{path}: it holds no training metadata; give a .h5 or .keras that "
            "snn-deploy train wrote"
        )
    return found


def find_metadata(path: Path) -> dict[str, Any] | None:
    """The same; None where there are none.

    Raises:
        ModelError: they are damaged.
    """
    if not path.is_file():
        return None
    try:
        text = _text(path)
        found = None if text is None else parse_json(text)
    except (*FAILURES, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"{path}: its training metadata are damaged ({reason}); train it again"
        ) from error
    if not isinstance(found, dict | None):
        raise ModelError(f"{path}: its training metadata are no JSON object")
    return found


def _text(path: Path) -> str | bytes | None:
    with path.open("rb") as file:
        start = file.read(len(MAGIC))
    if start == MAGIC:
        return _in_hdf5(path)
    if start.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            if MEMBER in archive.namelist():
                return member(path, archive, MEMBER, MOST)
    return None


@rehearsed
def _in_hdf5(path: Path) -> str | bytes | None:
    with open_hdf5(path, str(path)) as file:
        if NAME in file:
            return file.array(NAME).tobytes()
        return file.text(NAME) or None
