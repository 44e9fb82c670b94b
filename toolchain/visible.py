"""Text for a terminal: names come from anywhere, and it obeys some characters."""

from __future__ import annotations

import json
from collections.abc import Callable
from reprlib import Repr
from typing import Any


def visible(text: str) -> str:
    """One line of text, what cannot be printed as an escape.

    >>> print(visible("layer \x1b[2J"))
    layer \\x1b[2J
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )


def shown(value: object, most: int = 40) -> str:
    """A value of anybody's file as a word of a sentence, at most so long.

    Of lists in lists only the start is looked at: YAML may have one and the same a
    billion times in a few lines.

    >>> print(shown([[1, [2, [3]]], "steps"]))
    [[1, [...]], 'steps']
    """
    try:
        text = _SHORT.repr(value) if isinstance(value, (list, dict)) else repr(value)
    except ValueError:  # a whole number of thousands of digits
        text = f"a {type(value).__name__} of too many digits"
    return text if len(text) <= most else f"{text[:most]}…"


_SHORT = Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 2, 200, 200


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
