"""Energy proxy: counted events times published constants, term by term, with bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..counts.footprint import Footprint
from ..counts.traffic import Messages, Traffic
from ..statistics import HostStatistics, LayerStatistics
from .band import Band, Constant, exactly, total
from .latency import Latency
from .memory import memory_energy
from .mode import Mode
from .profile import DeviceProfile

TITLE = "energy proxy, not a measurement"
DYNAMIC, HOST, STATIC, ALTERNATIVE = "dynamic", "host", "static", "alternative"
UNPLACED = "the target places no neuron on a core, so no spike has a way"
HOPS = {
    "spike_message": "messages",
    "spike_within_tile": "within_tile",
    "hop_east_west": "east_west",
    "hop_north_south": "north_south",
}
"""Constant → which figure of ``Messages`` it is of."""


@dataclass(frozen=True, kw_only=True)
class LayerEnergy:
    """The chip's dynamic terms of one layer and their sum, J an inference.

    None: the device's constant is not published, or the events are not counted.
    """

    name: str
    synaptic_operations: Band | None
    """Of the spikes that arrive at this layer."""
    active_updates: Band | None
    inactive_updates: Band | None
    hops: Band | None = None
    """Of the spikes that it sends."""
    total: Band | None


@dataclass(frozen=True, kw_only=True)
class Term:
    """One term of the whole: what it is, how much, and how that is known."""

    name: str
    part: str
    """"dynamic", "host" or "static", which add up; an "alternative" does not."""
    mode: Mode
    energy: Band | None  # J an inference
    source: str  # constant, count and publication; or why there is no figure


@dataclass(frozen=True, kw_only=True)
class EnergyProxy:
    """Energy per inference: a device's constants times the counts of a Report."""

    title: str  # TITLE
    profile: DeviceProfile
    layers: tuple[LayerEnergy, ...]
    total: LayerEnergy
    """The chip's dynamic energy."""
    terms: tuple[Term, ...] = ()
    host: Band | None = None
    """Encoder and decoder."""
    static: Band | None = None
    """Power of chips that do nothing, for the latency."""
    whole: Band | None = None
    """Dynamic, host and static energy that there is a figure for; None where the
    device has no energy of a synaptic operation."""
    latency: Latency | None = None


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What beside the layers' statistics the terms are made of; None: not known."""

    host: HostStatistics | None = None
    traffic: Traffic | None = None
    memory: tuple[Footprint, ...] = ()
    latency: Latency | None = None
    chips: int = 1


NOTHING = Surroundings()


def energy_proxy(
    statistics: Sequence[LayerStatistics],
    profile: DeviceProfile,
    around: Surroundings = NOTHING,
) -> EnergyProxy:
    """Constants of ``profile`` times counts, J per inference.

    E = e_synop · synaptic operations + e_active · active + e_inactive · inactive
    updates + Σ e_hop · hops              (dynamic, layer by layer)
      + e_mac · encoder's and decoder's multiply-accumulates          (host)
      + P_static · chips · latency                                  (static)
    """
    routes = _routes(profile, around)
    layers = tuple(
        _layer_energy(layer, profile, routes.get(layer.name)) for layer in statistics
    )
    summed = {
        term: total(getattr(layer, term) for layer in layers)
        for term in ("synaptic_operations", "active_updates", "inactive_updates")
    }
    hops = total(layer.hops for layer in layers) if routes else None
    known = profile.synaptic_operation is not None
    dynamic = total([*summed.values(), hops]) if known else None
    core = LayerEnergy(name="total", **summed, hops=hops, total=dynamic)
    terms = (
        *_dynamic_terms(core, statistics, profile, around),
        *_host_terms(profile, around.host),
        _static_term(profile, around),
        _memory_term(statistics, profile, around),
    )
    host = total(term.energy for term in terms if term.part == HOST)
    static = total(term.energy for term in terms if term.part == STATIC)
    return EnergyProxy(
        title=TITLE,
        profile=profile,
        layers=layers,
        total=core,
        terms=terms,
        host=host,
        static=static,
        whole=total([dynamic, host, static]) if known else None,
        latency=around.latency,
    )


def _routes(profile: DeviceProfile, around: Surroundings) -> dict[str, Messages]:
    """Messages of each layer; empty where no hop has a figure."""
    there = profile.placed and any(getattr(profile, name) for name in HOPS)
    if around.traffic is None or not there:
        return {}
    return {row.name: row for row in around.traffic.layers}


def _layer_energy(
    layer: LayerStatistics, profile: DeviceProfile, route: Messages | None
) -> LayerEnergy:
    synaptic = _times(profile.synaptic_operation, layer.incoming_operations)
    active = _times(profile.active_update, layer.active_updates)
    inactive = _times(profile.inactive_update, layer.inactive_updates)
    hops = None if route is None else _hops(profile, route)
    known = profile.synaptic_operation is not None
    return LayerEnergy(
        name=layer.name,
        synaptic_operations=synaptic,
        active_updates=active,
        inactive_updates=inactive,
        hops=hops,
        total=total([synaptic, active, inactive, hops]) if known else None,
    )


def _hops(profile: DeviceProfile, route: Messages) -> Band | None:
    return total(
        _times(getattr(profile, constant), getattr(route, figure))
        for constant, figure in HOPS.items()
    )


def _times(constant: Constant | None, events: float | None) -> Band | None:
    return None if constant is None else constant.times(events)


def _term(name: str, part: str, energy: Band | None, constants: str, why: str) -> Term:
    """Estimated by ``constants``; without a figure, ``why`` not."""
    if energy is None:
        return Term(name=name, part=part, mode="unavailable", energy=None, source=why)
    return Term(name=name, part=part, mode="estimated", energy=energy, source=constants)


def _dynamic_terms(
    core: LayerEnergy,
    statistics: Sequence[LayerStatistics],
    profile: DeviceProfile,
    around: Surroundings,
) -> list[Term]:
    counts = {
        "synaptic_operation": sum(x.incoming_operations or 0.0 for x in statistics),
        "active_update": sum(x.active_updates for x in statistics),
        "inactive_update": sum(x.inactive_updates for x in statistics),
    }
    terms = []
    for constant, events in counts.items():
        name = f"{constant}s"
        found = getattr(core, name)
        said = _said(getattr(profile, constant), events)
        words = name.replace("_", " ")
        terms.append(_term(words, DYNAMIC, found, said, profile.why(constant)))
    said, why = "", UNPLACED
    if around.traffic is not None:
        there = {name: getattr(profile, name) for name in HOPS}
        said = "; ".join(
            f"{HOPS[name].replace('_', ' ')}: "
            + _said(constant, getattr(around.traffic.total, HOPS[name]))
            for name, constant in there.items()
            if constant is not None
        )
        said = f"{said}; {around.traffic.assumption}"
        why = profile.why("hop_east_west")
    terms.append(_term("spikes between cores", DYNAMIC, core.hops, said, why))
    return terms


def _said(constant: Constant | None, events: float) -> str:
    return "" if constant is None else f"{events:.6g} · {constant}; {constant.source}"


def _host_terms(profile: DeviceProfile, host: HostStatistics | None) -> list[Term]:
    terms = []
    for part in ("encoder", "decoder"):
        macs = None if host is None else getattr(host, f"{part}_macs")
        constant = profile.host_mac
        why = profile.why("host_mac") if host else "the host's operations are not known"
        said = _said(constant, macs or 0)
        terms.append(_term(part, HOST, _times(constant, macs), said, why))
    return terms


def _static_term(profile: DeviceProfile, around: Surroundings) -> Term:
    power, latency = profile.static_power, around.latency
    if power is None or latency is None:
        why = "the latency is not known" if power else profile.why("static_power")
        return _term("static power", STATIC, None, "", why)
    energy = power.band.times(exactly(around.chips)).times(latency.seconds)
    chips = f"{around.chips} chip{'s' if around.chips > 1 else ''}"
    said = (
        f"{power} · {chips} · {1e3 * latency.seconds.value:.4g} ms "
        f"({latency.mode}: {latency.source}); {power.source}"
    )
    return _term("static power", STATIC, energy, said, "")


def _memory_term(
    statistics: Sequence[LayerStatistics],
    profile: DeviceProfile,
    around: Surroundings,
) -> Term:
    name = "memory accesses"
    weights = sum(each.weights for each in around.memory)
    if profile.core_memory is None or not weights:
        missing = "core_memory" if profile.core_memory is None else "weights"
        why = f"{missing} of {profile.device} not known here"
        return _term(name, ALTERNATIVE, None, "", why)
    bits = sum(each.weight_bits for each in around.memory) / weights
    messages = None if around.traffic is None else around.traffic.total.messages
    energy = memory_energy(statistics, messages, bits, profile.core_memory)
    said = (
        f"SRAM at 45 nm (Horowitz 2014, Lemaire et al. 2022): weights of {bits:.3g} "
        f"bits from {profile.core_memory >> 10} KiB, state, axons; an operation's "
        "published energy holds its accesses, so this is not added"
    )
    return _term(name, ALTERNATIVE, energy, said, "")
