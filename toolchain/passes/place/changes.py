"""Changes: a Program with other shapes, as far as placing it reads them.

Weights are no longer those of any network; which of them are 0, and their bits, stay.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from ...graph.nodes import Shape
from ...program.arithmetic import IntArray
from ...program.connections import (
    Connection,
    ConvConnection,
    DenseConnection,
    SparseConnection,
    WindowConnection,
)
from ...program.program import Population, Program, SpikeInput

Shapes = dict[str, Shape]


class NoSuchNetwork(Exception):
    """The shapes that a change leads to do not meet."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is other than in the Program; populations by name."""

    channels: Mapping[str, int] = field(default_factory=dict)
    stride: Mapping[str, int] = field(default_factory=dict)  # times what it was
    side: Fraction = Fraction(1)  # of the pictures that the first populations are
    bits: int | None = None  # of weights, their sign included

    def of(self, program: Program) -> Program:
        """The changed Program.

        Raises:
            NoSuchNetwork: its shapes do not meet, or a sparse connection would change.
        """
        shapes: Shapes = {}
        for member in program.members:
            shapes[member.name] = self._shape(program, member, shapes)
        connections = tuple(self._connection(c, shapes) for c in program.connections)
        return replace(
            program,
            inputs=tuple(replace(p, shape=shapes[p.name]) for p in program.inputs),
            populations=tuple(
                replace(
                    p,
                    shape=shapes[p.name],
                    bias=np.zeros(math.prod(shapes[p.name]), np.int32),
                )
                for p in program.populations
            ),
            connections=connections,
        )

    def _shape(
        self, program: Program, member: Population | SpikeInput, shapes: Shapes
    ) -> Shape:
        incoming = program.incoming(member.name)
        images = {
            self._window(c, shapes[c.source]).target_shape
            for c in incoming
            if isinstance(c, WindowConnection) and c.source in shapes
        }
        if len(images) > 1:
            raise NoSuchNetwork
        for image in images:
            if min(image) < 1:
                raise NoSuchNetwork
            return image
        *pixels, channels = member.shape
        if not incoming:
            pixels = [max(1, int(side * self.side)) for side in pixels]
        return (*pixels, self.channels.get(member.name, channels))

    def _connection(self, c: Connection, shapes: Shapes) -> Connection:
        source, target = shapes[c.source], shapes[c.target]
        if isinstance(c, WindowConnection):
            window = self._window(c, source)
            if window.target_shape != target:
                raise NoSuchNetwork
            return window
        sizes = math.prod(source), math.prod(target)
        if isinstance(c, DenseConnection):
            held = np.bitwise_or.reduce(np.abs(c.weight), axis=None)
            weight = np.broadcast_to(self._rounded(np.array(held)), sizes)
            return replace(c, weight=weight, shape=source)
        assert isinstance(c, SparseConnection)
        if sizes != (math.prod(c.shape), math.prod(c.into)):
            raise NoSuchNetwork
        return replace(c, weight=self._rounded(c.weight))

    def _window(self, c: WindowConnection, source: Shape) -> WindowConnection:
        filters = self.channels.get(c.target)
        inputs, groups = source[2], 1
        if c.groups > 1:
            groups, rest = divmod(source[2], c.inputs)
            if rest or filters not in (None, groups * c.outputs):
                raise NoSuchNetwork
            inputs, filters = c.inputs, groups * c.outputs
        times = self.stride.get(c.target, 1) if isinstance(c, ConvConnection) else 1
        return replace(
            c,
            weight=self._rounded(c.weight[:, :, :inputs, :filters]),
            shape=source,
            groups=groups,
            stride=(c.stride[0] * times, c.stride[1] * times),
        )

    def _rounded(self, weight: IntArray) -> IntArray:
        if self.bits is None:
            return weight
        largest = (1 << self.bits) - 2
        return np.where(weight == 0, 0, largest).astype(np.int16)


def owner(program: Program, name: str) -> str:
    """Whose channels a population's follow: through grouped connections, its source."""
    for c in program.incoming(name):
        if isinstance(c, WindowConnection) and c.groups > 1 and c.source != name:
            return owner(program, c.source)
    return name
