"""Journal: a sweep's folder. A finished point is a file of it, written in one piece."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..calibration.report.report import write_files
from ..toolchain.errors import DataError
from ..toolchain.files import demand_regular, parse_json
from .point import Outcome

SPACE, POINTS, LOCK = "sweep.json", "points", ".lock"


@dataclass(frozen=True)
class Journal:
    """The folder, which is this process's alone."""

    folder: Path

    def finished(self) -> dict[int, Outcome]:
        """Number → outcome, of every point that is finished.

        Raises:
            DataError: a file of one is damaged.
        """
        files = sorted((self.folder / POINTS).glob("[0-9]*.json"))
        found = map(read_outcome, files)
        return {outcome.number: outcome for outcome in found}

    def keep(self, outcome: Outcome) -> None:
        """Write a finished point."""
        file = file_of(self.folder, outcome.number)
        text = json.dumps(outcome.to_json(), indent=2, ensure_ascii=False)
        write_files({file: f"{text}\n".encode()})


@contextmanager
def opened(folder: Path, noted: Mapping[str, object]) -> Iterator[Journal]:
    """The journal of a sweep in a folder, begun there or gone on with.

    Args:
        folder: of the sweep.
        noted: what makes it this sweep and no other, as JSON.

    Raises:
        DataError: the folder holds another sweep, one that is going on, or cannot be
            written to.
    """
    try:
        (folder / POINTS).mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    except OSError as error:
        raise DataError(
            f"Folder {str(folder)!r} cannot be written to ({error.strerror}); name "
            "another with --out"
        ) from error
    with lock:
        try:  # which ends with this process, however that ends
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(
                f"Folder {str(folder)!r}: a sweep is going on in it; wait for it, or "
                "name another with --out"
            ) from error
        _demand_same(folder, noted)
        yield Journal(folder)


def _demand_same(folder: Path, noted: Mapping[str, object]) -> None:
    """Note the sweep, or raise DataError where another one is noted."""
    file = folder / SPACE
    if not file.exists():
        text = json.dumps(noted, indent=2, ensure_ascii=False)
        write_files({file: f"{text}\n".encode()})
        return
    known = _read(file)
    changed = [name for name in noted if known.get(name) != noted[name]]
    if changed:
        raise DataError(
            f"Folder {str(folder)!r}: its sweep has other {', '.join(changed)}; "
            "name another with --out, or remove it"
        )


def file_of(folder: Path, number: int) -> Path:
    """Of a finished point."""
    return folder / POINTS / f"{number:04}.json"


def find_outcome(name: str) -> Outcome:
    """A finished point.

    Args:
        name: its file, or FOLDER:NUMBER.

    Raises:
        DataError: there is none of this name, or it failed.
    """
    folder, colon, number = name.rpartition(":")
    file = Path(name)
    if colon and number.isdecimal() and not file.exists():
        file = file_of(Path(folder), int(number))
    if file.is_dir() or not file.exists():
        raise DataError(
            f"Point {name!r}: there is no such finished point; name FOLDER:NUMBER as "
            "the sweep's table has them, or a file of FOLDER/points"
        )
    outcome = read_outcome(file)
    if outcome.figures is None:
        raise DataError(
            f"Point {name!r}: it failed ({outcome.error}); name one that did not"
        )
    return outcome


def read_outcome(file: Path) -> Outcome:
    """What a file of a finished point holds.

    Raises:
        DataError: it is damaged.
    """
    try:
        return Outcome.from_json(_read(file))
    except ValueError as error:
        raise DataError(
            f"Point {str(file)!r}: it is damaged ({error}); remove it, and the sweep "
            "tries that point again"
        ) from error


def _read(file: Path) -> dict[str, object]:
    try:
        demand_regular(file)
        found = parse_json(file.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(
            f"File {str(file)!r}: it cannot be read as JSON; remove it, and the sweep "
            "makes it again"
        ) from error
    if not isinstance(found, dict):
        raise DataError(f"File {str(file)!r}: it holds no table; remove it")
    return found
