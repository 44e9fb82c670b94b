"""Licences of packages, and what the strict ones mean for a user."""

from __future__ import annotations

from importlib.metadata import PackageMetadata

STRICT = {  # what their own metadata and licence files say, of the versions pinned
    "nengo-dl": "free for academic and personal use only",
    "nengo": "GPLv2",
    "sanafe": "GPL-3 (run in a process of its own)",
}
LONGEST = {"License-Expression": 200, "License": 40}  # characters; else a whole text
CLASSIFIER = "License :: "


def licence(name: str, metadata: PackageMetadata | None) -> str:
    """In a few words; "" where the package is not here and its licence is harmless.

    Args:
        name: of the distribution, as packages are compared: in lower case, with -.
        metadata: of the distribution installed, if it is.
    """
    if name in STRICT:
        return STRICT[name]
    if metadata is None:
        return ""
    for field in ("License-Expression", "License"):
        for words in metadata.get_all(field) or ():
            if 0 < len(words.strip()) <= LONGEST[field]:
                return str(words.strip())
    lines = metadata.get_all("Classifier") or ()
    found = [line for line in lines if line.startswith(CLASSIFIER)]
    return ", ".join(line.rpartition(" :: ")[2] for line in found)
