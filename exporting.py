"""A network as a file for other tools; of a Program its integers travel beside it.

NIR holds floats and no timing. So a Program is written as three files, X.nir with the
float network that its integers round (``float_network``), X.program.snn with the
Program itself, which names the SHA-256 of the other two, and X.spikes.nir with golden
spikes, in NIR's own form for data. Whoever reads X.nir with X.program.snn beside it has
the Program back, bit for bit.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .folders import check_folder, write_into
from .model_files import export as export_model
from .model_files import is_bundle, read_model
from .targets.c.project import project
from .targets.contract import find_target
from .tasks.built import read_built
from .toolchain.bundle.archive import write_together
from .toolchain.bundle.bundle import Bundle, load_bundle, packed, save_bundle
from .toolchain.errors import BundleError, ModelError
from .toolchain.files import sha256_of
from .toolchain.frontends.formats import holds_integers, written
from .toolchain.frontends.nir.data import Grid, data_file
from .toolchain.graph.graph import Graph
from .toolchain.passes.quantize.float_network import float_network
from .toolchain.program.program import Program

FORMAT = "nir"  # the one that a Program is written as
C = "c"  # a folder, of a Program alone
SHOWN = 4  # samples of a Program that its C runs
SIDECAR, SPIKES = ".program.snn", ".spikes.nir"  # in place of .nir
NOTED = "exported"  # in a side-car's metadata: "network", "spikes" → SHA-256


@dataclass(frozen=True)
class Exported:
    """What was written, what its format cannot hold, and what to do with it."""

    files: tuple[Path, ...]
    notes: tuple[str, ...]
    next: str = ""  # a command; "": snn-deploy check


def export(
    model: Path,
    name: str,
    out: Path,
    *,
    output: str | None = None,
    rewrites: Mapping[str, str] | None = None,
    host: str | None = None,
) -> Exported:
    """Write a network as a file of the format of this name; as C, as a folder.

    ``host``: what encoder and decoder compute in, in C: "float", as where None, or
    "fixed".

    Raises:
        ModelError: no such format is written, or not of this, or the files cannot
            be.
        SnnDeployError: the network is not in order.
    """
    if host is not None and name != C:
        raise ModelError(f"Format {name!r}: it has no host; leave out --host")
    bundle = _program_in(model)
    if bundle is None or bundle.program is None:
        if name == C:
            raise ModelError(
                f"Model {str(model)!r}: format {C!r} is written of a built Program; "
                "build it, and export its program.snn"
            )
        found = read_model(model, output, rewrites)
        return Exported((out,), export_model(found, name, out))
    if output is not None or rewrites:
        raise ModelError(
            f"Model {str(model)!r}: it holds a Program, which is built already; leave "
            "out --output and --rewrite"
        )
    if name == C:
        return _export_c(bundle, bundle.program, model, out, host or "float")
    if name == FORMAT:
        return _export_program(bundle, bundle.program, model, out)
    if not holds_integers(name):
        raise ModelError(
            f"Model {str(model)!r}: it holds a Program, which is built already; "
            f"{FORMAT}, netx and {C} are allowed as --format, or the network that it "
            "was built from"
        )
    return Exported((out,), export_model(bundle.program, name, out))


def _program_in(path: Path) -> Bundle | None:
    """The bundle of a Program; None where it is another network, or none."""
    if not path.exists() or not is_bundle(path):
        return None
    bundle = load_bundle(path)
    return bundle if bundle.program is not None else None


def _export_program(
    bundle: Bundle, program: Program, model: Path, out: Path
) -> Exported:
    if out.suffix != ".nir":
        raise ModelError(
            f"Model {str(out)!r}: its name has to end in .nir; the Program is written "
            f"beside it, as {SIDECAR} and {SPIKES}"
        )
    graph = float_network(program)
    found = written(graph, FORMAT)
    made = {"network": found.content}
    if bundle.samples is not None:
        golden = _golden(bundle, program, graph, model)
        made["spikes"] = data_file(graph, golden)
    noted = {what: hashlib.sha256(file).hexdigest() for what, file in made.items()}
    metadata = {**bundle.metadata, NOTED: noted}
    sidecar = _beside(out, SIDECAR)
    files = {_places(out)[what]: file for what, file in made.items()}
    files[sidecar] = packed(sidecar, replace(bundle, metadata=metadata))
    try:
        write_together(files)
    except OSError as error:
        raise ModelError(
            f"Model {str(out)!r} cannot be written: {error.strerror}; choose a folder "
            "that exists and can be written to"
        ) from error
    return Exported(tuple(files), found.notes)


def _export_c(
    bundle: Bundle, program: Program, model: Path, out: Path, host: str
) -> Exported:
    check_folder(out)
    given, golden = None, None
    if bundle.samples is not None:
        built = read_built(model)
        given = built.examples(built.stored, None).x[:SHOWN]
        golden = bundle.golden
        if golden is None:
            with find_target("reference").load(program) as session:
                golden = session.run(given).spikes
        golden = {name: spikes[:SHOWN] for name, spikes in golden.items()}
    files = project(program, given, golden, host)
    write_into(out, files)
    return Exported(
        tuple(out / name for name in files),
        (),
        f"cd {shlex.quote(str(out))} && cc -std=c99 -O2 *.c -lm -o main && ./main",
    )


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.stem + ending)


def _places(path: Path) -> dict[str, Path]:
    """What a side-car notes → its file, of the network in ``path``."""
    return {"network": path, "spikes": _beside(path, SPIKES)}


def _golden(
    bundle: Bundle, program: Program, graph: Graph, model: Path
) -> dict[str, dict[str, Grid]]:
    """What the stored samples are, and the spikes that they must cause.

    A sample that is held is one step as long as all.
    """
    built = read_built(model)
    given, spikes = built.examples(built.stored, None).x, bundle.golden
    if spikes is None:
        with find_target("reference").load(program) as session:
            spikes = session.run(given).spikes
    dt, entering = program.timing.dt, graph.input
    found = {}
    if entering.name not in spikes:
        held = program.timing.steps * dt
        found[entering.name] = {"input": (given[:][:, None], held)}
    for node in (entering, *graph.nodes):
        if node.name in spikes:
            sent = spikes[node.name]
            whole = sent.reshape(*sent.shape[:2], *graph.shapes[node.name])
            found[node.name] = {"spikes": (whole, dt)}
    return found


def sidecar_of(path: Path) -> Path | None:
    """The side-car beside a NIR file; None where there is none."""
    beside = _beside(path, SIDECAR)
    return beside if path.suffix == ".nir" and beside.exists() else None


def restore(path: Path, sidecar: Path, out: Path, *, asked: bool = False) -> Program:
    """Write the Program's bundle as it was before it was exported to ``path``.

    ``asked``: whether something is asked of how the network in ``path`` is read.

    Raises:
        ModelError: ``out`` is not the path of a .snn, or something is asked.
        BundleError: the side-car is damaged, holds no Program, or that of other files;
            or the bundle cannot be written.
    """
    if out.suffix != ".snn":
        raise ModelError(f"Bundle {str(out)!r}: its name has to end in .snn")
    if asked:
        raise ModelError(
            f"Model {str(path)!r}: {str(sidecar)!r} beside it holds its Program, built "
            "already; leave out what says how the network is read, or move the "
            "side-car away"
        )
    bundle = load_bundle(sidecar)
    noted: Any = bundle.metadata.get(NOTED)
    title = f"Side-car {str(sidecar)!r}"
    advice = "export the Program again, or move the side-car away"
    if bundle.program is None or not isinstance(noted, dict):
        raise BundleError(f"{title}: it is no Program that was exported; {advice}")
    for what, file in _places(path).items():
        if file.exists() and sha256_of(file) != noted.get(what):
            raise BundleError(
                f"{title}: it belongs to another {what} than {str(file)!r} holds now; "
                f"{advice}"
            )
    metadata = {key: value for key, value in bundle.metadata.items() if key != NOTED}
    save_bundle(out, replace(bundle, metadata=metadata))
    return bundle.program
