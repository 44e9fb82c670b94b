"""The decoder in C: spikes are summed up, and an answer is made of their mean."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ....toolchain.errors import UnsupportedLayer
from ....toolchain.graph.nodes import LI, Input
from ....toolchain.program.host import Decoder
from ..members import Member
from .elements import Numbers
from .network import HostNetwork
from .values import Fixed


@dataclass(frozen=True)
class Read:
    """A population that is read.

    Attributes:
        first: where its values begin in the decoder's input.
        worth: of a spike, in that input.
    """

    member: Member
    first: int
    worth: float


@dataclass(frozen=True)
class Front:
    """A node whose mean is taken."""

    name: str
    size: int
    value: str  # the function of an element, in a step


class DecoderPart:
    """The Decoder.

    Attributes:
        reads: what is read.
        counts: whether spikes are counted, and nothing else is done step by step.
        skipped: steps left out at the start.
        keep: of older steps' weights in a step.
        moving, tail: what is computed in every step, and of the mean.
    """

    def __init__(
        self,
        decoder: Decoder,
        members: Mapping[str, Member],
        numbers: Numbers,
        dt: float,
    ) -> None:
        self.decoder, self.numbers = decoder, numbers
        graph = decoder.graph
        self.reads, first = list[Read](), 0
        for name, amplitude in decoder.reads:
            worth = decoder.gain * amplitude / dt
            self.reads.append(Read(members[name], first, worth))
            first += members[name].size
        self.size = first
        states = [x.name for x in graph.nodes if isinstance(x, Input | LI)]
        before = graph.before(*states)
        tail = {x.name for x in graph.nodes} - before
        front = [
            x.name
            for x in graph.nodes
            if x.name in before and any(x.name in graph[t].inputs for t in tail)
        ]
        self.skipped = round(decoder.settle / dt)
        self.keep = math.exp(-dt / decoder.tau_syn) if decoder.tau_syn else 1.0
        self.counts = len(states) == 1 and not decoder.tau_syn
        if isinstance(numbers, Fixed) and not self.counts:
            raise UnsupportedLayer(
                "Decoder: a weighted mean, or a leaky integrator, is not computed in "
                "fixed point; use --host float"
            )
        given = {graph.input.name: "spike"}
        self.moving = HostNetwork(
            graph, "step", numbers, given, only=before, ends=set(front), dt=dt
        )
        self.fronts = [
            Front(f"mean{k}", math.prod(graph.shapes[x]), self.moving.function(x))
            for k, x in enumerate(front)
        ]
        taken = {x: front.name for x, front in zip(front, self.fronts)}
        self.tail = HostNetwork(graph, "answer", numbers, taken, only=tail)

    @property
    def value(self) -> str:
        """The function of an answer's element."""
        return self.tail.function(self.decoder.graph.output.name)

    @property
    def answers(self) -> int:
        """Elements of an answer."""
        graph = self.decoder.graph
        return math.prod(graph.shapes[graph.output.name])
