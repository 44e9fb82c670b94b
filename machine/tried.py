"""Tried: a target, whether it runs here, and what to do where it does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points

from ..targets import GROUP
from ..toolchain.child import ask
from .packages import Package

PATIENCE = 120.0  # s; NengoDL imports TensorFlow
STATES = ("ready", "missing", "no access", "failed")


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A target, as it was found by running a tiny network on it."""

    target: str
    kind: str  # "" where its plug-in cannot be loaded
    library: str  # that must be installed, "" for none
    state: str  # one of STATES
    words: str  # "" where it is ready, else what is missing and how to get it


def target_names() -> tuple[str, ...]:
    """Of all targets here, plug-ins too."""
    return tuple(sorted({entry.name for entry in entry_points(group=GROUP)}))


def try_target(name: str, packages: Mapping[str, Package], python: str) -> Tried:
    """Run a tiny network on a target, in a process of its own.

    Args:
        name: of the target.
        packages: those that snn-deploy asks for, by name.
        python: version of this one, "3.12".
    """
    answer = ask(f"{__package__}.trial:tried", name, patience=PATIENCE)
    found = answer.found
    library, access = found.get("library", ""), found.get("access", "")
    package = packages.get(library)
    words = answer.failure or found["words"].removeprefix(f"Target {name!r}: ")
    state = "failed" if answer.failure else found["outcome"]
    if state == "unavailable" and access:
        state, words = "no access", words.removeprefix("no access: ")
        words = words if access in words else f"{words}; apply at {access}"
    elif state == "unavailable" and package is not None and not package.installed:
        state, words = "missing", _missing(package, found["extra"], python)
    elif state == "unavailable":
        state = "failed" if package is not None else "missing"
    return Tried(
        target=name,
        kind=found.get("kind", ""),
        library=library,
        state=state,
        words=words,
    )


def _missing(package: Package, extra: str, python: str) -> str:
    """What is missing, and how it is installed."""
    install = f"pip install 'snn-deploy[{extra}]'"
    if python in package.pythons or not package.pythons:
        return f"needs {package.name}; {install}"
    first, last = package.pythons[0], package.pythons[-1]
    which = first if first == last else f"{first} to {last}"
    return (
        f"needs {package.name}, of which there is none for Python {python}; in an "
        f"environment of Python {which}, {install}"
    )
