"""Report: every figure of a run, each said to be counted, estimated or measured."""

from __future__ import annotations

import errno
import json
import types
from collections.abc import Mapping
from dataclasses import (
    MISSING,
    asdict,
    dataclass,
    field,
    fields,
    is_dataclass,
)
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ...toolchain.bundle.archive import write_together
from ...toolchain.errors import DataError
from ...toolchain.files import demand_regular, parse_json, sha256_of
from ..choice import Choice
from ..counts.firmware import Firmware
from ..counts.footprint import Footprint
from ..counts.neurobench import Metric
from ..counts.traffic import Traffic
from ..energy.chip_time import ChipTime
from ..energy.mode import Mode
from ..energy.power_log import MeasuredEnergy
from ..energy.terms import EnergyProxy
from ..findings.finding import Finding, worthless
from ..opinion.opinion import SecondOpinion
from ..opponents.standing import Standing
from ..overflow import Overflow
from ..provenance import Provenance
from ..rounding import Moved
from ..statistics import HostStatistics, LayerStatistics
from .figures.figures import Figures
from .migrations import migrated

SCHEMA = 4
LARGEST = 1e300  # of any figure; beyond it, sums of floats overflow
LABELS: Mapping[str, Mode] = {
    "layers": "counted",
    "total": "counted",
    "host": "counted",
    "utilization": "counted",
    "traffic": "counted",
    "memory": "counted",
    "firmware": "counted",
    "instructions": "simulated",
    "overflows": "counted",
    "energy": "estimated",
    "chip_time": "estimated",
    "second_opinion": "simulated",
    "rounding": "counted",
    "opponents": "estimated",
    "measured": "measured",
    "timings": "measured",
    "wall_time": "measured",
    "confusion": "counted",
}
"""Field of a Report → what kind of figure it holds; a Score carries its own, and so do
the terms of the energy and NeuroBench's metrics."""
SOURCES: Mapping[str, str] = {
    "layers": "spikes that the target recorded, times each neuron's own fan-out",
    "total": "the sum of the layers",
    "host": "the Graphs of encoder and decoder, products with padding left out",
    "utilization": "the placement on cores",
    "traffic": "recorded spikes along the placement's axons",
    "memory": "widths of weights, state and addresses as the core stores them",
    "firmware": "the compiled network, as ``firmware.how`` says",
    "instructions": "QEMU, those of a sample's steps, at most 2 off in a step",
    "overflows": "calibration data, and bounds from the weights",
    "energy": "counts times constants, each with its publication: its terms",
    "chip_time": "published times of events times counts, core by core",
    "second_opinion": "SANA-FE, handed the placement and the recorded spikes",
    "rounding": "the float network's spikes, step by step, on the first samples",
    "opponents": "published energies of a multiply-accumulate times counts",
    "measured": "a power log that was read in",
    "timings": "this computer's clock",
    "wall_time": "this computer's clock",
    "confusion": "answers held to labels",
}
"""Field of a Report → where its figures are from."""

Utilization = Mapping[str, Mapping[str, tuple[int, int]]]
"""Population, or ``CHIP`` → resource → (used, max)."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """How well the task was done: by the network, or by what it is held against."""

    name: str  # "integer SNN", "float ANN", "constant box", …
    metric: str  # "mean IoU", …
    value: float
    label: Mode
    note: str = ""
    low: float | None = None  # 95 % interval, where the samples are few
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """Which class was taken for which: true class → predicted class → samples."""

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @property
    def worst(self) -> tuple[tuple[str, str, int, int], ...]:
        """Commonest mistakes first: true, predicted, how often, of how many."""
        names = self.classes
        found = (
            (names[t], names[p], count, sum(row))
            for t, row in enumerate(self.counts)
            for p, count in enumerate(row)
            if t != p and count
        )
        return tuple(sorted(found, key=lambda mistake: -mistake[2]))


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """How long a step of the build took."""

    name: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Report:
    """What ``measure`` found out about one Program on one target."""

    schema: int
    tool_version: str
    target: str
    kind: str  # "float simulation" | "integer emulation" | "hardware"
    dt: float  # s
    steps: int  # steps per sample
    presentation: float  # s, dt · steps
    settle: float  # s at the start that the read-out leaves out
    readout_tau: float  # s, synaptic filter of the read-out, 0: plain mean
    source: str  # where the samples are from
    samples: int
    layers: tuple[LayerStatistics, ...]
    total: LayerStatistics
    host: HostStatistics
    utilization: Utilization
    energy: EnergyProxy
    scores: tuple[Score, ...]
    overflows: tuple[Overflow, ...]
    timings: tuple[StepTime, ...]
    wall_time: float  # s that the target took for all samples, on this computer
    confusion: Confusion | None = None
    notes: tuple[str, ...] = ()  # what a reader of the scores must know
    findings: tuple[Finding, ...] = ()  # what is wrong, and what mends it
    calibration: tuple[Choice, ...] = ()
    provenance: Provenance | None = None  # None: not recorded, as the next
    figures: Figures | None = None
    memory: tuple[Footprint, ...] = ()
    firmware: Firmware | None = None  # None: it was compiled for no processor
    instructions: tuple[int, ...] = ()  # of the first samples, in order
    traffic: Traffic | None = None
    neurobench: tuple[Metric, ...] = ()
    measured: MeasuredEnergy | None = None
    chip_time: ChipTime | None = None
    second_opinion: SecondOpinion | None = None
    opponents: Standing | None = None
    rounding: tuple[Moved, ...] = ()  # of a network that was written as spikes
    unavailable: Mapping[str, str] = field(default_factory=dict)
    """Figure that there is none of → why."""

    @property
    def worthless(self) -> bool:
        """Whether the findings make the answers worth nothing."""
        return worthless(self.findings)

    def of_another(self, program: Path) -> bool:
        """Whether a program.snn is there that this was not written with."""
        known = self.provenance.program_sha256 if self.provenance else ""
        return bool(known) and program.is_file() and sha256_of(program) != known

    def encoded(self) -> bytes:
        """The report as a file, full precision.

        Raises:
            DataError: a figure is not a number.
        """
        about = {"labels": dict(LABELS), "sources": dict(SOURCES)}
        table = {**asdict(self), **about}
        try:
            text = json.dumps(table, indent=2, ensure_ascii=False, allow_nan=False)
        except ValueError as error:
            raise DataError(
                "Report: one of its figures is NaN or infinite; look at the scores"
            ) from error
        return f"{text}\n".encode()

    def to_json(self, path: str | Path) -> None:
        """Write the report, in one piece or not at all.

        Raises:
            DataError: a figure is not a number, or the file cannot be written.
        """
        write_files({Path(path): self.encoded()})

    @classmethod
    def from_json(cls, path: str | Path) -> Report:
        """Read a report that ``to_json`` wrote, now or in an older version.

        Raises:
            DataError: there is none, it is damaged, or of a newer schema.
        """
        try:
            demand_regular(Path(path))
            table = parse_json(Path(path).read_bytes())
        except OSError as error:
            raise DataError(
                f"Report {str(path)!r}: it cannot be read ({error.strerror}); name the "
                "report.json that a build wrote"
            ) from error
        except ValueError as error:
            raise DataError(
                f"Report {str(path)!r}: it cannot be read as JSON; name the "
                "report.json that a build wrote, or its folder"
            ) from error
        schema = table.get("schema") if isinstance(table, dict) else None
        if not isinstance(schema, int):
            raise DataError(f"Report {str(path)!r}: it is no report; it has no schema")
        if schema > SCHEMA:
            raise DataError(
                f"Report {str(path)!r}: its schema is {schema}, this version reads up "
                f"to {SCHEMA}; install a newer snn-deploy"
            )
        if schema < 1:
            raise DataError(f"Report {str(path)!r}: there is no schema {schema}")
        for about in ("labels", "sources"):
            table.pop(about, None)
        try:
            report: Report = revive(cls, migrated(table, SCHEMA), "report")
        except ValueError as error:
            raise DataError(
                f"Report {str(path)!r}: it is damaged ({error}); build it again"
            ) from error
        return report


def write_files(files: Mapping[Path, bytes]) -> None:
    """Write files in one piece: a reader sees the old ones or the new ones.

    Raises:
        DataError: one cannot be written.
    """
    try:
        write_together(files)
    except OSError as error:
        names = ", ".join(repr(str(path)) for path in files)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        remedy = "make room, or" if full else "a folder must exist and be yours;"
        raise DataError(
            f"File {names}: it cannot be written ({error.strerror}); {remedy} name "
            "another place"
        ) from error


@cache
def _fields_of(kind: type) -> tuple[dict[str, Any], set[str]]:
    """Field of a dataclass → its type, and the fields that have no default."""
    hints = get_type_hints(kind)
    needed = {
        f.name
        for f in fields(kind)
        if f.default is MISSING and f.default_factory is MISSING
    }
    return {f.name: hints[f.name] for f in fields(kind)}, needed


def revive(kind: Any, value: Any, where: str) -> Any:
    """The value of type ``kind`` that ``asdict`` and JSON made ``value`` of."""
    origin, args = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and is_dataclass(kind):
        hints, needed = _fields_of(kind)
        if not isinstance(value, dict) or not needed <= set(value) <= set(hints):
            raise ValueError(f"{where} must hold {', '.join(hints)}")
        parts = {n: revive(hints[n], value[n], f"{where}.{n}") for n in value}
        return kind(**parts)
    if origin is tuple and isinstance(value, list):
        kinds = args[:1] * len(value) if args[-1] is ... else args
        if len(kinds) == len(value):
            return tuple(revive(k, v, where) for k, v in zip(kinds, value))
    elif origin is Mapping and isinstance(value, dict):
        return {k: revive(args[1], v, f"{where}.{k}") for k, v in value.items()}
    elif origin in (Union, types.UnionType):
        return None if value is None else revive(args[0], value, where)
    elif origin is Literal and value in args:
        return value
    elif origin is None and isinstance(value, bool) == (kind is bool):
        known = isinstance(value, (int, float) if kind is float else kind)
        if known and (isinstance(value, str) or abs(value) <= LARGEST):
            return value
    raise ValueError(f"{where} is {str(value)[:40]!r}")
