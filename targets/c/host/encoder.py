"""The encoder in C: of each population that it feeds, how a sample becomes integers."""

from __future__ import annotations

import math

import numpy as np

from ....toolchain.graph.graph import Graph
from ....toolchain.graph.nodes import Input, Output
from ....toolchain.program.host import BiasEncoder, SpikeEncoder
from ..members import Member
from ..tables import Table
from .elements import Numbers
from .network import HostNetwork
from .values import Fixed, shift_of


class BiasPart:
    """A BiasEncoder.

    Attributes:
        member: the population.
        network: what computes its currents.
    """

    def __init__(
        self, encoder: BiasEncoder, member: Member, number: int, numbers: Numbers
    ) -> None:
        self.member, self.number = member, number
        given = {encoder.graph.input.name: "sample"}
        self.network = HostNetwork(encoder.graph, f"bias{number}", numbers, given)
        scale = np.atleast_1d(np.asarray(encoder.scale, np.float64))
        self.scale = scale[:1] if np.ptp(scale) == 0 else scale
        self.tables = numbers.table(f"scale{number}", self.scale)
        self.shift = shift_of(self.scale)

    @property
    def value(self) -> str:
        """The function of a current."""
        return self.network.function(self.network.graph.output.name)

    @property
    def place(self) -> str:
        """Where the scale of neuron i is."""
        size = self.scale.size
        return "0" if size == 1 else f"i % {size}u"


class SpikePart:
    """A SpikeEncoder.

    Attributes:
        member: the spike input.
        network: its preprocessing.
    """

    def __init__(
        self, encoder: SpikeEncoder, member: Member, numbers: Numbers, dt: float
    ) -> None:
        self.encoder, self.member = encoder, member
        graph = encoder.graph or _plain((member.size,))
        given = {graph.input.name: "sample"}
        ends = {graph.output.name}
        self.network = HostNetwork(graph, "sent", numbers, given, ends=ends)
        self.most = min(encoder.max_rate * dt, 1.0)  # spikes a step
        self._numbers = numbers

    @property
    def value(self) -> str:
        """The function of a value."""
        return self.network.function(self.network.graph.output.name)

    @property
    def size(self) -> int:
        """Values of a sample; of events, of a step."""
        return math.prod(self.network.graph.input.shape)

    @property
    def rate(self) -> int:
        """Spikes a step of a value of 1, in units of 2^-32."""
        return round(self.most * 2**32)

    @property
    def phases(self) -> str:
        """The table of each neuron's phase, in 0 … 1."""
        phase = np.random.default_rng(self.encoder.seed).random(self.member.size)
        if isinstance(self._numbers, Fixed):
            whole = np.floor(phase * 2.0**32).astype(np.int64)
            return Table("phase", whole, "uint32").text
        return self._numbers.table("phase", phase)


def _plain(shape: tuple[int, ...]) -> Graph:
    return Graph((Input("sample", shape=shape), Output("values", ("sample",))))
