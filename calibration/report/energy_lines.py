"""A Report's energy in words: estimated term by term, refused, or measured."""

from __future__ import annotations

from collections.abc import Iterator

from ..energy.power_log import MeasuredEnergy
from ..energy.terms import ALTERNATIVE, DYNAMIC, EnergyProxy
from .numbers import band, energy


def energy_line(proxy: EnergyProxy) -> str:
    """What an inference takes, in one sentence."""
    dynamic = proxy.total.total
    if dynamic is None:
        profile = proxy.profile
        return (
            f"no figure in joules for {profile.device}: "
            f"{profile.why('synaptic_operation')}"
        )
    said = f"{proxy.title}: {band(dynamic)} an inference on the chip"
    if proxy.host is not None:
        said += f" · on the host {band(proxy.host)}"
    if proxy.static is not None and proxy.latency is not None:
        said += (
            f" · at rest {band(proxy.static)} in "
            f"{1e3 * proxy.latency.seconds.value:.4g} ms, {proxy.latency.source}"
        )
    return said


def energy_details(proxy: EnergyProxy, *, wide: bool) -> Iterator[str]:
    """Terms, constants and what is left out; published measurements where refused."""
    profile = proxy.profile
    if proxy.total.total is not None:
        if wide:
            for term in proxy.terms:
                found = "none" if term.energy is None else band(term.energy)
                yield f"{term.name} [{term.part}, {term.mode}] {found}: {term.source}"
        else:
            yield "on the chip: " + " · ".join(_terms(proxy))
        yield (
            f"{profile.name} ({profile.device}): synaptic operation "
            f"{profile.synaptic_operation} · active update "
            f"{profile.active_update or 'none'} · inactive update "
            f"{profile.inactive_update or 'none'}"
        )
        if profile.excluded:
            yield f"excluded: {', '.join(profile.excluded)}"
    for anchor in profile.anchors if wide or proxy.total.total is None else ():
        yield (
            f"published of {profile.device}: {anchor.what}: {anchor.figure} "
            f"[{anchor.tag}], {anchor.source}"
        )


def _terms(proxy: EnergyProxy) -> Iterator[str]:
    for term in proxy.terms:
        if term.part == DYNAMIC:
            found = f"none ({term.source})" if term.energy is None else ""
            figure = found if term.energy is None else energy(term.energy.value)
            yield f"{term.name} {figure}"
        if term.part == ALTERNATIVE and term.energy is not None:
            yield f"{term.name} alone, as SRAM at 45 nm, {band(term.energy)}"


def measured_lines(measured: MeasuredEnergy) -> Iterator[str]:
    """What a power log said, or why it says nothing."""
    for flag in measured.flags:
        yield f"no result: {flag}"
    if measured.total is not None:
        said = f"measured: {energy(measured.total)} an inference in all"
        if measured.dynamic is not None:
            said += f", {energy(measured.dynamic)} without idle"
        idle = measured.idle_power
        resting = "" if idle is None else f", idle {idle:.4g} W"
        yield (
            f"{said} ({measured.inferences} in {measured.seconds:.4g} s at "
            f"{measured.run_power:.4g} W{resting}; {measured.source})"
        )
