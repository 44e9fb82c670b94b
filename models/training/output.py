"""Files that long training ends with: found to be writable first, written whole."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from ...toolchain.bundle.beside import folder_beside
from ...toolchain.errors import DataError


def check_output(
    out: Path, endings: Sequence[str], what: str, inputs: Sequence[Path] = ()
) -> None:
    """Raise DataError where a file cannot be written as ``out``.

    Args:
        out: the file.
        endings: that its name may have.
        what: is to be written, in words.
        inputs: files that it must not replace.
    """
    if out.suffix not in endings:
        raise DataError(f"{out}: name a {' or '.join(endings)} file for {what}")
    if not out.parent.is_dir():
        raise DataError(
            f"{out}: there is no folder {str(out.parent)!r}; make it, or name a file "
            f"in an existing folder for {what}"
        )
    if out.is_dir():
        raise DataError(f"{out}: it is a folder; name a file for {what}")
    if any(path.exists() and out.exists() and out.samefile(path) for path in inputs):
        raise DataError(
            f"{out}: it is what is read, and would be replaced; name another file for "
            f"{what}"
        )
    try:
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise _unwritable(out, error) from error


def demand_room(path: Path, size: int) -> None:
    """Raise DataError where the disk of ``path`` has less than ``size`` bytes free.

    Of a file that is cut short, HDF5 does not only fail: it takes Python with it.
    """
    free = shutil.disk_usage(path.parent).free
    if free < size:
        raise DataError(
            f"{path}: it may have {size} bytes, and the disk has {free} free; make "
            "room, or name another place"
        )


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Have ``write`` fill a file of the same name, then move it to ``path``.

    Raises:
        DataError: the disk is full, or does not take the file for another reason.
    """
    try:
        with folder_beside(path) as folder:
            write(folder / path.name)
            os.replace(folder / path.name, path)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> DataError:
    reason = error.strerror or str(error)
    return DataError(
        f"{path}: it cannot be written ({reason}); make room, or name another place"
    )
