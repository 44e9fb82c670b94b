"""When spikes of a sample first arrive, and where branches of unequal depth meet."""

from __future__ import annotations

from ..program.program import Program


def arrivals(program: Program) -> dict[str, int]:
    """Population → the step in which its latest source's first spikes can act."""
    found: dict[str, int] = {}
    for p in program.populations:
        ways = [found.get(c.source, 0) + c.delay for c in program.incoming(p.name)]
        found[p.name] = max(ways, default=0)
    return found


def unequal_depths(program: Program) -> dict[str, int]:
    """Population → steps between the first spikes of its earliest and latest source.

    Populations whose sources are equally far from the input are not named. The first
    so many of the steps that a population sees are of some of its sources alone.
    """
    depth, found = arrivals(program), {}
    for p in program.populations:
        ways = {depth.get(c.source, 0) + c.delay for c in program.incoming(p.name)}
        if len(ways) > 1:
            found[p.name] = max(ways) - min(ways)
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
