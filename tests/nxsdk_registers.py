"""What registers that a recorder kept mean: read back as constants, matrix and spikes.

By what Loihi 1 does with them (Davies et al. 2018; nengo_loihi hardware/builder.py): an
axon's entry says where its weights begin, how many there are for an atom, and from
which compartment their indices count.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import numpy as np
from nxsdk_recorder import Board, Core

SHIFT = 6  # of thresholds, and of weights
Place = tuple[int, int, int]  # ids of chip and core, compartment


def table(registers: dict[str, Any]) -> dict[str, Any]:
    """Register or array → its values, those of an array by index."""
    found: dict[str, Any] = {}
    for path, value in registers.items():
        index = re.search(r"\[(\d+)\]", path)
        if index is None:
            found[path] = value
        else:
            name = path.replace(index[0], "[]")
            found.setdefault(name, {})[int(index[1])] = value
    return found


def cores(board: Board) -> list[Core]:
    return [core for chip in board.n2Chips for core in chip.n2Cores]


def neurons(core: Core) -> list[dict[str, int]]:
    """The constants of a core's compartments."""
    r = table(core.registers)
    shared = {
        "v_min": 1 - (1 << r["dendriteSharedCfg.negVmLimit"]),
        "v_max": (1 << 9 + 2 * r["dendriteSharedCfg.posVmLimit"]) - 1,
    }
    profiles = ("decayU", "decayV", "refractDelay", "enableNoise")
    return [
        {
            **shared,
            **{
                p: r[f"cxProfileCfg[].{p}"][r["cxCfg[].cxProfile"][i]] for p in profiles
            },
            "threshold": r["vthProfileCfg[].staticCfg.vth"][r["cxCfg[].vthProfile"][i]]
            << SHIFT,
            "bias": bias << r["cxCfg[].biasExp"][i],
        }
        for i, bias in sorted(r["cxCfg[].bias"].items())
    ]


def reached(r: dict[str, Any], axon: int, atom: int) -> list[tuple[int, int]]:
    """Compartments of a core that a spike on an axon reaches, and what it adds there.

    Args:
        r: the core's ``table``.
    """
    length = r["synapseMap[].synapseLen"][axon]
    assert atom < r.get("synapseMap[].popSize", {}).get(axon, 1)
    first = r["synapseMap[].synapsePtr"][axon] + atom * length
    bases = (
        "synapseMap[].discreteMapEntry.cxBase",
        "synapseMap[].population32MapEntry.cxBase",
    )
    (base,) = (r[name][axon] for name in bases if axon in r.get(name, {}))
    found = []
    for i in range(first, first + length):
        form = r["synapses[].synFmtId"][i]
        weight = r["synapses[].Wgt"][i]
        bits = (0, 1, 2, 3, 4, 5, 6, 8)[r["synapseFmt[].wgtBits"][form]]
        mixed = r["synapseFmt[].fanoutType"][form] == 1
        assert weight % (1 << 8 - bits + mixed) == 0, "the core drops a weight's bits"
        exponent = SHIFT + r["synapseFmt[].wgtExp"][form]
        assert exponent >= 0
        found.append((base + r["synapses[].CIdx"][i], weight << exponent))
    return found


def tables(board: Board) -> dict[tuple[int, int], dict[str, Any]]:
    """Ids of chip and core → its table."""
    return {(c.parent.id, c.id): table(c.registers) for c in cores(board)}


def synapses(board: Board) -> dict[tuple[Place, Place], int]:
    """(source, target) → what a spike adds, over all axons."""
    found: dict[tuple[Place, Place], int] = defaultdict(int)
    by_id = tables(board)
    for core in cores(board):
        chip, number = core.parent.id, core.id
        for _, axon in core.axons:
            there = axon["dstChipId"], axon["dstCoreId"]
            atom = axon.get("srcRelCxId", 0)
            for i, weight in reached(by_id[there], axon["dstSynMapId"], atom):
                found[(chip, number, axon["srcCxId"]), (*there, i)] += weight
    return found


def populations(core: Core) -> dict[int, set[tuple[int, frozenset[tuple[int, ...]]]]]:
    """popId → compartments with it, each with the axon entries that it sends to."""
    ends: dict[tuple[int, int], set[tuple[int, ...]]] = defaultdict(set)
    for kind, axon in core.axons:
        if kind == "pop32":
            to = axon["dstChipId"], axon["dstCoreId"], axon["dstSynMapId"]
            ends[axon["popId"], axon["srcCxId"]].add(to)
    found: dict[int, set[tuple[int, frozenset[tuple[int, ...]]]]] = defaultdict(set)
    for (population, compartment), targets in ends.items():
        found[population].add((compartment, frozenset(targets)))
    return found


def arrivals(board: Board) -> dict[int, dict[Place, int]]:
    """Step of NxSDK → what its input spikes add, where."""
    found: dict[int, dict[Place, int]] = defaultdict(lambda: defaultdict(int))
    by_id = tables(board)
    for _, spike in board.input_spikes:
        there = spike["chipId"], spike["coreId"]
        for i, weight in reached(
            by_id[there], spike["axonId"], spike.get("srcAtom", 0)
        ):
            found[spike["time"]][(*there, i)] += weight
    reaching = {
        step: {place: weight for place, weight in added.items() if weight}
        for step, added in found.items()
    }
    return {step: added for step, added in reaching.items() if added}


def as_matrix(
    found: dict[tuple[Place, Place], int], rows: list[Place], columns: list[Place]
) -> np.ndarray:
    """Synapses between two populations' compartments."""
    full = np.zeros((len(rows), len(columns)), np.int64)
    row, column = ({place: i for i, place in enumerate(p)} for p in (rows, columns))
    for (source, target), weight in found.items():
        if source in row and target in column:
            full[row[source], column[target]] = weight
    return full
