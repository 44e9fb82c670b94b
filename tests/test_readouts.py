"""What the host makes of an answer: softmax and its kin, of the mean that is read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from snn_deploy.calibration.readout import linear_part
from snn_deploy.toolchain.bundle.bundle import Bundle, load_bundle, save_bundle
from snn_deploy.toolchain.errors import ModelError, UnsupportedLayer
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.functions import LeakyReLU
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import interpret
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.quantize.quantize import quantize
from snn_deploy.toolchain.program.host import decode

READOUTS = {
    n.Sigmoid: special.expit,
    n.Tanh: np.tanh,
    n.Softmax: lambda x: special.softmax(x, axis=-1),
    n.LogSoftmax: lambda x: special.log_softmax(x, axis=-1),
    n.Argmax: lambda x: np.argmax(x, axis=-1),
}
KINDS = pytest.mark.parametrize("kind", READOUTS, ids=lambda kind: kind.__name__)
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)


def network(shape, *stack):
    """A chain; a number stands for a Flatten and a Dense of so many outputs."""
    nodes = [n.Input("x", shape=shape)]

    def add(kind, name, **fields):
        nodes.append(kind(name, (nodes[-1].name,), **fields))

    for item in stack:
        if isinstance(item, int):
            add(n.Flatten, f"flatten{len(nodes)}")
            size = Graph(tuple(nodes)).shapes[nodes[-1].name][0]
            weight = np.random.default_rng(item).normal(size=(size, item))
            add(n.Dense, f"dense{len(nodes)}", weight=weight, bias=np.ones(item))
        else:
            nodes.append(replace(item, inputs=(nodes[-1].name,)))
    add(n.Output, "y", settle=0.002, tau_syn=0.01)
    graph = Graph(tuple(nodes))
    graph.check()
    return graph


@KINDS
@settings(max_examples=25, deadline=None)
@given(SHAPES, st.floats(0, 1e4), st.integers(0, 99))
def test_a_read_out_is_its_equation_along_the_last_axis(kind, shape, scale, seed):
    graph = Graph((n.Input("x", shape=shape), kind("r", ("x",)), n.Output("y", ("r",))))
    x = np.random.default_rng(seed).normal(scale=scale, size=(3, *shape))
    got = interpret(graph, x)["y"]
    assert got.shape == (3, *graph.shapes["y"])
    np.testing.assert_allclose(got, READOUTS[kind](x), rtol=1e-12, atol=1e-12)


@KINDS
def test_a_read_out_is_of_the_mean_whatever_reads_it(kind):
    """Graph and Program read the same: the mean of the population, then the host."""
    tail = (6, n.Reshape("r", shape=(2, 3)), kind("s"))
    graph = legalize(network((5,), n.ReLU("a"), *tail))
    x = np.random.default_rng(1).uniform(20, 300, size=(4, 5))
    wanted = interpret(graph, x, "spiking", steps=40, record=("a",))
    program = quantize(graph, x, steps=40, dt=0.001)
    spikes = wanted["a"] * 0.001
    assert set(np.unique(spikes)) == {0, 1}, "one spike a step, as on a core"
    got = decode(program.decoder, {"a": spikes > 0}, 0.001)
    np.testing.assert_allclose(got, wanted["y"], rtol=1e-9, atol=1e-9)


@KINDS
def test_a_program_keeps_its_read_out(kind, tmp_path):
    graph = legalize(network((5,), n.ReLU("a"), 6, kind("s")))
    x = np.random.default_rng(1).uniform(20, 300, size=(4, 5))
    save_bundle(tmp_path / "p.snn", Bundle(program=quantize(graph, x, steps=9)))
    read = load_bundle(tmp_path / "p.snn").program
    assert isinstance(read.decoder.graph["s"], kind)


@KINDS
def test_tensorflow_has_the_same_read_outs(kind):
    tf = pytest.importorskip("tensorflow", reason="tensorflow is not installed")
    from snn_deploy.models.cotraining.host_layers import apply

    x = np.random.default_rng(1).normal(size=(3, 2, 4))
    got = apply(kind("s"), [tf.constant(x)])
    assert got.dtype == tf.float64
    np.testing.assert_allclose(got.numpy(), READOUTS[kind](x), rtol=1e-12)


def test_argmax_takes_an_axis():
    with pytest.raises(ModelError, match="Argmax 'r': takes at least one axis"):
        n.Argmax("r", ("x",)).output_shape(())


@KINDS
@pytest.mark.parametrize("before", [(), (6, n.ReLU("a"))], ids=["first", "between"])
def test_before_a_population_it_is_refused_and_a_relu_is_not(kind, before):
    """What the message advises is done."""
    after = (3, n.ReLU("b"), 2)
    with pytest.raises(
        UnsupportedLayer, match=f"{kind.__name__} 's': .* a ReLU in its place"
    ):
        legalize(network((5,), *before, 4, kind("s"), *after))
    legalize(network((5,), *before, 4, n.ReLU("s"), *after))
    legalize(network((5,), *before, 4, n.ReLU("s"), *after, kind("last")))


def test_between_read_out_and_answer_the_host_does_all():
    """A softmax that a linear layer follows is computed after the last population."""
    graph = legalize(network((5,), n.ReLU("a"), 6, n.Softmax("s"), 2))
    program = quantize(graph, np.ones((2, 5)) * 100, steps=9)
    kinds = [type(node) for node in program.decoder.graph.nodes]
    assert kinds[-4:] == [n.Softmax, n.Flatten, n.Dense, n.Output]


def test_only_what_an_answer_goes_through_last_is_its_readout():
    """A leaky rectifier before the last weights stays, a softmax after them goes."""
    graph = Graph.chain(
        n.Input("x", shape=(4,)),
        LeakyReLU("leaky", slope=np.full(1, 0.1)),
        n.Dense("sum", weight=np.ones((4, 4)), bias=np.ones(4)),
        n.Softmax("p"),
        n.Output("y"),
    )
    linear = linear_part(graph)
    linear.check()
    assert [node.name for node in linear.nodes] == ["x", "leaky", "sum", "y"]
