"""Recorded: the file of a Recording that a packed bundle's samples made somewhere.

A sealed zip as a bundle is, with a manifest, its hash and arrays, and no pickle. It
names the SHA-256 of the bundle's file, so that it is judged by no other. ``worker.py``
writes such files too.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..errors import BundleError
from ..files import sha256_of
from ..graph.nodes import Array
from .archive import read_zip, write_zip
from .manifest import Arrays, Fields, named, read_arrays, read_manifest

KINDS = ("float simulation", "integer emulation", "hardware")
SCHEMAS: Mapping[int, Fields] = {
    1: {
        "schema": (int,),
        "kind": (str,),
        "bundle": (str,),
        "target": (str,),
        "target_kind": (str,),
        "wall_time": (int, float),
        "date": (str,),
        "system": (str,),
        "versions": (dict,),
        "spikes": (dict,),
        "measured": (dict,),
        "arrays": (dict,),
    }
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Recorded:
    """Spikes of every population, and how they were obtained.

    Attributes:
        bundle: SHA-256 of the packed bundle's file.
        target: that ran it.
        kind: of target, see ``Recording``.
        spikes: population (spike inputs too) → (samples, steps, neurons) bool; of a
            float simulation they may be spikes per step, uint8.
        wall_time: s, of the run.
        date: ISO 8601, UTC, to the second.
        system: operating system and processor, "Linux x86_64"; no names.
        versions: of Python and of what computed it.
        measured: by a board, of all samples: "samples", "seconds", "joules" (None:
            power was not measured) and "source", in words; empty: nothing.
    """

    bundle: str
    target: str
    kind: str
    spikes: Mapping[str, Array]
    wall_time: float
    date: str
    system: str
    versions: Mapping[str, str]
    measured: Mapping[str, Any]


def recorded_here(
    *,
    bundle: str,
    target: str,
    kind: str,
    spikes: Mapping[str, Array],
    wall_time: float,
    versions: Mapping[str, str],
    measured: Mapping[str, Any],
) -> Recorded:
    """As of now and this machine; see ``Recorded``."""
    now = datetime.now(timezone.utc).replace(microsecond=0, tzinfo=None)
    return Recorded(
        bundle=bundle,
        target=target,
        kind=kind,
        spikes=spikes,
        wall_time=wall_time,
        date=f"{now.isoformat()}Z",
        system=f"{platform.system()} {platform.machine()}",
        versions=versions,
        measured=measured,
    )


def save_recorded(path: Path, recorded: Recorded) -> None:
    """Write the file of a Recording, whole or not at all.

    Raises:
        BundleError: it cannot be stored or written.
    """
    arrays = Arrays()
    try:
        members = arrays.members(
            {
                "schema": max(SCHEMAS),
                "kind": "recording",
                "bundle": recorded.bundle,
                "target": recorded.target,
                "target_kind": recorded.kind,
                "wall_time": recorded.wall_time,
                "date": recorded.date,
                "system": recorded.system,
                "versions": dict(recorded.versions),
                "measured": dict(recorded.measured),
                "spikes": {n: arrays.keep(s) for n, s in recorded.spikes.items()},
            }
        )
        write_zip(path, members)
    except (BundleError, OSError) as error:
        what = error.strerror if isinstance(error, OSError) else error
        raise BundleError(
            f"Recording {str(path)!r} cannot be written: {what}; choose a folder that "
            "exists, can be written to and has room"
        ) from error


def load_recorded(path: Path, bundle: Path) -> Recorded:
    """Read a Recording of a packed bundle. Nothing in it is taken on trust.

    Raises:
        BundleError: it is missing, damaged, hostile, of a newer schema or of another
            bundle.
    """
    try:
        recorded = _restore(read_zip(path))
    except BundleError as error:
        raise BundleError(f"Recording {str(path)!r} cannot be used: {error}") from error
    except OSError as error:
        raise BundleError(
            f"Recording {str(path)!r} cannot be read: {error.strerror}; name a file "
            "that `snn-deploy run --recording` or a bundle's worker wrote"
        ) from error
    if recorded.bundle != sha256_of(bundle):
        raise BundleError(
            f"Recording {str(path)!r}: it is not of bundle {str(bundle)!r} but of one "
            f"whose SHA-256 begins with {recorded.bundle[:12]}; name that one"
        )
    return recorded


def _restore(members: Mapping[str, bytes]) -> Recorded:
    manifest = read_manifest(members, SCHEMAS)
    arrays = read_arrays(members, manifest["arrays"])
    spikes = {str(n): named(arrays, name) for n, name in manifest["spikes"].items()}
    kind, versions = manifest["target_kind"], manifest["versions"]
    allowed = {"bool", "uint8"} if kind == KINDS[0] else {"bool"}
    whole = all(s.dtype.name in allowed and s.ndim == 3 for s in spikes.values())
    if manifest["kind"] != "recording" or kind not in KINDS or not whole:
        raise BundleError(
            f"it holds a {manifest['kind']!r:.40} of a {kind!r:.40}; allowed is a "
            f"recording of spikes (samples, steps, neurons) of one of {KINDS}"
        )
    return Recorded(
        bundle=manifest["bundle"],
        target=manifest["target"],
        kind=kind,
        spikes=spikes,
        wall_time=float(manifest["wall_time"]),
        date=manifest["date"],
        system=manifest["system"],
        versions={str(name): str(value) for name, value in versions.items()},
        measured=_measured(manifest["measured"]),
    )


def _measured(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a board measured, of the form that ``Recorded`` says."""
    known = {"samples": (int,), "seconds": (int, float), "source": (str,)}
    forms = {**known, "joules": (int, float, type(None))}
    fits = found.keys() == forms.keys() and all(
        type(found[name]) in kinds for name, kinds in forms.items()
    )
    if found and not fits:
        raise BundleError(
            f"what it says was measured is {str(dict(found))[:80]}; samples, seconds, "
            "joules and source are allowed, or nothing"
        )
    return found
