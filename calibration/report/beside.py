"""What is said of a run beside its own counts: time, a second opinion, opponents."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ...toolchain.passes.place.place import Placement
from ...toolchain.program.program import Program
from ...toolchain.program.recording import Recording, counted
from ..counts.footprint import Footprint
from ..counts.traffic import Traffic, traffic
from ..energy.chip_time import TIMED, ChipTime, chip_time
from ..energy.profile import DeviceProfile
from ..energy.terms import UNPLACED, EnergyProxy, Surroundings, energy_proxy
from ..opinion.opinion import SecondOpinion, second_opinion
from ..opponents.standing import Standing, standing
from ..statistics import LayerStatistics, layer_statistics

NOT_ASKED = "it was not asked for (--second-opinion)"


@dataclass(frozen=True, kw_only=True)
class Beside:
    """Fields of a Report; what there is none of is in ``unavailable``, with why."""

    chip_time: ChipTime | None
    second_opinion: SecondOpinion | None
    opponents: Standing | None
    unavailable: dict[str, str] = field(default_factory=dict)


def beside(
    program: Program,
    recording: Recording,
    profile: DeviceProfile,
    proxy: EnergyProxy,
    layers: tuple[LayerStatistics, ...],
    total: LayerStatistics,
    memory: tuple[Footprint, ...],
    *,
    shown: Recording | None,
    placement: Placement | None,
    routes: Traffic | None,
    opinion: bool,
) -> Beside:
    """All of it.

    Args:
        program: what ran.
        recording: of all samples; counts are enough.
        profile: the device whose energy is estimated.
        proxy: its energy.
        layers: statistics of every population.
        total: of all together.
        memory: of every population.
        shown: the first samples, with their spikes.
        placement: on cores, where the target has any.
        routes: spikes between these.
        opinion: whether SANA-FE is asked; it takes seconds to minutes.

    Raises:
        TargetUnavailable, DataError: SANA-FE was asked, and cannot say.
    """
    few = None if shown is None or not shown.spikes else _consistent(shown)
    time: ChipTime | str = UNPLACED
    missing = [name for name in TIMED if name not in profile.times]
    if missing:
        time = f"profile {profile.name} has no time of {', '.join(missing)}"
    elif placement is not None and routes is not None:
        time = chip_time(program, few or recording, placement, routes, profile)
    second: SecondOpinion | str = NOT_ASKED
    if opinion:
        second = UNPLACED
        if placement is not None:
            second = _asked(program, few or recording, placement, profile)
    stands = standing(proxy, total, layers, memory, recording.steps)
    found = {"chip_time": time, "second_opinion": second, "opponents": stands}
    return Beside(
        chip_time=None if isinstance(time, str) else time,
        second_opinion=None if isinstance(second, str) else second,
        opponents=None if isinstance(stands, str) else stands,
        unavailable={name: why for name, why in found.items() if isinstance(why, str)},
    )


def _consistent(shown: Recording) -> Recording:
    """A Recording of those samples alone whose spikes were kept."""
    samples = len(next(iter(shown.spikes.values())))
    return replace(
        shown,
        counts={n: counted(s) for n, s in shown.spikes.items()},
        output=shown.output[:samples],
    )


def _asked(
    program: Program, few: Recording, placement: Placement, profile: DeviceProfile
) -> SecondOpinion:
    """SANA-FE's opinion, with what the proxy says of the same samples."""
    found = second_opinion(program, few, placement)
    around = Surroundings(traffic=traffic(program, few, placement))
    proxy = energy_proxy(layer_statistics(program, few), profile, around)
    return found.beside(proxy.total.total)
