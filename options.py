"""What the commands of the command line share: kinds of values, and two consoles."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console


class Counts(click.ParamType):
    """Whole numbers greater than 0, with commas between them."""

    name = "N,N,…"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        """The numbers; one given as a default is taken as it is."""
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in str(value).split(",")]
        if not all(part.isdecimal() and int(part) > 0 for part in parts):
            self.fail(f"{value!r} is not whole numbers greater than 0: 8,16,32", param)
        return tuple(int(part) for part in parts)


COUNTS = Counts()
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


def command_line() -> str:
    """What the user typed, of a path only its name: models are passed on."""
    return " ".join(["snn-deploy", *(Path(word).name for word in sys.argv[1:])])
