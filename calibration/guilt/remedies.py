"""Remedies: what a layer would lose of the answers in other builds of its network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ...toolchain.graph.nodes import Array
from ...toolchain.passes.quantize.layers import layers
from ...toolchain.program.program import Program
from ..conversion.layerwise import Simulate
from .alone import Bench
from .guilt import Guilt, bench_of, lost_alone, lost_together
from .layer import Remedy

WORTH = 0.001  # of the answers' variance, from which a layer is worth a remedy
HELPS, HALVES = 0.8, 0.5  # of what is lost, with a remedy at most


def with_remedies(
    guilt: Guilt,
    ways: Iterable[tuple[str, Program]],
    samples: Array,
    simulate: Simulate,
    *,
    most: int = 3,
) -> Guilt:
    """Guilt, the guiltiest layers with what helps them.

    That is the first way with which the layer and the whole network lose half as much,
    else the best for the layer of those that help both.

    Args:
        guilt: of a Program.
        ways: other Programs of the same network, in words; the easiest first. None
            is taken once these layers have one that helps so much.
        samples: as they are sent; those that the guilt was found on.
        simulate: how a Program is run.
        most: layers that are worth it.
    """
    waiting = [each for each in guilt.layers[:most] if each.lost > WORTH]
    whole, found = guilt.losses.whole, dict[str, Remedy]()
    for words, program in ways if waiting else ():
        left = lost_together(program, samples, simulate)
        if left > HELPS * whole:
            continue
        bench = bench_of(program, samples, program.timing.steps, simulate)
        losses = _losses(bench, [each.name for each in waiting])
        enough: set[str] = set()
        for each in waiting:
            lost = losses.get(each.name, each.lost)
            best = found.get(each.name, Remedy(change="", lost=HELPS * each.lost))
            if left <= HALVES * whole and lost <= HALVES * each.lost:
                enough.add(each.name)
            if each.name in enough or lost < best.lost:
                found[each.name] = Remedy(change=words, lost=lost)
        waiting = [each for each in waiting if each.name not in enough]
        if not waiting:
            break
    return replace(
        guilt,
        layers=tuple(
            replace(each, remedy=found.get(each.name)) for each in guilt.layers
        ),
    )


def _losses(bench: Bench, names: Sequence[str]) -> dict[str, float]:
    """Population → what it loses alone."""
    return {
        layer.population.name: lost_alone(bench, layer)
        for layer in layers(bench.flow.graph)
        if layer.population.name in names
    }
