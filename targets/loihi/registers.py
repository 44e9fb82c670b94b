"""What a board's registers hold; a Program that needs more is refused.

nengo-loihi's emulator takes any integer for v_min, v_max and a threshold of 0; what
writes the registers (nengo_loihi hardware/builder.py, allocators.py and validate.py,
version 1.1.0) takes fewer, and stops with a bare assertion.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...toolchain.passes.place.fan_in import atoms
from ...toolchain.program.arithmetic import MAX_REFRACTORY, MAX_THRESHOLDS, V_LIMIT
from ...toolchain.program.connections import Connection
from ...toolchain.program.program import Population, Program

V_MINS = tuple(1 - (1 << k) for k in range(24))  # builder.build_core: negVmLimit
V_MAXES = tuple((1 << 9 + 2 * k) - 1 for k in range(8))  # posVmLimit
SYNAPSE_FORMATS = 15  # of a core: validate.validate_core allows 16, the first unused
ATOMS = 1024  # of an axon: interface.SpikePacker


def register_problems(program: Program) -> Iterator[str]:
    """Registers of a board that do not hold the Program as it is, and what they do."""
    for population in program.populations:
        yield from _of_neurons(population)
        incoming = len(program.incoming(population.name))
        if incoming > SYNAPSE_FORMATS:
            yield (
                f"population {population.name!r} has {incoming} connections into it; a "
                f"board's core has {SYNAPSE_FORMATS} synapse formats, one for each; "
                "join some of them"
            )
    for connection in program.connections:
        if atoms(connection) > ATOMS:
            yield (
                f"{_named(connection)} has axons of {atoms(connection)} neurons; a "
                f"board's has {ATOMS}; use fewer channels"
            )
    for member in program.members:
        yield from _of_axons(program.outgoing(member.name))


def _of_neurons(population: Population) -> Iterator[str]:
    what = f"population {population.name!r}"
    thresholds = np.unique(population.threshold)
    if not thresholds.all():
        yield f"{what} has a threshold of 0; a board's are 64 or more"
    if thresholds.size > MAX_THRESHOLDS:
        yield (
            f"{what} has {thresholds.size} different thresholds; a board's core has "
            f"{MAX_THRESHOLDS}"
        )
    if not 1 <= population.refractory <= MAX_REFRACTORY:
        yield (
            f"{what} has a refractory counter of {population.refractory}; a board's is "
            f"1 … {MAX_REFRACTORY}"
        )
    if population.v_min not in V_MINS:
        yield (
            f"{what} has v_min {population.v_min}; a board's is 1 − 2^k, k 0 … 23, "
            f"next to it {_nearest(population.v_min, V_MINS)}; build it with "
            "--min-potential 0, in Nengo with min_voltage=0"
        )
    if population.v_max not in V_MAXES:
        yield (
            f"{what} has v_max {population.v_max}; a board's is 2^(9 + 2k) − 1, k 0 "
            f"… 7, next to it {_nearest(population.v_max, V_MAXES)}; leave it at "
            f"{V_LIMIT}"
        )


def _of_axons(outgoing: list[Connection]) -> Iterator[str]:
    """The neurons of a core that share one population axon must share all of them.

    build_axon gives a compartment one population, by the first of its axons, and says
    that all that reach one target must be of the same.
    """
    shared = [c for c in outgoing if atoms(c) > 1]
    for one, other in zip(shared, shared[1:]):
        if atoms(one) != atoms(other):
            yield (
                f"{_named(one)} and {_named(other)} take {atoms(one)} and "
                f"{atoms(other)} channels together; on a board all that share an axon "
                "must leave alike: give both the same groups, or send one on through a "
                "relay population"
            )


def _nearest(value: int, held: tuple[int, ...]) -> int:
    return min(held, key=lambda candidate: abs(candidate - value))


def _named(connection: Connection) -> str:
    return f"connection {connection.source!r} → {connection.target!r}"
