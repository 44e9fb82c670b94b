"""Seed: a file or folder that is in order, of which mutants are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[2] / "tests"
Content = bytes | Mapping[str, bytes]
"""Of a file, or of the files of a folder."""


@dataclass(frozen=True)
class Seed:
    """One of a loader's."""

    name: str  # of the file
    held: Any  # parsed, as the mutants' maker takes it
    content: Content  # as it is laid on disk
