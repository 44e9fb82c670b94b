"""How long a step and an inference take on the chip, from published times of events.

Cores work at once, and a step ends when the slowest is done and a barrier has told all:

    step = max over cores (updates · their times + synaptic operations · their time)
           + a spike's way over the mesh + barrier

It is a proxy, as the energy is: a core's work is added up, and queues on the mesh are
not modelled (SANA-FE does, ``opinion``). The band: at best a core does its synapses
while it updates its neurons, and spikes stay within a tile; at worst they cross all of
the tiles in use, and every time is at its highest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...toolchain.passes.place.place import Placement
from ...toolchain.program.program import Program
from ...toolchain.program.recording import Recording
from ..arrivals import CoreWork, core_work
from ..counts.traffic import CoreTraffic, Traffic
from .band import Band, exactly
from .mode import Mode
from .profile import DeviceProfile

TIMED = (
    *("synaptic_operation", "active_update", "inactive_update", "barrier"),
    *("spike_within_tile", "hop_east_west", "hop_north_south"),
)
"""Events whose time it takes."""
EVEN = "spikes spread evenly over the steps, which hides the busy ones"
EVERY_STEP = "step by step, of the first {} samples"
Times = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class CoreTime:
    """What one core does in a step, on average, s."""

    population: str
    chip: int
    number: int  # of the chip's cores
    updates: float
    synapses: float


@dataclass(frozen=True, kw_only=True)
class ChipTime:
    """How long the chip needs, at its own pace; in real time it waits for dt."""

    step: Band  # s, the mean over steps
    inference: Band  # s
    barrier: Band  # s, of a step
    way: Band  # s, of a step
    cores: tuple[CoreTime, ...]
    mode: Mode
    source: str

    @property
    def busiest(self) -> CoreTime:
        """The core that does most."""
        return max(self.cores, key=lambda core: core.updates + core.synapses)


def chip_time(
    program: Program,
    recording: Recording,
    placement: Placement,
    traffic: Traffic,
    profile: DeviceProfile,
) -> ChipTime:
    """Time of a step and of an inference.

    Args:
        program: what ran.
        recording: with its spikes, of few samples, or of counts alone.
        placement: of the Program.
        traffic: of that placement, for the ways.
        profile: that has ``TIMED``.
    """
    times = {name: profile.times[name].band for name in TIMED}
    if recording.spikes:
        spikes: Mapping[str, npt.NDArray[np.generic]] = {
            name: raster.reshape(-1, raster.shape[-1])
            for name, raster in recording.spikes.items()
        }
        steps = 1  # that a row of these is of
        samples = len(next(iter(recording.spikes.values())))
        how = EVERY_STEP.format(samples)
    else:
        spikes = {p.name: recording.tally(p.name).sums[None] for p in program.members}
        steps, how = recording.samples * recording.steps, EVEN
    work = core_work(program, spikes, placement)
    updates, synapses = _bands(work, placement, times, steps)
    added = {
        "low": np.maximum(updates["low"], synapses["low"]),
        "value": updates["value"] + synapses["value"],
        "high": updates["high"] + synapses["high"],
    }
    slowest = {end: float(time.max(axis=1).mean()) for end, time in added.items()}
    way = _way(traffic, times)
    published = profile.times["barrier"].source.split(",")[0]
    step = Band(**slowest) + way + times["barrier"]
    return ChipTime(
        step=step,
        inference=step.times(exactly(recording.steps)),
        barrier=times["barrier"],
        way=way,
        cores=tuple(
            CoreTime(
                population=core.block.population,
                chip=core.chip,
                number=core.number,
                updates=float(updates["value"][:, n].mean()),
                synapses=float(synapses["value"][:, n].mean()),
            )
            for n, core in enumerate(placement.cores)
        ),
        mode="estimated",
        source=f"{published}, {profile.name}; {how}",
    )


def _bands(
    work: CoreWork, placement: Placement, times: Mapping[str, Band], steps: int
) -> tuple[dict[str, Times], dict[str, Times]]:
    """End of the band → s a step that updates, and synapses, take; (rows, cores).

    A row of the work is of so many ``steps``.
    """
    neurons = np.array([core.block.size for core in placement.cores])
    active = np.minimum(work.spikes / steps, neurons)
    updates, synapses = {}, {}
    for end in ("low", "value", "high"):
        time = {name: float(getattr(band, end)) for name, band in times.items()}
        updates[end] = time["active_update"] * active + time["inactive_update"] * (
            neurons - active
        )
        synapses[end] = time["synaptic_operation"] * work.operations / steps
    return updates, synapses


def _way(traffic: Traffic, times: Mapping[str, Band]) -> Band:
    """Of a spike: within a tile, the mean of all messages, and across all tiles."""
    total = traffic.total
    messages = max(total.messages, 1.0)
    mean = (
        total.within_tile * times["spike_within_tile"].value
        + total.east_west * times["hop_east_west"].value
        + total.north_south * times["hop_north_south"].value
    ) / messages
    within = times["spike_within_tile"]
    longest = within.high + sum(
        times[hop].high * _extent(traffic.cores, axis)
        for hop, axis in (("hop_east_west", "column"), ("hop_north_south", "row"))
    )
    low = min(within.low, mean)
    return Band(value=mean, low=low, high=max(longest, mean))


def _extent(cores: tuple[CoreTraffic, ...], axis: str) -> int:
    """Hops from one end of the tiles in use to the other."""
    places = [getattr(core, axis) for core in cores]
    return int(max(places) - min(places))
