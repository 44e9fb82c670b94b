"""What is said of a network that does not fit: changes that make it fit."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from test_place import LOIHI1, chain, dense

from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.passes.place.changes import Change, NoSuchNetwork, owner
from snn_deploy.toolchain.passes.place.place import NotPlaced, place
from snn_deploy.toolchain.passes.quantize.quantize import quantize
from snn_deploy.toolchain.program.connections import (
    ConvConnection,
    SparseConnection,
)
from snn_deploy.toolchain.program.program import Program

SMALL = replace(LOIHI1, compartments=256, synapse_bits=60_000)


def network(side: int = 32, filters: int = 8, stride: int = 1) -> Graph:
    """Two convolutions and a dense layer, as a user would write them."""
    rng = np.random.default_rng(0)
    ends = (side - 3) // stride + 1
    flat = ((ends - 3) // 2 + 1) ** 2 * 4
    return Graph.chain(
        n.Input("x", shape=(side, side, 1)),
        n.IF("first"),
        n.Lowpass("s1", tau_syn=0.0),
        n.Conv2D(
            "conv1",
            weight=rng.standard_normal((3, 3, 1, filters)),
            bias=np.zeros(filters),
            stride=(stride, stride),
        ),
        n.IF("wide"),
        n.Lowpass("s2", tau_syn=0.0),
        n.Conv2D(
            "conv2",
            weight=rng.standard_normal((3, 3, filters, 4)),
            bias=np.zeros(4),
            stride=(2, 2),
        ),
        n.IF("narrow"),
        n.Lowpass("s3", tau_syn=0.0),
        n.Flatten("flat"),
        n.Dense("sum", weight=rng.standard_normal((flat, 10)), bias=np.zeros(10)),
        n.IF("last"),
        n.Output("y"),
    )


def built(graph: Graph, weight_bits: int = 8) -> Program:
    side = graph.input.shape[0]
    samples = np.random.default_rng(1).random((2, side, side, 1))
    return quantize(graph, samples, steps=8, weight_bits=weight_bits)


def refused(program: Program, cores: int = 20, limits=SMALL) -> NotPlaced:
    with pytest.raises(NotPlaced) as refusal:
        place(program, limits, cores)
    return refusal.value


def test_networks_built_as_advised_fit() -> None:
    """The network is written anew with each change, and placed; the message has it."""
    refusal = refused(built(network()))
    advised = {}
    for remedy in refusal.remedies:
        assert str(remedy) in str(refusal)
        advised[remedy.kind, remedy.population] = remedy.becomes
    (filters,) = advised["channels", "wide"]
    (stride, _) = advised["stride", "wide"]
    (side, _) = advised["input size", "first"]
    for graph in (network(filters=filters), network(stride=stride), network(side=side)):
        place(built(graph), SMALL, 20)
    refused(built(network(filters=filters + 1)))
    assert 1 <= filters < 8 and stride == 2 and side < 32


def test_fewer_weight_bits_as_advised_fit() -> None:
    rng = np.random.default_rng(0)
    graph = Graph.chain(
        n.Input("x", shape=(20, 20, 1)),
        n.IF("first"),
        n.Lowpass("s", tau_syn=0.0),
        n.Flatten("flat"),
        n.Dense("sum", weight=rng.standard_normal((400, 100)), bias=np.zeros(100)),
        n.IF("last"),
        n.Output("y"),
    )
    refusal = refused(built(graph), cores=7)
    (bits,) = (r.becomes[0] for r in refusal.remedies if r.kind == "weight bits")
    assert "(weight_bits)" in str(refusal)
    place(built(graph, weight_bits=bits), SMALL, 7)


def test_every_remedy_was_tried_and_more_is_too_much() -> None:
    program = built(network())
    for remedy in refused(program).remedies:
        placed = place(remedy.change.of(program), SMALL, 20)
        assert len(placed.cores) <= 20
    (channels,) = (
        r for r in refused(program).remedies if r.kind == "channels" and r.population
    )
    more = Change(channels={channels.population: channels.becomes[0] + 1})
    refused(more.of(program))


def test_a_neuron_that_needs_more_than_a_core() -> None:
    """400 inputs of 8 bits are over its memory; half the channels before it are not."""
    limits = replace(LOIHI1, synapse_bits=40_000)
    before = ConvConnection(
        source="in",
        target="many",
        weight=np.full((1, 1, 1, 32), 254, np.int16),
        shape=(5, 5, 1),
    )
    program = chain(before, dense("many", "sum", 800, 10))
    refusal = refused(program, 128, limits)
    assert "'sum': even 1 neuron(s) on one core need 51200" in str(refusal)
    assert "24 channel(s) instead of 32 in 'many'" in str(refusal)
    (remedy,) = (r for r in refusal.remedies if r.kind == "channels")
    place(remedy.change.of(program), limits, 128)


def test_where_nothing_tried_helps_the_advice_is_general() -> None:
    """A 3 × 3 kernel takes nine words at least, a smaller one fewer."""
    conv = ConvConnection(
        source="in",
        target="a",
        weight=np.full((3, 3, 1, 1), 254, np.int16),
        shape=(3, 3, 1),
    )
    limits = replace(SMALL, synapse_bits=500)
    refusal = refused(chain(conv), 8, limits)
    assert refusal.remedies == ()
    assert "of the changes tried none does alone: use a smaller kernel" in str(refusal)
    place(chain(replace(conv, weight=conv.weight[:2, :2])), limits, 8)


def test_channels_follow_through_depthwise_layers() -> None:
    program = chain(
        ConvConnection(
            source="in",
            target="a",
            weight=np.full((1, 1, 2, 8), 254, np.int16),
            shape=(6, 6, 2),
        ),
        ConvConnection(
            source="a",
            target="b",
            weight=np.full((3, 3, 1, 16), 254, np.int16),
            shape=(6, 6, 8),
            groups=8,
        ),
        replace(dense("b", "c", 256, 5), shape=(4, 4, 16)),
    )
    assert owner(program, "b") == "a"
    changed = Change(channels={"a": 3}, side=Fraction(5, 6)).of(program)
    shapes = [p.shape for p in changed.members]
    assert shapes == [(5, 5, 2), (5, 5, 3), (3, 3, 6), (5,)]
    for c in changed.connections:
        assert changed[c.source].shape == c.source_shape
        assert changed[c.target].shape == c.target_shape
    with pytest.raises(NoSuchNetwork):
        Change(channels={"b": 4}).of(program)


def test_a_sparse_connection_keeps_its_ends() -> None:
    ends = np.arange(4, dtype=np.int32)
    sparse = SparseConnection(
        source="in",
        target="a",
        weight=np.full(4, 254, np.int16),
        sender=ends,
        receiver=ends,
        shape=(2, 2, 1),
        into=(4,),
    )
    program = chain(sparse)
    assert Change(bits=4).of(program).connections[0].weight.tolist() == [14] * 4
    with pytest.raises(NoSuchNetwork):
        Change(side=Fraction(1, 2)).of(program)
