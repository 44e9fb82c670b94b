"""Folding takes every BatchNorm away and changes no output."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snn_deploy.toolchain.errors import ModelError
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import interpret
from snn_deploy.toolchain.graph.preparation import Rescale
from snn_deploy.toolchain.passes.fold import fold

PICTURE = (6, 5, 3)
PADDED = ((1, 0), (1, 2))


def random(name):
    """A generator of its own for every node."""
    return np.random.default_rng(list(name.encode()))


def norm(name="norm", channels=4, centred=False):
    """Random statistics; ``centred`` makes the offset 0."""
    gamma, beta, mean, variance = random(name).uniform(0.2, 2, (4, channels))
    if centred:
        beta, mean = np.zeros((2, channels))
    return n.BatchNorm(
        *(name, ()), gamma=gamma, beta=beta, mean=mean, variance=variance, epsilon=0.001
    )


def conv(name="conv", channels=3, padding=PADDED, kind=n.Conv2D):
    return kind(
        *(name, ()),
        weight=random(name).normal(size=(3, 2, channels, 4)),
        bias=random(name).normal(size=4),
        stride=(1, 2),
        padding=padding,
    )


def dense(inputs, name="dense"):
    weight = random(name).normal(size=(inputs, 4))
    return n.Dense(name, (), weight=weight, bias=random(name).normal(size=4))


def chain(*nodes, shape=PICTURE):
    """In, the nodes, out; each takes the one before."""
    line = (n.Input("in", (), shape), *nodes, n.Output("out"))
    linked = [replace(b, inputs=(a.name,)) for a, b in pairwise(line)]
    return Graph((line[0], *linked))


def assert_folds(graph):
    """No BatchNorm is left, the other nodes are, and the output is the same."""
    graph.check()
    folded = fold(graph)
    folded.check()
    left = [node.name for node in graph.nodes if not isinstance(node, n.BatchNorm)]
    assert [node.name for node in folded.nodes] == left
    assert_same(graph, folded)


def assert_same(graph, folded):
    x = np.random.default_rng(1).normal(size=(3, *graph.input.shape))
    wanted, got = (interpret(g, x)["out"] for g in (graph, folded))
    np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-9 * np.abs(wanted).max())


LINEAR = {"conv": n.Conv2D, "transpose": n.ConvTranspose2D}
PICTURES = {
    "pool": n.AvgPool2D("pool", (), pool=(2, 2), stride=(1, 1)),
    "upsample": n.Upsample2D("up", (), factor=(2, 3)),
}


@pytest.mark.parametrize("kind", LINEAR)
def test_after_a_convolution(kind):
    assert_folds(chain(conv(kind=LINEAR[kind]), norm(), n.ReLU("relu")))


def test_after_a_dense_layer():
    assert_folds(chain(dense(7), norm(), n.SoftLIF("neurons"), shape=(7,)))


@pytest.mark.parametrize("between", PICTURES)
def test_after_a_convolution_past_pooling(between):
    assert_folds(chain(conv(), PICTURES[between], norm(), n.ReLU("relu")))


def test_one_after_another():
    next_conv = conv("next", 4, padding=((0, 0), (0, 0)))
    middle = (norm("a"), norm("b"), n.ReLU("relu"), norm("c"), norm("d"))
    assert_folds(chain(conv(), *middle, next_conv))


@pytest.mark.parametrize("between", PICTURES)
def test_before_a_convolution_without_padding_past_pooling(between):
    next_conv = conv(padding=((0, 0), (0, 0)))
    assert_folds(chain(norm(channels=3), PICTURES[between], next_conv))


@pytest.mark.parametrize("kind", LINEAR)
def test_before_a_padded_convolution_where_the_offset_is_0(kind):
    assert_folds(chain(norm(channels=3, centred=True), conv(kind=LINEAR[kind])))


@pytest.mark.parametrize("kind", LINEAR)
def test_an_offset_before_a_border_stays(kind):
    graph = chain(norm(channels=3), conv(kind=LINEAR[kind]))
    assert fold(graph) is graph


def test_an_offset_stays_before_or_after_zeros_that_pooling_adds():
    zeros = n.AvgPool2D(
        "p", (), pool=(2, 2), stride=(1, 1), padding=((1, 0), (0, 0)), inside=False
    )
    bare = conv(padding=((0, 0), (0, 0)))
    for graph in (chain(norm(channels=3), zeros, bare), chain(bare, zeros, norm())):
        assert fold(graph) is graph
    inside = replace(zeros, inside=True)
    assert_folds(chain(norm(channels=3), inside, bare))
    assert_folds(chain(bare, inside, norm()))


def test_before_a_dense_layer_past_flatten():
    middle = (n.ReLU("relu"), norm(channels=3), n.Flatten("flat"))
    assert_folds(chain(*middle, dense(6 * 5 * 3)))


def test_before_several_layers():
    graph = chain(norm(channels=3), n.Flatten("flat"), dense(90, "a"), n.ReLU("relu"))
    b = replace(dense(90, "b"), inputs=("flat",))
    *rest, out = graph.nodes
    both = n.Concat("both", ("relu", "b"))
    assert_folds(Graph((*rest, b, both, n.Output("out", ("both",)))))


def test_a_layer_with_another_reader_keeps_its_own_weights():
    """The sum reads the convolution before and after its BatchNorm."""
    *nodes, out = chain(conv(), norm()).nodes
    graph = Graph((*nodes, n.Add("sum", ("conv", "norm")), n.Output("out", ("sum",))))
    assert fold(graph) is graph


def test_between_two_others_it_stays():
    graph = chain(n.ReLU("relu"), norm(channels=3), n.LIF("lif"))
    assert fold(graph) is graph


def membrane(*shape, name="current"):
    rng = np.random.default_rng(5)
    low, high = rng.normal(size=shape), 1 + rng.random(shape)
    return n.Membrane(
        name,
        resistance=rng.normal(size=shape),
        rest=rng.normal(size=shape),
        threshold=low + high,
        reset_to=low,
    )


@pytest.mark.parametrize("shape", [(), (1,), (4,), (1, 1, 4)], ids=str)
def test_the_constants_of_a_neuron_go_into_the_weights_before(shape):
    graph = chain(conv(), membrane(*shape), n.LIF("lif"))
    graph.check()
    folded = fold(graph)
    assert_same(graph, folded)
    assert [type(node) for node in folded.nodes] == [n.Input, n.Conv2D, n.LIF, n.Output]


def test_constants_that_differ_between_pixels_stay_as_a_rescale():
    shape = chain(conv()).shapes["conv"]
    graph = chain(conv(), membrane(*shape), n.LIF("lif"))
    folded = fold(graph)
    assert_same(graph, folded)
    assert type(folded["current"]) is Rescale


@pytest.mark.parametrize("part", ["threshold", "reset_to", "shape"])
def test_constants_that_no_neuron_has_are_refused(part):
    wrong = {"threshold": np.zeros(1), "reset_to": np.full(1, 9.0)}
    node = replace(membrane(4), **{part: wrong[part]}) if part in wrong else membrane(3)
    message = "never stop" if part in wrong else r"resistance is \(3,\), its input is"
    with pytest.raises(ModelError, match=f"Membrane 'current': .*{message}"):
        chain(conv(), node, n.LIF("lif")).check()


def test_without_one_the_graph_is_the_same():
    graph = chain(conv(), n.ReLU("relu"))
    assert fold(graph) is graph


NODES = st.sampled_from(("norm", *LINEAR, *PICTURES, "relu"))


def chain_of(kinds, centred):
    channels, nodes = 3, []
    for number, kind in enumerate(kinds):
        name = f"{kind}{number}"
        if kind == "norm":
            nodes.append(norm(name, channels, centred))
        elif kind in ("conv", "transpose"):
            sum_ = conv(name, channels, ((0, 0), (0, 0)), LINEAR[kind])
            nodes.append(replace(sum_, stride=(1, 1)))
            channels = 4
        else:
            nodes.append(replace({**PICTURES, "relu": n.ReLU("")}[kind], name=name))
    return chain(*nodes, shape=(12, 8, 3))


@settings(max_examples=60, deadline=None)
@given(st.lists(NODES, min_size=1, max_size=5), st.booleans())
def test_any_chain_folds_exactly_or_not_at_all(kinds, centred):
    graph = chain_of(kinds, centred)
    folded = fold(graph)
    folded.check()
    assert_same(graph, folded)
    left = {node.name for node in folded.nodes}
    gone = {node for node in graph.nodes if node.name not in left}
    assert all(isinstance(node, n.BatchNorm) for node in gone)
