"""Page: a Report as one HTML file that needs no other, and no network."""

from __future__ import annotations

import base64
import hashlib

from markupsafe import Markup

from ..report import Report
from .templates import answers, rendered, source_of


def page_of(report: Report) -> bytes:
    """The page; every number in it is one of report.json's.

    Its policy lets a browser load nothing at all, and run no script but its own.

    Raises:
        DataError: a figure of the report is not a number.
    """
    script, style = source_of("sort.js"), source_of("page.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text = rendered(
        "page.html.jinja",
        **answers(report),
        policy=(
            "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
            f"script-src 'sha256-{digest}'"
        ),
        script=Markup(script),
        style=Markup(style),
    )
    return text.encode()
