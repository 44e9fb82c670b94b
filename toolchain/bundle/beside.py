"""Beside: files and folders that wait next to their place until they are whole.

Whoever writes one holds a lock on it, which ends with that process however it ends. So
what a killed process left is known: nobody holds it, and the next one that writes to
the same place removes it. Where a disk has no locks it stays there.
"""

from __future__ import annotations

import ctypes
import fcntl
import glob
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

DIGITS = 12  # of a name, so that nobody guesses it and no other file has it
AT_CWD, EXCHANGE = -100, 2  # of <fcntl.h>; RENAME_EXCHANGE of <linux/fs.h>
LEFT = re.compile(rf"\.[0-9]{{{DIGITS}}}")


@contextmanager
def file_beside(path: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """A new file next to a place, and it open; gone at the end where it is still there.

    Raises:
        OSError: it cannot be made.
    """
    clear(path)
    while True:
        temporary = _fresh(path)
        with temporary.open("x+b") as file:  # no link that waits there is followed
            try:
                if not _held(file.fileno(), temporary):
                    continue
                yield temporary, file
            finally:
                temporary.unlink(missing_ok=True)
            return


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """A new folder next to a place; gone at the end where it is still there.

    Raises:
        OSError: it cannot be made.
    """
    clear(path)
    while True:
        temporary = _fresh(path)
        temporary.mkdir()
        handle = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if not _held(handle, temporary):
                continue
            yield temporary
        finally:
            os.close(handle)
            shutil.rmtree(temporary, ignore_errors=True)
        return


def exchange(one: Path, other: Path) -> None:
    """Two folders change places at once, where the system can; else by turns.

    Raises:
        OSError: they cannot.
    """
    swap = getattr(ctypes.CDLL(None), "renameat2", None)  # Linux's; not in Python's os
    names = (os.fsencode(one), os.fsencode(other))
    if swap and swap(AT_CWD, names[0], AT_CWD, names[1], EXCHANGE) == 0:
        return
    old = one.with_name(f"{one.name}.old")
    os.replace(other, old)
    try:
        os.replace(one, other)
    except OSError:
        os.replace(old, other)
        raise
    os.replace(old, one)


def clear(path: Path) -> None:
    """Remove what killed processes left beside a place."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*"):
        if not LEFT.fullmatch(left.name, len(path.name) + 1):
            continue
        with suppress(OSError):  # somebody writes it, or it is not ours
            handle = os.open(left, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if left.is_dir():
                    shutil.rmtree(left)
                else:
                    left.unlink()
            finally:
                os.close(handle)


def _fresh(path: Path) -> Path:
    number = secrets.randbelow(10**DIGITS)
    return path.with_name(f".{path.name}.{number:0{DIGITS}}")


def _held(handle: int, path: Path) -> bool:
    """Lock what was just made; whether nobody took it for left in between."""
    with suppress(OSError):  # a disk without locks
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False
