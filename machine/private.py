"""Private: words that a bug report must not hold, and text without them."""

from __future__ import annotations

import getpass
import os
import re
import socket
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from .boards import VARIABLES

PLAIN = frozenset({"root", "localhost", "python", "user"})  # names that say nothing
SHORTEST_NAME = 2  # characters
SHORTEST_PATH = 4  # such as /srv
ADDRESS = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")
CREDENTIALS = re.compile(r"(?<=://)[^\s/@]+@")
PATH = re.compile(r"(?<![\w.~/:])/(?:[^\s/'\"<>|:,;()\[\]]+/)+")


def scrubbed(text: str, known: frozenset[str] = frozenset()) -> str:
    """Text of a library, a tool or a stranger's plug-in, without what is private.

    The home folder becomes ~, another folder …, a user's name USER, a host's name or
    IPv4 address HOST, the value of a variable that names a board $VARIABLE, and
    credentials in an address are left out.

    Args:
        text: one line or several.
        known: words in lower case that stay even where a user or a host has that name.
    """
    text = CREDENTIALS.sub("", text)
    for path, word in _longest_first(_paths()):
        text = re.sub(rf"{re.escape(path)}(?![\w-])", word, text)
    text = PATH.sub("…/", text)
    for name, word in _longest_first(_names()):
        if name.lower() not in known | PLAIN:
            whole = rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])"
            text = re.sub(whole, word, text, flags=re.IGNORECASE)
    return ADDRESS.sub("HOST", text)


def _longest_first(words: Mapping[str, str]) -> list[tuple[str, str]]:
    return sorted(words.items(), key=lambda item: -len(item[0]))


def _paths() -> Mapping[str, str]:
    """Folders of this user and this process, by what is shown in their place."""
    environment = (p for v in os.environ.values() for p in v.split(os.pathsep))
    others = {
        *(sys.prefix, sys.base_prefix, tempfile.gettempdir(), *sys.path),
        *(path for path in environment if path.startswith("/")),
    }
    with suppress(OSError):  # the working folder may be gone
        others.add(os.getcwd())
    found = {path.rstrip("/"): "…" for path in others}
    for home in (os.environ.get("HOME", ""), os.path.expanduser("~")):
        found |= {home.rstrip("/"): "~", str(Path(home).resolve()): "~"} if home else {}
    return {p: w for p, w in found.items() if p[:1] == "/" and len(p) >= SHORTEST_PATH}


def _names() -> Mapping[str, str]:
    """Names of this user, this host and its boards, by what is shown instead."""
    host = socket.gethostname()
    found = {os.environ.get(name, ""): f"${name}" for name in VARIABLES}
    for name in (host, host.partition(".")[0], os.environ.get("HOSTNAME", "")):
        found[name] = "HOST"
    for name in (os.environ.get(key, "") for key in ("USER", "LOGNAME", "USERNAME")):
        found[name] = "USER"
    with suppress(OSError, KeyError, ImportError):  # a user without an entry
        found[getpass.getuser()] = "USER"
    home = os.path.basename(os.path.expanduser("~").rstrip("/"))
    found[home] = "USER"
    return {name: word for name, word in found.items() if len(name) >= SHORTEST_NAME}
