"""Flow: the order of populations in a step, and how long their spikes are kept."""

from __future__ import annotations

from ...toolchain.program.program import Program


def order_of(program: Program) -> list[str]:
    """Populations, last ones first: most are then read before they fire anew."""
    return [p.name for p in reversed(program.populations)]


def slots_of(program: Program) -> dict[str, int]:
    """Member → steps whose spikes are kept: as many as its slowest connection needs.

    A connection reads the spikes of ``delay`` steps ago. Where its target comes before
    its source, or is the source itself, those of this step are not there yet.
    """
    place = {name: i for i, name in enumerate(order_of(program))}
    found = {}
    for member in program.members:
        own = place.get(member.name, len(place))  # what is given comes last
        kept = [
            c.delay + (place[c.target] > own) for c in program.outgoing(member.name)
        ]
        found[member.name] = max(kept, default=1)
    return found
