"""``host.h`` and ``host.c``: encoder and decoder of a Program."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ....toolchain.errors import UnsupportedLayer
from ....toolchain.program.host import BiasEncoder, SpikeEncoder, parts_of
from ....toolchain.program.program import Program
from ..members import Member
from .bounds import bounds, fits
from .decoder import DecoderPart
from .elements import Numbers
from .encoder import BiasPart, SpikePart
from .network import HostNetwork, Kept
from .values import Bound, Double, Fixed

KINDS = ("float", "fixed")
"""What a host computes in, as users say it."""
FRACTIONS = (28, 7)  # bits behind the point: the most, and one less than the least


class Host:
    """Encoder and decoder of a Program in C.

    Attributes:
        biases, sends: parts of the encoder.
        decoder: the decoder.
    """

    def __init__(
        self, program: Program, members: Mapping[str, Member], kind: str = "float"
    ) -> None:
        """``kind``: of KINDS.

        Raises:
            UnsupportedLayer: a node of the host has no C of this kind.
        """
        parts, dt = parts_of(program.encoder), program.timing.dt
        self.numbers: Numbers = Double()
        if kind == "fixed":
            self.numbers = Fixed(fraction_of(program))
        self.biases = [
            BiasPart(part, members[part.population], k, self.numbers)
            for k, part in enumerate(parts)
            if isinstance(part, BiasEncoder)
        ]
        self.sends = [
            SpikePart(part, members[part.population], self.numbers, dt)
            for part in parts
            if isinstance(part, SpikeEncoder)
        ]
        self.decoder = DecoderPart(program.decoder, members, self.numbers, dt)

    @property
    def _encoders(self) -> list[BiasPart | SpikePart]:
        return [*self.biases, *self.sends]

    @property
    def networks(self) -> list[HostNetwork]:
        """All networks that it computes."""
        encoders = [part.network for part in self._encoders]
        return [*encoders, self.decoder.moving, self.decoder.tail]

    @property
    def kept(self) -> list[Kept]:
        """All arrays of theirs."""
        return [kept for network in self.networks for kept in network.kept]

    @property
    def moves(self) -> bool:
        """Whether a sample has steps of its own."""
        return any(part.encoder.coding == "events" for part in self.sends)

    @property
    def inputs(self) -> int:
        """Numbers of a sample; of a step, where a sample has steps."""
        sizes = [math.prod(part.network.graph.input.shape) for part in self.biases]
        return max(sizes + [part.size for part in self.sends])

    @property
    def limit(self) -> int:
        """Largest |number| of a sample, so that every value fits; 0: any does."""
        if not isinstance(self.numbers, Fixed):
            return 0
        fraction = self.numbers.fraction
        graphs = [part.network.graph for part in self._encoders]
        bits = 30
        while not all(
            fits(g, Bound(2.0 ** (bits - fraction)), fraction) for g in graphs
        ):
            bits -= 1
        return 1 << bits

    @property
    def deviation(self) -> float:
        """How far a bias before it is rounded may be from the Python host's.

        In fixed point, in units of the bias, of a sample of numbers in −1 … 1 that
        fixed point holds; two that are rounded are then the same, unless one is so near
        to a half.
        """
        found = [0.0]
        for part in self.biases:
            assert isinstance(self.numbers, Fixed)
            graph, fraction = part.network.graph, self.numbers.fraction
            current = bounds(graph, Bound(1.0), fraction)[-1]
            most = float(np.abs(part.scale).max())
            rounding = 2.0 ** -(part.shift + 1)
            found.append(most * current.error + rounding * (current.size + 1))
        return max(found)

    @property
    def values(self) -> Mapping[str, Any]:
        """For the templates."""
        fraction = self.numbers.fraction if isinstance(self.numbers, Fixed) else 0
        return {
            "host": self,
            "decoder": self.decoder,
            "numbers": self.numbers,
            "fraction": fraction,
            "one": 1 << fraction,
        }


def fraction_of(program: Program) -> int:
    """Most bits behind the point with which every value of samples in −1 … 1 fits.

    Raises:
        UnsupportedLayer: none does.
    """
    dt, decoder = program.timing.dt, program.decoder
    worth = max(abs(amplitude) for _, amplitude in decoder.reads)
    given = [(decoder.graph, Bound(decoder.gain * worth / dt))]
    for part in parts_of(program.encoder):
        if part.graph is not None:
            given.append((part.graph, Bound(1.0)))
    for fraction in range(*FRACTIONS, -1):
        if all(fits(graph, bound, fraction) for graph, bound in given):
            return fraction
    raise UnsupportedLayer(
        "Host: values of its networks are beyond what fixed point holds; use --host "
        "float"
    )
