"""A window's way along one axis: which targets a source reaches, as arithmetic.

Of a convolution, source x meets position n of the kernel at target
(x + before − n · d) / s where that is whole. The positions that one source meets are
every (s / g)-th, g = gcd(d, s), and their targets lie d / g apart. So with the kernel
laid out class by class, each class backwards, a source meets neighbouring weights and
ascending targets: three small numbers a source, in place of a table of taps. A
transposed convolution meets all positions in order, their targets d apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...toolchain.program.arithmetic import IntArray
from ...toolchain.program.connections import ConvConnection, WindowConnection


@dataclass(frozen=True, eq=False, kw_only=True)
class Axis:
    """Rows, or columns, of a window."""

    size: int  # of the target
    order: IntArray  # kernel positions as they lie in memory
    first: IntArray  # (source,) the first position in this order
    count: IntArray  # (source,) positions that it meets
    start: IntArray  # (source,) target of the first
    hop: int  # from a position's target to the next one's


def axes_of(c: WindowConnection) -> tuple[Axis, Axis]:
    """Rows and columns."""
    rows, columns = (
        _axis(c, k, source, target)
        for k, (source, target) in enumerate(zip(c.shape[:2], c.target_shape[:2]))
    )
    return rows, columns


def _axis(c: WindowConnection, k: int, source: int, target: int) -> Axis:
    kernel, pace, spread = c.weight.shape[k], c.stride[k], c.dilation[k]
    before = c.padding[k][0]
    if isinstance(c, ConvConnection):
        shared = math.gcd(spread, pace)
        period, hop = pace // shared, spread // shared
        order = [n for k in range(period) for n in range(k, kernel, period)[::-1]]
    else:
        order, hop = list(range(kernel)), spread
    found = np.zeros((3, source), np.int64)
    for x in range(source):
        met = []
        for at, n in enumerate(order):
            if isinstance(c, ConvConnection):
                reached, rest = divmod(x + before - n * spread, pace)
            else:
                reached, rest = x * pace + n * spread - before, 0
            if rest == 0 and 0 <= reached < target:
                met.append((at, reached))
        if met:
            found[:, x] = met[0][0], len(met), met[0][1]
    return Axis(
        size=target,
        order=np.array(order),
        first=found[0],
        count=found[1],
        start=found[2],
        hop=hop,
    )
