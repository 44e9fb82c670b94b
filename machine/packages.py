"""Packages: what snn-deploy asks for, what is pinned, and what is installed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .licences import STRICT, licence

DISTRIBUTION = "snn-deploy"
CONSTRAINTS = Path(__file__).parent.parent / "constraints.txt"
PYTHONS = ("3.10", "3.11", "3.12", "3.13")  # that snn-deploy supports
NOT_FOR_USERS = frozenset({"all", "dev"})  # extras


@dataclass(frozen=True, kw_only=True)
class Package:
    """A distribution that snn-deploy asks for, or that is pinned beside those."""

    name: str
    extras: tuple[str, ...]  # of snn-deploy that ask for it; "core" for all users
    wanted: str  # versions that may be, "" for any
    pinned: str  # the version that is tested on this Python, "" where none is
    installed: str  # "" where it is missing
    state: str  # one of STATES
    licence: str  # "" where it is not installed and not strict
    strict: bool  # its licence limits what users may do
    pythons: tuple[str, ...]  # Pythons that it is asked for on


STATES = ("as pinned", "not pinned", "other than pinned", "outside", "missing", "n/a")


def find_packages() -> tuple[Package, ...]:
    """Those that snn-deploy asks for by name; "n/a" where not on this Python."""
    asked: dict[str, list[Requirement]] = {}
    for requirement in map(Requirement, requires(DISTRIBUTION) or ()):
        name = canonicalize_name(requirement.name)
        if name != DISTRIBUTION and not _extras([requirement]) <= NOT_FOR_USERS:
            asked.setdefault(name, []).append(requirement)
    pins, used = read_pins(), _used(asked)
    return tuple(
        _package(name, them, [r for r in them if _extras([r]) & used], pins)
        for name, them in sorted(asked.items())
    )


def _used(asked: Mapping[str, Iterable[Requirement]]) -> set[str]:
    """The extras that are here: all that they alone ask for, on this Python."""
    wanted: dict[str, set[str]] = {"core": set()}
    for name, requirements in asked.items():
        extras = _extras(r for r in requirements if _applies(r))
        for extra in extras if "core" not in extras else ():
            wanted.setdefault(extra, set()).add(name)
    return {extra for extra, names in wanted.items() if all(map(_installed, names))}


def find_others(packages: Iterable[Package]) -> tuple[Package, ...]:
    """Of what is pinned beside ``packages``, all that is here in another version."""
    named = {package.name for package in packages}
    pins = read_pins()
    found = (_package(name, (), (), pins) for name in pins if name not in named)
    return tuple(package for package in found if package.state == "other than pinned")


def read_pins() -> Mapping[str, str]:
    """Name → the version in constraints.txt that this Python takes."""
    lines = (line.partition("#")[0].strip() for line in CONSTRAINTS.open())
    pins = (Requirement(line) for line in lines if line)
    return {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
        for pin in pins
        if pin.marker is None or pin.marker.evaluate()
    }


def _package(
    name: str,
    asked: Collection[Requirement],
    binding: Iterable[Requirement],
    pins: Mapping[str, str],
) -> Package:
    """``binding``: those of ``asked`` that stand in extras which are installed."""
    here = [r for r in asked if _applies(r)]
    held = [r for r in binding if _applies(r)]
    installed = _installed(name)
    wanted = ",".join(sorted({str(s) for r in held or here for s in r.specifier}))
    pinned = pins.get(name, "") if here or not asked else ""
    if asked and not here:
        state = "n/a"
    elif not installed:
        state = "missing"
    elif not all(r.specifier.contains(installed, prereleases=True) for r in held):
        state = "outside"
    elif not pinned:
        state = "not pinned"
    else:
        state = "as pinned" if installed == pinned else "other than pinned"
    return Package(
        name=name,
        extras=tuple(sorted(_extras(asked) - NOT_FOR_USERS)),
        wanted=wanted,
        pinned=pinned,
        installed=installed,
        state=state,
        licence=licence(name, metadata(name) if installed else None),
        strict=name in STRICT,
        pythons=tuple(p for p in PYTHONS if any(_applies(r, p) for r in asked)),
    )


def _installed(name: str) -> str:
    try:
        return version(name) or ""
    except PackageNotFoundError:
        return ""


def _extras(requirements: Iterable[Requirement]) -> set[str]:
    """Extras of snn-deploy that they belong to; "core" where they are everybody's."""
    return {name for r in requirements for name in _named(r.marker) or {"core"}}


def _named(marker: Marker | None) -> set[str]:
    """The extras that a marker names, ``extra == "loihi"``."""
    if marker is None:
        return set()
    words = str(marker).replace("'", '"').split('extra == "')
    return {word.partition('"')[0] for word in words[1:]}


def _applies(requirement: Requirement, python: str = "") -> bool:
    """Whether any user of this Python, or of another, is asked for it."""
    marker = requirement.marker
    if marker is None:
        return True
    changes = {"python_version": python} if python else {}
    return any(
        marker.evaluate({**changes, "extra": extra}) for extra in _named(marker) or {""}
    )
