"""Random networks for the soak: drawn Programs side by side, busy or calmed.

Those of the tests, larger. The emulator's time is that of spikes, and of steps; so most
neuron-steps are of networks that are large and calm.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import drawn_loops  # noqa: E402
import random_programs  # noqa: E402
from random_graphs import samples_for  # noqa: E402

from snn_deploy.targets.loihi.target import LoihiEmulator  # noqa: E402
from snn_deploy.targets.reference.target import Reference  # noqa: E402
from snn_deploy.toolchain.errors import DoesNotFit, ModelError  # noqa: E402
from snn_deploy.toolchain.passes.legalize.legalize import legalize  # noqa: E402
from snn_deploy.toolchain.passes.place.limits import CoreLimits  # noqa: E402
from snn_deploy.toolchain.passes.place.place import place  # noqa: E402
from snn_deploy.toolchain.passes.quantize.quantize import quantize  # noqa: E402
from snn_deploy.toolchain.passes.unroll import unrolled  # noqa: E402
from snn_deploy.toolchain.program import arithmetic as core  # noqa: E402
from snn_deploy.toolchain.program.host import (  # noqa: E402
    BiasEncoder,
    BiasEncoders,
    Decoder,
    SpikeEncoder,
    Stimulus,
    encode,
    parts_of,
)
from snn_deploy.toolchain.program.program import Program, Timing  # noqa: E402

LARGEST, SIDES = 3000, st.integers(5, 16)  # neurons of a population, pixels
A_CHUNK = 20  # Programs of one seed of Hypothesis's, which are joined
WHOLE = 60_000  # neurons that are joined, about
SMALLEST = 150  # neurons of a Program; of smaller ones the emulator's overhead is all
BUSY = 8  # Programs that are joined as they were drawn, at most
PROBED = 32  # steps, by which quiet and busy Programs are told apart
QUIET = 0.005  # spikes a neuron and step
DENSITY = (0.0, 1e-3, 0.01, 0.1, 0.5, 1.0)  # of input spikes


class SmallCores(LoihiEmulator):
    """Cores so small that every population is cut."""

    limits = replace(
        LoihiEmulator.limits,
        core=CoreLimits(
            compartments=100,
            input_axons=4096,
            output_axons=4096,
            synapse_bits=16384 * 64,
        ),
        cores=10_000,
    )


class SmallChips(SmallCores):
    """And chips of three of them."""

    limits = replace(SmallCores.limits, cores=3, chips=None)


@dataclass(frozen=True)
class Part:
    """A Program that was drawn."""

    program: Program
    delayed: Program  # the same before its delays were unrolled
    density: float  # of its input spikes

    @property
    def size(self) -> int:
        return sum(p.size for p in self.program.members)

    def sent(self, steps: int, rng: np.random.Generator) -> Stimulus:
        """One sample: biases by the encoder, or input spikes of any density."""
        program, encoder = self.program, self.program.encoder
        if not program.inputs:
            graph = parts_of(encoder)[0].graph
            assert graph is not None
            shape = graph.input.shape
            x = rng.uniform(-0.2, 1, (1, *shape))
            return encode(encoder, x, steps, program.timing.dt)
        spikes = {
            p.name: rng.random((1, steps, p.size)) < self.density
            for p in program.inputs
        }
        return Stimulus(samples=1, steps=steps, bias={}, spikes=spikes)


@dataclass(frozen=True)
class Network:
    """Programs side by side in one; its number makes it again."""

    number: tuple[int, int]  # seed of the chunk; 0: the quiet ones, 1: the busy ones
    parts: tuple[Part, ...]

    @property
    def program(self) -> Program:
        return joined([part.program for part in self.parts])

    @property
    def delayed(self) -> Program | None:
        """None: no delays were unrolled."""
        if all(part.program is part.delayed for part in self.parts):
            return None
        return joined([part.delayed for part in self.parts])

    def sent(self, steps: int, rng: np.random.Generator) -> Stimulus:
        bias: dict[str, Any] = {}
        spikes: dict[str, Any] = {}
        for i, part in enumerate(self.parts):
            one = part.sent(steps, rng)
            bias |= {f"n{i}.{name}": x for name, x in one.bias.items()}
            spikes |= {f"n{i}.{name}": x for name, x in one.spikes.items()}
        return Stimulus(samples=1, steps=steps, bias=bias, spikes=spikes)


def joined(programs: list[Program]) -> Program:
    """Side by side, with a prefix to every name."""
    named: dict[str, list[Any]] = {"inputs": [], "populations": [], "connections": []}
    for i, program in enumerate(programs):
        for kind in ("inputs", "populations"):
            held = getattr(program, kind)
            named[kind] += [replace(p, name=f"n{i}.{p.name}") for p in held]
        named["connections"] += [
            replace(c, source=f"n{i}.{c.source}", target=f"n{i}.{c.target}")
            for c in program.connections
        ]
    first = (*named["inputs"], *named["populations"])[0]
    graph = random_programs.identity(first.shape)
    return Program(
        **{kind: tuple(held) for kind, held in named.items()},
        encoder=SpikeEncoder(population=first.name)
        if named["inputs"]
        else BiasEncoder(graph=graph, population=first.name, scale=1.0),
        decoder=Decoder(graph=graph, population=first.name, amplitude=1.0),
        timing=Timing(dt=programs[0].timing.dt, steps=1),
    )


def networks(first: int) -> Iterator[Network]:
    """Without end: of each chunk the busy Programs, and all of them calmed; the calm
    ones of four chunks, as often side by side, each with input of its own, as makes a
    large network. For the emulator's time is that of spikes, and of steps."""
    random_programs.LARGEST, random_programs.SIDES = LARGEST, SIDES
    drawn_loops.IMAGE = (12, 10, 4)
    chunk, calm = first, []
    while True:
        kind = drawn_delayed if chunk % 4 == 3 else drawn_programs
        parts = [part for part in kind(chunk) if fits(part.program)]
        busy = [part for part in parts if part.size < WHOLE // 4][:BUSY]
        if busy:
            yield Network((chunk, 1), tuple(busy))
        calm += [each for part in parts for each in calmed(part, chunk)]
        size = sum(part.size for part in calm)
        if chunk % 4 == 3 and calm:
            yield Network((chunk, 0), tuple(calm * max(1, WHOLE // size)))
            calm = []
        chunk += 1


def calmed(part: Part, chunk: int) -> Iterator[Part]:
    """The same with thresholds so high, and input so low, that few neurons fire; none
    where none would."""
    for factor in (1, 4, 16, 64, 256):
        each = part if factor == 1 else calmer(part, factor)
        if 0 < probed(each, np.random.default_rng(chunk)) <= QUIET:
            yield each
            return


def calmer(part: Part, factor: int) -> Part:
    """Thresholds times so much, biases and input spikes by it less."""
    changed = []
    for program in (part.program, part.delayed):
        encoder = calmer_encoder(program.encoder, factor)
        populations = []
        for p in program.populations:
            high = np.minimum(np.int64(p.threshold) * factor, core.MAX_THRESHOLD)
            high = high.astype(np.int32) if np.ndim(high) else int(high)
            bias = core.round_bias(p.bias / factor)
            relay = ".relay" in p.name  # which sends on what it is sent
            populations.append(p if relay else replace(p, threshold=high, bias=bias))
        changed.append(
            replace(program, encoder=encoder, populations=tuple(populations))
        )
    return Part(*changed, density=part.density / factor)


def calmer_encoder(encoder: Any, factor: int) -> Any:
    """Of biases, which are by it less."""
    if isinstance(encoder, BiasEncoders):
        parts = tuple(calmer_encoder(part, factor) for part in encoder.parts)
        return replace(encoder, parts=parts)
    if isinstance(encoder, BiasEncoder):
        return replace(encoder, scale=encoder.scale / factor)
    return encoder


def fits(program: Program) -> bool:
    """Whether it is large enough, and within a board even on the small cores."""
    small = SmallCores.limits
    try:
        place(program, small.core, small.cores, small.chips)
    except DoesNotFit:
        return False
    return program.neurons >= SMALLEST


def probed(part: Part, rng: np.random.Generator) -> float:
    """Spikes a neuron and step of one sample, those sent counted too."""
    sent = part.sent(PROBED, rng)
    spikes = Reference(1).open(part.program).simulate(sent)
    fired = sum(int(array.sum()) for array in (*sent.spikes.values(), *spikes.values()))
    return fired / (part.size * PROBED)


def drawn_programs(chunk: int) -> list[Part]:
    """Of every connection, with and without loops, behind either encoder."""
    found: list[Part] = []
    rng = np.random.default_rng(chunk)

    def density() -> float:
        return float(rng.choice(DENSITY))

    drawn = random_programs.programs(recurrent=chunk % 2 == 1)
    draw(chunk, drawn, lambda program: found.append(Part(program, program, density())))
    return found


def drawn_delayed(chunk: int) -> list[Part]:
    """Spiking Graphs with loops and delays, unrolled, and as they were."""
    found: list[Part] = []

    def add(graph: Any) -> None:
        x = samples_for(graph, chunk, count=2)
        try:
            program = quantize(legalize(graph), x, steps=64, dt=drawn_loops.DT)
            found.append(Part(unrolled(program), program, 0.0))
        except (DoesNotFit, ModelError):  # a drawn weight beyond a core's widths
            pass

    draw(chunk, drawn_loops.loops(), add)
    return found


def draw(chunk: int, strategy: Any, add: Callable[[Any], None]) -> None:
    """Hand some drawn values on; equal chunks draw equal ones."""

    @seed(chunk)
    @settings(
        max_examples=A_CHUNK,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def drawn(value: Any) -> None:
        add(value)

    drawn()
