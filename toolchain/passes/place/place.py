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
Neurons are seldom what runs out. An input axon serves a source pixel that reaches any
neuron of the core, so a box with a small border takes fewer of them than a strip, and
pixels with the same pattern of targets share their synapses (``fan_in``). An output
axon is one for each core that a source pixel reaches, so a population's own cut depends
on how its *targets* were cut: populations are cut from the last to the first. Where
they form a loop that has no end, it goes round up to ROUNDS times, until nothing is
over a limit.

**How it is cut.** All box shapes are tried; only the smallest size for each number of
parts is a candidate (``_shapes``), and the count of a shape ends at its first core that
is over a limit. Fewest cores win, axons decide between equals. One population a core,
since the hardware has one v_min and v_max for all neurons of a core, and few distinct
thresholds and decays (nengo-loihi's validate, hardware).

**What is doubtful.** It is greedy: one population at a time, all its boxes of one
shape, so that many small populations take a core each. Counts are nengo-loihi's, for
its emulator; no chip has confirmed them, and what the hardware alone demands is not
held here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from ...errors import DoesNotFit
from ...graph.nodes import Shape
from ...program.arithmetic import IntArray
from ...program.connections import Connection, WindowConnection
from ...program.program import Population, Program
from .fan_in import Block, Corner, atoms, axon_slots, fan_in
from .limits import CoreLimits, Usage

ROUNDS = 8  # for loops of populations, each of whose output axons depend on the other

REMEDIES = {
    "compartments": "use fewer neurons",
    "input_axons": "its fan-in is too large; use a stride, fewer channels or fewer "
    "neurons in the layers before it",
    "output_axons": "its spikes go to too many neurons on too many cores; use fewer "
    "neurons in the layers after it",
    "synapse_bits": "use a smaller kernel, or fewer channels in the layers before it",
}


@dataclass(frozen=True)
class Core:
    """One core: the neurons it holds and what they use of it."""

    block: Block
    usage: Usage

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

    cores: tuple[Core, ...]
    limits: CoreLimits  # of one core
    chip_cores: int  # cores there are

    def __str__(self) -> str:
        """A line a core."""
        return "\n".join(f"core {n}: {core}" for n, core in enumerate(self.cores))

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


def _combine(how: Callable[[Iterable[int]], int], usages: Sequence[Usage]) -> Usage:
    return Usage(
        **{f.name: how(getattr(u, f.name) for u in usages) for f in fields(Usage)}
    )


def place(program: Program, limits: CoreLimits, cores: int) -> Placement:
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
        program: only its shapes are read, never an integer.
        limits: of one core.
        cores: how many there are.

    Raises:
        DoesNotFit: a neuron needs more than one core, or the Program more than there
            are.
    """
    if not program.populations:
        raise DoesNotFit("Program: it has no population; there is nothing to place")
    fewest = {
        p.name: math.ceil(p.size / limits.compartments) for p in program.populations
    }
    if sum(fewest.values()) > cores:
        raise _too_many("its neurons alone", fewest, cores)
    tilings: dict[str, tuple[Block, ...]] = {}
    for _ in range(ROUNDS):
        for population in reversed(program.populations):
            tilings[population.name] = _tile(program, population, limits, tilings)
        placement = Placement(
            cores=tuple(
                core
                for population in program.populations
                for core in _load(program, tilings[population.name], tilings)
            ),
            limits=limits,
            chip_cores=cores,
        )
        over = [core for core in placement.cores if limits.exceeded(core.usage)]
        if not over:
            break
    else:
        raise _no_room(over[0], limits)
    if len(placement.cores) > cores:
        needed = {name: use.cores for name, use in placement.utilization.items()}
        raise _too_many("its neurons, axons and synapses", needed, cores)
    return placement


def _tile(
    program: Program,
    population: Population,
    limits: CoreLimits,
    tilings: Mapping[str, tuple[Block, ...]],
) -> tuple[Block, ...]:
    """The best cut of a population, where the others are cut as in ``tilings``."""
    image = _image(program, population)
    worst = None
    for shapes in _shapes(image, limits.compartments):
        fitting: list[tuple[int, tuple[Block, ...]]] = []
        for shape in shapes:
            blocks = _cut(population.name, image, shape)
            axons = 0
            for core in _load(program, blocks, {**tilings, population.name: blocks}):
                if limits.exceeded(core.usage):
                    worst = core
                    break
                axons += core.usage.input_axons + core.usage.output_axons
            else:
                fitting.append((axons, blocks))
        if fitting:
            return min(fitting, key=lambda candidate: candidate[0])[1]
    assert worst is not None  # the finest cut, one neuron a core, was tried
    raise _no_room(worst, limits)


def _image(program: Program, population: Population) -> Shape:
    """(height, width, channels) to cut along; (1, 1, neurons) where there is no image.

    Raises:
        DoesNotFit: convolutions of different output shapes end here.
    """
    images = {
        c.target_shape
        for c in program.incoming(population.name)
        if isinstance(c, WindowConnection)
    }
    if len(images) > 1:
        raise DoesNotFit(
            f"Population {population.name!r}: convolutions of shapes {sorted(images)} "
            "end in it; one shape is allowed, reshape before a population instead"
        )
    for image in images or {population.shape}:
        if len(image) == 3:
            return image
    return (1, 1, population.size)


def _shapes(image: Shape, compartments: int) -> Iterator[list[Corner]]:
    """Box shapes of at most so many neurons, grouped by how many cover the image."""
    rows, columns, channels = (
        # size of a part → fewest parts of it; no size that could be smaller for them
        {math.ceil(size / parts): parts for parts in range(size, 0, -1)}
        for size in image
    )
    candidates = sorted(
        (rows[r] * columns[c] * channels[k], (r, c, k))
        for r, c, k in itertools.product(rows, columns, channels)
        if r * c * k <= compartments
    )
    for _, group in itertools.groupby(candidates, key=lambda candidate: candidate[0]):
        yield [shape for _, shape in group]


def _cut(name: str, image: Shape, shape: Corner) -> tuple[Block, ...]:
    """Boxes of one shape that cover an image, those at its far edges cut off."""
    corners = itertools.product(*(range(0, n, step) for n, step in zip(image, shape)))
    return tuple(
        Block(
            name,
            image,
            (row, column, channel),
            (
                min(row + shape[0], image[0]),
                min(column + shape[1], image[1]),
                min(channel + shape[2], image[2]),
            ),
        )
        for row, column, channel in corners
    )


def _load(
    program: Program,
    blocks: Sequence[Block],
    tilings: Mapping[str, tuple[Block, ...]],
) -> Iterator[Core]:
    """The blocks of one population, and what each uses of its core.

    Output axons to populations that are not in ``tilings`` count nothing yet.
    """
    name = blocks[0].population
    incoming = program.incoming(name)
    outgoing = [
        (atoms(c), axon_slots(c) * _reach(c, tilings[c.target]))
        for c in program.outgoing(name)
        if c.target in tilings
    ]
    for block in blocks:
        inputs = [fan_in(connection, block) for connection in incoming]
        slots = sum(
            int(slots[np.unique(block.neurons // group)].sum())
            for group, slots in outgoing
        )
        yield Core(
            block,
            Usage(
                compartments=block.size,
                input_axons=sum(len(fan.source) for fan in inputs),
                output_axons=slots,
                synapse_bits=sum(fan.synapse_bits for fan in inputs),
            ),
        )


def _reach(connection: Connection, blocks: Sequence[Block]) -> IntArray:
    """How many cores each source pixel sends its spikes to, (source pixels,)."""
    reach = np.zeros(math.prod(connection.source_shape) // atoms(connection), np.int64)
    for block in blocks:
        reach[fan_in(connection, block).source] += 1
    return reach


def _no_room(core: Core, limits: CoreLimits) -> DoesNotFit:
    resource = limits.exceeded(core.usage)
    assert resource is not None
    words = resource.replace("_", " ")
    return DoesNotFit(
        f"Population {core.block.population!r}: even {core.block.size} neuron(s) on "
        f"one core need {getattr(core.usage, resource)} {words}, "
        f"{getattr(limits, resource)} are allowed; {REMEDIES[resource]}"
    )


def _too_many(what: str, needed: Mapping[str, int], cores: int) -> DoesNotFit:
    ranked = sorted(needed.items(), key=lambda item: -item[1])
    largest = ", ".join(f"{name!r} {count}" for name, count in ranked[:3])
    return DoesNotFit(
        f"Program: {what} need {sum(needed.values())} cores, the chip has {cores}; "
        f"reduce the pixels or channels of the populations that need most: {largest}"
    )
