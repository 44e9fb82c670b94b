"""What NengoDL makes and trains: converted Keras models, soft rates, hybrid types."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
from agreement import assert_same_spikes

nengo = pytest.importorskip("nengo")
pytest.importorskip("nengo_dl", reason="there is no NengoDL here")
from drawn_nengo import AT_REST, DT  # noqa: E402

from snn_deploy.toolchain.frontends.nengo.nengo import graph_of  # noqa: E402
from snn_deploy.toolchain.graph import nodes as n  # noqa: E402
from snn_deploy.toolchain.graph.interpret import interpret  # noqa: E402
from snn_deploy.toolchain.passes.legalize.legalize import legalize  # noqa: E402
from snn_deploy.toolchain.passes.quantize.quantize import quantize  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*encountered in log1p"),  # Nengo's max_rates
    pytest.mark.filterwarnings("ignore:Non-finite values detected"),
    pytest.mark.filterwarnings("ignore:No GPU support detected"),
]


@pytest.fixture(scope="module")
def keras_model():
    tf = pytest.importorskip("tensorflow", reason="NengoDL runs on TensorFlow")
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


@pytest.mark.parametrize(
    ("kind", "synapse"),
    [("rates", None), ("spikes", 0.005), ("LIF", None), ("LIF", 0.005)],
)
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
    if (kind, synapse) == ("LIF", 0.005) and find_spec("nengo_loihi"):
        assert_same_spikes(quantize(legalize(graph), x, steps=steps), x)


def test_our_hybrid_types_and_soft_rates_are_read():
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
