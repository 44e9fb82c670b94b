"""Nengo's networks on cores, beside nengo-loihi's; and what NengoDL makes of Keras."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
from agreement import assert_same_spikes

nengo = pytest.importorskip("nengo")
from drawn_nengo import AT_REST, DT  # noqa: E402

from snn_deploy.targets.contract import find_target  # noqa: E402
from snn_deploy.toolchain.bundle.bundle import (  # noqa: E402
    Bundle,
    load_bundle,
    save_bundle,
)
from snn_deploy.toolchain.errors import UnsupportedLayer  # noqa: E402
from snn_deploy.toolchain.frontends.nengo.nengo import graph_of  # noqa: E402
from snn_deploy.toolchain.graph import nodes as n  # noqa: E402
from snn_deploy.toolchain.graph.graph import Graph  # noqa: E402
from snn_deploy.toolchain.graph.interpret import interpret  # noqa: E402
from snn_deploy.toolchain.passes.legalize.legalize import legalize  # noqa: E402
from snn_deploy.toolchain.passes.quantize.quantize import quantize  # noqa: E402
from snn_deploy.toolchain.program.host import spike_encoder  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*encountered in log1p"),  # Nengo's max_rates
    pytest.mark.filterwarnings("ignore:Non-finite values detected"),
    pytest.mark.filterwarnings("ignore:Lost . extra bits in weight rounding"),
    pytest.mark.filterwarnings("ignore:invalid value encountered in cast"),
    pytest.mark.filterwarnings("ignore:No GPU support detected"),
]
STEPS = 200
HERE = [
    *(["loihi-emulator"] if find_spec("nengo_loihi") else []),
    *(["lava"] if find_spec("lava") else []),
]


def examples(name: str, x: float, kind) -> tuple[nengo.Network, nengo.Probe]:
    """Nengo's integrator, or communication channel, as in its documentation."""
    with nengo.Network(seed=1) as network:
        network.config[nengo.Ensemble].neuron_type = kind
        given = nengo.Node([x], label="x")
        a = last = nengo.Ensemble(100, 1, label="a")
        if name == "integrator":
            nengo.Connection(given, a, transform=[[0.1]], synapse=0.1)
            nengo.Connection(a, a, synapse=0.1)
        else:
            last = nengo.Ensemble(100, 1, label="b")
            nengo.Connection(given, a)
            nengo.Connection(a, last)
        for each in dict.fromkeys((a, last)):
            nengo.Probe(each.neurons)
        return network, nengo.Probe(last, synapse=0.05)


@pytest.mark.parametrize("name", ["integrator", "channel"])
@pytest.mark.parametrize("kind", ["LIF", "LoihiLIF"])
def test_examples_run_on_cores_beside_nengo_loihi(name, kind):
    """Each target fires alike; LoihiLIF, which a core is, in Nengo nearly so too."""
    loihi = pytest.importorskip("nengo_loihi", reason="there is no nengo-loihi here")
    neurons = nengo.LIF(initial_state=AT_REST)
    if kind == "LoihiLIF":
        neurons = loihi.neurons.LoihiLIF()
    network, probe = examples(name, 0.7, neurons)
    with nengo.Simulator(network, progress_bar=False) as sim:
        imported = graph_of(
            network, input=network.nodes[0], output=probe, simulator=sim
        )
        sim.run_steps(STEPS, progress_bar=False)
    graph, x = imported.graph, np.array([[0.7]])
    assert len(imported.notes) == (kind == "LIF")  # decoders
    assert bool(graph.loop) == (name == "integrator")
    populations = [e.label for e in network.ensembles]
    record = interpret(graph, x, "spiking", steps=STEPS, record=populations)
    encoder = spike_encoder("spikes", "x", DT)
    program = quantize(
        legalize(graph, input_spikes=True), x, steps=STEPS, encoder=encoder
    )
    assert_same_spikes(program, x, HERE if graph.loop else HERE[:1])
    with find_target("reference").load(program) as session:
        found = session.run(x)
    spikes = {}
    for ens, by_neuron in zip(network.ensembles, network.probes):
        spikes[ens] = np.count_nonzero(sim.data[by_neuron])
        assert np.count_nonzero(record[ens.label]) == spikes[ens] > 300
    ours = {ens: found.spikes[ens.label].sum() for ens in spikes}
    wanted = 0.7 * STEPS * DT if name == "integrator" else 0.7
    if kind == "LoihiLIF":
        assert sum(ours.values()) == pytest.approx(sum(spikes.values()), rel=0.03)
        assert found.output.item() == pytest.approx(wanted, abs=0.1)
    with loihi.Simulator(network, target="sim", progress_bar=False) as alone:
        alone.run_steps(STEPS)
    theirs = [np.count_nonzero(alone.data[p]) for p in network.probes[:-1]]
    assert sum(ours.values()) == pytest.approx(sum(theirs), rel=0.1)
    with find_target("loihi-emulator").load(program) as session:
        assert len(session.placement.cores) < len(alone.model.blocks)


def test_neurons_that_a_core_has_not_are_refused_with_those_it_has():
    """nengo-loihi replaces them without a word; here its type has to be asked for."""
    loihi = pytest.importorskip("nengo_loihi", reason="there is no nengo-loihi here")
    kinds = {
        "soft": nengo.SpikingRectifiedLinear(initial_state=AT_REST),
        "hard": loihi.neurons.LoihiSpikingRectifiedLinear(),
    }
    graphs = {}
    for name, kind in kinds.items():
        with nengo.Network(seed=1) as network:
            x = nengo.Node([0.5, 1.0], label="x")
            ens = nengo.Ensemble(20, 2, neuron_type=kind, label="a")
            nengo.Connection(x, ens, synapse=None)
            probe = nengo.Probe(ens.neurons)
        graphs[name] = graph_of(network, input=x, output=probe).graph
        with nengo.Simulator(network, progress_bar=False) as sim:
            sim.run_steps(50, progress_bar=False)
        found = interpret(
            graphs[name], x.output[None], "spiking", steps=50, record=["a"]
        )
        np.testing.assert_array_equal(found["a"][0], sim.data[probe])
    with pytest.raises(UnsupportedLayer, match='IF \'a\'.* reset "zero" comes near'):
        legalize(graphs["soft"])
    x = np.array([[0.5, 1.0]])
    assert_same_spikes(quantize(legalize(graphs["hard"]), x, steps=50), x, HERE)


def test_whole_steps_are_kept_in_a_bundle(tmp_path):
    graph = Graph.chain(
        n.Input("x", shape=(2,)), n.LIF("a", whole_steps=True), n.Output("y"), dt=DT
    )
    save_bundle(tmp_path / "net.snn", Bundle(graph=graph))
    kept = load_bundle(tmp_path / "net.snn").graph
    assert kept["a"].whole_steps and str(kept) == str(graph)


@pytest.fixture(scope="module")
def keras_model():
    tf = pytest.importorskip("tensorflow", reason="NengoDL runs on TensorFlow")
    pytest.importorskip("nengo_dl", reason="there is no NengoDL here")
    tf.keras.utils.set_random_seed(3)
    layers, bias = tf.keras.layers, {"bias_initializer": "random_normal"}
    x = tf.keras.Input((8, 8, 2), name="x")
    y = layers.Conv2D(4, 3, strides=2, activation="relu", name="a", **bias)(x)
    y = layers.Conv2D(4, 2, padding="same", activation="relu", name="b", **bias)(y)
    y = layers.Flatten()(layers.AveragePooling2D(2)(y))
    return tf.keras.Model(x, layers.Dense(3, name="c", **bias)(y))


KINDS = {
    "rates": (nengo.RectifiedLinear(), n.ReLU),
    "spikes": (nengo.SpikingRectifiedLinear(initial_state=AT_REST), n.IF),
    "LIF": (nengo.LIF(amplitude=0.01, initial_state=AT_REST), n.LIF),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("synapse", [None, 0.005])
def test_what_the_converter_makes_is_read(keras_model, kind, synapse):
    """To 1e-4 of the largest answer, since NengoDL computes in float32."""
    import nengo_dl

    neurons, node = KINDS[kind]
    converter = nengo_dl.Converter(
        keras_model,
        swap_activations={nengo.RectifiedLinear(): neurons},
        scale_firing_rates=None if kind == "LIF" else 200,
        synapse=synapse,
    )
    x = np.random.default_rng(0).random((1, 8, 8, 2))
    steps, given = 30, converter.inputs[keras_model.input]
    read = converter.outputs[keras_model.output]
    with nengo_dl.Simulator(converter.net, progress_bar=False) as sim:
        imported = graph_of(converter.net, input=given, output=read, simulator=sim)
        shown = {given: np.repeat(x.reshape(1, 1, -1), steps + 1, 1)}
        answers = sim.predict(shown, verbose=0)[read][0]
    graph = imported.graph
    assert graph.input.shape == (8, 8, 2) and isinstance(graph["a.0"], node)
    assert graph.dt == (None if kind == "rates" else DT)
    assert graph.output.tau_syn == (synapse or 0)
    found = interpret(graph, x, "spiking", steps=steps)[graph.output.name][0]
    if synapse is None:
        wanted = answers[:steps].mean(0)
    else:  # a bias stands behind the last filter
        bias = keras_model.get_layer("c").bias.numpy()
        wanted = bias + (answers[steps] - bias) / (1 - np.exp(-steps * DT / synapse))
    np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())


def test_our_hybrid_types_and_soft_rates_are_read():
    pytest.importorskip("nengo_dl", reason="there is no NengoDL here")
    from nengo_dl import SoftLIFRate

    from snn_deploy.models.cotraining.nengo_hybrid import (
        HybridLIF,
        HybridSpikingRectifiedLinear,
    )

    kinds = {
        "lif": HybridLIF(0.01, 0.001, -0.5, 0.02, AT_REST),
        "if": HybridSpikingRectifiedLinear(0.02, AT_REST),
        "soft": SoftLIFRate(sigma=0.02, tau_rc=0.03, tau_ref=0.001, amplitude=0.02),
    }
    with nengo.Network(seed=2) as network:
        x = nengo.Node([0.6], label="x")
        source, probes = x, {}
        for name, kind in kinds.items():
            bias = np.full(9, 200.0 if name == "if" else 1.1)
            how = {"gain": np.linspace(0.5, 2, 9), "bias": bias, "neuron_type": kind}
            ens = nengo.Ensemble(9, 1, label=name, **how)
            weights = np.random.default_rng(1).normal(size=(9, source.size_out))
            nengo.Connection(source, ens.neurons, transform=weights, synapse=0.002)
            source, probes[name] = ens.neurons, nengo.Probe(ens.neurons)
    graph = graph_of(network, input=x, output=network.probes[-1]).graph
    with nengo.Simulator(network, progress_bar=False) as sim:
        sim.run_steps(50, progress_bar=False)
    found = interpret(graph, x.output[None], "spiking", steps=50, record=[*kinds])
    for name, probe in probes.items():
        assert sim.data[probe].any()
        np.testing.assert_allclose(found[name][0], sim.data[probe], rtol=1e-9)
