"""Everything that a build says of itself, under names: facts in words, and figures.

Names follow the fields of a Report, so a field more is a name more:

    spikes, synaptic_operations, mean_rate.hz, …    of the whole core
    conv1.spikes, conv1.mean_rate.hz, …             of the layer conv1
    mean IoU of integer SNN, score                  of the answers; the first is score
    energy, conv1.energy, cores, wall_time, …       the rest
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...toolchain.bundle.bundle import Bundle, load_bundle
from ...toolchain.errors import DataError
from ...toolchain.graph.nodes import Array
from ...toolchain.passes.place.limits import CHIP
from ...toolchain.program.program import Program
from ..report.report import Report

REPORT, PROGRAM = "report.json", "program.snn"
CONFIGURATION = (
    *("target", "kind", "source", "samples", "steps", "dt", "presentation", "settle"),
    *("readout_tau", "tool_version", "schema"),
)
"""Fields of a Report that say how it came about; the numbers among them are figures
as well."""
NAMES = ("name", "population", "layer")
"""Fields by which an item of a list is known."""
UNCOMPARED = (
    *("labels", "confusion", "notes", "scores", "findings", "calibration", "figures"),
    *("provenance.date", "provenance.command"),
)
"""Fields of a Report that are told otherwise, or not at all."""
PREFIXES = ("total.", f"utilization.{CHIP}.", "utilization.", "overflows.")
"""Of a name, that go without saying."""
LAYERED = {"layers": "", "energy.layers": ".energy"}
"""List of layers → what stands between a layer's name and a figure's."""
DIGEST = 12  # digits of a hash that are shown


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of two that are compared."""

    path: str
    facts: Mapping[str, str]
    figures: Mapping[str, float]
    layers: tuple[str, ...]


def read_side(path: Path) -> Side:
    """A build's folder, its program.snn, or a report.json.

    Beside a program.snn, and a report.json, lies what else the build wrote; a report of
    another name, or one alone, is read as it is.

    Raises:
        DataError, BundleError: there is none, or it is not in order.
    """
    folder = path if path.is_dir() else path.parent
    named = path.is_dir() or path.name in (REPORT, PROGRAM)
    files = {
        name: folder / name
        for name in (REPORT, PROGRAM)
        if named and (folder / name).is_file()
    }
    if not path.is_dir():
        files[PROGRAM if path.suffix == ".snn" else REPORT] = path
    if not files:
        raise DataError(
            f"Build {str(path)!r}: it holds neither {REPORT} nor {PROGRAM}; name the "
            "folder that a build wrote, or one of these files"
        )
    facts: dict[str, str] = {}
    figures: dict[str, float] = {}
    layers: tuple[str, ...] = ()
    if PROGRAM in files:
        facts |= _of_bundle(load_bundle(files[PROGRAM]))
    if REPORT in files:
        report = Report.from_json(files[REPORT])
        layers = tuple(layer.name for layer in report.layers)
        figures = _figures(report)
        facts |= _facts(report)
    return Side(path=str(path), facts=facts, figures=figures, layers=layers)


def _facts(report: Report) -> dict[str, str]:
    table = asdict(report)
    facts = {name: str(table[name]) for name in CONFIGURATION}
    facts |= {
        name: value
        for name, value in _leaves("", table)
        if isinstance(value, str) and name not in facts
    }
    for choice in report.calibration:
        facts[f"calibration {choice.name}"] = choice.value
    for finding in report.findings:
        where = f" {finding.layer}" if finding.layer else ""
        facts[f"{finding.severity} {finding.id}{where}"] = finding.message
    if report.scores:
        facts["score"] = report.scores[0].metric
    return facts


def _figures(report: Report) -> dict[str, float]:
    figures = {
        name: float(value)
        for name, value in _leaves("", asdict(report))
        if not isinstance(value, str)
    }
    scores = {f"{s.metric} of {s.name}": s.value for s in report.scores}
    first = {"score": report.scores[0].value} if report.scores else {}
    return {**first, **scores, **figures}


def _leaves(path: str, value: Any) -> Iterator[tuple[str, str | float]]:
    """Name and value of every text and number in a Report's table."""
    if isinstance(value, dict):
        for key, item in value.items():
            where = f"{path}.{key}" if path else key
            if where not in UNCOMPARED:
                yield from _leaves(where, item)
    elif isinstance(value, (list, tuple)):
        yield from _items(path, value)
    elif isinstance(value, (str, int, float)):
        yield _known(path), value


def _items(path: str, items: Any) -> Iterator[tuple[str, str | float]]:
    if path.startswith("utilization.") and len(items) == 2:
        yield _known(path), items[0]  # used, of how many there are
        return
    for item in items:
        name = _name(item) if isinstance(item, dict) else None
        if name is not None:
            rest = {key: part for key, part in item.items() if key not in NAMES}
            layered = path in LAYERED
            where = f"{name}{LAYERED[path]}" if layered else f"{path}.{name}"
            yield from _leaves(where, rest)


def _name(item: Mapping[str, Any]) -> str | None:
    """By what an item of a list is known; a population has several cores."""
    name = next((str(item[key]) for key in NAMES if key in item), None)
    if name is not None and "chip" in item:
        return f"{name} chip {item['chip']} core {item['number']}"
    return name


def _known(path: str) -> str:
    """A path of fields as the name that users know it by.

    >>> _known("total.spikes"), _known("energy.total.total.high")
    ('spikes', 'energy.high')
    >>> _known("conv1.energy.active_updates.value"), _known("conv1.energy.total.value")
    ('conv1.energy.active_updates', 'conv1.energy')
    """
    path = path.removesuffix(".value").replace("energy.total", "energy", 1)
    path = re.sub(r"(^|\.)energy\.total(?=$|\.)", r"\1energy", path)
    for said in PREFIXES:
        path = path.removeprefix(said)
    return path


def _of_bundle(bundle: Bundle) -> dict[str, str]:
    """What a build noted, and a hash of every part of the integers."""
    facts: dict[str, str] = {}
    for key in ("model", "settings", "reading"):
        noted = bundle.metadata.get(key)
        if isinstance(noted, Mapping):
            facts |= {f"{key} {name}": _text(value) for name, value in noted.items()}
    for key in ("data", "task"):
        facts[key] = _text(bundle.metadata.get(key))
    if bundle.program is not None:
        facts |= _integers(bundle.program)
    return facts


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _integers(program: Program) -> dict[str, str]:
    facts = {}
    for p in program.populations:
        facts[f"integers {p.name}"] = f"{p} {_digest(p.bias, p.thresholds)}"
    for n, c in enumerate(program.connections):
        several = f" {n}" if len(_between(program, c.source, c.target)) > 1 else ""
        name = f"integers {c.source} → {c.target}{several}"
        facts[name] = f"{c} {_digest(c.weight)}"
    return facts


def _between(program: Program, source: str, target: str) -> list[Any]:
    return [c for c in program.outgoing(source) if c.target == target]


def _digest(*arrays: Array) -> str:
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.shape} {array.dtype}".encode())
        found.update(array.tobytes())
    return f"sha256 {found.hexdigest()[:DIGEST]}"
