"""Time, second opinion and opponents, in words for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..counts.firmware import Firmware
from ..energy.chip_time import ChipTime
from ..opinion.opinion import SecondOpinion
from ..opponents.standing import Standing
from .numbers import band, energy, shorten, three_digits

SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def duration(seconds: float) -> str:
    """Three digits and a unit.

    >>> [duration(x) for x in (0.0, 4.65e-7, 0.0023)]
    ['0 s', '465 ns', '2.30 ms']
    """
    for scale, unit in SECONDS:
        if seconds >= scale:
            return f"{three_digits(seconds / scale)} {unit}"
    return "0 s" if seconds == 0 else f"{seconds:.1e} s"


def time_line(time: ChipTime) -> str:
    """How long the chip takes, and the core that the others wait for."""
    step, whole, busiest = time.step, time.inference, time.busiest
    return (
        f"{duration(step.value)} ({duration(step.low)} to {duration(step.high)}) a "
        f"step, {duration(whole.value)} ({duration(whole.low)} to "
        f"{duration(whole.high)}) an inference at the chip's own pace [{time.mode}: "
        f"{time.source}]; a core of {busiest.population} does most, "
        f"{duration(busiest.synapses)} synapses and {duration(busiest.updates)} "
        "updates a step"
    )


def firmware_line(firmware: Firmware, instructions: Sequence[int]) -> str:
    """Bytes, and what an inference of the first samples took."""
    said = (
        f"{firmware.device}: {firmware.flash} bytes of flash and {firmware.ram} of RAM "
        f"[counted: {firmware.how}]"
    )
    if not instructions:
        return said
    mean = shorten(sum(instructions) / len(instructions))
    return (
        f"{said}, {mean} instructions an inference [simulated, {len(instructions)} "
        "samples]"
    )


def opinion_lines(opinion: SecondOpinion, *, wide: bool) -> Iterator[str]:
    """SANA-FE's energy beside ours, its time; the busiest cores where wide."""
    beside = ""
    if opinion.proxy is not None and opinion.difference is not None:
        beside = (
            f", {opinion.difference:+.0f} % from the proxy's "
            f"{energy(opinion.proxy.value)}"
        )
    yield (
        f"{opinion.simulator} [simulated, {opinion.samples} samples]: "
        f"{energy(opinion.energy)} an inference{beside}: synapses "
        f"{energy(opinion.synapse_energy)} · neurons {energy(opinion.neuron_energy)} · "
        f"spikes between cores {energy(opinion.network_energy)}"
    )
    yield (
        f"{duration(opinion.latency)} an inference, {duration(opinion.step_time)} a "
        f"step ({duration(opinion.shortest_step)} to {duration(opinion.longest_step)})"
        "; spikes and synaptic operations equal ours on every core"
    )
    if wide:
        yield f"constants: {opinion.architecture}; excluded: " + ", ".join(
            opinion.excluded
        )
        for core in sorted(opinion.cores, key=lambda c: -c.energy):
            yield (
                f"chip {core.chip} core {core.number} ({core.population}): "
                f"{energy(core.energy)}, {duration(core.neuron_time)} on neurons, "
                f"{duration(core.message_time)} on messages"
            )


def opponent_lines(standing: Standing, *, wide: bool) -> Iterator[str]:
    """The sentence; each opponent with its constant where wide; published limits."""
    yield standing.sentence
    for each in standing.against if wide else ():
        needed = (
            "at no number of spikes"
            if each.spikes is None
            else (f"at {three_digits(each.spikes)} of the spikes")
        )
        yield (
            f"{each.name} ({each.device}; batch {each.batch}; memory {each.memory}; "
            f"{each.mac} a MAC): {band(each.energy)}; break-even {each.break_even:.3g} "
            f"spikes a synapse by synaptic operations alone, {needed} with all; "
            f"{each.mac.source}"
        )
    yield "published limits: " + " · ".join(
        str(held)
        for held in standing.limits
        if wide or held.verdict != "not for so many steps"
    )
