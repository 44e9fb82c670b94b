"""Files that a user names, from anywhere: what they are, and what JSON may hold."""

from __future__ import annotations

import errno
import hashlib
import json
import stat
from pathlib import Path
from typing import Any


def demand_regular(path: Path) -> None:
    """Raise OSError unless a regular file is there: a pipe or device may never end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))


def sha256_of(path: Path) -> str:
    """Hash of a file; of a folder, of its files' names and contents, in order.

    Raises:
        OSError: one cannot be read.
    """
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    whole = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        whole.update(file.relative_to(path).as_posix().encode())
        whole.update(hashlib.sha256(file.read_bytes()).digest())
    return whole.hexdigest()


def parse_json(text: str | bytes) -> Any:
    """What JSON holds.

    Raises:
        ValueError: it is none, is nested too deep, a whole number in it has more than
            64 bits, or a text in it is no Unicode (half of a surrogate pair, which no
            file or terminal takes).
    """
    try:
        value = json.loads(text, parse_int=_whole)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    sign = b"\\ud" if isinstance(text, bytes) else "\\ud"
    if sign in text.lower():  # type: ignore[operator]
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _whole(digits: str) -> int:
    if len(digits) > 20 or abs(int(digits)) >= 1 << 63:
        raise ValueError(f"a number in it has {len(digits)} digits")
    return int(digits)
