"""Standing: a spiking network's energy beside that of every opponent, and break-even.

Both sides leave out what the host computes, encoder and decoder: the conventional
network has these layers too. So

    E_ann = MACs that the core takes the place of · e_mac (+ memory)
    E_snn = the chip's dynamic energy by the proxy: synaptic operations, updates, hops
          = E_silent + E_spikes

E_silent is what all neuron updates would take if no neuron spiked; the rest grows with
the spikes. The spikes that would make both equal, as a share of those there are:
f = (E_ann − E_silent) / E_spikes. *Break-even* in the literature's sense, e_mac /
e_synop spikes a synapse, leaves the updates out; it is told beside.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from ..counts.footprint import Footprint
from ..energy.band import Band, Constant
from ..energy.terms import EnergyProxy
from ..statistics import LayerStatistics
from .limits import LIMITS, Held, held_to
from .opponent import Opponent, Work, energy_of, opponents, suited

Side = Literal["less", "more", "either"]
NAMED = 3  # opponents that are beaten; the others are counted


@dataclass(frozen=True, kw_only=True)
class Against:
    """The spiking network beside one opponent."""

    name: str
    device: str
    batch: str
    memory: str  # "left out", "counted" or "within"
    mac: Constant
    energy: Band  # J an inference
    break_even: float
    """Spikes a synapse at which synaptic operations alone take what its MACs take."""
    factor: float
    """The spiking network's energy, divided by the opponent's."""
    side: Side
    """What the spiking network takes; "either": the bands overlap."""
    spikes: float | None
    """Share of its spikes with which it would take as much, above 1 where it could
    spike more; None: it takes more even without a spike."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The spiking network beside all of them."""

    operations_a_mac: float
    energy: Band  # J an inference, the chip's dynamic
    silent: Band  # J of it that would be left without a spike
    against: tuple[Against, ...]
    limits: tuple[Held, ...]
    sentence: str


def standing(
    proxy: EnergyProxy,
    total: LayerStatistics,
    layers: Sequence[LayerStatistics],
    memory: Sequence[Footprint],
    steps: int,
) -> Standing | str:
    """Where the network stands, or why that is not known.

    Args:
        proxy: its energy.
        total: the whole core.
        layers: of it, spike inputs too.
        memory: of its populations.
        steps: of an inference.
    """
    energy, profile = proxy.total.total, proxy.profile
    synaptic, update = profile.synaptic_operation, profile.inactive_update
    if energy is None or synaptic is None:
        return f"{profile.why('synaptic_operation')}; no figure to hold against"
    if not total.macs:
        return "the conventional network's multiply-accumulates are not known here"
    none = Band(value=0.0, low=0.0, high=0.0)
    silent = none if update is None else update.times(total.neuron_updates) or none
    work = Work(
        macs=total.macs,
        weights=sum(each.weights for each in memory),
        values=sum(layer.neurons for layer in layers),
    )
    chosen = [suited(each, steps) for each in opponents()]
    against = tuple(
        _against(each, energy_of(each, work), energy, silent, synaptic, work)
        for each in chosen
    )
    operations = total.synaptic_operations / total.macs
    return Standing(
        operations_a_mac=operations,
        energy=energy,
        silent=silent,
        against=against,
        limits=held_to(LIMITS, operations, total.mean_rate.per_step, steps),
        sentence=sentence(operations, against, silent),
    )


def _against(
    opponent: Opponent,
    theirs: Band,
    ours: Band,
    silent: Band,
    synaptic: Constant,
    work: Work,
) -> Against:
    spiking = ours.value - silent.value
    left = (theirs.value - silent.value) / spiking if spiking > 0 else float("inf")
    side: Side = "either"
    if ours.high < theirs.low:
        side = "less"
    elif ours.low > theirs.high:
        side = "more"
    return Against(
        name=opponent.name,
        device=opponent.device,
        batch=opponent.batch,
        memory=opponent.memory,
        mac=opponent.mac,
        energy=theirs,
        break_even=theirs.value / work.macs / synaptic.band.value,
        factor=ours.value / theirs.value,
        side=side,
        spikes=left if 0 <= left < float("inf") else None,
    )


def sentence(operations: float, against: Sequence[Against], silent: Band) -> str:
    """Which side the network is on, and how many spikes fewer it would take."""
    sides: dict[str, list[Against]] = {}
    for each in sorted(against, key=lambda a: abs(math.log(a.factor))):
        alone = each.side == "more" and each.spikes is None
        sides.setdefault("alone" if alone else each.side, []).append(each)
    said = [f"{operations:.3g} synaptic operations a multiply-accumulate of the ANN"]
    if "less" in sides:
        said.append(f"less energy than {_listed(sides['less'], _by)}")
    if "either" in sides:
        said.append(f"about as much, within the bands, as {_listed(sides['either'])}")
    if "more" in sides:
        said.append(
            f"more than {_listed(sides['more'], _by, _needed, most=len(against))}"
        )
    if "alone" in sides:
        said.append(
            f"more than {_listed(sides['alone'], _by, most=len(against))}, even "
            "without a spike: neuron updates alone take "
            f"{1e6 * silent.value:.3g} µJ"
        )
    return "; ".join(said)


def _listed(
    against: Sequence[Against], *told: Callable[[Against], str], most: int = NAMED
) -> str:
    """Names, the closest first, with what is told of each; how many others."""
    names = []
    for each in against[:most]:
        about = ", ".join(tell(each) for tell in told)
        names.append(f"{each.name} ({about})" if about else each.name)
    rest = len(against) - most
    others = f" and {rest} other{'s' if rest > 1 else ''}" if rest > 0 else ""
    return ", ".join(names) + others


def _by(against: Against) -> str:
    factor = max(against.factor, 1 / against.factor)
    return f"{factor:.2g} times" if factor < 100 else f"{factor:.0f} times"


def _needed(against: Against) -> str:
    """Spikes to save, in per cent, with as many digits as tell it from 100."""
    assert against.spikes is not None
    percent = 100 * (1 - against.spikes)
    few = f"{percent:.0f} %" if percent < 99 else f"{percent:.4g} %"
    return f"as much with {few} fewer spikes"
