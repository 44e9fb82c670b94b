"""What the commands of the command line share: kinds of values, and two consoles."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

PATH = click.Path(path_type=Path)
COUNT = click.IntRange(min=1)
AMOUNT = click.FloatRange(min=0, min_open=True)
WEIGHT = click.FloatRange(min=0)
BOXES = (
    "Folder with images/ and boxes.csv, or 101_ObjectCategories/NAME of Caltech-101."
)
MASKS = "Folder with images/ and masks/ (pictures) or images/ and labels/ (NIfTI)."


PIPED_WIDTH = 110  # columns, where standard output is no terminal


def consoles() -> tuple[Console, Console]:
    """For results (stdout) and for progress (stderr)."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else PIPED_WIDTH
    return Console(width=width), Console(stderr=True)


def say(console: Console, text: str) -> None:
    """Print text as it is."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)
