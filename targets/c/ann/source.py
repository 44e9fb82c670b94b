"""Source: the C of an ANN in 8 bits; the same network gives the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from .... import __version__
from ....toolchain.graph.nodes import Conv2D, FloatArray
from ....toolchain.program.arithmetic import IntArray
from ..names import commented, identifiers
from ..tables import Table
from ..templates import rendered
from .network import Layer, Network

ABOUT = """\
/* An artificial neural network in 8 bits; written by snn-deploy {version}.
 * Sums have 32 bits. A pixel's channels lie together, and what a row of a kernel meets
 * is one run of codes and one of weights. */"""


class Written:
    """A Layer as C knows it: tables, places, and what its template asks for."""

    def __init__(self, layer: Layer, ident: str, given: int, made: int) -> None:
        """``given``, ``made``: where its codes lie in the network's memory."""
        self.layer, self.ident, self.given, self.made = layer, ident, given, made
        self.name, self.shape, self.shape_out = (
            layer.node.name,
            layer.shape,
            layer.shape_out,
        )
        self.size_in, self.size_out = layer.size_in, layer.size_out
        self.zero_in, self.zero_out = layer.zero_in, layer.zero_out
        self.table, self.stride = layer.table, layer.node.stride
        self.kernel = layer.node.kernel
        self.before = tuple(pair[0] for pair in layer.node.padding)

    @property
    def kind(self) -> str:
        """Which template its loops are."""
        plain = isinstance(self.layer.node, Conv2D)
        return "ann_conv" if plain else "ann_transposed"

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """Of weights (filter, row, column, channel), biases, factors and codes."""
        node = self.layer.node
        found: Mapping[str, tuple[FloatArray | IntArray, str]] = {
            "weight": (node.weight.transpose(3, 0, 1, 2), "int8"),
            "bias": (node.bias, "int32"),
            "multiplier": (self.layer.multiplier, "int32"),
            "shift": (self.layer.shift, "uint8"),
        }
        tables = [
            Table(f"{name}_{self.ident}", array.astype("int64"), kind)
            for name, (array, kind) in found.items()
        ]
        if self.table is not None:
            tables.append(Table(f"table_{self.ident}", self.table, "uint8"))
        return tuple(tables)


class Source:
    """The C of a Network.

    Attributes:
        memory: bytes of codes: the largest pair of neighbours.
    """

    def __init__(self, network: Network) -> None:
        self.network, layers = network, network.layers
        self.memory = max(layer.size_in + layer.size_out for layer in layers)
        names = [f"{k} {layer.node.name}" for k, layer in enumerate(layers)]
        idents = identifiers(names)
        self.layers = tuple(
            Written(layer, idents[name], *self._places(k, layer))
            for k, (name, layer) in enumerate(zip(names, layers))
        )

    def _places(self, number: int, layer: Layer) -> tuple[int, int]:
        """Of what comes in and goes out: one at the start, the other at the end."""
        if number % 2:
            return self.memory - layer.size_in, 0
        return 0, self.memory - layer.size_out

    @property
    def tables(self) -> int:
        """Bytes of all tables."""
        return sum(table.bytes for x in self.layers for table in x.tables)

    def file(self, name: str) -> str:
        """``ann.h``, ``ann.c`` or ``ann_serve.c``; ASCII."""
        return rendered(name, self.values)

    @cached_property
    def values(self) -> Mapping[str, Any]:
        """For the templates."""
        return {
            "about": ABOUT.format(version=commented(__version__)),
            "layers": self.layers,
            "memory": self.memory,
        }
