"""A Program's connections into a population → weights and delays of a NetX layer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...errors import DoesNotFit, ModelError
from ...graph.node import Shape
from ...program.arithmetic import MAX_MANTISSA
from ...program.connections import (
    Connection,
    ConvConnection,
    SparseConnection,
    WindowConnection,
)
from ...program.program import Population
from .blocks import Block
from .fields import Integers
from .reading import channels_first


def synaptic(
    population: Population,
    forward: Sequence[Connection],
    back: Sequence[Connection],
    taken: Shape,
) -> Block:
    """The layer of these connections; its neurons and shape are left to others.

    Args:
        population: that they lead to.
        forward: from the layer before, one or one a delay.
        back: from itself.
        taken: shape of the layer before, in the file.

    Raises:
        ModelError: NetX has no such layer.
        DoesNotFit: a number is beyond its own.
    """
    if isinstance(forward[0], WindowConnection):
        return _windowed(forward, back)
    if len(population.shape) != 1:
        raise _no_layer(
            forward[0], f"all to all into a picture, {population.shape}", "flatten it"
        )
    weight, delay = _merged(forward, [_matrix(c, taken) for c in forward])
    kind, again = "dense", None
    if back:
        again, late = _merged(back, [_matrix(c, ()) for c in back])
        if late.any() or delay.any():
            raise _no_layer(
                back[0], "recurrent, with delays of more than a step", "take them out"
            )
        kind = "dense_rec"
    return Block(
        layer="",
        kind=kind,
        shape=(),
        weight=weight,
        back=again,
        delay=_told(weight, delay),
    )


def _windowed(forward: Sequence[Connection], back: Sequence[Connection]) -> Block:
    """A convolution, or a pool where each channel sums its own window."""
    first = forward[0]
    if not isinstance(first, ConvConnection):
        raise _no_layer(first, "a transposed convolution", "build it without")
    if back:
        raise _no_layer(back[0], "recurrent, of a picture", "flatten it before")
    kernels = []
    for c in forward:
        same = isinstance(c, ConvConnection) and _moves(c) == _moves(first)
        if not same:
            raise _no_layer(c, "of another geometry than its others", "export one")
        kernels.append(np.moveaxis(_held(c), (0, 1), (2, 3)).swapaxes(0, 1))
    (high, low), (left, right) = first.padding
    if high != low or left != right:
        raise _no_layer(
            first, f"padded by {first.padding}, unlike on two sides", "pad it alike"
        )
    weight, late = _merged(forward, kernels)
    spread = np.where(weight != 0, late, -1).reshape(len(weight), -1)
    delay = np.maximum(spread.max(axis=1), 0)
    if ((spread != delay[:, None]) & (spread >= 0)).any():
        raise _no_layer(
            first, "of delays that differ within a filter", "give a filter one delay"
        )
    kind, groups = "conv", first.groups
    if groups == first.shape[2] == len(weight) and np.ptp(weight) == 0:
        kind, weight = "pool", weight[:1]
    return Block(
        layer="",
        kind=kind,
        shape=(),
        weight=weight,
        delay=delay if delay.any() else None,
        stride=first.stride,
        padding=(high, left),
        dilation=first.dilation,
        groups=groups,
    )


def _moves(c: ConvConnection) -> tuple[object, ...]:
    return c.stride, c.padding, c.dilation, c.groups, c.weight.shape


def _held(c: Connection) -> Integers:
    """Weights as NetX has them, of an exponent of 0, in the connection's form."""
    exponent = c.exponent
    weight = c.weight.astype(np.float64) * 2.0**exponent
    wrong = weight[(np.abs(weight) > MAX_MANTISSA) | (weight % 2 != 0)]
    if wrong.size:
        raise DoesNotFit(
            f"Connection {c.source!r} → {c.target!r}: a weight of it is {wrong[0]:g}, "
            f"a mantissa times 2^{exponent}; even ones up to ±{MAX_MANTISSA} are "
            "allowed in NetX. Fine-tuned networks and those of lava-dl have such"
        )
    return weight.astype(np.int64)


def _matrix(c: Connection, taken: Shape) -> Integers:
    """(outputs, inputs), inputs in the order of the file's shape ``taken``."""
    held = _held(c)
    if isinstance(c, SparseConnection):
        size = math.prod(c.source_shape), math.prod(c.target_shape)
        full = np.zeros(size, np.int64)
        full[c.sender, c.receiver] = held
        held = full
    return channels_first(held, taken)


def _merged(
    connections: Sequence[Connection], weights: Sequence[Integers]
) -> tuple[Integers, Integers]:
    """The weights of all delays as one, and each one's delay in the file."""
    total, delay = np.zeros_like(weights[0]), np.zeros_like(weights[0])
    for c, weight in zip(connections, weights):
        if ((total != 0) & (weight != 0)).any():
            raise _no_layer(
                c, "one of two with synapses between the same neurons", "merge them"
            )
        total = total + weight
        delay = np.where(weight != 0, c.delay - 1, delay)
    return total, delay


def _told(weight: Integers, delay: Integers) -> Integers | None:
    """The delays in their shortest form: none, of outputs, of inputs, or of all.

    That of a synapse whose weight is 0 is any.
    """
    if not delay.any():
        return None
    for axis in (1, 0):
        most: Integers = delay.max(axis=axis)
        spread = np.expand_dims(most, axis)
        alike = ((delay == spread) | (weight == 0)).all()
        if alike and (axis == 1 or weight.shape[0] != weight.shape[1]):
            return most
    return delay


def _no_layer(c: Connection, what: str, fix: str) -> ModelError:
    return ModelError(
        f"Connection {c.source!r} → {c.target!r}: it is {what}, which no layer of NetX "
        f"is; {fix}"
    )
