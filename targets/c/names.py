"""Names of layers as C takes them, and as its comments can hold them."""

from __future__ import annotations

import re
from collections.abc import Iterable

LONGEST = 24  # characters; C99 tells external names apart by their first 31 (5.2.4.1)


def identifiers(names: Iterable[str]) -> dict[str, str]:
    """Name → part of an identifier, each another one.

    They are always used behind a prefix, so that keywords and digits do no harm.

    >>> identifiers(["conv/1", "conv 1", "größe", "int"])
    {'conv/1': 'conv_1', 'conv 1': 'conv_1_2', 'größe': 'gr_e', 'int': 'int'}
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:LONGEST] or "layer"
        chosen, number = plain, 1
        while chosen.lower() in taken:
            number += 1
            chosen = f"{plain}_{number}"
        taken.add(chosen.lower())
        found[name] = chosen
    return found


_ASCII = str.maketrans({"→": "->", "×": "x", "…": " .. ", "−": "-"})


def commented(text: str) -> str:
    r"""Text that no comment of C ends at, continues behind or says otherwise.

    >>> print(commented("a*/b\n??/ ä"))
    a* /b\n? ?/ \xe4
    """
    plain = text.translate(_ASCII).encode("unicode_escape").decode("ascii")
    for pair, apart in (("*/", "* /"), ("/*", "/ *"), ("??", "? ?")):
        while pair in plain:
            plain = plain.replace(pair, apart)
    return plain + " " if plain.endswith("\\") else plain


def quoted(text: str) -> str:
    r"""Text as a string of C.

    >>> print(quoted('a"b'))
    "a\"b"
    """
    plain = commented(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"'
