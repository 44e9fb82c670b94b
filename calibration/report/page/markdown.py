"""A Report as Markdown, for the description of a pull request."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

from ..report import Report
from .fields import Field, value_of
from .formats import formatted
from .templates import answers, rendered

SPECIAL = re.compile(r"([\\`*_{}\[\]#|~!()$@])")


def markdown_of(report: Report) -> str:
    """The four answers and the layers; every name is text, whatever it holds.

    Raises:
        DataError: a figure of the report is not a number.
    """
    return rendered(
        "report.md.jinja",
        **answers(report),
        md=plain,
    )


def plain(field: Field, form: str = "text") -> Markup:
    r"""A value in a format, without anything that Markdown or HTML would obey.

    >>> print(plain(Field("<b>|x|")))
    &lt;b&gt;\|x\|
    """
    text = SPECIAL.sub(r"\\\1", formatted(value_of(field), form))
    return escape(text)
