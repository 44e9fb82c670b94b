"""Damage: the integers of one layer of a Program, spoilt; its float network stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.nodes import Linear
from snn_deploy.toolchain.program import arithmetic as core
from snn_deploy.toolchain.program.connections import Connection
from snn_deploy.toolchain.program.host import BiasEncoder, BiasEncoders, Encoder
from snn_deploy.toolchain.program.program import Population, Program

SATURATING, SILENCING = (8.0, 64.0), (100.0, 1000.0)  # weights × and ÷, from … to


@dataclass(frozen=True)
class Damage:
    """What was done to which layer."""

    layer: str
    kind: str  # of KINDS
    factor: float  # by which weights and biases are larger


def drawn(program: Program, rng: np.random.Generator) -> Damage:
    """A layer, a kind of damage and its size, at random."""
    layer = rng.choice([p.name for p in program.populations])
    kind = str(rng.choice(list(KINDS)))
    low, high = SILENCING if kind == "silent" else SATURATING
    factor = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    if kind == "2 bits":
        return Damage(str(layer), kind, 1.0)
    return Damage(str(layer), kind, 1 / factor if kind == "silent" else factor)


def damaged(program: Program, damage: Damage) -> Program:
    """The Program with that layer's integers spoilt so."""
    return KINDS[damage.kind](program, damage)


def saturated(program: Program, damage: Damage) -> Program:
    """Weights and biases × factor: as the threshold and the least potential divided."""
    grain = 1 << core.THRESHOLD_SHIFT

    def lower(p: Population) -> Population:
        theta = np.maximum(np.rint(p.threshold / damage.factor / grain), 1) * grain
        theta = theta.astype(np.int32) if theta.ndim else int(theta)
        return replace(p, threshold=theta, v_min=round(p.v_min / damage.factor))

    return _with(program, damage.layer, population=lower)


def silent(program: Program, damage: Damage) -> Program:
    """Weights and biases × factor, a small one."""

    def weaker(c: Connection) -> Connection:
        return replace(c, weight=_even(c.weight * damage.factor, c))

    def unbiased(p: Population) -> Population:
        return replace(p, bias=core.round_bias(p.bias * damage.factor))

    def fed(part: BiasEncoder) -> BiasEncoder:
        return replace(part, scale=part.scale * damage.factor)

    return _with(
        program, damage.layer, connection=weaker, population=unbiased, encoder=fed
    )


def two_bits(program: Program, damage: Damage) -> Program:
    """Weights of 2 bits with their sign: 0 and ± the largest."""

    def coarse(c: Connection) -> Connection:
        largest = np.abs(c.weight).max()
        return replace(c, weight=_even(np.rint(c.weight / largest) * largest, c))

    def fed(part: BiasEncoder) -> BiasEncoder:
        nodes = (
            replace(node, weight=np.rint(node.weight / top) * top)
            if isinstance(node, Linear) and (top := np.abs(node.weight).max())
            else node
            for node in part.graph.nodes
        )
        return replace(part, graph=Graph(tuple(nodes)))

    return _with(program, damage.layer, connection=coarse, encoder=fed)


KINDS: dict[str, Callable[[Program, Damage], Program]] = {
    "saturated": saturated,
    "silent": silent,
    "2 bits": two_bits,
}


def _even(mantissa: np.ndarray, c: Connection) -> np.ndarray:
    """Mantissas that the connection's exponent allows, of its own type."""
    grain = 2 << max(-c.exponent, 0)
    return (np.rint(mantissa / grain) * grain).astype(c.weight.dtype)


def _with(
    program: Program,
    layer: str,
    *,
    connection: Callable[[Connection], Connection] = lambda c: c,
    population: Callable[[Population], Population] = lambda p: p,
    encoder: Callable[[BiasEncoder], BiasEncoder] = lambda part: part,
) -> Program:
    """The Program with a layer's parts changed."""

    def of_encoder(part: Encoder) -> Encoder:
        if isinstance(part, BiasEncoders):
            return replace(part, parts=tuple(map(of_encoder, part.parts)))
        fed = isinstance(part, BiasEncoder) and part.population == layer
        return encoder(part) if fed else part

    found = replace(
        program,
        populations=tuple(
            population(p) if p.name == layer else p for p in program.populations
        ),
        connections=tuple(
            connection(c) if c.target == layer else c for c in program.connections
        ),
        encoder=of_encoder(program.encoder),
    )
    found.check()
    return found
