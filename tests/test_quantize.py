"""quantize: the integers hold what the float network says, within the core's widths."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_graphs import graphs, samples_for
from random_programs import simulate_oracle

from snn_deploy.targets.contract import find_target
from snn_deploy.toolchain.errors import DataError, DoesNotFit, ModelError
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import interpret
from snn_deploy.toolchain.passes.legalize.compose import apply
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.quantize import rounding
from snn_deploy.toolchain.passes.quantize.layers import Layer, layers
from snn_deploy.toolchain.passes.quantize.quantize import quantize, scales_of
from snn_deploy.toolchain.program import arithmetic as core
from snn_deploy.toolchain.program.connections import Connection, SparseConnection
from snn_deploy.toolchain.program.host import BiasEncoder, SpikeEncoder, decode, encode
from snn_deploy.toolchain.program.program import Program

DT = 0.001
TAU = st.sampled_from((0.0, 0.005))


def built(graph: Graph, tau: float, spikes: bool, **options: object) -> Program:
    """The whole line up to a Program; unsupported draws are dropped."""
    try:
        legal = legalize(graph, tau, input_spikes=spikes)
    except ModelError:
        assume(False)
    start = graph.prepared.name
    encoder = SpikeEncoder(population=start, max_rate=500.0) if spikes else None
    samples = samples_for(graph, 0, count=8)
    return quantize(legal, samples, steps=20, encoder=encoder, **options)


def unit(program: Program, layer: Layer, c: Connection, size: int) -> n.FloatArray:
    """The weight that a mantissa of 1 stands for, its gains written down once more.

    Of each of so many filters, the last axis of the weights.
    """
    population, source = program[layer.population.name], c.source
    q = 2.0 ** (6 + c.exponent)
    u = q / (1 - (4095 - population.decay_u) / 4096)
    lif = isinstance(layer.population, n.LIF)
    v = u / (1 - (4096 - population.decay_v) / 4096) if lif else u / DT
    sends = {p.name for p in program.inputs}
    spike = 1 / 500.0 if source in sends else program[source].amplitude
    return v / np.resize(population.scale, size) / (spike / DT)


@settings(deadline=None, max_examples=60)
@given(graphs(), TAU, st.booleans(), st.integers(5, 8))
def test_integers_stand_for_the_floats(
    graph: Graph, tau: float, spikes: bool, bits: int
) -> None:
    program = built(graph, tau, spikes, weight_bits=bits)
    program.check()
    for layer in layers(program.graph):
        population = program[layer.population.name]
        assert np.abs(population.threshold - population.scale).max() <= 32
        largest = 0
        for synapses, c in zip(layer.synapses, program.incoming(population.name)):
            assert synapses.source == c.source
            largest = max(largest, np.abs(c.weight).max())
            wanted = synapses.node.weight
            held = c.weight
            if isinstance(c, SparseConnection) and wanted.ndim == 4:
                continue  # test_a_convolution_of_few_weights_is_stored_by_synapse
            if isinstance(c, SparseConnection):
                held = np.zeros(wanted.shape)
                held[c.sender, c.receiver] = c.weight
            one = unit(program, layer, c, wanted.shape[-1])
            assert (np.abs(one * held - wanted) <= one * 1.001).all()
        weighted = [s for s in layer.synapses if np.any(s.node.weight)]
        if weighted and np.max(population.threshold) < core.MAX_THRESHOLD - 64:
            bias = np.abs(population.bias).max()
            assert largest == 2**bits - 2 or bias > 0.99 * core.MAX_BIAS


def shadow(program: Program, spikes: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Float neurons with a hard reset on step boundaries, fed the core's spikes."""
    trains = {}
    for layer in layers(program.graph):
        population = program[layer.population.name]
        if not layer.synapses:
            continue
        train = np.zeros_like(spikes[population.name])
        for sample in range(len(train)):
            v, wait = np.zeros(population.size), np.zeros(population.size, int)
            held = {s.source: 0.0 for s in layer.synapses}
            for t in range(train.shape[1]):
                current = layer.bias.copy()
                for s in layer.synapses:
                    keep = math.exp(-DT / s.tau_syn) if s.tau_syn else 0.0
                    amplitude = (
                        1 / 500.0 if s.source == "x" else (program[s.source].amplitude)
                    )
                    sent = spikes[s.source][sample, t - 1] if t else 0.0
                    held[s.source] = keep * held[s.source] + (1 - keep) * (
                        np.ones(1) * sent * amplitude / DT
                    )
                    x = np.broadcast_to(held[s.source], math.prod(s.source_shape))
                    node = replace(s.node, bias=np.zeros_like(s.node.bias))
                    current += apply(node, x.reshape(1, *s.shape)).ravel()
                if isinstance(layer.population, n.LIF):
                    v += -math.expm1(-DT / layer.population.tau_rc) * (current - v)
                else:
                    v += DT * current
                v = np.where(wait > 0, 0, np.maximum(v, 0))
                train[sample, t] = v > 1
                v[train[sample, t]] = 0
                wait = np.maximum(
                    np.where(train[sample, t], population.refractory, wait) - 1, 0
                )
        trains[population.name] = train
    return trains


def network(kind: type[n.Neurons], gain: float) -> Graph:
    """20 → conv 6×6×2 → dense 30, weights and biases that make most neurons fire."""
    rng = np.random.default_rng(3)

    def weights(*shape: int) -> dict[str, n.FloatArray]:
        weight = rng.normal(size=shape) * gain / math.sqrt(math.prod(shape[:-1]))
        return {"weight": weight, "bias": rng.normal(size=shape[-1]) * 0.3 * gain}

    return Graph(
        (
            n.Input("x", shape=(6, 6, 1)),
            n.Conv2D("c1", ("x",), **weights(3, 3, 1, 2), padding=((1, 1), (1, 1))),
            kind("a", ("c1",), amplitude=0.01),
            n.Conv2D("c2", ("a",), **weights(3, 3, 2, 3), stride=(2, 2)),
            kind("b", ("c2",), amplitude=0.01),
            n.Flatten("f", ("b",)),
            n.Dense("d", ("f",), **weights(12, 30)),
            kind("c", ("d",), amplitude=0.01),
            n.Output("y", ("c",)),
        )
    )


@pytest.mark.parametrize("tau", [0.0, 0.005])
@pytest.mark.parametrize("spikes", [False, True])
@pytest.mark.parametrize(("kind", "gain"), [(n.LIF, 4.0), (n.IF, 150.0)])
def test_a_layer_fires_as_float_neurons_on_the_same_input(
    kind: type[n.Neurons], gain: float, spikes: bool, tau: float
) -> None:
    """Total spikes within 2 %, those of a neuron within 10 % and two spikes."""
    graph = network(kind, gain)
    legal = legalize(graph, tau, input_spikes=spikes)
    encoder = (
        SpikeEncoder(population=graph.prepared.name, max_rate=500.0) if spikes else None
    )
    x = samples_for(graph, 1, count=2)
    program = quantize(legal, x, steps=300, encoder=encoder)
    stimulus = encode(program.encoder, x, 300, DT)
    run = {**stimulus.spikes, **simulate_oracle(program, stimulus)}
    for name, train in shadow(program, run).items():
        count, expected = run[name].sum(axis=1), train.sum(axis=1)
        assert expected.sum() > 50, name
        assert abs(count.sum() - expected.sum()) <= 0.02 * expected.sum(), name
        assert (np.abs(count - expected) <= 2 + 0.1 * expected).all(), name


@pytest.mark.parametrize(("kind", "gain"), [(n.LIF, 4.0), (n.IF, 150.0)])
def test_constant_input_gives_the_float_interval_in_whole_steps(
    kind: type[n.Neurons], gain: float
) -> None:
    """The interval is the float one, rounded up: nothing is carried over a reset.

    0.1 step less where it is, for the rounding of decay and bias.
    """
    graph = network(kind, gain)
    legal = legalize(graph)
    x = samples_for(graph, 1, count=2)
    program = quantize(legal, x, steps=600)
    spikes = simulate_oracle(program, encode(program.encoder, x, 600, DT))["a"]
    rate = interpret(legal, x, record=("a",))["a"].reshape(2, -1) / 0.01
    for train, hz in zip(
        spikes.reshape(-1, 600, 72).transpose(0, 2, 1).reshape(-1, 600), rate.ravel()
    ):
        if hz > 20:
            (steps,) = set(np.diff(np.flatnonzero(train)).tolist())
            assert -0.1 <= steps - 1 / (hz * DT) <= 1.1


def test_output_approaches_the_rate_networks() -> None:
    graph = network(n.LIF, 4.0)
    legal = legalize(graph, 0.005)
    x = samples_for(graph, 1, count=4)
    program = quantize(legal, x, steps=400)
    run = simulate_oracle(program, encode(program.encoder, x, 400, DT))
    found = decode(program.decoder, run, DT)
    wanted = interpret(legal, x, "spiking", steps=400)["y"]
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.97
    assert abs(found.mean() / wanted.mean() - 1) < 0.25


def test_encoder_and_decoder_are_the_graphs_ends() -> None:
    graph = network(n.LIF, 4.0)
    output = n.Output("y", ("e",), settle=0.01, tau_syn=0.02)
    dense = n.Dense("e", ("c",), weight=np.ones((30, 2)), bias=np.ones(2))
    legal = legalize(Graph((*graph.nodes[:-1], dense, output)))
    x = samples_for(graph, 1)
    program = quantize(legal, x, steps=20)
    values = interpret(legal, x, record=("c1", "c"))
    bias = encode(program.encoder, x, 20, DT).bias["a"] / program.encoder.scale
    np.testing.assert_allclose(bias, values["c1"].reshape(3, -1), atol=1e-3)
    assert not program["a"].bias.any()  # it is in the encoder
    assert interpret(program.decoder.graph, values["c"])["y"].tolist() == (
        values["y"].tolist()
    )
    assert program.decoder.amplitude == 0.01
    assert (program.decoder.settle, program.decoder.tau_syn) == (0.01, 0.02)


def test_samples_twice_as_strong_still_fit() -> None:
    graph = Graph((n.Input("x", shape=(3,)), n.LIF("a", ("x",)), n.Output("y", ("a",))))
    program = quantize(legalize(graph), np.array([[0.0, 0.5, -1.0]]), steps=5)
    assert encode(program.encoder, np.array([[2.0, -2.0, 0.0]]), 5, DT)
    with pytest.raises(DataError, match="sample 1.*'a'.*524160"):
        encode(program.encoder, np.array([[2.0] * 3, [2.1] * 3]), 5, DT)


def test_given_scales_give_the_same_integers() -> None:
    legal = legalize(network(n.LIF, 4.0), 0.005)
    x = samples_for(legal, 1)
    scales = scales_of(legal, x)
    once = quantize(legal, x, steps=20)
    again = quantize(legal, x[:0], steps=20, scales=scales)  # no samples needed
    assert encoder_scale(again) == encoder_scale(once)
    for one, other in zip(once.populations, again.populations):
        assert np.array_equal(one.threshold, other.threshold)
        assert np.array_equal(one.bias, other.bias)
    for one, other in zip(once.connections, again.connections):
        assert one.exponent == other.exponent
        assert np.array_equal(one.weight, other.weight)


def encoder_scale(program: Program) -> float:
    assert isinstance(program.encoder, BiasEncoder)
    return program.encoder.scale


def test_a_weight_beyond_given_scales_is_refused() -> None:
    legal = legalize(network(n.LIF, 4.0))
    x = samples_for(legal, 1)
    scales = scales_of(legal, x)
    stronger = tuple(
        replace(node, weight=node.weight * 1.1) if node.name == "d" else node
        for node in legal.nodes
    )
    with pytest.raises(DoesNotFit, match="'b' → 'c'.*mantissa"):
        quantize(Graph(stronger), x, steps=20, scales=scales)


def test_sources_of_different_strength_share_a_scale() -> None:
    graph = Graph(
        (
            n.Input("x", shape=(4,)),
            n.IF("a", ("x",), amplitude=0.01),
            n.Dense("d", ("a",), weight=np.eye(4) * 100, bias=np.zeros(4)),
            n.IF("b", ("d",), amplitude=0.01),
            n.Dense("e", ("b",), weight=np.eye(4), bias=np.zeros(4)),
            n.Add("add", ("d", "e")),
            n.IF("c", ("add",), amplitude=0.01),
            n.Output("y", ("c",)),
        )
    )
    program = quantize(legalize(graph), np.ones((1, 4)), steps=5)
    strong, weak = program.incoming("c")
    assert strong.exponent > weak.exponent
    assert strong.effective.max() == 254 << (6 + strong.exponent)
    ratio = strong.effective.max() / weak.effective.max()
    assert ratio == pytest.approx(100, rel=0.02)


def lif(**fields: float) -> Graph:
    """Input → LIF 'a' with these constants → dense → IF 'b'."""
    return Graph(
        (
            n.Input("x", shape=(2,)),
            n.LIF("a", ("x",), **fields),
            n.Dense("d", ("a",), weight=np.eye(2), bias=np.zeros(2)),
            n.IF("b", ("d",)),
            n.Output("y", ("b",)),
        )
    )


@pytest.mark.parametrize(
    ("lowest", "v_min"), [(0.0, 0), (-math.inf, -(2**23) + 1), (-0.5, None)]
)
def test_the_lowest_voltage_is_kept(lowest: float, v_min: int | None) -> None:
    program = quantize(legalize(lif(min_voltage=lowest)), np.ones((1, 2)), steps=5)
    population = program["a"]
    expected = round(lowest * population.scale) if v_min is None else v_min
    assert population.v_min == expected


@pytest.mark.parametrize(("tau_ref", "refractory"), [(0.0, 1), (0.002, 3), (0.062, 63)])
def test_refractory_steps(tau_ref: float, refractory: int) -> None:
    program = quantize(legalize(lif(tau_ref=tau_ref)), np.ones((1, 2)), steps=5)
    assert program["a"].refractory == refractory


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tau_ref": 0.063}, "'a': tau_ref is 63 steps.*0 … 62"),
        ({"tau_rc": 100.0}, "'a': tau_rc is 100.0 s"),
        ({"amplitude": 1e6}, "'b': its threshold would be 0"),
    ],
)
def test_constants_beyond_the_core_are_refused(
    fields: dict[str, float], message: str
) -> None:
    with pytest.raises(DoesNotFit, match=message):
        quantize(legalize(lif(**fields)), np.ones((1, 2)), steps=5)


def test_a_synapse_slower_than_the_core_s_is_refused_and_the_longest_is_built() -> None:
    """As a tau_rc beyond the core's is; it would act as 4.1 s without a word."""
    graph, x = lif(), np.ones((1, 2))
    message = r"'b': tau_syn of its synapses is 4.2 s; at dt = 0.001 s 0 to 4.096 s"
    with pytest.raises(DoesNotFit, match=message):
        quantize(legalize(graph, 4.2), x, steps=5)
    assert quantize(legalize(graph, 4.096), x, steps=5)["b"].decay_u == 0


def test_what_does_not_go_together_is_refused() -> None:
    graph, x = network(n.LIF, 4.0), samples_for(network(n.LIF, 4.0), 1)
    legal, spikes = legalize(graph), legalize(graph, input_spikes=True)
    sends = SpikeEncoder(population="x")
    with pytest.raises(ModelError, match="call legalize"):
        quantize(graph, x, steps=5)
    with pytest.raises(ModelError, match="input_spikes=True"):
        quantize(legal, x, steps=5, encoder=sends)
    with pytest.raises(ModelError, match="give a SpikeEncoder"):
        quantize(spikes, x, steps=5)
    with pytest.raises(DoesNotFit, match="2000 Hz.*1000 Hz"):
        quantize(spikes, x, steps=5, encoder=replace(sends, max_rate=2000))
    with pytest.raises(DoesNotFit, match="9 bits; 2 … 8"):
        quantize(legal, x, steps=5, weight_bits=9)
    with pytest.raises(DataError, match="at least one"):
        quantize(legal, x[:0], steps=5)
    with pytest.raises(DataError, match="NaN"):
        quantize(legal, x * math.nan, steps=5)
    twice = tuple(
        replace(node, tau_syn=0.01) if node.name == "a.synapse" else node
        for node in legalize(skip()).nodes
    )
    with pytest.raises(ModelError, match=r"'c'.*\[0.0, 0.01\]"):
        quantize(Graph(twice), np.ones((1, 2)), steps=5)


def skip() -> Graph:
    """a → b → c, and a → c."""
    weight, bias = np.eye(2), np.zeros(2)
    return Graph(
        (
            n.Input("x", shape=(2,)),
            n.IF("a", ("x",)),
            n.Dense("d", ("a",), weight=weight, bias=bias),
            n.IF("b", ("d",)),
            n.Add("add", ("a", "b")),
            n.IF("c", ("add",)),
            n.Output("y", ("c",)),
        )
    )


@pytest.mark.parametrize("kind", [n.Conv2D, n.ConvTranspose2D])
@pytest.mark.parametrize(("zeros", "stored"), [(0.4, False), (0.6, True)])
def test_a_convolution_of_few_weights_is_stored_by_synapse(
    kind: type[n.Windowed], zeros: float, stored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same synapses, but for those of weight 0: fewer operations, equal spikes."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(3, 3, 2, 4))
    weight[rng.random(weight.shape) < zeros] = 0
    graph = legalize(
        Graph.chain(
            n.Input("x", shape=(6, 5, 2)),
            n.IF("a"),
            kind("sum", weight=weight, bias=np.full(4, 20.0), stride=(2, 1)),
            n.IF("b"),
            n.Output("y"),
        ),
        0.0,
    )
    samples = rng.uniform(50, 300, (2, 6, 5, 2))
    program = quantize(graph, samples, steps=12)
    monkeypatch.setattr(rounding, "SPARSE", 0.0)
    whole = quantize(graph, samples, steps=12)
    (one,), (other,) = program.connections, whole.connections
    assert isinstance(one, SparseConnection) == stored
    assert one.source_shape == other.source_shape
    assert one.target_shape == other.target_shape
    np.testing.assert_array_equal(
        one.fan_out, other.nonzero_fan_out if stored else other.fan_out
    )
    for a, b in zip(simulated(program, samples), simulated(whole, samples)):
        np.testing.assert_array_equal(a, b)


def simulated(program: Program, samples: n.FloatArray) -> list[n.Array]:
    with find_target("reference").load(program) as session:
        counts = session.run(samples).counts
    assert counts["b"].any()
    return list(counts.values())
