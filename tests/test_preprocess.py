"""Preprocessing: part of the network, on the host, the same for every encoder."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_graphs import graphs, samples_for
from random_programs import simulate_oracle

from snn_deploy.calibration.balance import balance
from snn_deploy.toolchain.bundle.bundle import Bundle, load_bundle, save_bundle
from snn_deploy.toolchain.errors import ModelError, UnsupportedLayer
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import interpret
from snn_deploy.toolchain.graph.preparation import ChannelsLast, Rescale
from snn_deploy.toolchain.passes.fold import fold
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.preprocess import (
    NONE,
    Preprocessing,
    preprocessing_of,
    with_preprocessing,
)
from snn_deploy.toolchain.passes.quantize.quantize import quantize
from snn_deploy.toolchain.program.host import encode, spike_encoder
from snn_deploy.toolchain.program.program import Program

DT = 0.001
GREY = Preprocessing(scale=(1 / 255,), offset=(-0.5,))
COLOUR = Preprocessing(
    scale=(1 / 255,),
    mean=(0.485, 0.456),
    std=(0.229, 0.224),
    channels_first=True,
)


def network() -> Graph:
    """A padded convolution, which no shift may be folded into, and a read-out."""
    rng = np.random.default_rng(0)
    return Graph(
        (
            n.Input("x", shape=(4, 5, 2)),
            n.Conv2D(
                "a",
                ("x",),
                weight=rng.normal(size=(3, 3, 2, 3)),
                bias=rng.normal(size=3),
                padding=((1, 1), (1, 1)),
            ),
            n.ReLU("A", ("a",)),
            n.Flatten("flat", ("A",)),
            n.Dense("b", ("flat",), weight=rng.normal(size=(60, 4)), bias=np.zeros(4)),
            n.Output("y", ("b",)),
        )
    )


def stored(count: int = 3, channels_first: bool = False) -> n.FloatArray:
    """Samples of 0 … 255."""
    shape = (2, 4, 5) if channels_first else (4, 5, 2)
    return np.random.default_rng(1).integers(0, 256, (count, *shape)).astype(float)


def answers(graph: Graph, x: n.FloatArray) -> n.FloatArray:
    return interpret(graph, x)[graph.output.name]


def built(graph: Graph, x: n.FloatArray, encoder: str = "bias") -> Program:
    graph = legalize(fold(graph), 0.005, input_spikes=encoder != "bias")
    sends = spike_encoder(encoder, graph.prepared.name, DT)
    return quantize(balance(graph, x), x, steps=8, encoder=sends)


def test_a_number_for_all_channels():
    graph = with_preprocessing(network(), GREY)
    x = stored()
    np.testing.assert_allclose(
        answers(graph, x), answers(network(), x / 255 - 0.5), rtol=1e-12
    )
    assert graph.input.shape == (4, 5, 2)


def test_channels_first_with_numbers_for_each():
    graph = with_preprocessing(network(), COLOUR)
    x = stored(channels_first=True)
    wanted = x.transpose(0, 2, 3, 1) / 255
    wanted = (wanted - (0.485, 0.456)) / (0.229, 0.224)
    np.testing.assert_allclose(
        answers(graph, x), answers(network(), wanted), rtol=1e-12
    )
    assert graph.input.shape == (2, 4, 5)


@pytest.mark.parametrize("wanted", [GREY, COLOUR], ids=["grey", "colour"])
def test_the_host_does_it_before_the_core_whatever_the_encoder(wanted):
    """The integers are those of samples that were prepared by hand."""
    graph = with_preprocessing(network(), wanted)
    x = stored(channels_first=wanted.channels_first)
    by_hand = interpret(graph, x, record=(graph.prepared.name,))[graph.prepared.name]
    program, plain = built(graph, x), built(network(), by_hand)
    for mine, theirs in zip(program.populations, plain.populations):
        assert np.array_equal(mine.threshold, theirs.threshold)
        assert np.array_equal(mine.scale, theirs.scale)
    mine, theirs = (
        simulate_oracle(p, encode(p.encoder, given, 8, DT))
        for p, given in ((program, x), (plain, by_hand))
    )
    for name in mine:
        np.testing.assert_array_equal(mine[name], theirs[name])


def test_it_comes_before_the_spikes_of_an_input():
    graph = with_preprocessing(network(), replace(COLOUR, mean=(0.0,), std=(1.0,)))
    x = stored(channels_first=True)
    by_hand = x.transpose(0, 2, 3, 1) * (1 / 255)
    program, plain = built(graph, x, "spikes"), built(network(), by_hand, "spikes")
    (mine,) = encode(program.encoder, x, 20, DT).spikes.values()
    (theirs,) = encode(plain.encoder, by_hand, 20, DT).spikes.values()
    np.testing.assert_array_equal(mine, theirs)
    for a, b in zip(program.connections, plain.connections):
        np.testing.assert_array_equal(a.weight, b.weight)
    assert program.inputs[0].shape == (4, 5, 2)


@settings(deadline=None, max_examples=40)
@given(
    graph=graphs(),
    scale=st.floats(0.01, 10),
    offset=st.floats(-5, 5),
    seed=st.integers(0, 99),
)
def test_legalize_keeps_it_on_the_host(graph, scale, offset, seed):
    assume(graph.prepared is graph.input)  # it has no preprocessing of its own
    prepared = with_preprocessing(
        graph, Preprocessing(scale=(scale,), offset=(offset,), channels_first=True)
    )
    x = samples_for(graph, seed)
    turned = np.moveaxis(x, -1, 1)
    for input_spikes in (False, True):
        try:
            legal = legalize(prepared, 0.005, input_spikes=input_spikes)
        except UnsupportedLayer:
            continue
        changed = (scale, offset) != (1, 0)
        assert isinstance(legal.prepared, Rescale if changed else ChannelsLast)
        plain = legalize(graph, 0.005, input_spikes=input_spikes)
        wanted = answers(plain, x * scale + offset)
        np.testing.assert_allclose(answers(legal, turned), wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("encoder", ["bias", "spikes"])
def test_it_travels_in_the_bundle(tmp_path, encoder):
    graph = with_preprocessing(network(), COLOUR)
    x = stored(channels_first=True)
    program = built(graph, x, encoder)
    path = tmp_path / "program.snn"
    save_bundle(path, Bundle(program=program, samples=x))
    again = load_bundle(path).program
    assert again is not None and again.encoder.graph is not None
    assert preprocessing_of(again.encoder.graph) == preprocessing_of(graph)
    mine, theirs = (encode(p.encoder, x, 8, DT) for p in (program, again))
    for part in ("bias", "spikes"):
        for a, b in zip(getattr(mine, part).values(), getattr(theirs, part).values()):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (NONE, ""),
        (GREY, "x · 1/255 − 0.5"),
        (replace(GREY, channels_first=True), "x · 1/255 − 0.5, channels first"),
        (Preprocessing(channels_first=True), "channels first"),
        (Preprocessing(offset=(2.0,)), "x + 2"),
        (Preprocessing(scale=(2.0,)), "x · 2"),
        (Preprocessing(scale=(-0.01,)), "x · −1/100"),
        (Preprocessing(mean=(1.0, 2.0), std=(2.0, 4.0)), "x · (0.5, 0.25) − 0.5"),
        (Preprocessing(offset=(1.0, -1.5)), "x + (1, −1.5)"),
    ],
)
def test_it_is_said_in_words(wanted, text):
    assert preprocessing_of(with_preprocessing(network(), wanted)) == text


def test_the_same_again_is_the_same_network_and_another_is_refused():
    graph = with_preprocessing(network(), COLOUR)
    assert with_preprocessing(graph, COLOUR) is graph
    assert with_preprocessing(graph, NONE) is graph
    legal = legalize(graph, 0.005)
    assert with_preprocessing(legal, COLOUR) is legal
    for other in (GREY, replace(COLOUR, channels_first=False)):
        with pytest.raises(
            ModelError, match="has its preprocessing .*, channels first.*leave"
        ):
            with_preprocessing(graph, other)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Preprocessing(mean=(1.0, 2.0, 3.0)), "3 number.*2 channels"),
        (Preprocessing(std=(1.0, 0.0)), "--std is .*greater than 0"),
        (Preprocessing(scale=(0.0,)), "--scale is .*other numbers than 0"),
        (Preprocessing(mean=(1.0, 2.0), std=(1.0, 2.0, 3.0)), "1, 1, 2 and 3 numbers"),
    ],
)
def test_numbers_that_cannot_be_are_refused(wanted, message):
    with pytest.raises(ModelError, match=message):
        with_preprocessing(network(), wanted)


def test_channels_first_needs_another_axis():
    weight = np.ones((3, 2))
    graph = Graph(
        (
            n.Input("x", shape=(3,)),
            n.Dense("a", ("x",), weight=weight, bias=np.zeros(2)),
            n.ReLU("A", ("a",)),
            n.Output("y", ("A",)),
        )
    )
    with pytest.raises(ModelError, match=r"\(3,\).*leave out --channels-first"):
        with_preprocessing(graph, Preprocessing(channels_first=True))


def test_between_populations_it_becomes_part_of_the_weights():
    nodes = network().nodes
    moved = replace(nodes[3], inputs=("late",))
    late = Rescale("late", ("A",), scale=np.ones(3), offset=np.ones(3))
    more = (n.ReLU("B", ("b",)), n.Output("y", ("B",)))
    graph = Graph((*nodes[:3], late, moved, nodes[4], *more))
    x = np.random.default_rng(0).random((2, *graph.input.shape))
    np.testing.assert_allclose(answers(legalize(graph), x), answers(graph, x))
