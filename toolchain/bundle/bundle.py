"""Bundle: a Graph or a Program on disk, with where it comes from and golden spikes.

On disk it is a directory, or a zip where the path ends in ``.snn``:

    manifest.json     schema, kind, the tree of dataclasses, metadata, and for every
                      array its shape, dtype and SHA-256
    manifest.sha256   SHA-256 of manifest.json (``sha256sum --check`` reads it)
    arrays/N.npy      the arrays, without pickle
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BundleError, SnnDeployError
from ..files import parse_json
from ..graph.graph import Graph
from ..graph.nodes import Array
from ..program.host import BoolArray, parts_of
from ..program.program import Program
from .archive import (
    Content,
    demand_size,
    read_directory,
    read_zip,
    write_directory,
    write_zip,
    zipped,
)
from .serialize import DTYPES, from_tree, pack, to_tree, unpack

SCHEMA = 1
MAX_MANIFEST = 1 << 27  # bytes; a million samples' names have some 50 MB


@dataclass(frozen=True, eq=False, kw_only=True)
class Bundle:
    """Either a ``graph`` or a ``program``, and what goes with it."""

    graph: Graph | None = None
    program: Program | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Anything JSON holds: source model, data, tool versions, the command."""
    samples: Array | None = None  # (samples, …), as the network takes them
    golden: Mapping[str, BoolArray] | None = None
    """Population → spikes (samples, steps, neurons) that ``samples`` must cause."""

    def check(self) -> None:
        """Raise unless its parts are in order and go together.

        Raises:
            BundleError: there is not one of graph and program, or golden spikes do
                not go with the samples and the program.
            ModelError, DoesNotFit: see ``Graph.check`` and ``Program.check``.
        """
        if (self.graph is None) == (self.program is None):
            raise BundleError("it needs a graph or a program, and not both")
        if self.program is not None:
            self.program.check()
        for graph in (self.graph, *_graphs(self.program)):
            if graph is not None:
                graph.check()
        if self.samples is not None and self.samples.ndim < 1:
            raise BundleError("samples are one number; allowed is (samples, …)")
        if self.golden is None:
            return
        if self.program is None or self.samples is None:
            raise BundleError("golden spikes need a program and samples")
        sizes = {p.name: p.size for p in self.program.members}
        for name, spikes in self.golden.items():
            wanted = (len(self.samples), *spikes.shape[1:2], sizes.get(name))
            if spikes.dtype != np.bool_ or spikes.shape != wanted:
                raise BundleError(
                    f"golden spikes of {name!r} are {spikes.dtype} {spikes.shape}; "
                    "allowed is bool (samples, steps, neurons) of the program"
                )


def _graphs(program: Program | None) -> tuple[Graph | None, ...]:
    """The float networks in a Program: of its host, and the one it stands for."""
    if program is None:
        return ()
    encoders = (part.graph for part in parts_of(program.encoder))
    return program.graph, *encoders, program.decoder.graph


def save_bundle(path: Path | str, bundle: Bundle) -> None:
    """Write a bundle: a zip where ``path`` ends in ``.snn``, else a directory.

    Raises:
        BundleError: a part cannot be stored, or the path cannot be written.
        ModelError, DoesNotFit: see ``Bundle.check``.
    """
    path = Path(path)
    write = write_zip if path.suffix == ".snn" else write_directory
    members = _stored(path, bundle)
    try:
        write(path, members)
    except BundleError as error:
        raise BundleError(f"Bundle {str(path)!r} cannot be saved: {error}") from error
    except OSError as error:
        raise BundleError(
            f"Bundle {str(path)!r} cannot be written: {error.strerror}; choose a "
            "folder that exists and can be written to"
        ) from error


def packed(path: Path, bundle: Bundle) -> bytes:
    """The file of a bundle, which will be called ``path``.

    Raises:
        BundleError: a part cannot be stored.
        ModelError, DoesNotFit: see ``Bundle.check``.
    """
    return zipped(_stored(path, bundle))


def _stored(path: Path, bundle: Bundle) -> dict[str, Content]:
    try:
        bundle.check()
        return _members(bundle)
    except BundleError as error:
        raise BundleError(f"Bundle {str(path)!r} cannot be saved: {error}") from error


def _members(bundle: Bundle) -> dict[str, Content]:
    arrays: dict[str, dict[str, Any]] = {}
    files: dict[str, Content] = {}

    def keep(array: Array) -> str:
        entry = {
            "shape": list(array.shape),
            "dtype": array.dtype.name,
            "sha256": hashlib.sha256(pack(array)).hexdigest(),
        }
        for name, known in arrays.items():  # one array may stand in several places
            if entry == known:
                return name
        name = f"arrays/{len(arrays)}.npy"
        arrays[name], files[name] = entry, partial(pack, array)
        return name

    root = bundle.graph or bundle.program
    tree = to_tree(root, keep, type(root).__name__.lower())
    samples = bundle.samples
    golden = bundle.golden
    manifest = {
        "schema": SCHEMA,
        "kind": "graph" if bundle.program is None else "program",
        "tree": tree,
        "metadata": dict(bundle.metadata),
        "samples": None if samples is None else keep(samples),
        "golden": None if golden is None else {n: keep(s) for n, s in golden.items()},
        "arrays": arrays,
    }
    demand_size(_unpacked(arrays))
    try:
        text = json.dumps(manifest, indent=1, allow_nan=False, ensure_ascii=False)
        encoded = text.encode()
    except (TypeError, ValueError) as error:
        raise BundleError(f"its metadata is no JSON ({error})") from error
    digest = f"{hashlib.sha256(encoded).hexdigest()}  manifest.json\n"
    files |= {"manifest.json": encoded, "manifest.sha256": digest.encode()}
    return files


def load_bundle(path: Path | str) -> Bundle:
    """Read a bundle. Nothing in it is executed, and nothing is taken on trust.

    Raises:
        BundleError: it is missing, damaged, hostile or of a newer schema, or the
            network in it does not pass its own check.
    """
    path = Path(path)
    try:
        members = read_directory(path) if path.is_dir() else read_zip(path)
        bundle = _restore(members)
        _check(bundle)
    except BundleError as error:
        raise BundleError(f"Bundle {str(path)!r} cannot be used: {error}") from error
    except OSError as error:
        raise BundleError(
            f"Bundle {str(path)!r} cannot be read: {error.strerror}; name a .snn file "
            "or a directory that `snn-deploy build` wrote"
        ) from error
    return bundle


def _restore(members: Mapping[str, bytes]) -> Bundle:
    manifest = _manifest(members)
    arrays = _arrays(members, manifest["arrays"])

    def fetch(name: Any) -> Array:
        if not isinstance(name, str) or name not in arrays:
            raise BundleError(f"its array {name!r:.40} is not listed")
        return arrays[name]

    golden, samples = manifest["golden"], manifest["samples"]
    try:
        root = from_tree(manifest["tree"], fetch, manifest["kind"])
    except RecursionError as error:
        raise BundleError("its tree is nested too deep") from error
    return Bundle(
        graph=root if isinstance(root, Graph) else None,
        program=root if isinstance(root, Program) else None,
        metadata=manifest["metadata"],
        samples=None if samples is None else fetch(samples),
        golden=None if golden is None else {n: fetch(s) for n, s in golden.items()},
    )


def _check(bundle: Bundle) -> None:
    """The bundle's own check; what a hostile number breaks in it is an error too."""
    try:
        bundle.check()
    except BundleError:
        raise
    except (
        *(SnnDeployError, ArithmeticError, LookupError),
        *(MemoryError, TypeError, ValueError),
    ) as error:
        raise BundleError(f"its network is not in order ({error})") from error


FIELDS: Mapping[str, tuple[type, ...]] = {
    "schema": (int,),
    "kind": (str,),
    "tree": (dict,),
    "metadata": (dict,),
    "samples": (str, type(None)),
    "golden": (dict, type(None)),
    "arrays": (dict,),
}


def _manifest(members: Mapping[str, bytes]) -> dict[str, Any]:
    text = members.get("manifest.json", b"")
    if len(text) > MAX_MANIFEST:
        raise BundleError(
            f"its manifest has {len(text)} bytes; allowed are {MAX_MANIFEST}"
        )
    seal = members.get("manifest.sha256", b"")
    if seal != f"{hashlib.sha256(text).hexdigest()}  manifest.json\n".encode():
        raise BundleError("its manifest is missing or changed; fetch it again")
    try:
        manifest = parse_json(text)
    except ValueError as error:
        raise BundleError(f"its manifest is no JSON ({str(error)[:60]})") from error
    schema = manifest.get("schema") if isinstance(manifest, dict) else None
    if isinstance(schema, int) and schema > SCHEMA:
        raise BundleError(
            f"its schema is {schema}, this version reads up to {SCHEMA}; upgrade "
            "snn-deploy"
        )
    if not isinstance(manifest, dict) or set(manifest) != set(FIELDS):
        raise BundleError(f"its manifest must have the fields {sorted(FIELDS)}")
    for name, kinds in FIELDS.items():
        if type(manifest[name]) not in kinds:
            raise BundleError(f"its manifest's {name!r} is {manifest[name]!r:.40}")
    if manifest["tree"].get("class") != manifest["kind"].capitalize():
        raise BundleError(f"its kind is {manifest['kind']!r:.40}, its tree another")
    return manifest


def _arrays(
    members: Mapping[str, bytes], listed: Mapping[str, Any]
) -> dict[str, Array]:
    if set(listed) != {name for name in members if name.startswith("arrays/")}:
        raise BundleError("its arrays are not those that its manifest lists")
    for name, entry in listed.items():
        match entry:
            case {"shape": [*shape], "dtype": str(dtype), "sha256": str()} if (
                dtype in DTYPES and all(type(n) is int and n >= 0 for n in shape)
            ):
                continue
        raise BundleError(f"its manifest's entry of {name!r} is {entry!r:.60}")
    demand_size(_unpacked(listed))
    return {name: _array(name, members[name], **listed[name]) for name in listed}


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
