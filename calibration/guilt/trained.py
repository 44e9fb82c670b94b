"""Trained: the layers of a Program held to the integers that it was fine-tuned as.

A network fine-tuned with spikes learnt to answer by what the core's integers do, at so
many steps: the rates of its float neurons are no answer of its own. What a layer loses
is what the answers lose where that layer alone is the Program's, and all others are
those integers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from ...toolchain.graph.nodes import Array, FloatArray
from ...toolchain.program.host import BiasEncoder, BiasEncoders, Encoder, decode, encode
from ...toolchain.program.program import Program
from ..conversion.layerwise import Simulate
from ..readout import distance, linear_part


@dataclass(frozen=True, eq=False, kw_only=True)
class Trained:
    """The integers that a network was fine-tuned as, on some samples.

    Attributes:
        program: these integers.
        samples: as they are sent.
        steps: per sample.
        simulate: how a Program is run.
    """

    program: Program
    samples: Array
    steps: int
    simulate: Simulate

    def lost(self, other: Program, name: str) -> tuple[float, FloatArray]:
        """What is lost of the linear answers with one layer of another build.

        Returns:
            Mean squared error, of the trained answers' variance; the answers.
        """
        linear, answers = self._answered(swapped(self.program, other, name))
        return distance(linear, self.answers[0]), answers

    @cached_property
    def answers(self) -> tuple[FloatArray, FloatArray]:
        """Those of the trained integers, linear and whole."""
        return self._answered(self.program)

    def _answered(self, program: Program) -> tuple[FloatArray, FloatArray]:
        dt, decoder = program.timing.dt, program.decoder
        stimulus = encode(program.encoder, self.samples, self.steps, dt)
        spikes = {**stimulus.spikes, **self.simulate(program, stimulus)}
        plain = replace(decoder, graph=linear_part(decoder.graph))
        return decode(plain, spikes, dt), decode(decoder, spikes, dt)


def swapped(program: Program, other: Program, name: str) -> Program:
    """A Program with one population, and all that drives it, of another build of it."""
    members = zip(program.populations, other.populations, strict=True)
    wires = zip(program.connections, other.connections, strict=True)
    return replace(
        program,
        populations=tuple(o if o.name == name else p for p, o in members),
        connections=tuple(o if o.target == name else c for c, o in wires),
        encoder=_encoder(program.encoder, other.encoder, name),
    )


def _encoder(encoder: Encoder, other: Encoder, name: str) -> Encoder:
    if isinstance(encoder, BiasEncoders) and isinstance(other, BiasEncoders):
        pairs = zip(encoder.parts, other.parts, strict=True)
        return BiasEncoders(
            parts=tuple(o if o.population == name else part for part, o in pairs)
        )
    fed = isinstance(encoder, BiasEncoder) and encoder.population == name
    return other if fed else encoder
