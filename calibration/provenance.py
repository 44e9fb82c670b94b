"""Provenance: what a report was made of, by what, when and how."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from typing import Any

LIBRARIES = ("numpy", "numba")  # that the integers are computed with


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where the figures come from.

    Attributes:
        model: name of the file, without its folder.
        model_sha256: of the file; of a folder, of its files' names and contents.
        data: what the samples are, in words.
        date: of the run, ISO 8601, UTC, to the second.
        command: that made it, paths by their last name; empty: it was run from Python.
        encoder: how samples enter: bias, spikes or events.
        settings: what the build was told and what followed from it, name → value.
        versions: of Python, of this tool, and of the libraries that computed it.
        program_sha256: of the program.snn that was written with it; empty: of none.
    """

    model: str
    model_sha256: str
    data: str
    date: str
    command: str
    encoder: str
    settings: Mapping[str, str]
    versions: Mapping[str, str]
    program_sha256: str = ""


def provenance_of(
    *,
    model: str,
    sha256: str,
    data: str,
    command: str,
    encoder: str,
    settings: Mapping[str, Any],
    library: str,
) -> Provenance:
    """As of now and here.

    Args:
        model: name of its file.
        sha256: of that file.
        data: in words.
        command: as the user typed it.
        encoder: how samples enter.
        settings: by name; None is said to be the default.
        library: distribution that the target runs on; "" for none.
    """
    now = datetime.now(timezone.utc).replace(microsecond=0, tzinfo=None)
    return Provenance(
        model=model,
        model_sha256=sha256,
        data=data,
        date=f"{now.isoformat()}Z",
        command=command,
        encoder=encoder,
        settings={
            name: "default" if value is None else str(value)
            for name, value in settings.items()
        },
        versions=versions_of(library),
    )


def versions_of(library: str) -> dict[str, str]:
    """Of Python, of this tool and of the libraries here; ``library``: the target's."""
    names = [*LIBRARIES, *([library] if library else [])]
    return {
        "python": platform.python_version(),
        "snn-deploy": version("snn-deploy"),
        **{name: _version(name) for name in names},
    }


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"
