"""place: cut every population into blocks, one for each core; no integer changes.

A core holds neurons of one population. Cuts run along rows, columns and channels; of
all box shapes the one with the fewest cores is taken, among these the one with the
fewest axons. Counts follow nengo-loihi (block.py, LoihiBlock.utilization).

**What was known.** nengo-loihi 1.1.0 cuts first and then chooses integers, for each
core by its largest weight. So the mapping is part of the result: one network on two
cores or on four differed in 895 of 4,547 spikes, a convolution cut by channels or by
pixels in 3,312 of 18,382. Here integers are chosen before, per population
(``quantize.scales``), and placing reads shapes alone; tests/test_place.py cuts random
Programs to pieces and puts them together again.

**What a core holds** is in ``limits``, declared by a target. Of Loihi 1: 1024
compartments, 4096 input axons, 4096 slots of output axons, 128 KiB of synapse memory.
An input axon serves a source pixel that reaches any neuron of the core, so a box with a
small border takes fewer of them than a strip, and pixels with the same pattern of
targets share their synapses (``fan_in``). Compartments lie channel by channel, so that
up to 256 pixels are within an axon's base and share one copy of the weights; pixel by
pixel a full core of a pointwise convolution held four.
An output axon is one for each core that a source pixel reaches, so a population's own
cut depends on how its *targets* were cut: populations are cut from the last to the
first. Where they form a loop that has no end, it goes round up to ROUNDS times, until
nothing is over a limit.

**How it is cut** (``cut``). All box shapes are tried, from the fewest cores that the
limits allow (``bound``) on; only the smallest size for each number of parts is a
candidate. Where boxes leave cores half empty, runs of pixels or of neurons in order are
tried. A shape that does not fit is told from one of its boxes, mostly; the rest are
counted where that one fits. What boxes use is counted from their rows, columns and
channels, once for boxes that differ by a shift, and for connections that differ in no
more than their weights (``window_load``): ResNet-50's 9.6 million neurons take two
seconds (benchmarks/results/placement.md).

**Chips** are filled one after another in order of flow: fewest chips, a population
beside its targets. Nothing else is done about spikes that leave a chip.

**What does not fit** is told with the smallest changes of one thing that fit, found by
placing the changed shapes (``remedies``).

**What is doubtful.** It is greedy: one population at a time, all its boxes of one
shape, and many small populations take a core each, since the hardware has one v_min and
v_max for all neurons of a core, and few distinct thresholds and decays (nengo-loihi's
validate, hardware). Counts are nengo-loihi's, for its emulator; no chip has confirmed
them, and what the hardware alone demands is not held here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property

from ...errors import DoesNotFit
from ...program.program import Program
from .cut import Cutter, Overfull
from .fan_in import Block
from .limits import CoreLimits, Usage
from .remedies import Board, Remedy, remedies

LARGEST = 3  # populations where a change is looked for
REMEDIES = {
    "compartments": "use fewer neurons",
    "input_axons": "its fan-in is too large; use a stride, fewer channels or fewer "
    "neurons in the layers before it",
    "output_axons": "its spikes go to too many neurons on too many cores; use fewer "
    "neurons in the layers after it",
    "synapse_bits": "use a smaller kernel, or fewer channels in the layers before it",
}


class NotPlaced(DoesNotFit):
    """Says what makes the Program fit: changes that were tried, or what to look at."""

    def __init__(self, problem: str, advice: str, tried: Sequence[Remedy]) -> None:
        fits = "it fits with " + ", or with ".join(map(str, tried))
        none = f"of the changes tried none does alone: {advice}"
        super().__init__(f"{problem}; {fits if tried else none}")
        self.remedies = tuple(tried)


@dataclass(frozen=True)
class Core:
    """One core: the neurons it holds and what they use of it."""

    block: Block
    usage: Usage
    chip: int
    number: int  # of the chip's cores

    def __str__(self) -> str:
        """One line: the box of the population's image, and what it uses."""
        box = ", ".join(f"{a}:{b}" for a, b in zip(self.block.start, self.block.stop))
        use = self.usage
        return (
            f"{self.block.population}[{box}] compartments {use.compartments} axons in "
            f"{use.input_axons} out {use.output_axons} synapse bits {use.synapse_bits}"
        )


@dataclass(frozen=True)
class PopulationUse:
    """What a population uses: cores, all of them together, and the most on one core."""

    cores: int
    total: Usage
    worst: Usage


@dataclass(frozen=True, kw_only=True)
class Placement:
    """A Program's populations on cores, in the Program's order."""

    cores: tuple[Core, ...]  # chip by chip
    limits: CoreLimits  # of one core
    chip_cores: int  # cores of a chip

    def __str__(self) -> str:
        """A line a core, with its chip where there are several."""
        chip = "chip {0.chip} " if self.chips > 1 else ""
        line = f"{chip}core {{0.number}}: {{0}}"
        return "\n".join(line.format(core) for core in self.cores)

    @property
    def chips(self) -> int:
        """Chips that are used."""
        return self.cores[-1].chip + 1

    def blocks(self, population: str) -> tuple[Block, ...]:
        """The blocks of a population."""
        return tuple(
            core.block for core in self.cores if core.block.population == population
        )

    @cached_property
    def utilization(self) -> Mapping[str, PopulationUse]:
        """Population → cores, sums over them, and the highest use of each resource."""
        table: dict[str, PopulationUse] = {}
        for name, cores in itertools.groupby(
            self.cores, key=lambda core: core.block.population
        ):
            usages = [core.usage for core in cores]
            table[name] = PopulationUse(
                len(usages), _combine(sum, usages), _combine(max, usages)
            )
        return table

    @property
    def total(self) -> Usage:
        """What all cores use together."""
        return _combine(sum, [core.usage for core in self.cores])

    @property
    def scarcest(self) -> tuple[str, float]:
        """The resource that binds, and how much of it all used cores together use."""
        used = {
            f.name: getattr(self.total, f.name)
            / (len(self.cores) * getattr(self.limits, f.name))
            for f in fields(Usage)
        }
        return max(used.items(), key=lambda item: item[1])


def _combine(how: Callable[[Iterable[int]], int], usages: Sequence[Usage]) -> Usage:
    return Usage(
        **{f.name: how(getattr(u, f.name) for u in usages) for f in fields(Usage)}
    )


def place(
    program: Program, limits: CoreLimits, cores: int, chips: int | None = 1
) -> Placement:
    """Every neuron of the Program on exactly one core.

    >>> import numpy as np
    >>> from ...graph.graph import Graph
    >>> from ...graph.nodes import IF, Conv2D, Input, Lowpass, Output
    >>> from ..quantize.quantize import quantize
    >>> graph = Graph.chain(
    ...     Input("x", shape=(4, 4, 1)),
    ...     IF("a"),
    ...     Lowpass("s", tau_syn=0.0),
    ...     Conv2D("sum", weight=np.ones((2, 2, 1, 2)), bias=np.zeros(2)),
    ...     IF("b"),
    ...     Output("y"),
    ... )
    >>> program = quantize(graph, np.ones((1, 4, 4, 1)), steps=8)
    >>> print(graph)
    x: Input() → 4×4×1
    a: IF(x) amplitude 1 → 4×4×1
    s: Lowpass(a) → 4×4×1
    sum: Conv2D(s) 2×2×1→2 weight 1 bias 0 → 3×3×2
    b: IF(sum) amplitude 1 → 3×3×2
    y: Output(b) → 3×3×2
    >>> limits = CoreLimits(
    ...     compartments=12, input_axons=64, output_axons=64, synapse_bits=4096
    ... )
    >>> print(place(program, limits, cores=8))
    core 0: a[0:2, 0:4, 0:1] compartments 8 axons in 0 out 8 synapse bits 0
    core 1: a[2:4, 0:4, 0:1] compartments 8 axons in 0 out 12 synapse bits 0
    core 2: b[0:2, 0:3, 0:2] compartments 12 axons in 12 out 0 synapse bits 896
    core 3: b[2:3, 0:3, 0:2] compartments 6 axons in 8 out 0 synapse bits 512

    Args:
        program: only its shapes, and where its weights are 0, are read; no integer.
        limits: of one core.
        cores: of a chip.
        chips: how many there are; None: as many as it takes.

    Raises:
        DoesNotFit: a neuron needs more than one core, or the Program more than there
            are.
    """
    if not program.populations:
        raise DoesNotFit("Program: it has no population; there is nothing to place")
    board = Board(limits, cores, chips)
    fewest = {
        p.name: math.ceil(p.size / limits.compartments) for p in program.populations
    }
    if not board.holds(sum(fewest.values())):
        raise _too_many(program, "its neurons alone", fewest, board)
    cutter = Cutter(program, limits)
    try:
        tilings = cutter.cut()
    except Overfull as failure:
        raise _no_room(program, failure, board) from None
    needed = {p.name: tilings[p.name].cores for p in program.populations}
    if not board.holds(sum(needed.values())):
        what = "its neurons, axons and synapses"
        raise _too_many(program, what, needed, board)
    placed = [
        pair
        for name in needed
        for pair in zip(tilings[name].blocks, cutter.usage(tilings[name]))
    ]
    return Placement(
        cores=tuple(
            Core(block, usage, *divmod(n, cores))
            for n, (block, usage) in enumerate(placed)
        ),
        limits=limits,
        chip_cores=cores,
    )


def _too_many(
    program: Program, what: str, needed: Mapping[str, int], board: Board
) -> NotPlaced:
    assert board.chips is not None
    ranked = sorted(needed.items(), key=lambda item: -item[1])[:LARGEST]
    largest = ", ".join(f"{name!r} {count}" for name, count in ranked)
    there = "the chip has" if board.chips == 1 else f"{board.chips} chips have"
    return NotPlaced(
        f"Program: {what} need {sum(needed.values())} cores, {there} "
        f"{board.cores * board.chips}; most need {largest}",
        "use fewer pixels or channels in several of them",
        remedies(program, board, [name for name, _ in ranked]),
    )


def _no_room(program: Program, failure: Overfull, board: Board) -> NotPlaced:
    """Changes are looked for around the population: at it and on either side."""
    name = failure.population
    names = [
        name,
        *(c.source for c in program.incoming(name)),
        *(c.target for c in program.outgoing(name)),
    ]
    found = remedies(program, board, names)
    return NotPlaced(str(failure), REMEDIES[failure.resource], found)
