"""Opponents: conventional networks on other hardware, as ``opponents.toml`` has them.

What one takes is its multiply-accumulates (MACs) times a constant. Where memory is
*counted*, reads and writes of SRAM at 45 nm come on top, priced by size (Horowitz 2014,
``energy.memory``):

    low    each weight and each value is read once, each value written once: all else
           stays in registers
    value  besides, every MAC reads its weight and its value from the smallest memory
           that is published (8 KiB)
    high   every MAC reads both from a memory that holds all of them

DRAM is left out: it would be the opponent's whole energy.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

from ..energy.band import Band, Constant, exactly
from ..energy.memory import ACCESS_BITS, STATE_BYTES, access

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LEFT_OUT, COUNTED, WITHIN = "left out", "counted", "within"
MULTIPLIER = 0.2e-12  # J, of the 0.23 pJ of an int8 MAC at 45 nm; grows with the bits
INT8_BITS = 8


@dataclass(frozen=True, kw_only=True)
class Opponent:
    """A way to run the conventional network, and what a MAC takes there."""

    name: str
    device: str
    batch: str  # samples at once, in words
    memory: str  # LEFT_OUT, COUNTED or WITHIN
    mac: Constant
    weight_bits: int | None = None
    value_bits: int | None = None  # 0: as many as the steps stand for


@dataclass(frozen=True, kw_only=True)
class Work:
    """What the conventional network does and holds, an inference."""

    macs: int
    weights: int  # different ones
    values: int  # activations, each written and read


def opponents() -> tuple[Opponent, ...]:
    """All of them, in the file's order."""
    text = (files(__package__) / "opponents.toml").read_text(encoding="utf-8")
    return tuple(map(_opponent, tomllib.loads(text)["opponent"]))


def _opponent(table: Mapping[str, Any]) -> Opponent:
    return Opponent(**{**table, "mac": Constant(**table["mac"])})


def activation_bits(steps: int) -> int:
    """Bits of an activation that a spike count of so many steps stands for.

    Source: Yan et al. 2024 (arXiv 2409.08290), ⌈log2(T + 1)⌉.

    >>> [activation_bits(steps) for steps in (1, 3, 4, 32, 64)]
    [1, 2, 3, 6, 7]
    """
    return math.ceil(math.log2(steps + 1))


def suited(opponent: Opponent, steps: int) -> Opponent:
    """With the activations' bits, and their MAC, where these follow from the steps."""
    if opponent.value_bits != 0:
        return opponent
    bits = activation_bits(steps)
    saved = MULTIPLIER * (1 - bits / INT8_BITS) / 1e-12  # pJ
    mac = opponent.mac
    mac = replace(
        mac, value=mac.value - saved, low=mac.low - saved, high=mac.high - saved
    )
    return replace(
        opponent, name=f"{bits}-bit {opponent.name}", value_bits=bits, mac=mac
    )


def energy_of(opponent: Opponent, work: Work) -> Band:
    """J an inference."""
    arithmetic = opponent.mac.band.times(exactly(work.macs))
    if opponent.memory != COUNTED:
        return arithmetic
    assert opponent.weight_bits is not None and opponent.value_bits is not None
    return arithmetic + _accesses(work, opponent.weight_bits, opponent.value_bits)


def _accesses(work: Work, weight_bits: int, value_bits: int) -> Band:
    """J of memory accesses, bits packed into words that are used up."""
    held = work.weights * weight_bits + work.values * value_bits
    far = access(held // 8) / ACCESS_BITS  # J a bit
    near = access(STATE_BYTES) / ACCESS_BITS
    once = (held + work.values * value_bits) * far
    every = work.macs * (weight_bits + value_bits)
    return Band(low=once, value=once + every * near, high=once + every * far)
