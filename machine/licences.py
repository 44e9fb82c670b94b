"""Licences of packages, and what the strict ones mean for a user."""

from __future__ import annotations

from importlib.metadata import PackageMetadata

STRICT = {  # what their own metadata and licence files say, of the versions pinned
    "nengo-dl": "free for academic and personal use only",
    "nengo": "GPLv2",
    "sanafe": "GPL-3 (run in a process of its own)",
}
LONGEST = 40  # characters; else it is the licence's whole text
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
    if expression := metadata.get("License-Expression"):
        return str(expression)
    free = str(metadata.get("License") or "").strip()
    if free and len(free) <= LONGEST:
        return free
    found = [
        c for c in metadata.get_all("Classifier") or () if c.startswith(CLASSIFIER)
    ]
    return ", ".join(c.rpartition(" :: ")[2] for c in found)
