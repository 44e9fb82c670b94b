"""When spikes of a sample first arrive, and where branches of unequal depth meet."""

from __future__ import annotations

from ..program.program import Program


def unequal_depths(program: Program) -> dict[str, int]:
    """Population → steps between the first spikes of its earliest and latest source.

    Populations whose sources are equally far from the input are not named. The first
    so many of the steps that a population sees are of some of its sources alone.
    """
    depth: dict[str, int] = {}  # steps until the latest source's first spikes act
    found = {}
    for p in program.populations:
        arrivals = {depth.get(c.source, 0) + c.delay for c in program.incoming(p.name)}
        if len(arrivals) > 1:
            found[p.name] = max(arrivals) - min(arrivals)
        depth[p.name] = max(arrivals, default=0)
    return found
