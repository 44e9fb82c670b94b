"""Bundle: a Graph or a Program on disk, with where it comes from and golden spikes.

On disk it is a directory, or a zip where the path ends in ``.snn``:

    manifest.json     schema, kind, the tree of dataclasses, metadata, and for every
                      array its shape, dtype and SHA-256
    manifest.sha256   SHA-256 of manifest.json (``sha256sum --check`` reads it)
    arrays/N.npy      the arrays, without pickle
    worker.py         of a packed one: what runs it where snn-deploy is not
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BundleError, SnnDeployError
from ..graph.graph import Graph
from ..graph.nodes import Array
from ..program.host import BoolArray, parts_of
from ..program.program import Program
from .acceptance import WORKER, Acceptance, read_acceptance
from .archive import (
    Content,
    read_directory,
    read_zip,
    write_directory,
    write_zip,
    zipped,
)
from .manifest import Arrays, Fields, named, read_arrays, read_manifest
from .serialize import from_tree, to_tree

SCHEMA, PACKED = 1, 2  # of a bundle, and of one that is packed
FIELDS: Fields = {
    "schema": (int,),
    "kind": (str,),
    "tree": (dict,),
    "metadata": (dict,),
    "samples": (str, type(None)),
    "golden": (dict, type(None)),
    "arrays": (dict,),
}
SCHEMAS = {SCHEMA: FIELDS, PACKED: {**FIELDS, "acceptance": (dict,)}}


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
    acceptance: Acceptance | None = None  # of one that is packed for another machine

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
        if self.acceptance is not None and self.golden is None:
            raise BundleError("an acceptance test needs golden spikes")
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
        if self.acceptance is not None:
            self.acceptance.check(self.program, self.golden)


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
    arrays = Arrays()
    keep, samples = arrays.keep, bundle.samples
    golden, acceptance = bundle.golden, bundle.acceptance
    root = bundle.graph or bundle.program
    manifest = {
        "schema": SCHEMA if acceptance is None else PACKED,
        "kind": "graph" if bundle.program is None else "program",
        "tree": to_tree(root, keep, type(root).__name__.lower()),
        "metadata": dict(bundle.metadata),
        "samples": None if samples is None else keep(samples),
        "golden": None if golden is None else {n: keep(s) for n, s in golden.items()},
    }
    if acceptance is None:
        return arrays.members(manifest)
    manifest["acceptance"] = acceptance.noted(keep)
    worker: dict[str, Content] = {WORKER: acceptance.worker.encode()}
    return {**worker, **arrays.members(manifest)}


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
    manifest = read_manifest(members, SCHEMAS)
    if manifest["tree"].get("class") != manifest["kind"].capitalize():
        raise BundleError(f"its kind is {manifest['kind']!r:.40}, its tree another")
    arrays = read_arrays(members, manifest["arrays"])
    golden, samples = manifest["golden"], manifest["samples"]
    fetch = partial(named, arrays)
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
        acceptance=read_acceptance(members, manifest.get("acceptance"), fetch),
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
