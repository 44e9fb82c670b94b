"""A connection from one spike's side: its tables, and the expressions of its loop."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from ...toolchain.program.arithmetic import IntArray
from ...toolchain.program.connections import SparseConnection, WindowConnection
from .axes import Axis, axes_of
from .members import Member
from .tables import Table, narrowest
from .widths import Layer, Link


class Synapses:
    """A Link's tables and expressions.

    Attributes:
        ident: of its names.
        times: what each weight is taken times, in units of the layer's sums.
        tables: name → table, ``weights`` among them.
    """

    def __init__(self, link: Link, ident: str, layer: Layer, source: Member) -> None:
        self.connection, self.ident, self.source = link.connection, ident, source
        self.times = 1 << link.shift - layer.unit
        self._table = link.table
        self.slot = source.slot(link.connection.delay)

    @property
    def kind(self) -> str:
        """Which of the templates' loops it is."""
        if isinstance(self.connection, WindowConnection):
            return "window"
        sparse = isinstance(self.connection, SparseConnection)
        return "sparse" if sparse else "dense"

    @property
    def adding(self) -> str:
        """The function that adds a run of weights."""
        return "add" if self.times == 1 else "add_times"

    @property
    def factor(self) -> str:
        """Its last argument."""
        return "" if self.times == 1 else f", {self.times}"

    @property
    def fan(self) -> int:
        """Synapses of each source neuron, of a dense connection."""
        return int(self.connection.weight.shape[-1])

    @property
    def window(self) -> Window:
        """The geometry of a (transposed) convolution."""
        assert isinstance(self.connection, WindowConnection)
        return Window(self.connection)

    @cached_property
    def each(self) -> int:
        """Synapses of each source neuron of a sparse connection; 0: they differ."""
        starts = self._starts
        fan = int(starts[1])
        return fan if np.array_equal(starts, fan * np.arange(starts.size)) else 0

    @property
    def _starts(self) -> IntArray:
        assert isinstance(self.connection, SparseConnection)
        found: IntArray = np.searchsorted(
            self.connection.sender, np.arange(self.source.size + 1)
        )
        return found

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """By what they hold."""
        c = self.connection
        found: dict[str, IntArray] = {"weights": self._table}
        if isinstance(c, SparseConnection):
            found["targets"] = c.receiver
            if not self.each:
                found["starts"] = self._starts
        if isinstance(c, WindowConnection):
            found["weights"] = self.window.laid(self._table)
            for which, axis in (
                ("row", self.window.rows),
                ("column", self.window.columns),
            ):
                found[f"{which}_first"] = axis.first
                found[f"{which}_count"] = axis.count
                found[f"{which}_start"] = axis.start
        return {
            name: Table(f"{name}_{self.ident}", array, _kind(name, array))
            for name, array in found.items()
        }


def _kind(name: str, array: IntArray) -> str:
    return "int8" if name == "weights" else narrowest(array).replace("int32", "uint32")


class Window:
    """A (transposed) convolution in numbers, see ``axes``.

    Attributes:
        channels, width, line: of the source; a line is a row of its neurons.
        each: filters of a group.
        step, kernel: weights of a row of the kernel, of a channel's whole.
    """

    def __init__(self, c: WindowConnection) -> None:
        self.rows, self.columns = axes_of(c)
        _, self.width, self.channels = c.shape
        self.line = self.width * self.channels
        *_, self.inputs, self.filters = c.weight.shape
        self.groups = c.groups
        self.each = self.filters // c.groups
        self.step = self.columns.order.size * self.each
        self.kernel = self.rows.order.size * self.step
        self.down = self.columns.size * self.filters  # neurons of a row of the target
        self.next = self.rows.hop * self.down
        self.hop = self.columns.hop * self.filters

    @property
    def together(self) -> bool:
        """Whether what a spike meets in a row is one run of the target's neurons."""
        return self.groups == 1 and self.columns.hop == 1

    @property
    def axes(self) -> tuple[tuple[str, Axis], ...]:
        """By name."""
        return ("row", self.rows), ("column", self.columns)

    def laid(self, table: IntArray) -> IntArray:
        """(channels, rows, columns, filters of a group) of a kernel's table."""
        rows, columns, inputs, _ = table.shape
        split = table.reshape(rows, columns, inputs, self.groups, self.each)
        ordered = split[self.rows.order][:, self.columns.order]
        return ordered.transpose(3, 2, 0, 1, 4).reshape(-1, rows, columns, self.each)
