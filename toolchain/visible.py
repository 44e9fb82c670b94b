"""Text for a terminal: names come from anywhere, and it obeys some characters."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


def visible(text: str) -> str:
    """One line of text, what cannot be printed as an escape.

    >>> print(visible("layer \x1b[2J"))
    layer \\x1b[2J
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )


def visible_lines(text: str) -> str:
    """The same for several lines."""
    return "\n".join(map(visible, text.split("\n")))


def visible_json(value: Any, default: Callable[[Any], Any] | None = None) -> str:
    """A value as JSON, as ``visible`` has text; ``default`` as ``json.dumps`` takes it.

    >>> print(visible_json(["µJ", "\x9b2J"]))
    [
      "µJ",
      "\\u009b2J"
    ]
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, default=default)
    return "".join(
        c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text
    )
