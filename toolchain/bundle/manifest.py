"""The manifest of a file of ours: JSON that lists every array with its hash.

A bundle has one, and so has a Recording's file.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from ..errors import BundleError
from ..files import parse_json
from ..graph.nodes import Array
from .archive import Content, demand_size
from .serialize import DTYPES, pack, unpack

MAX_MANIFEST = 1 << 27  # bytes; a million samples' names have some 50 MB
Fields = Mapping[str, tuple[type, ...]]
"""Name of a manifest's field → what JSON may hold there."""


class Arrays:
    """Arrays on their way to a file: kept once each, by name.

    Attributes:
        listed: name → shape, dtype and SHA-256, as the manifest has it.
        files: name → what makes the array's file.
    """

    def __init__(self) -> None:
        self.listed: dict[str, dict[str, Any]] = {}
        self.files: dict[str, Content] = {}

    def keep(self, array: Array) -> str:
        """The name that an array is stored by.

        Raises:
            BundleError: its dtype is none that can be stored.
        """
        entry = {
            "shape": list(array.shape),
            "dtype": array.dtype.name,
            "sha256": hashlib.sha256(pack(array)).hexdigest(),
        }
        for name, known in self.listed.items():  # one may stand in several places
            if entry == known:
                return name
        name = f"arrays/{len(self.listed)}.npy"
        self.listed[name], self.files[name] = entry, partial(pack, array)
        return name

    def members(self, manifest: Mapping[str, Any]) -> dict[str, Content]:
        """All members of a file: the arrays, the manifest and its hash.

        Raises:
            BundleError: they are too large, or the manifest is no JSON.
        """
        demand_size(_unpacked(self.listed))
        whole = {**manifest, "arrays": self.listed}
        try:
            text = json.dumps(whole, indent=1, allow_nan=False, ensure_ascii=False)
            encoded = text.encode()
        except (TypeError, ValueError) as error:
            raise BundleError(f"its metadata is no JSON ({error})") from error
        return {
            **self.files,
            "manifest.json": encoded,
            "manifest.sha256": _line(encoded),
        }


def _line(manifest: bytes) -> bytes:
    """As ``sha256sum --check`` reads it."""
    return f"{hashlib.sha256(manifest).hexdigest()}  manifest.json\n".encode()


def read_manifest(
    members: Mapping[str, bytes], schemas: Mapping[int, Fields]
) -> dict[str, Any]:
    """The manifest among a file's members.

    Args:
        members: of the file.
        schemas: schema → the fields of its manifests.

    Raises:
        BundleError: it is missing, changed, no JSON, of a newer schema, or has other
            fields than its schema's.
    """
    text = members.get("manifest.json", b"")
    if len(text) > MAX_MANIFEST:
        raise BundleError(
            f"its manifest has {len(text)} bytes; allowed are {MAX_MANIFEST}"
        )
    if members.get("manifest.sha256", b"") != _line(text):
        raise BundleError("its manifest is missing or changed; fetch it again")
    try:
        manifest = parse_json(text)
    except ValueError as error:
        raise BundleError(f"its manifest is no JSON ({str(error)[:60]})") from error
    schema = manifest.get("schema") if isinstance(manifest, dict) else None
    if isinstance(schema, int) and schema > max(schemas):
        raise BundleError(
            f"its schema is {schema}, this version reads up to {max(schemas)}; upgrade "
            "snn-deploy"
        )
    first = schemas[min(schemas)]
    fields = schemas.get(schema, first) if isinstance(schema, int) else first
    if not isinstance(manifest, dict) or set(manifest) != set(fields):
        raise BundleError(f"its manifest must have the fields {sorted(fields)}")
    for name, kinds in fields.items():
        if type(manifest[name]) not in kinds:
            raise BundleError(f"its manifest's {name!r} is {manifest[name]!r:.40}")
    return manifest


def read_arrays(
    members: Mapping[str, bytes], listed: Mapping[str, Any]
) -> dict[str, Array]:
    """The arrays among a file's members, by name.

    Raises:
        BundleError: they are not those that the manifest lists, changed or too large.
    """
    if set(listed) != {name for name in members if name.startswith("arrays/")}:
        raise BundleError("its arrays are not those that its manifest lists")
    for name, entry in listed.items():
        match entry:
            case {"shape": [*shape], "dtype": str(dtype), "sha256": str()} if (
                dtype in DTYPES
                and len(entry) == 3
                and all(type(n) is int and n >= 0 for n in shape)
            ):
                continue
        raise BundleError(f"its manifest's entry of {name!r} is {entry!r:.60}")
    demand_size(_unpacked(listed))
    return {name: _array(name, members[name], **listed[name]) for name in listed}


def named(arrays: Mapping[str, Array], name: Any) -> Array:
    """The array of a name that a manifest gives; BundleError where there is none."""
    if not isinstance(name, str) or name not in arrays:
        raise BundleError(f"its array {name!r:.40} is not listed")
    return arrays[name]


def _unpacked(listed: Mapping[str, Any]) -> int:
    """Bytes of all arrays in memory, where a bit is a byte again."""
    return sum(
        math.prod(entry["shape"]) * np.dtype(entry["dtype"]).itemsize
        for entry in listed.values()
    )


def _array(name: str, file: bytes, shape: list[int], dtype: str, sha256: str) -> Array:
    if hashlib.sha256(file).hexdigest() != sha256:
        raise BundleError(f"its array {name!r} is changed; fetch it again")
    try:
        return unpack(file, dtype, tuple(shape))
    except BundleError as error:
        raise BundleError(f"its array {name!r}: {error}") from error
