"""Connections, against loops over every pixel, kernel position and channel."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from snn_deploy.toolchain.program.connections import (
    Connection,
    ConvConnection,
    ConvTransposeConnection,
    DenseConnection,
)

Synapse = tuple[int, int, int]  # source neuron, target neuron, what a spike adds to q


@st.composite
def connections(draw: st.DrawFn) -> Connection:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    exponent = draw(st.integers(-7, 7))
    kind = draw(
        st.sampled_from((DenseConnection, ConvConnection, ConvTransposeConnection))
    )
    few = st.integers(1, 4)
    fields: dict[str, object] = {"source": "a", "target": "b", "exponent": exponent}
    if kind is DenseConnection:
        size = (draw(st.integers(1, 8)), draw(st.integers(1, 8)))
    else:
        size = tuple(draw(st.tuples(few, few, few, few)))
        side = st.integers(1, 6)
        pad = st.tuples(st.integers(0, 3), st.integers(0, 3))
        fields["shape"] = (draw(side), draw(side), size[2])
        fields["stride"] = draw(st.tuples(few, few))
        fields["padding"] = draw(st.tuples(pad, pad))
    grain = 2 << max(-exponent, 0)
    most = 254 // grain
    weight = rng.integers(-most, most + 1, size) * grain
    connection = kind(weight=weight.astype(np.int16), **fields)
    assume(min(connection.target_shape) >= 1)
    return connection


def synapses(c: Connection) -> Iterator[Synapse]:
    """Every synapse by itself, from the equations in nodes.py."""
    scale = 2.0 ** (6 + c.exponent)
    if isinstance(c, DenseConnection):
        for i, o in np.ndindex(c.weight.shape):
            yield i, o, int(c.weight[i, o] * scale)
        return
    (top, _), (left, _) = c.padding
    large, small = c.source_shape, c.target_shape
    if isinstance(c, ConvTransposeConnection):
        large, small = small, large
    rows, columns, channels, filters = c.weight.shape
    for i, j, m, n in product(*map(range, (*small[:2], rows, columns))):
        y, x = i * c.stride[0] + m - top, j * c.stride[1] + n - left
        if not (0 <= y < large[0] and 0 <= x < large[1]):
            continue
        one, other = y * large[1] + x, i * small[1] + j
        if isinstance(c, ConvTransposeConnection):
            one, other = other, one
        for a, b in product(range(channels), range(filters)):
            value = int(c.weight[m, n, a, b] * scale)
            yield one * channels + a, other * filters + b, value


@settings(deadline=None)
@given(connections())
def test_every_synapse_is_counted_once(c: Connection) -> None:
    found = list(synapses(c))
    fan_out = np.zeros(int(np.prod(c.source_shape)), int)
    reach = np.zeros((2, int(np.prod(c.target_shape))), int)
    for source, target, value in found:
        fan_out[source] += 1
        reach[int(value < 0), target] += abs(value)
    assert c.fan_out.tolist() == fan_out.tolist()
    assert c.worst_q.tolist() == reach.max(axis=0).tolist()


@settings(deadline=None)
@given(connections())
def test_taps_and_effective_weights_are_the_synapses(c: Connection) -> None:
    channels, filters = c.weight.shape[-2:]
    found = [
        (source * channels + a, target * filters + b, int(c.effective[kernel, a, b]))
        for source, target, kernel in zip(c.taps.source, c.taps.target, c.taps.kernel)
        for a, b in product(range(channels), range(filters))
    ]
    assert sorted(found) == sorted(synapses(c))
    order = list(zip(c.taps.source.tolist(), c.taps.target.tolist()))
    assert order == sorted(order)
