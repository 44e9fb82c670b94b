"""What a reader must know of a NIR graph's reading: all that NIR does not say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..contract import Timing
from .neurons import FILTERED, SPIKING
from .reading import Reading

SHOWN = 5  # names


def notes_of(reading: Reading, still: Sequence[str]) -> tuple[str, ...]:
    """What was assumed, once, and what else differs from the file.

    Args:
        still: Delay nodes of less than a step, which were left out.
    """
    found = [assumed(reading.timing)]
    network = reading.network
    nodes = network.nodes.values()
    if still:
        found.append(f"a delay of 0 steps is left out: {_some(still)}")
    if reading.late:
        ways = [f"{edge.source} → {edge.target}" for edge in reading.late]
        found.append(f"a way back takes one step, as in NIR's tools: {_some(ways)}")
    filtered = [x.name for x in nodes if x.kind in FILTERED]
    biased = [name for name in filtered if _is_biased(reading, name)]
    if biased:
        found.append(
            "a bias rises with tau_syn in the file; on a core it acts in full from the "
            f"first step on: {_some(biased)}"
        )
    if sum(x.kind in SPIKING for x in nodes) > 1:
        found.append(
            "on a core each connection between populations takes a step, where NIR's "
            "tools take none: spikes come a step later for each population before, and "
            "a loop takes a step for each of its populations at least"
        )
    return tuple(found)


def assumed(timing: Timing) -> str:
    """The timing contract in words."""
    left = "to v_reset" if timing.reset == "zero" else "by v_threshold − v_reset"
    tau_ref = timing.tau_ref
    rest = f"{tau_ref:g} s refractory" if tau_ref else "no refractory period"
    how = {
        "exponential": "exact exponential decay, e^(−dt / tau)",
        "euler": "Euler's 1 − dt / tau",
    }[timing.grid]
    return (
        f"NIR leaves timing open; assumed: steps of {timing.dt:g} s, {how}, a spike "
        f"resets {left}, {rest}, potentials start at v_reset (import has --dt, "
        "--discretization, --reset, --refractory)"
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _is_biased(reading: Reading, name: str) -> bool:
    """Whether a bias comes in, directly or past pooling and scales."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        for edge, _ in reading.coming[waiting.pop()]:
            node = reading.network.nodes[edge.source]
            if node.name in seen or node.kind in SPIKING:
                continue
            seen.add(node.name)
            if "bias" in node and bool(np.any(node.array("bias"))):
                return True
            waiting.append(node.name)
    return False
