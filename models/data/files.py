"""Files of a user's data folder: found, listed and read, or refused in one sentence."""

from __future__ import annotations

import csv
import io
import os
import stat
from collections.abc import Sequence
from pathlib import Path, PurePath

from ...toolchain.errors import DataError

LARGEST_TABLE = 2**26  # bytes


def require_file(path: Path, missing: str) -> Path:
    """``path``, which is a regular file: reading a pipe or device might never end.

    Raises:
        DataError: nothing is there (``missing`` says what to do), or it is no file.
    """
    mode = _mode(path)
    if mode and not stat.S_ISREG(mode):
        raise DataError(f"{path}: it is no regular file; one is needed there")
    if not mode:
        raise DataError(f"{path}: {missing}")
    return path


def require_folder(path: Path, missing: str) -> Path:
    """``path``, which is a folder.

    Raises:
        DataError: it is none (``missing`` says what to do).
    """
    if not stat.S_ISDIR(_mode(path)):
        raise DataError(f"{path}: {missing}")
    return path


def _mode(path: Path) -> int:
    """What is there, as st_mode; 0 where nothing is."""
    try:
        return os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except (OSError, ValueError) as error:
        raise DataError(unreadable(path, error)) from error


def unreadable(path: Path, error: Exception) -> str:
    """The sentence on a file or folder that the system does not give."""
    reason = getattr(error, "strerror", None) or error
    return f"{path}: it cannot be read ({reason}); change its name or permissions"


def entries(folder: Path) -> list[Path]:
    """Files and folders in a folder, by name; hidden ones are left out.

    Raises:
        DataError: the folder cannot be read.
    """
    try:
        return sorted(e for e in folder.iterdir() if not e.name.startswith("."))
    except OSError as error:
        raise DataError(unreadable(folder, error)) from error


def list_files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The files of these suffixes in a folder, by name; hidden ones are left out.

    Raises:
        DataError: the folder cannot be read, or there is no such file.
    """
    found = [e for e in entries(folder) if e.name.lower().endswith(suffixes)]
    if not found:
        raise DataError(
            f"{folder}: it holds no {' or '.join(suffixes)}; at least one is needed"
        )
    return found


def inside(folder: Path, name: str, origin: str) -> Path:
    """``folder``/``name``, for a name that a table gives.

    Raises:
        DataError: the name is none, is absolute, leads out of the folder by "..", or
            holds characters that cannot be shown.
    """
    parts = PurePath(name).parts
    if not parts or PurePath(name).is_absolute() or ".." in parts:
        raise DataError(
            f"{origin}: {name!r} leads out of {folder}; give the name of a file in it"
        )
    if not name.isprintable():
        raise DataError(
            f"{origin}: {name!r} holds control characters; rename the file and the row"
        )
    return folder / name


def read_table(table: Path, header: Sequence[str]) -> list[tuple[str, list[str]]]:
    """The rows of a CSV file below this header, each with where it stands.

    Raises:
        DataError: as ``read_lines``, or it has another header.
    """
    lines = read_lines(table)
    if not lines or lines[0][1] != list(header):
        raise DataError(f"{table}: its first line must be {','.join(header)}")
    return lines[1:]


def read_lines(table: Path) -> list[tuple[str, list[str]]]:
    """The lines of a CSV file, each with where it stands.

    Blank lines are left out; every cell is stripped of blanks around it.

    Raises:
        DataError: it is no CSV text, or has more than ``LARGEST_TABLE`` bytes.
    """
    try:
        if table.stat().st_size > LARGEST_TABLE:
            raise DataError(
                f"{table}: it has more than {LARGEST_TABLE} bytes, which are allowed; "
                "split the data"
            )
        text = table.read_text("utf-8-sig")
    except OSError as error:
        raise DataError(unreadable(table, error)) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{table}: it is no CSV text ({error}); save it as UTF-8"
        ) from error
    reader = csv.reader(io.StringIO(text))
    try:
        rows = [(reader.line_num, [c.strip() for c in row]) for row in reader if row]
    except csv.Error as error:
        raise DataError(
            f"{table}, line {reader.line_num}: it is no CSV text ({error}); correct it"
        ) from error
    return [(f"{table}, line {number}", row) for number, row in rows]
