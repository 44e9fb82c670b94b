"""Connections, against loops over every pixel, kernel position and channel."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_programs import synapses

from snn_deploy.toolchain.program.connections import (
    Connection,
    ConvConnection,
    ConvTransposeConnection,
    DenseConnection,
)


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
        rows, columns, inputs, outputs, groups = (draw(few) for _ in range(5))
        size = (rows, columns, inputs, outputs * groups)
        side = st.integers(1, 6)
        pad = st.tuples(st.integers(0, 3), st.integers(0, 3))
        fields["shape"] = (draw(side), draw(side), inputs * groups)
        fields["groups"] = groups
        fields["dilation"] = draw(st.tuples(few, few))
        fields["stride"] = draw(st.tuples(few, few))
        fields["padding"] = draw(st.tuples(pad, pad))
    grain = 2 << max(-exponent, 0)
    most = 254 // grain
    weight = rng.integers(-most, most + 1, size) * grain
    if draw(st.booleans()):
        weight[rng.random(size) < 0.8] = 0  # at times a whole position of a kernel
    connection = kind(weight=weight.astype(np.int16), **fields)
    assume(min(connection.target_shape) >= 1)
    return connection


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
    source, target, _ = c.synapses()
    ends = zip(source.ravel().tolist(), target.ravel().tolist())
    weights = c.effective[c.taps.kernel].ravel().tolist()
    found = [(*pair, weight) for pair, weight in zip(ends, weights)]
    assert sorted(found) == sorted(synapses(c))
    order = list(zip(c.taps.source.tolist(), c.taps.target.tolist()))
    assert order == sorted(order)
