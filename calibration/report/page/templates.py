"""Templates of pages: Jinja2, with the report's values as Fields."""

from __future__ import annotations

import base64
import json
import struct
import sys
from contextlib import suppress
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import (
    Environment,
    FileSystemBytecodeCache,
    FunctionLoader,
    StrictUndefined,
    UndefinedError,
)
from jinja2.bccache import Bucket
from markupsafe import Markup, escape

from ....toolchain.errors import DataError
from ....toolchain.passes.place.limits import CHIP
from ..report import Report
from .fields import Field, pointer, value_of
from .formats import formatted
from .questions import advice, cost, fit, quality
from .scales import Scale


def rendered(template: str, **context: Any) -> str:
    """A template of this folder's ``templates/`` with this context.

    Raises:
        DataError: parts of the report do not go together, as in one that was edited.
    """
    try:
        text: str = environment().get_template(template).render(**context)
    except (ArithmeticError, LookupError, TypeError, ValueError, UndefinedError) as e:
        raise DataError(
            f"Report: its parts do not go together ({e}), so that no page can be made "
            "of it; build it again"
        ) from e
    return text


def answers(report: Report) -> dict[str, Any]:
    """What every template about a report is given: its Fields, and the four answers.

    Raises:
        DataError: a figure of the report is not a number.
    """
    return {
        "report": Field(json.loads(report.encoded())),
        "quality": quality(report),
        "cost": cost(report),
        "fit": fit(report),
        "advice": advice(report),
        "chip": CHIP,
    }


def source_of(name: str) -> str:
    """The text of a file of ``templates/``."""
    return (files(__package__) / "templates" / name).read_text(encoding="utf-8")


class Compiled(FileSystemBytecodeCache):
    """Compiled templates, kept beside their texts as Python keeps its own, where there
    is a place to write: compiling takes as long as filling them ten times."""

    def __init__(self) -> None:
        super().__init__(str(Path(__file__).parent / "templates" / "__pycache__"))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep one, if that can be."""
        if not sys.dont_write_bytecode:
            with suppress(OSError):
                Path(self.directory).mkdir(exist_ok=True)
                super().dump_bytecode(bucket)


@cache
def environment() -> Environment:
    """Everything is escaped, whatever a report holds; nothing undefined is silent."""
    made = Environment(
        loader=FunctionLoader(source_of),
        bytecode_cache=Compiled(),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(show=show, v=value_of, mark=mark, pointer=pointer)
    made.globals.update(
        Scale=Scale, max_of=max_of, height_of=height_of, formatted=formatted
    )
    return made


def show(field: Field, form: str = "text", tag: str = "span") -> Markup:
    """A value, with its place in report.json and its format beside it.

    >>> show(Field({"name": "<a>"}).name)
    Markup('<span data-path="/name" data-format="text">&lt;a&gt;</span>')
    """
    inside = escape(formatted(value_of(field), form))
    return Markup('<{0} data-path="{1}" data-format="{2}">{3}</{0}>').format(
        Markup(tag), pointer(field), form, inside
    )


def mark(field: Field, form: str = "text") -> Markup:
    """The same within a picture."""
    return show(field, form, "tspan")


def max_of(fields: Any, least: float = 0.0) -> float:
    """The largest value of some Fields, ``least`` at least."""
    return max([float(value_of(each)) for each in fields], default=least) or least


def height_of(picture: Field) -> float:
    """Height of a PNG in base64 where its width is 100, as its header has them.

    A header that cannot be (or none) makes a square; RFC 2083, 11.2.1 has its layout.
    """
    try:
        header = base64.b64decode(str(picture)[:32], validate=True)
        width, height = struct.unpack(">II", header[16:24])
    except (ValueError, struct.error):
        return 100.0
    tall: float = min(max(height / max(width, 1), 0.1), 10)
    return round(100 * tall, 2)
