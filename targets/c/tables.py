"""Tables: a connection's weights in the order in which a spike meets them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...toolchain.program.arithmetic import IntArray
from ...toolchain.program.connections import ConvConnection, WindowConnection

WIDTH = 88  # characters of a line


@dataclass(frozen=True, eq=False)
class Window:
    """A (transposed) convolution, from one spike's side, as expressions of C.

    Where target columns of neighbouring places of the kernel are neighbours
    (``adjacent``), all places of a row are one run, the kernel mirrored if need be.
    """

    connection: WindowConnection

    def __getattr__(self, name: str) -> int:
        c = self.connection
        rows, columns, _, filters = c.weight.shape
        found = {
            "rows": rows,
            "columns": columns,
            "filters": filters,
            "each": filters // c.groups,
            "groups": c.groups,
            "width": c.shape[1],
            "channels": c.shape[2],
            "into_height": c.target_shape[0],
            "into_width": c.target_shape[1],
        }
        return int(found[name])

    @property
    def forward(self) -> bool:
        """A convolution: its windows are the target's pixels."""
        return isinstance(self.connection, ConvConnection)

    @property
    def adjacent(self) -> bool:
        """See the class."""
        c = self.connection
        paced = c.stride[1] == 1 or not self.forward
        return paced and c.dilation[1] == 1 and c.groups == 1

    @property
    def left(self) -> str:
        """The least target column of a spike in ``column``."""
        (_, pace), (_, (before, _)) = self.connection.stride, self.connection.padding
        if self.forward:
            return f"column + {before} - {self.columns - 1}"
        return f"column * {pace} - {before}"

    @property
    def row_of_k(self) -> str:
        """Statements: y, or on to the next k."""
        return "\n".join(self._place("y", "row", "k", 0))

    @property
    def column_of_l(self) -> str:
        """Statements: x, or on to the next l."""
        return "\n".join("    " + line for line in self._place("x", "column", "l", 1))

    def _place(self, to: str, of: str, k: str, axis: int) -> Iterator[str]:
        c, most = self.connection, self.connection.target_shape[axis]
        pace, spread = c.stride[axis], c.dilation[axis]
        (before, _), indent = c.padding[axis], " " * 8
        end, stop = f"{of}", f"{indent}    continue;"
        if not self.forward:
            place = f"{end} * {pace} - {before} + {k} * {spread}"
            yield f"{indent}const int32_t {to} = {place};"
            yield f"{indent}if ({to} < 0 || {to} >= {most})"
            yield stop
            return
        place = f"{end} + {before} - {k} * {spread}"
        if pace == 1:
            yield f"{indent}const int32_t {to} = {place};"
            yield f"{indent}if ({to} < 0 || {to} >= {most})"
            yield stop
            return
        yield f"{indent}const int32_t {to}_paced = {place}, {to} = {to}_paced / {pace};"
        wrong = f"{to}_paced < 0 || {to}_paced % {pace} || {to} >= {most}"
        yield f"{indent}if ({wrong})"
        yield stop

    def laid(self, table: IntArray) -> IntArray:
        """(channels, rows, columns, filters of a group) of a kernel's table."""
        rows, columns, inputs, _ = table.shape
        if self.adjacent and self.forward:
            table = table[:, ::-1]
        split = table.reshape(rows, columns, inputs, self.groups, self.each)
        return split.transpose(3, 2, 0, 1, 4).reshape(-1, rows, columns, self.each)


def numbers(array: IntArray) -> str:
    """Numbers of an initialiser, as many a line as go.

    >>> print(numbers(np.array([1, -2])))
        1, -2
    """
    lines, line = [], "   "
    for word in map(str, np.asarray(array).ravel().tolist()):
        if len(line) + len(word) + 2 > WIDTH:
            lines.append(line)
            line = "   "
        line += f" {word},"
    return "\n".join([*lines, line.rstrip(",")])
