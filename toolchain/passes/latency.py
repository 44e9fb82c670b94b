"""When spikes of a sample first arrive, and where branches of unequal depth meet."""

from __future__ import annotations

from collections.abc import Mapping

from ..program.program import Program


def arrivals(program: Program) -> dict[str, int]:
    """Population → the step in which its latest source's first spikes can act.

    Sources that stand after it, or it itself, are left out: loops bring the same again.
    """
    found = {p.name: 0 for p in program.inputs}
    for p in program.populations:
        found[p.name] = max(_ways(program, p.name, found), default=0)
    return found


def _ways(program: Program, name: str, found: Mapping[str, int]) -> list[int]:
    """Steps to a population from each of the sources before it."""
    incoming = program.incoming(name)
    return [found[c.source] + c.delay for c in incoming if c.source in found]


def unequal_depths(program: Program) -> dict[str, int]:
    """Population → steps between the first spikes of its earliest and latest source.

    Populations whose sources are equally far from the input are not named. The first
    so many of the steps that a population sees are of some of its sources alone.
    """
    depth, found = arrivals(program), dict[str, int]()
    before = {p.name: 0 for p in program.inputs}
    for p in program.populations:
        ways = {*_ways(program, p.name, before)}
        if len(ways) > 1:
            found[p.name] = max(ways) - min(ways)
        before[p.name] = depth[p.name]
    return found


def depth_notes(program: Program) -> tuple[str, ...]:
    """Where branches of unequal depth meet, in words; empty where none do."""
    steps = max(unequal_depths(program).values(), default=0)
    if not steps:
        return ()
    return (
        f"branches of unequal depth: where they meet, up to {steps} of the first of "
        f"{program.timing.steps} steps see some of them alone",
    )
