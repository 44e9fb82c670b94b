"""Check: whether a network can be deployed, what stands in the way, what it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .calibration.balance import balance
from .calibration.operations import core_macs, macs
from .model_files import read_model, sends_spikes
from .pipeline.compilation import DEFAULT_STEPS
from .targets.contract import Target, find_target, refuse
from .toolchain.errors import DoesNotFit, Obstacle, SnnDeployError, UnsupportedLayer
from .toolchain.frontends.contract import ReadInPart
from .toolchain.graph.graph import Graph
from .toolchain.passes.fold import fold
from .toolchain.passes.latency import unequal_depths
from .toolchain.passes.legalize.explained import LayerUse, explained, refused
from .toolchain.passes.legalize.legalize import legalize
from .toolchain.passes.legalize.obstacles import obstacles_before
from .toolchain.passes.place.place import Placement, place
from .toolchain.passes.quantize.quantize import quantize
from .toolchain.passes.rewrite import kind_of
from .toolchain.program.host import spike_encoder
from .toolchain.program.program import Program
from .toolchain.program.scales import Scales

SCHEMA = 1  # of the JSON, docs/check.schema.json
ASSUMED = (
    "a sample drawn from 0 to 1, for the scales; cores and memory do not depend on it, "
    "whether a bias fits does",
)


@dataclass(frozen=True, kw_only=True)
class Advice:
    """One thing to know or to change."""

    id: str  # the same for the same kind of advice
    severity: str  # "error": it cannot be deployed so; "warning"; "note"
    where: str  # a layer, or the whole network
    message: str
    fix: str = ""


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a target needs for it; None with a reason where that cannot be had."""

    target: str
    cores: int | None = None
    chips: int | None = None
    synapse_bytes: int | None = None
    scarcest: str | None = None  # "compartments 71 %", of the cores used
    unavailable: str = ""


@dataclass(frozen=True, kw_only=True)
class Check:
    """What ``check`` found."""

    model: str
    deployable: bool
    layers: tuple[LayerUse, ...]
    advice: tuple[Advice, ...]
    needs: tuple[Need, ...]
    neurons: int | None
    synapses: int | None
    macs: int | None  # dense, of the float network, one sample
    core_macs: int | None  # of them what the core's synapses take the place of
    assumed: tuple[str, ...] = ASSUMED

    def to_json(self) -> dict[str, Any]:
        """As docs/check.schema.json says."""
        return {"schema": SCHEMA, **asdict(self)}


def check(
    model: Path | None,
    targets: Sequence[str],
    *,
    output: str | None = None,
    rewrites: Mapping[str, str] | None = None,
    encoder: str | None = None,
) -> Check:
    """Whether a network can be deployed; no data are needed.

    Args:
        model: as ``model_files.read_model`` takes it.
        targets: names of targets.
        output: which of several outputs to read.
        rewrites: what to rewrite as what, ``toolchain.passes.rewrite``.
        encoder: how samples enter, of ``ENCODERS``.

    Raises:
        ModelError, BundleError: the file is damaged, or no network.
        TargetUnavailable: there is no such target.
    """
    places = [find_target(name) for name in targets]
    name = str(model or "the LocNet that ships")
    try:
        source = read_model(model, output, rewrites)
    except UnsupportedLayer as error:
        part = error.graph if isinstance(error, ReadInPart) else None
        found = error.obstacles + _behind(part, rewrites or {})
        return _refused(name, error, refused(part, found), places, found)
    graph = source.graph
    if encoder is None and sends_spikes(graph):
        encoder = "events"
    spikes = encoder in ("spikes", "events")
    try:
        legal = legalize(fold(graph), input_spikes=spikes)
    except UnsupportedLayer as error:
        found = error.obstacles
        uses = refused(graph, found, input_spikes=spikes)
        return _refused(name, error, uses, places, found)
    uses = explained(graph, legal, input_spikes=spikes)
    try:
        scales = source.scales if graph.is_spiking else None
        program = _program(legal, encoder, scales)
    except SnnDeployError as error:
        return _refused(name, error, uses, places)
    needs, advice = [], list(_warnings(program))
    for target in places:
        need, missing = _need(target, program)
        needs.append(need)
        advice += missing
    synapses = sum(int(c.fan_out.sum()) for c in program.connections)
    return Check(
        model=name,
        deployable=not any(each.severity == "error" for each in advice),
        layers=uses,
        advice=tuple(advice),
        needs=tuple(needs),
        neurons=program.neurons,
        synapses=synapses,
        macs=sum(macs(graph).values()),
        core_macs=sum(core_macs(graph, input_spikes=spikes).values()),
    )


def _program(
    legal: Graph, encoder: str | None, scales: Mapping[str, Scales] | None
) -> Program:
    """The Program of a legalised Graph, for a sample that is assumed."""
    sample = np.random.default_rng(0).random((1, *legal.input.shape))
    dt = legal.dt or 0.001
    return quantize(
        legal if legal.is_spiking else balance(legal, sample),
        sample,
        steps=DEFAULT_STEPS,
        dt=dt,
        encoder=spike_encoder(encoder, legal.prepared.name, dt),
        scales=scales,
    )


def _behind(graph: Graph | None, rewrites: Mapping[str, str]) -> tuple[Obstacle, ...]:
    """What stands in the way beside layers that are not read."""
    if graph is None:
        return ()
    return tuple(
        each
        for each in obstacles_before(graph)
        if kind_of(graph[each.layer]) not in rewrites
    )


def _refused(
    name: str,
    error: SnnDeployError,
    uses: tuple[LayerUse, ...],
    places: Sequence[Target],
    obstacles: Sequence[Obstacle] = (),
) -> Check:
    """That it cannot be deployed, with everything that stands in the way."""
    advice = tuple(
        Advice(
            id=each.id,
            severity="error",
            where=each.layer,
            message=f"{each.kind}: {each.why}",
            fix=each.fix,
        )
        for each in obstacles
    ) or (Advice(id="refused", severity="error", where=name, message=str(error)),)
    why = "the network cannot be compiled yet"
    return Check(
        model=name,
        deployable=False,
        layers=uses,
        advice=advice,
        needs=tuple(Need(target=t.name, unavailable=why) for t in places),
        neurons=None,
        synapses=None,
        macs=None,
        core_macs=None,
    )


def _need(target: Target, program: Program) -> tuple[Need, list[Advice]]:
    """What a target needs, and what of it would not do."""
    limits = target.limits
    try:
        refuse(target, program)
        if limits.core is None or limits.cores is None:
            why = "this target has no cores"
            return Need(target=target.name, unavailable=why), []
        placement = place(program, limits.core, limits.cores, limits.chips)
    except DoesNotFit as error:
        found = Advice(
            id="does-not-fit", severity="error", where=target.name, message=str(error)
        )
        return Need(target=target.name, unavailable="it does not fit"), [found]
    return _placed(target, placement), []


def _placed(target: Target, placement: Placement) -> Need:
    scarcest, share = placement.scarcest
    return Need(
        target=target.name,
        cores=len(placement.cores),
        chips=placement.chips,
        synapse_bytes=placement.total.synapse_bits // 8,
        scarcest=f"{scarcest.replace('_', ' ')} {share:.0%}",
    )


def _warnings(program: Program) -> list[Advice]:
    """What is deployed otherwise than a reader would think."""
    found = []
    for c in program.connections:
        stored = int(c.fan_out.sum())
        if stored and c.nonzero < stored / 2:
            where = f"{c.source} → {c.target}"
            message = (
                f"{stored - c.nonzero} of its {stored} synapses have weight 0 and are "
                "stored all the same"
            )
            found.append(
                Advice(id="zero-weights", severity="note", where=where, message=message)
            )
    for name, steps in unequal_depths(program).items():
        message = (
            f"its sources' first spikes arrive {steps} step(s) apart, so that as many "
            "of the first steps see some of them alone"
        )
        found.append(
            Advice(
                id="unequal-depth",
                severity="note",
                where=name,
                message=message,
                fix="run more steps, or let the read-out leave the first ones out",
            )
        )
    return found
