"""Folders that a user names: what a verb leaves in them, all of it or nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from .calibration.report.report import write_files
from .toolchain.errors import DataError


def write_into(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files, by name, into a folder; all of them or none.

    Raises:
        DataError: they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"Folder {str(folder)!r} cannot be made ({error.strerror}); name another "
            "with --out"
        ) from error
    write_files({folder / name: content for name, content in files.items()})


def write_text(text: str, file: Path) -> Path:
    """Write a network's text to a file, whole or not at all; the file.

    Raises:
        DataError: it cannot be written.
    """
    write_into(file.parent, {file.name: f"{text}\n".encode()})
    return file


def check_folder(folder: Path) -> None:
    """Raise DataError where nothing could be written to a folder, which need not be."""
    there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise DataError(
            f"Folder {str(folder)!r}: nothing can be written to {str(there)!r}; name "
            "another with --out"
        )
