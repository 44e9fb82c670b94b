"""What ran, and what it did → a Report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version

from ...toolchain.graph.nodes import FloatArray
from ...toolchain.passes.place.place import Placement
from ...toolchain.program.program import Program
from ...toolchain.program.recording import Recording
from ...toolchain.verdict.compare import FLOAT
from ..choice import Choice
from ..counts.footprint import footprint
from ..counts.neurobench import neurobench
from ..counts.traffic import Traffic, traffic
from ..counts.updates import Updates, updates
from ..energy.latency import real_time
from ..energy.profile import DeviceProfile
from ..energy.terms import UNPLACED, Surroundings, energy_proxy
from ..findings.finding import Finding
from ..overflow import Overflow
from ..provenance import Provenance
from ..rounding import Moved, moved
from ..statistics import (
    LayerStatistics,
    host_statistics,
    layer_statistics,
    total_statistics,
)
from .beside import beside
from .figures.figures import Figures
from .report import SCHEMA, Confusion, Report, Score, StepTime, Utilization

MOST = 1 << 25  # updates of a layer that are held at once, of one sample
KEPT = 2  # samples whose updates are worked out step by step, and zeros counted


@dataclass(frozen=True, eq=False)
class Shown:
    """The first samples of a run, and their Recording, with its spikes."""

    samples: FloatArray
    recording: Recording

    @classmethod
    def of(cls, samples: FloatArray, recording: Recording) -> Shown:
        """The first ``KEPT`` of them."""
        spikes = {name: s[:KEPT] for name, s in recording.spikes.items()}
        return cls(samples[:KEPT], replace(recording, spikes=spikes))

    def moved(self, program: Program) -> tuple[Moved, ...]:
        """What rounding moved of a network that was written as spikes."""
        return moved(program, self.samples, self.recording)


def measure(
    program: Program,
    recording: Recording,
    profile: DeviceProfile,
    *,
    source: str,
    scores: tuple[Score, ...] = (),
    utilization: Utilization | None = None,
    overflows: tuple[Overflow, ...] = (),
    timings: tuple[StepTime, ...] = (),
    confusion: Confusion | None = None,
    notes: tuple[str, ...] = (),
    findings: tuple[Finding, ...] = (),
    calibration: tuple[Choice, ...] = (),
    placement: Placement | None = None,
    shown: Shown | None = None,
    provenance: Provenance | None = None,
    figures: Figures | None = None,
    opinion: bool = False,
) -> Report:
    """Program and Recording → Report.

    Args:
        program: what ran.
        recording: what it did; counts are enough.
        profile: the device whose energy is estimated.
        source: where the samples are from, in words.
        scores: of the task, with those of the baselines.
        utilization: of the target's resources; empty where it has none.
        overflows: as found in calibration.
        timings: of the build's steps.
        confusion: of the classes, where there are any.
        notes: what a reader of the scores must know.
        findings: what is wrong, and what mends it.
        calibration: what it chose.
        placement: on cores, where the target has any.
        shown: the first samples with their spikes, for what is counted step by step.
        provenance: where the figures come from.
        figures: the numbers behind what a page draws.
        opinion: whether SANA-FE is asked too, of the samples shown.

    Raises:
        DataError: the recording is empty or not one of this Program.
        TargetUnavailable: SANA-FE is asked, and is not installed or failed.
    """
    layers = layer_statistics(program, recording)
    total = total_statistics(program, recording)
    host = host_statistics(program)
    memory = footprint(program, placement)
    routes = None if placement is None else traffic(program, recording, placement)
    obstacle, made = _obstacle(program, shown), None
    if shown is not None and obstacle is None:
        made = updates(program, shown.samples, shown.recording)
        layers, total = _skipping(layers, made), _skipping_in_all(total, made)
    around = Surroundings(
        host=host,
        traffic=routes,
        memory=memory,
        latency=real_time(recording.dt, recording.steps),
        chips=placement.chips if placement is not None and profile.placed else 1,
    )
    proxy = energy_proxy(layers, profile, around)
    more = beside(
        *(program, recording, profile, proxy, layers, total, memory),
        shown=None if shown is None else shown.recording,
        placement=placement,
        routes=routes,
        opinion=opinion,
    )
    return Report(
        schema=SCHEMA,
        tool_version=version("snn-deploy"),
        target=recording.target,
        kind=recording.kind,
        dt=recording.dt,
        steps=recording.steps,
        presentation=recording.dt * recording.steps,
        settle=program.decoder.settle,
        readout_tau=program.decoder.tau_syn,
        source=source,
        samples=recording.samples,
        layers=layers,
        total=total,
        host=host,
        utilization=utilization or {},
        energy=proxy,
        scores=scores,
        overflows=overflows,
        timings=timings,
        wall_time=recording.wall_time,
        confusion=confusion,
        notes=notes,
        findings=findings,
        calibration=calibration,
        memory=memory,
        traffic=routes,
        neurobench=neurobench(
            program,
            recording,
            layers,
            host,
            memory,
            None if shown is None else shown.samples,
            made,
        ),
        chip_time=more.chip_time,
        second_opinion=more.second_opinion,
        opponents=more.opponents,
        unavailable={**_missing(routes, obstacle), **more.unavailable},
        rounding=() if shown is None else shown.moved(program),
        provenance=provenance,
        figures=figures,
    )


def _skipping(
    layers: tuple[LayerStatistics, ...], made: Mapping[str, Updates]
) -> tuple[LayerStatistics, ...]:
    """With the updates that a chip driven by events would not make."""
    return tuple(
        replace(layer, skipped_updates=made[layer.name].skipped)
        if layer.name in made
        else layer
        for layer in layers
    )


def _skipping_in_all(
    total: LayerStatistics, made: Mapping[str, Updates]
) -> LayerStatistics:
    return replace(total, skipped_updates=sum(each.skipped for each in made.values()))


def _obstacle(program: Program, shown: Shown | None) -> str | None:
    """Why no update can be worked out step by step."""
    if shown is None or not shown.recording.spikes:
        return "spikes were counted, and the steps of none kept"
    if shown.recording.kind == FLOAT:
        return "its neurons are float ones, which the core's arithmetic does not follow"
    largest = max(p.size for p in program.populations) * shown.recording.steps
    if largest > MOST:
        return f"a layer's {largest} updates are too many to be worked out again"
    return None


def _missing(routes: Traffic | None, obstacle: str | None) -> dict[str, str]:
    """Figure that there is none of → why."""
    missing = {} if routes is not None else {"traffic": UNPLACED}
    return missing if obstacle is None else {**missing, "skipped_updates": obstacle}
