"""Program: what is deployed. Integers for the core, float Graphs for its host."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import DoesNotFit, ModelError
from ..graph.graph import STEP, Graph
from ..graph.nodes import Array, FloatArray, Shape
from ..graph.text import array_text, number_text, shape_text
from . import arithmetic as core
from .arithmetic import IntArray
from .connections import Connection, SparseConnection, WindowConnection
from .correction import Correction
from .host import CODINGS, BiasEncoder, Decoder, Encoder, SpikeEncoder, parts_of


@dataclass(frozen=True, eq=False, kw_only=True)
class SpikeInput:
    """A population on the host's side of the core: its spikes are given."""

    name: str
    shape: Shape

    @property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)

    def __str__(self) -> str:
        """One line: name and shape."""
        return f"{self.name}: SpikeInput {shape_text(self.shape)}"


@dataclass(frozen=True, eq=False, kw_only=True)
class Population:
    """Neurons of the core that share their constants; see ``step``.

    The last axis of ``shape`` is the channels'; each has its own threshold, of 7
    different ones at most, so that no core has more, however the population is cut. A
    core has one v_min.

    ``scale`` (integer membrane units for one unit of the float model's threshold, of
    each channel or of all) and ``amplitude`` (output of one spike, integrated over s)
    lead back to the float model. ``correction`` is what calibration did to its weights
    and bias. ``macs`` (what of multiply-accumulates its synapses take the place of,
    ``calibration.operations``; None: not known) leads to the network that it was made
    of. No target reads them.
    """

    name: str
    shape: Shape
    decay_u: int  # δ_u, 0 … 4095
    decay_v: int  # δ_v, 0 … 4095
    threshold: int | IntArray  # θ, multiples of 64; one for all or (channels,) int32
    bias: IntArray  # (neurons,) int32, 12-bit mantissa · 2^(0 … 7)
    refractory: int = 1  # r, 1: no refractory step
    v_min: int = 0
    v_max: int = core.V_LIMIT
    scale: float | FloatArray = 1.0
    amplitude: float = 1.0
    correction: Correction | None = None
    macs: int | None = None

    @property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)

    @cached_property
    def thresholds(self) -> IntArray:
        """θ of every neuron, (neurons,) int32; neuron n's channel is n mod channels."""
        return np.resize(self.threshold, self.size).astype(np.int32)

    def __str__(self) -> str:
        """One line of its integers; v_max where it is not the core's own limit."""
        top = "" if self.v_max == core.V_LIMIT else f" v_max {self.v_max}"
        return (
            f"{self.name}: Population {shape_text(self.shape)} δ_u {self.decay_u} "
            f"δ_v {self.decay_v} θ {array_text(self.threshold)} r {self.refractory} "
            f"v_min {self.v_min}{top} bias {array_text(self.bias)}"
        )


@dataclass(frozen=True, kw_only=True)
class Timing:
    """When things happen. State is fresh (zero) for every sample."""

    dt: float  # s, one timestep
    steps: int  # steps per sample

    def __str__(self) -> str:
        """As the last line of a Program's text."""
        return f"timing: {self.steps} steps of {number_text(self.dt)} s"


@dataclass(frozen=True, eq=False, kw_only=True)
class Program:
    """Encoder (host) → populations and connections (core) → decoder (host)."""

    inputs: tuple[SpikeInput, ...]
    populations: tuple[Population, ...]
    connections: tuple[Connection, ...]
    encoder: Encoder
    decoder: Decoder
    timing: Timing
    graph: Graph | None = None  # the spiking float network the integers stand for

    def __str__(self) -> str:
        """A line for each part in order of flow; not the float network it stands for.

        Of weights, biases and the host's Graphs as much is shown as in ``graph.text``.
        """
        lines: list[object] = [self.encoder, *self.inputs]
        for population in self.populations:
            lines += [*self.incoming(population.name), population]
        return "\n".join(map(str, [*lines, self.decoder, self.timing]))

    def __getitem__(self, name: str) -> Population | SpikeInput:
        """The population or spike input of this name; KeyError where there is none."""
        return self._by_name[name]

    @property
    def members(self) -> tuple[Population | SpikeInput, ...]:
        """Spike inputs and populations, in order of flow."""
        return (*self.inputs, *self.populations)

    @cached_property
    def _by_name(self) -> dict[str, Population | SpikeInput]:
        return {p.name: p for p in self.members}

    def incoming(self, name: str) -> list[Connection]:
        """Connections into a population."""
        return [c for c in self.connections if c.target == name]

    def outgoing(self, name: str) -> list[Connection]:
        """Connections out of a population."""
        return [c for c in self.connections if c.source == name]

    @property
    def neurons(self) -> int:
        """Neurons on the core, spike inputs not counted."""
        return sum(p.size for p in self.populations)

    def check(self) -> None:
        """Raise unless every integer is one that the core can hold.

        Raises:
            ModelError: names or shapes do not meet.
            DoesNotFit: a number is beyond the core's widths.
        """
        if len(self._by_name) != len(self.members):
            raise ModelError("Program: two populations have the same name")
        names = {p.name for p in self.populations}
        _check_host(self)
        shortest, longest = STEP
        if self.timing.steps < 1 or not shortest <= self.timing.dt <= longest:
            raise ModelError(
                f"Program: {self.timing.steps} steps of {self.timing.dt} s; at least "
                f"one step, of {shortest:g} to {longest:g} s, is needed"
            )
        for population in self.populations:
            _check_population(population)
        for connection in self.connections:
            _check_geometry(connection)
            _check_connection(connection)
            for name, shape, known in (
                (connection.source, connection.source_shape, self._by_name),
                (connection.target, connection.target_shape, names),
            ):
                if name not in known or self[name].size != math.prod(shape):
                    raise ModelError(
                        f"Connection {connection.source!r} → {connection.target!r}: "
                        f"{shape} does not meet population {name!r}"
                    )


def _demand(holds: bool, what: str, value: object, allowed: str) -> None:
    if not holds:
        raise DoesNotFit(f"{what} is {value}; allowed is {allowed}")


def _demand_each(what: str, value: float | Array, shape: Shape) -> None:
    """Of a population of this shape: one number, or one for each channel."""
    given, channels = np.shape(value), shape[-1:] or (1,)
    allowed = f"one number, or one a channel, {channels}"
    _demand(given in ((), channels), f"{what}, shape", given, allowed)


def _check_host(program: Program) -> None:
    """The encoder feeds, and the decoder reads, populations of their graphs' sizes."""
    given = [p.name for p in program.inputs]
    parts, decoder = parts_of(program.encoder), program.decoder
    on_core = [p.name for p in program.populations]
    for part in parts:
        fed = on_core
        if isinstance(part, SpikeEncoder):
            _check_coding(part)
            fed = given
        if part.population not in fed:
            raise ModelError(
                f"Program: its {type(part).__name__} feeds {part.population!r}; it can "
                f"feed one of {fed}"
            )
        if isinstance(part, BiasEncoder):
            to = program[part.population]
            _demand_each(f"BiasEncoder → {to.name!r}: scale", part.scale, to.shape)
        if part.graph is not None:
            out = part.graph.shapes[part.graph.output.name]
            _check_size(program, part.population, "encoder gives", out)
    names = [part.population for part in parts]
    if set(given) - set(names) or len(set(names)) < len(names) or not names:
        raise ModelError(
            f"Program: its encoder feeds {names}; it must feed all of the inputs "
            f"{given}, and none twice"
        )
    size = 0
    for name, _ in decoder.reads:
        if name not in program._by_name:
            raise ModelError(f"Program: its decoder names no population: {name!r}")
        size += program[name].size
    taken = decoder.graph.input.shape
    if size != math.prod(taken):
        raise ModelError(
            f"Program: its decoder takes {taken}, the populations it reads have {size} "
            "neurons"
        )


def _check_coding(encoder: SpikeEncoder) -> None:
    known = encoder.coding in CODINGS and encoder.max_rate > 0
    if not known or not 0 <= encoder.seed < 1 << 32:
        raise ModelError(
            f"SpikeEncoder: coding {encoder.coding!r} at {encoder.max_rate} Hz, "
            f"seed {encoder.seed}; allowed is one of {CODINGS} at more than 0 Hz, "
            "and a seed from 0 to 2^32 − 1"
        )


def _check_size(program: Program, name: str, what: str, shape: Shape) -> None:
    if program[name].size != math.prod(shape):
        raise ModelError(
            f"Program: its {what} {shape}, population {name!r} is {program[name].shape}"
        )


def _check_geometry(c: Connection) -> None:
    fits = c.weight.dtype.kind in "iu" and c.weight.size > 0
    if isinstance(c, WindowConnection):
        fits &= c.weight.ndim == 4 and len(c.shape) == 3
        fits &= min(*c.stride, *c.dilation, c.groups) >= 1
        fits = fits and c.weight.shape[2] * c.groups == c.shape[2]
        fits = fits and c.weight.shape[3] % c.groups == 0 and min(c.target_shape) >= 1
    elif isinstance(c, SparseConnection):
        fits &= c.weight.ndim == 1
        for ends, shape in ((c.sender, c.shape), (c.receiver, c.into)):
            fits = fits and ends.shape == c.weight.shape and ends.dtype.kind in "iu"
            fits = fits and 0 <= ends.min() and ends.max() < math.prod(shape)
        fits = fits and _is_sorted(c)
    else:
        fits &= c.weight.ndim == 2
        fits = fits and math.prod(c.source_shape) == c.weight.shape[0]
    if not fits:
        raise ModelError(
            f"Connection {c.source!r} → {c.target!r}: weights {c.weight.shape} of "
            f"{c.weight.dtype} do not go with its ends, stride, padding or groups"
        )


def _is_sorted(c: SparseConnection) -> bool:
    """Whether synapses go by sender, then receiver, and none is there twice."""
    later = c.sender[1:] > c.sender[:-1]
    further = c.receiver[1:] > c.receiver[:-1]
    return bool((later | (further & (c.sender[1:] == c.sender[:-1]))).all())


def _check_population(p: Population) -> None:
    what = f"Population {p.name!r}"
    _demand(0 <= p.decay_u <= 4095, f"{what}: δ_u", p.decay_u, "0 … 4095")
    _demand(0 <= p.decay_v <= 4095, f"{what}: δ_v", p.decay_v, "0 … 4095")
    _check_thresholds(what, p)
    _demand(
        1 <= p.refractory <= core.MAX_REFRACTORY,
        f"{what}: refractory counter",
        p.refractory,
        f"1 … {core.MAX_REFRACTORY} steps",
    )
    _demand(
        -core.V_LIMIT <= p.v_min <= 0 < p.v_max <= core.V_LIMIT,
        f"{what}: (v_min, v_max)",
        (p.v_min, p.v_max),
        f"−{core.V_LIMIT} … 0 and 1 … {core.V_LIMIT}",
    )
    _demand(
        p.bias.shape == (p.size,) and p.bias.dtype.kind == "i",
        f"{what}: bias",
        f"{p.bias.shape} of {p.bias.dtype}",
        f"({p.size},) of integers",
    )
    _demand(p.macs is None or p.macs >= 0, f"{what}: macs", p.macs, "0 or more")
    held = core.round_bias(p.bias.astype(np.float64)) == p.bias
    _demand(
        bool(held.all()),
        f"{what}: bias",
        p.bias[~held][:1],
        "a 12-bit mantissa · 2^(0 … 7)",
    )


def _check_thresholds(what: str, p: Population) -> None:
    _demand_each(f"{what}: threshold", p.threshold, p.shape)
    _demand_each(f"{what}: scale", p.scale, p.shape)
    found = np.unique(p.threshold)
    held = (found >= 0) & (found <= core.MAX_THRESHOLD)
    held &= found % (1 << core.THRESHOLD_SHIFT) == 0
    _demand(
        bool(held.all()) and found.dtype.kind == "i",
        f"{what}: threshold",
        found[~held][:1] if found.size > 1 else p.threshold,
        f"a multiple of 64 up to {core.MAX_THRESHOLD}",
    )
    _demand(
        found.size <= core.MAX_THRESHOLDS,
        f"{what}: number of different thresholds",
        found.size,
        f"{core.MAX_THRESHOLDS} a core",
    )


def _check_connection(c: Connection) -> None:
    what = f"Connection {c.source!r} → {c.target!r}"
    _demand(
        abs(c.exponent) <= core.MAX_EXPONENT,
        f"{what}: exponent",
        c.exponent,
        f"±{core.MAX_EXPONENT}",
    )
    _demand(1 <= c.delay <= 63, f"{what}: delay", c.delay, "1 … 63 steps")
    grain = 2 << max(-c.exponent, 0)
    limit = core.MAX_MANTISSA
    held = (c.weight <= limit) & (c.weight >= -limit) & (c.weight % grain == 0)
    _demand(
        bool(held.all()),
        f"{what}: weight mantissa",
        c.weight[~held][:1],
        f"a multiple of {grain} up to ±{core.MAX_MANTISSA}",
    )
