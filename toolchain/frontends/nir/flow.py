"""The order of flow in a NIR graph, and where its loops take their step.

NIR has loops and no order. Every tool runs its graph from the input on, so that what
leads back is seen a step later.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from .network import Edge, Network


@dataclass(frozen=True, eq=False)
class Flow:
    """Nodes in an order in which each stands behind what it takes in the same step."""

    order: tuple[str, ...]
    late: frozenset[int]  # edges that take a step which the file does not say


def flow_of(
    network: Network, start: str, timed: Collection[str], linear: Collection[str]
) -> Flow:
    """The order of flow from ``start`` on, the same for edges in any order.

    Args:
        network: of nodes that all can be reached from start.
        start: the Input.
        timed: nodes that show what came in a step before at the earliest.
        linear: nodes without a state; a step is put before them rather than behind, so
            that it is one of spikes.
    """
    edges = network.edges
    leaving: dict[str, list[int]] = {name: [] for name in network.nodes}
    coming: dict[str, list[int]] = {name: [] for name in network.nodes}
    for number, edge in sorted(enumerate(edges), key=lambda each: each[1]):
        leaving[edge.source].append(number)
        coming[edge.target].append(number)
    free = {i for i, edge in enumerate(edges) if edge.target in timed}
    rank = _ranks([start], leaving, edges, ())
    starts = [start, *sorted({*timed} & {*rank}, key=rank.__getitem__)]
    same = _ranks(starts, leaving, edges, free)  # within a step
    late = {
        i
        for i, edge in enumerate(edges)
        if i not in free and same[edge.source] >= same[edge.target]
    }
    waiting = sorted({*linear} & {*rank}, key=lambda name: -rank[name])
    while True:  # a step moves past nodes until it stands behind spikes
        moved = {
            name
            for name in waiting
            if _moves(leaving[name], coming[name], edges, start, late)
        }
        if not moved:
            break
        waiting = [name for name in waiting if name not in moved]
    order = _sorted(rank, leaving, edges, late | free)
    return Flow(tuple(order), frozenset(late))


def _moves(
    leaving: list[int],
    coming: list[int],
    edges: list[Edge],
    start: str,
    late: set[int],
) -> bool:
    """Whether a step behind a node stands before it now."""
    if not leaving or not late.issuperset(leaving):
        return False
    if any(way in late or edges[way].source == start for way in coming):
        return False
    late.difference_update(leaving)
    late.update(coming)
    return True


def _ranks(
    starts: Iterable[str],
    leaving: dict[str, list[int]],
    edges: list[Edge],
    without: Collection[int],
) -> dict[str, int]:
    """Node → its place in the reverse postorder of a walk along other edges."""
    seen, done = set[str](), list[str]()
    for start in starts:
        if start in seen:
            continue
        seen.add(start)
        walk: list[tuple[str, Iterator[int]]] = [(start, iter(leaving[start]))]
        while walk:
            name, ways = walk[-1]
            for way in ways:
                target = edges[way].target
                if way not in without and target not in seen:
                    seen.add(target)
                    walk.append((target, iter(leaving[target])))
                    break
            else:
                done.append(name)
                walk.pop()
    return {name: place for place, name in enumerate(reversed(done))}


def _sorted(
    rank: dict[str, int],
    leaving: dict[str, list[int]],
    edges: list[Edge],
    without: Collection[int],
) -> Iterator[str]:
    """Nodes behind all whose edges lead to them, of two the one of the lower rank."""
    needed = dict.fromkeys(rank, 0)
    for number, edge in enumerate(edges):
        needed[edge.target] += number not in without
    ready = [(rank[name], name) for name in rank if not needed[name]]
    heapq.heapify(ready)
    while ready:
        _, name = heapq.heappop(ready)
        yield name
        for way in leaving[name]:
            if way not in without:
                target = edges[way].target
                needed[target] -= 1
                if not needed[target]:
                    heapq.heappush(ready, (rank[target], target))
