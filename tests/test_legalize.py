"""legalize: the same network, with one linear node per connection."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from random_graphs import Builder, graphs, samples_for

from snn_deploy.toolchain.errors import UnsupportedLayer
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.functions import Elementwise, MaxPool2D
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import evaluate, interpret
from snn_deploy.toolchain.graph.nodes import FloatArray
from snn_deploy.toolchain.graph.preparation import Rescale
from snn_deploy.toolchain.passes.legalize.compose import apply, unbiased
from snn_deploy.toolchain.passes.legalize.convolutions import Kernel, compose_kernels
from snn_deploy.toolchain.passes.legalize.legalize import legalize

WEIGHTED = (n.Dense, n.Conv2D, n.ConvTranspose2D)
TWINS = {n.SoftLIF: n.LIF, n.ReLU: n.IF}


def spiking(graph: Graph) -> Graph:
    """The Graph with spiking populations, otherwise as it is."""
    swapped = []
    for node in graph.nodes:
        if isinstance(node, n.SoftLIF):
            node = n.LIF(node.name, node.inputs, amplitude=node.amplitude)
        elif isinstance(node, n.ReLU):
            node = n.IF(node.name, node.inputs, amplitude=node.amplitude)
        swapped.append(node)
    return Graph(tuple(swapped))


def rates(graph: Graph, x: FloatArray, names: list[str]) -> dict[str, FloatArray]:
    return interpret(graph, x, record=names)


def populations(graph: Graph) -> list[n.Neurons]:
    return [node for node in graph.nodes if isinstance(node, n.Neurons)]


def check_is_legal(graph: Graph) -> None:
    """From population to population: Lowpass, weights between reshapes, Add."""
    for population in populations(graph):
        parts = [graph[population.inputs[0]]]
        if isinstance(parts[0], n.Add):
            parts = [graph[name] for name in parts[0].inputs]
        for node in parts:
            chain = []
            while not isinstance(node, n.Lowpass | n.Input):
                chain.append(node)
                node = graph[node.inputs[0]]
            if isinstance(node, n.Lowpass):
                assert sum(isinstance(x, WEIGHTED) for x in chain) == 1
                assert len(chain) <= 3
                others = [x for x in chain if not isinstance(x, WEIGHTED)]
                assert all(isinstance(x, n.Flatten | n.Reshape) for x in others)


@settings(deadline=None, max_examples=150)
@given(graphs(), st.booleans(), st.integers(0, 99))
def test_means_the_same(graph: Graph, input_spikes: bool, seed: int) -> None:
    try:
        legal = legalize(graph, 0.005, input_spikes=input_spikes)
    except UnsupportedLayer as error:
        # the Output takes of the Input itself, or two layers make one of over 4,000,000
        found = {each.id for each in error.obstacles}
        assert found <= {"no-population", "large-matrix"}
        assume(False)
    check_is_legal(legal)
    x = samples_for(graph, seed)
    names = [node.name for node in populations(graph)]
    wanted, got = rates(spiking(graph), x, names), rates(legal, x, names)
    for name in names:
        assert legal[name].amplitude == graph[name].amplitude
        np.testing.assert_allclose(got[name], wanted[name], rtol=1e-9, atol=1e-9)
    y, z = wanted[graph.output.name], got[legal.output.name]
    np.testing.assert_allclose(z, y, rtol=1e-9, atol=1e-9)


@settings(deadline=None, max_examples=20)
@given(graphs(), st.integers(0, 99))
def test_a_second_time_changes_nothing(graph: Graph, seed: int) -> None:
    try:
        legal = legalize(graph, 0.005)
    except UnsupportedLayer:
        assume(False)
    again = legalize(legal, 0.1)
    assert [(type(x), x.name, x.inputs) for x in again.nodes] == [
        (type(x), x.name, x.inputs) for x in legal.nodes
    ]
    x = samples_for(graph, seed)
    assert np.array_equal(*(interpret(g, x)[g.output.name] for g in (again, legal)))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[n.Node, n.Node, n.Shape]:
    """Two convolutions, plain or transposed, one behind the other."""
    build = Builder(draw, draw(st.tuples(*[st.integers(1, 7)] * 2, st.integers(1, 2))))
    for _ in range(2):
        build.conv(transposed=draw(st.booleans()))
    assume(len(build.nodes) == 3)
    return build.nodes[1], build.nodes[2], build.nodes[0].shape


@settings(deadline=None, max_examples=150)
@given(pairs())
def test_composed_kernels_are_exact(
    pair: tuple[Kernel, Kernel, n.Shape],
) -> None:
    first, second, shape = pair
    kernel = compose_kernels(first, second, shape)
    output = second.output_shape(first.output_shape(shape))
    event("refused" if kernel is None else "composed")
    assume(kernel is not None)
    assert kernel.output_shape(shape) == output
    unit = np.eye(math.prod(shape)).reshape(-1, *shape)
    wanted = apply(unbiased(second), apply(unbiased(first), unit))
    np.testing.assert_allclose(apply(kernel, unit), wanted, atol=1e-12)


def conv(name: str, channels: int, filters: int, **fields: object) -> n.Conv2D:
    weight = np.random.default_rng(1).normal(size=(3, 3, channels, filters))
    return n.Conv2D(name, weight=weight, bias=np.ones(filters), **fields)


def dense(name: str, inputs: int, outputs: int) -> n.Dense:
    weight = np.random.default_rng(1).normal(size=(inputs, outputs))
    return n.Dense(name, weight=weight, bias=np.ones(outputs))


def line(shape: n.Shape, *nodes: n.Node, **read: float) -> Graph:
    """Input → nodes → Output."""
    first = n.Input("x", shape=shape)
    whole = [first, *nodes, n.Output("y", **read)]
    linked = [replace(x, inputs=(w.name,)) for w, x in zip(whole, whole[1:])]
    return Graph((first, *linked))


def chain(shape: n.Shape, *nodes: n.Node) -> Graph:
    """Input → ReLU 'a' → nodes → ReLU 'b' → Output."""
    return line(shape, n.ReLU("a"), *nodes, n.ReLU("b"))


SAME = ((1, 1), (1, 1))
HALVE = {"pool": (2, 2), "stride": (2, 2)}
COMMON = {  # what networks do between populations → the one node it becomes
    "conv, pool": (conv("c", 2, 3, padding=SAME), n.AvgPool2D("p", **HALVE)),
    "pool, conv": (n.AvgPool2D("p", **HALVE), conv("c", 2, 3, padding=SAME)),
    "pool": (n.AvgPool2D("p", **HALVE),),
    "upsample, conv": (n.Upsample2D("u", factor=(2, 2)), conv("c", 2, 3, padding=SAME)),
    "conv, upsample": (conv("c", 2, 3, padding=SAME), n.Upsample2D("u", factor=(2, 2))),
    "pool, flatten, dense": (
        n.AvgPool2D("p", **HALVE),
        n.Flatten("f"),
        dense("d", 32, 5),
    ),
    "dense, dense": (n.Flatten("f"), dense("d", 128, 9), dense("e", 9, 4)),
}


@pytest.mark.parametrize("layers", COMMON)
def test_common_layers_stay_convolutions(layers: str) -> None:
    graph = chain((8, 8, 2), *COMMON[layers])
    legal = legalize(graph, 0.005)
    weighted = [node for node in legal.nodes if isinstance(node, WEIGHTED)]
    assert len(weighted) == 1
    assert isinstance(weighted[0], n.Dense) == ("dense" in layers)
    assert isinstance(weighted[0], n.ConvTranspose2D) == ("upsample" in layers)
    x = samples_for(graph, 0)
    got, wanted = interpret(legal, x)["y"], interpret(graph, x)["y"]
    np.testing.assert_allclose(got, wanted, atol=1e-9)


def test_a_skip_connection_is_one_more_source() -> None:
    graph = Graph(
        (
            n.Input("x", shape=(4, 4, 2)),
            n.ReLU("a", ("x",)),
            replace(conv("c", 2, 2, padding=SAME), inputs=("a",)),
            n.ReLU("b", ("c",)),
            replace(conv("d", 2, 2, padding=SAME), inputs=("b",)),
            n.Add("add", ("a", "d")),
            n.ReLU("e", ("add",)),
            n.Output("y", ("e",)),
        )
    )
    legal = legalize(graph)
    assert isinstance(legal["e.sum"], n.Add)
    assert len(legal["e.sum"].inputs) == 2
    lowpass = [node for node in legal.nodes if isinstance(node, n.Lowpass)]
    assert [node.inputs for node in lowpass] == [("a",), ("b",)]  # a's is shared


def test_a_lowpass_that_is_there_keeps_its_time_constant() -> None:
    graph = chain((4,), n.Lowpass("slow", tau_syn=0.02), dense("d", 4, 3))
    legal = legalize(graph, 0.005)
    assert [x.tau_syn for x in legal.nodes if isinstance(x, n.Lowpass)] == [0.02]


def test_encoder_and_decoder_stay() -> None:
    graph = Graph(
        (
            n.Input("x", shape=(4, 4, 1)),
            n.AvgPool2D("p", ("x",), **HALVE),
            replace(conv("c", 1, 2, padding=SAME), inputs=("p",)),
            n.SoftLIF("a", ("c",), amplitude=0.01),
            n.Flatten("f", ("a",)),
            replace(dense("d", 8, 2), inputs=("f",)),
            n.Sigmoid("s", ("d",)),
            n.Output("y", ("s",)),
        )
    )
    legal = legalize(graph, 0.005)
    assert [node.name for node in legal.nodes] == [node.name for node in graph.nodes]
    spikes = legalize(graph, 0.005, input_spikes=True)
    assert [node.name for node in spikes.nodes] == [
        *("x", "x.synapse", "p+c", "a", "f", "d", "s", "y")
    ]


REFUSED = {
    "Sigmoid 's'": chain((4,), n.Sigmoid("s"), dense("d", 4, 3)),
    "Lowpass 'l'": line(
        (4,), dense("d", 4, 3), n.Lowpass("l", tau_syn=0.01), n.ReLU("a")
    ),
    "Layers 'c, k'": chain(  # padded between, and too large for a matrix
        (40, 40, 2), conv("c", 2, 2), conv("k", 2, 2, padding=SAME)
    ),
}


@pytest.mark.parametrize("named", REFUSED)
def test_what_no_core_can_hold_is_refused_by_name(named: str) -> None:
    with pytest.raises(UnsupportedLayer, match=named):
        legalize(REFUSED[named])


MENDED = {  # as the messages above advise
    "Sigmoid 's'": chain((4,), n.ReLU("s"), dense("d", 4, 3)),
    "Lowpass 'l'": chain((4,), n.Lowpass("l", tau_syn=0.01), dense("d", 4, 3)),
    "Layers 'c, k'": chain(
        *((40, 40, 2), conv("c", 2, 2), n.ReLU("r"), conv("k", 2, 2, padding=SAME))
    ),
}


@pytest.mark.parametrize("named", MENDED)
def test_what_a_refusal_advises_is_legal(named: str) -> None:
    check_is_legal(legalize(MENDED[named]))


def test_sizes_that_the_pooling_divides_and_no_padding_stay_a_convolution() -> None:
    """The other advice beside a matrix that is too large."""
    pool = n.AvgPool2D("p", **HALVE)
    signed = conv("k0", 9, 9)
    with pytest.raises(UnsupportedLayer, match="'k0, p, k': .*sizes that the pooling"):
        legalize(chain((41, 41, 9), signed, pool, conv("k", 9, 9, padding=SAME)))
    for graph in (
        chain((40, 40, 9), pool, conv("k", 9, 9, padding=SAME)),
        chain((40, 40, 2), conv("c", 2, 2), conv("k", 2, 2)),
    ):
        legal = legalize(graph)
        assert not any(isinstance(node, n.Dense) for node in legal.nodes)


def test_without_a_population_there_is_nothing_for_a_core() -> None:
    last = (dense("d", 4, 3), n.Sigmoid("s"))
    with pytest.raises(UnsupportedLayer, match="'y'.* without a population.*with ReLU"):
        legalize(line((4,), *last))
    check_is_legal(legalize(line((4,), dense("h", 4, 4), n.ReLU("a"), *last)))


def test_a_filter_of_a_weighted_sum_goes_before_its_weights() -> None:
    """To every source; in rate mode nothing changes, with steps a bias acts at once."""
    rng = np.random.default_rng(0)
    unbiased = [replace(dense(name, 4, 3), bias=np.zeros(3)) for name in "de"]
    graph = Graph(
        (
            n.Input("x", shape=(4,)),
            n.LIF("a", ("x",), amplitude=0.001, tau_ref=0.0),
            n.LIF("b", ("x",), amplitude=0.001, tau_ref=0.0, tau_rc=0.005),
            replace(unbiased[0], inputs=("a",)),
            n.Delay("late", ("b",), delay=2),
            replace(unbiased[1], inputs=("late",)),
            n.Add("sum", ("d", "e")),
            n.Lowpass("l", ("sum",), tau_syn=0.01),
            n.LIF("c", ("l",), amplitude=0.001, tau_ref=0.0, tau_rc=0.001),
            n.Output("y", ("c",)),
        )
    )
    legal = legalize(graph)
    check_is_legal(legal)
    found = {x.inputs[0]: x for x in legal.nodes if isinstance(x, n.Lowpass)}
    assert {name: (x.tau_syn, x.delay) for name, x in found.items()} == {
        "a": (0.01, 1),
        "b": (0.01, 3),
    }
    x = 60 * rng.random((3, 4))
    before, after = (
        interpret(each, x, "spiking", steps=30, record=["c"])["c"]
        for each in (graph, legal)
    )
    assert before.any()
    np.testing.assert_array_equal(after, before)


def test_a_long_line_of_layers_is_no_deep_recursion() -> None:
    """Behind each other, as a file may have them."""
    ones = {"scale": np.full(1, -1.0), "offset": np.zeros(1)}
    scales = [Rescale(f"s{i}", **ones) for i in range(1500)]
    legal = legalize(chain((4,), *scales, dense("d", 4, 3)))
    check_is_legal(legal)


def test_a_filter_of_a_filter_is_refused() -> None:
    slow = n.Lowpass("slow", tau_syn=0.01)
    with pytest.raises(UnsupportedLayer, match="'l': it filters what 'slow' has fil"):
        legalize(chain((4,), slow, dense("d", 4, 3), n.Lowpass("l", tau_syn=0.002)))


def test_a_lowpass_stands_behind_a_population_alone() -> None:
    slow = n.Lowpass("l", tau_syn=0.01)
    with pytest.raises(UnsupportedLayer, match="'l': it stands before the first .*rem"):
        legalize(line((4,), slow, n.ReLU("a")))
    with pytest.raises(
        UnsupportedLayer, match="after the last .*use tau_syn of Output 'y'"
    ):
        legalize(line((4,), n.ReLU("a"), slow))
    assert legalize(line((4,), n.ReLU("a"), tau_syn=0.01))


def test_what_is_never_negative_is_sent_on_by_a_relay() -> None:
    """Pooling that no padded convolution can be folded into, of rates."""
    pool = n.AvgPool2D("p", **HALVE)
    graph = chain((41, 41, 9), pool, conv("k", 9, 9, padding=SAME))
    legal = legalize(graph)
    assert [p.name for p in populations(legal)] == ["a", "p.relay", "b"]
    check_is_legal(legal)
    x = samples_for(graph, 1, count=1)
    np.testing.assert_allclose(evaluate(legal, x), evaluate(graph, x), rtol=1e-9)


def test_several_populations_take_the_input_and_are_read() -> None:
    head = (n.Input("x", shape=(4,)), n.ReLU("a", ("x",)), n.ReLU("b", ("x",)))
    both = Graph((*head, n.Add("add", ("a", "b")), n.Output("y", ("add",))))
    x = samples_for(both, 1)
    for input_spikes in (False, True):
        legal = legalize(both, input_spikes=input_spikes)
        check_is_legal(legal)
        np.testing.assert_allclose(evaluate(legal, x), evaluate(both, x))


def test_a_population_takes_spikes_and_what_the_host_computes() -> None:
    """A branch from the Input that meets one from a population, a bias behind both."""
    graph = Graph(
        (
            n.Input("x", shape=(4,)),
            n.ReLU("a", ("x",)),
            n.Add("add", ("a", "x")),
            replace(dense("d", 4, 3), inputs=("add",)),
            n.ReLU("b", ("d",)),
            n.Output("y", ("b",)),
        )
    )
    legal = legalize(graph)
    x = samples_for(graph, 1)
    np.testing.assert_allclose(evaluate(legal, x), evaluate(graph, x))
    assert isinstance(legal["d.host"], n.Dense) and not legal["d.host"].bias.any()


def test_all_obstacles_are_named_at_once() -> None:
    pool = MaxPool2D("max", pool=(2, 2), stride=(2, 2))
    graph = chain(
        *((8, 8, 2), conv("c", 2, 2), pool, n.Tanh("t"), n.Flatten("f")),
        *(dense("d", 18, 4), Elementwise("e", function="silu")),
    )
    with pytest.raises(UnsupportedLayer) as found:
        legalize(graph)
    assert [each.id for each in found.value.obstacles] == [
        *("max-pooling", "tanh-before-a-population", "smooth-activation")
    ]
    assert all(f"{each}" in f"{found.value}" for each in found.value.obstacles)


def test_a_population_directly_behind_what_is_sent_takes_its_spikes() -> None:
    """Behind preprocessing too: one connection, neuron by neuron."""
    ones = {"scale": np.full(1, 0.5), "offset": np.zeros(1)}
    graph = Graph.chain(
        *(n.Input("x", shape=(4,)), Rescale("half", **ones)),
        *(n.ReLU("a"), n.Output("y")),
    )
    legal = legalize(graph, input_spikes=True)
    check_is_legal(legal)
    assert any(isinstance(x, n.Lowpass) for x in legal.consumers("half"))
    x = samples_for(graph, 1)
    np.testing.assert_allclose(evaluate(legal, x), evaluate(graph, x))
