"""The host's side: samples in as integers or spikes, spikes out as an answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import identity

from snn_deploy.toolchain.errors import DataError
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.program import arithmetic as core
from snn_deploy.toolchain.program.host import (
    BiasEncoder,
    Decoder,
    Encoder,
    SpikeEncoder,
    decode,
    encode,
)

DT = 0.001


def conv_encoder(scale: float = 1000.0) -> BiasEncoder:
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(3, 3, 2, 4)), rng.normal(size=4)
    graph = Graph(
        (
            n.Input("x", shape=(7, 5, 2)),
            n.Conv2D("c", ("x",), weight=weight, bias=bias),
            n.Output("y", ("c",)),
        )
    )
    return BiasEncoder(graph=graph, population="a", scale=scale)


ENCODERS: dict[str, Encoder] = {
    "bias": conv_encoder(),
    "rate": SpikeEncoder(population="a", max_rate=400.0, seed=3),
    "latency": SpikeEncoder(population="a", coding="latency"),
    "events": SpikeEncoder(population="a", coding="events"),
}


def arrived(encoder: Encoder, x: n.FloatArray, steps: int = 7) -> np.ndarray:
    stimulus = encode(encoder, x, steps, DT)
    assert (stimulus.samples, stimulus.steps) == (len(x), steps)
    return (stimulus.bias or stimulus.spikes)["a"]


@pytest.mark.parametrize("name", ENCODERS)
@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 99), count=st.integers(1, 40))
def test_a_sample_alone_gives_the_same_integers(
    name: str, seed: int, count: int
) -> None:
    """Not batch, order or repetition changes them."""
    rng = np.random.default_rng(seed)
    x = rng.random((count, 7, 5, 2)) * (rng.random((count, 7, 5, 2)) < 0.7)
    if name == "events":
        x = np.ceil(x)
    together = arrived(ENCODERS[name], x)
    order = rng.permutation(count)
    assert np.array_equal(arrived(ENCODERS[name], x[order]), together[order])
    for i in range(min(count, 3)):
        assert np.array_equal(arrived(ENCODERS[name], x[i : i + 1])[0], together[i])


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_samples_taken_together_are_as_if_alone(data) -> None:
    """To the last bit, through convolutions, their transposes and a sigmoid."""
    draw, seed = data.draw, data.draw(st.integers(0, 99))
    rng, sizes = np.random.default_rng(seed), st.integers(1, 9)
    channels, filters, groups = draw(sizes), draw(sizes), draw(st.integers(1, 2))
    shape = (draw(st.integers(3, 20)), draw(st.integers(3, 20)), channels * groups)
    stride = draw(st.sampled_from([(1, 1), (2, 2), (2, 1)]))
    kinds = [draw(st.sampled_from([n.Conv2D, n.ConvTranspose2D])) for _ in range(2)]
    inner = filters * groups
    weights = [
        rng.normal(size=(3, 3, channels, inner)),
        rng.normal(size=(1, 2, filters, inner)),
    ]
    nodes: list[n.Node] = [n.Input("x", shape=shape)]
    for name, kind, weight in zip("ab", kinds, weights):
        bias = rng.normal(size=inner)
        before = nodes[-1].name
        how = (
            {"stride": stride, "groups": groups} if name == "a" else {"groups": groups}
        )
        if name == "b" and nodes_width(nodes) < 2:
            break
        nodes.append(kind(name, (before,), weight=weight, bias=bias, **how))
        nodes.append(n.ReLU(f"{name} above 0", (name,)))
    nodes.append(n.Sigmoid("share", (nodes[-1].name,)))
    nodes.append(n.Output("y", ("share",)))
    part = BiasEncoder(graph=Graph(tuple(nodes)), population="a", scale=1.0)
    x = rng.normal(size=(draw(st.integers(1, 40)), *shape))
    together = encode(part, x, 1, DT).current["a"]
    for sample, found in zip(x, together):
        alone = encode(part, sample[None], 1, DT).current["a"]
        assert alone[0].tobytes() == found.tobytes()


def nodes_width(nodes: list[n.Node]) -> int:
    """Columns of what the last of them gives."""
    graph = Graph((*nodes, n.Output("y", (nodes[-1].name,))))
    return graph.shapes["y"][1]


def test_a_bias_is_the_rounded_scaled_current() -> None:
    graph = identity((3,))
    encoder = BiasEncoder(graph=graph, population="a", scale=100.0)
    bias = arrived(encoder, np.array([[0.5, -1.234, 81.91]]))
    assert bias.tolist() == [[50, -123, 8192]]  # 8191 needs 13 bits
    assert bias.dtype == np.int32
    with pytest.raises(DataError, match="sample 1: .*'a'.*524160"):
        arrived(encoder, np.array([[0.0] * 3, [0, 0, -1e4]]))
    assert np.abs(arrived(encoder, np.full((1, 3), 5241.6))).max() == core.MAX_BIAS


@settings(deadline=None)
@given(
    st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=8),
    st.floats(1, 1000),
    st.integers(1, 400),
    st.integers(0, 9),
)
def test_rate_coding_is_regular(
    x: list[float], max_rate: float, steps: int, seed: int
) -> None:
    """Any stretch of t steps holds t · rate spikes, rounded up or down."""
    encoder = SpikeEncoder(population="a", max_rate=max_rate, seed=seed)
    spikes = arrived(encoder, np.array([x]), steps)[0]
    expected = np.clip(x, 0, 1) * max_rate * DT
    for start in {0, steps // 3, steps // 2}:
        count = spikes[start:].sum(axis=0)
        assert (np.abs(count - expected * (steps - start)) <= 1 + 1e-6).all()


def test_rate_coding_starts_each_neuron_at_its_own_phase() -> None:
    encoder = SpikeEncoder(population="a", max_rate=100.0)
    spikes = arrived(encoder, np.ones((1, 50)), 10)[0]
    assert (spikes.sum(axis=0) == 1).all()
    assert (spikes.any(axis=1)).all()  # not all in the same step
    other = arrived(replace(encoder, seed=1), np.ones((1, 50)), 10)[0]
    assert not np.array_equal(spikes, other)


def test_latency_coding_sends_the_strong_first() -> None:
    encoder = SpikeEncoder(population="a", coding="latency")
    spikes = arrived(encoder, np.array([[1.0, 0.5, 0.1, 0.0, -1.0, 2.0]]), 11)[0]
    assert spikes.sum(axis=0).tolist() == [1, 1, 1, 0, 0, 1]
    assert spikes.argmax(axis=0)[[0, 1, 2, 5]].tolist() == [0, 5, 9, 0]


def test_events_are_the_spikes() -> None:
    events = np.zeros((2, 9, 3, 2))
    events[1, 4, 2, 1] = 1.0
    spikes = arrived(SpikeEncoder(population="a", coding="events"), events, 6)
    assert spikes.shape == (2, 6, 6)
    assert np.argwhere(spikes).tolist() == [[1, 4, 5]]


@pytest.mark.parametrize(
    ("encoder", "samples", "message"),
    [
        ("bias", np.zeros((2, 7, 5)), r"shape \(7, 5\), the network takes \(7, 5, 2\)"),
        ("bias", np.full((1, 7, 5, 2), np.nan), "NaN"),
        ("rate", np.full((1, 4), np.inf), "infinite"),
        ("rate", np.zeros((0, 4)), "none"),
        ("events", np.zeros((1, 3, 4)), "3 steps of events, 7 are"),
        ("events", np.zeros(2), "0 steps of events"),
    ],
)
def test_bad_samples_are_refused(
    encoder: str, samples: n.FloatArray, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        arrived(ENCODERS[encoder], samples)


def decoder(**fields: float) -> Decoder:
    graph = Graph(
        (
            n.Input("a", shape=(3,)),
            n.Dense("d", ("a",), weight=np.ones((3, 1)), bias=np.array([2.0])),
            n.Output("y", ("d",)),
        )
    )
    return Decoder(graph=graph, population="a", amplitude=0.01, **fields)


def test_the_answer_is_the_graph_of_the_mean_rates() -> None:
    spikes = np.zeros((2, 10, 3), bool)
    spikes[0, [1, 5, 9], [0, 1, 2]] = True
    assert decode(decoder(), {"a": spikes}, DT) == pytest.approx(
        np.array([[5.0], [2.0]])
    )


def test_settling_steps_are_not_read() -> None:
    spikes = np.zeros((1, 10, 3), bool)
    spikes[0, :4] = True
    assert decode(decoder(settle=0.004), {"a": spikes}, DT) == pytest.approx(2.0)
    assert decode(decoder(settle=0.003), {"a": spikes}, DT) == pytest.approx(2 + 30 / 7)
    with pytest.raises(DataError, match="run more steps"):
        decode(decoder(settle=0.01), {"a": spikes}, DT)


def test_a_filtered_readout_weighs_late_spikes_more() -> None:
    early, late = np.zeros((2, 1, 10, 3), bool)
    early[0, 2], late[0, 8] = True, True
    ratio = (decode(decoder(tau_syn=0.003), {"a": late}, DT) - 2) / (
        decode(decoder(tau_syn=0.003), {"a": early}, DT) - 2
    )
    assert ratio == pytest.approx(np.exp(6 / 3))
