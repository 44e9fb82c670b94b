"""Nengo networks: the Graph does in each step what Nengo's simulator does."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

nengo = pytest.importorskip("nengo")
from drawn_nengo import (  # noqa: E402
    AT_REST,
    DT,
    Drawn,
    convolved,
    decoded,
    through_neurons,
)

from snn_deploy.model_files import Model, keep, read_model  # noqa: E402
from snn_deploy.toolchain.errors import ModelError, UnsupportedLayer  # noqa: E402
from snn_deploy.toolchain.frontends.contract import Imported  # noqa: E402
from snn_deploy.toolchain.frontends.nengo.nengo import graph_of  # noqa: E402
from snn_deploy.toolchain.graph import nodes as n  # noqa: E402
from snn_deploy.toolchain.graph.interpret import interpret  # noqa: E402
from snn_deploy.toolchain.passes.legalize.legalize import legalize  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*encountered in log1p"),  # Nengo's max_rates
    pytest.mark.filterwarnings("ignore:Non-finite values detected"),
]
STEPS, RELU = 24, nengo.RectifiedLinear()
relaxed = settings(max_examples=25, deadline=None, suppress_health_check=[*HealthCheck])


def assert_same(drawn: Drawn, imported: Imported, sim: Any, steps: int) -> None:
    """Each neuron gives out the same in each step, and the Output is their mean.

    A spike is there or not; how much it is worth, and rates, to 1e-9, since Nengo sums
    in another order.
    """
    graph = imported.graph
    graph.check()
    x = drawn.x.reshape(1, *graph.input.shape)
    found = interpret(graph, x, "spiking", steps=steps, dt=DT, record=[*drawn.spikes])
    for name, probe in drawn.spikes.items():
        wanted = sim.data[probe][:steps]
        got = found[name][0].reshape(wanted.shape)
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-9, err_msg=name)
    wanted = sim.data[drawn.output][:steps].mean(axis=0)
    got = found[graph.output.name].ravel()
    np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-9)


def check(drawn: Drawn) -> None:
    with drawn.simulated(STEPS) as sim:
        ends = {"input": drawn.input, "output": drawn.output}
        assert_same(drawn, graph_of(drawn.network, **ends, simulator=sim), sim, STEPS)
        built_here = graph_of(drawn.network, **ends, dt=DT)
        assert_same(drawn, built_here, sim, STEPS)


@relaxed
@given(through_neurons())
def test_dense_and_sparse_weights_between_neurons(drawn):
    check(drawn)


@relaxed
@given(convolved())
def test_convolutions_between_neurons(drawn):
    check(drawn)


@relaxed
@given(decoded())
def test_decoded_connections(drawn):
    check(drawn)


def small(**how: Any) -> Drawn:
    """A point that two ensembles pass on; ``how`` of the connection between them."""
    with nengo.Network(seed=3) as network:
        network.config[nengo.Ensemble].neuron_type = nengo.LIF(initial_state=AT_REST)
        x = nengo.Node([0.5, -0.7], label="x")
        a, b = (nengo.Ensemble(20, 2, label=name) for name in "ab")
        nengo.Connection(x, a, synapse=None)
        nengo.Connection(a, b, **how)
        spikes = {e.label: nengo.Probe(e.neurons) for e in (a, b)}
    x_value = np.array([0.5, -0.7])
    return Drawn(network, x, network.probes[-1], spikes, x_value)


def read(drawn: Drawn, **how: Any) -> Imported:
    return graph_of(drawn.network, input=drawn.input, output=drawn.output, **how)


def text(imported: Imported) -> list[str]:
    return str(imported.graph).splitlines()


@pytest.mark.parametrize("where", ["probe", "connection", "shared"])
def test_the_last_synapse_is_the_mean_that_is_read(where):
    drawn = small()
    a, b = drawn.network.ensembles
    with drawn.network:
        if where == "probe":
            drawn.output = nengo.Probe(b, synapse=0.004)
        else:
            relay = nengo.Node(size_in=2, label="relay")
            nengo.Connection(b, relay, synapse=0.004)
            drawn.output = nengo.Probe(relay)
        if where == "shared":
            nengo.Connection(relay, a, synapse=None)  # a loop through the relay
    with drawn.simulated(STEPS + 1) as sim:
        imported = read(drawn, simulator=sim)
        last = sim.data[drawn.output][STEPS]
    assert text(imported)[-2].endswith("Output(relay.read) tau_syn 0.004 → 2") or (
        where != "shared"
    )
    assert imported.graph.output.tau_syn == 0.004
    found = interpret(imported.graph, drawn.x[None], "spiking", steps=STEPS)
    risen = 1 - np.exp(-STEPS * DT / 0.004)
    np.testing.assert_allclose(found["output"][0], last / risen, rtol=1e-9)


def test_several_last_synapses_stay_as_they_are():
    drawn = small()
    with drawn.network:
        relay = nengo.Node(size_in=2, label="relay")
        nengo.Connection(drawn.network.ensembles[1], relay, synapse=0.004)
        drawn.output = nengo.Probe(relay, synapse=0.002)
    with drawn.simulated(STEPS) as sim:
        imported = read(drawn, simulator=sim)
        assert_same(drawn, imported, sim, STEPS)
    with pytest.raises(UnsupportedLayer, match="use tau_syn of Output"):
        legalize(imported.graph)


def test_nodes_have_the_names_of_their_objects():
    lines = text(read(small()))
    assert [line.split(" weight")[0] for line in lines] == [
        "x: Input() → 2",
        "x.a: Dense(x) 2→20",
        "a: LIF(x.a) amplitude 1 tau_rc 0.02 tau_ref 0.002 → 20",
        "a.synapse: Lowpass(a) tau_syn 0.005 → 20",
        "a.b: Dense(a.synapse) 20→20",
        "b: LIF(a.b) amplitude 1 tau_rc 0.02 tau_ref 0.002 → 20",
        "output: Output(b) → 20",
        "timing: steps of 0.001 s",
    ]


def test_images_keep_their_shape_and_gains_their_kernel():
    with nengo.Network(seed=1) as network:
        x = nengo.Node(np.ones(5 * 6 * 2), label="x")
        conv = nengo.Convolution(3, (5, 6, 2), strides=(2, 2), padding="same")
        even = {"gain": np.full(27, 2.0), "bias": np.tile([1.0, 2.0, 3.0], 9)}
        a = nengo.Ensemble(27, 1, label="a", **even, neuron_type=RELU)
        nengo.Connection(x, a.neurons, transform=conv, synapse=None)
        how = {"strides": (2, 2), "padding": "same"}
        back = nengo.ConvolutionTranspose(2, (3, 3, 3), (6, 6, 2), **how)
        b = nengo.Ensemble(72, 1, label="b", neuron_type=RELU)
        nengo.Connection(a.neurons, b.neurons, transform=back, synapse=None)
        probe = nengo.Probe(b.neurons)
    graph = graph_of(network, input=x, output=probe).graph
    assert graph.dt is None  # neurons of rates
    assert [graph.shapes[name] for name in "xab"] == [(5, 6, 2), (3, 3, 3), (6, 6, 2)]
    assert graph["x.a"].bias.tolist() == [1, 2, 3]


def test_nested_networks_are_one_network():
    with nengo.Network(seed=5) as network:
        network.config[nengo.Ensemble].neuron_type = nengo.LIF(initial_state=AT_REST)
        x = nengo.Node([0.3, -0.4, 0.8], label="x")
        array = nengo.networks.EnsembleArray(12, 3)
        nengo.Connection(x, array.input, synapse=None)
        nengo.Connection(array.output, array.input[[1, 2, 0]], synapse=0.003)
        output = nengo.Probe(array.output)
        spikes = {e.label: nengo.Probe(e.neurons) for e in array.ensembles}
    drawn = Drawn(network, x, output, spikes, x.output)
    with drawn.simulated(STEPS) as sim:
        imported = read(drawn, simulator=sim)
        assert_same(drawn, imported, sim, STEPS)
    legal = legalize(imported.graph)  # synapses stand behind populations
    synapses = [node for node in legal.nodes if isinstance(node, n.Lowpass)]
    assert {x.inputs[0] for x in synapses} == {e.label for e in array.ensembles}


def test_what_is_not_the_same_is_noted():
    drawn = small(synapse=None)
    a, b = drawn.network.ensembles
    a.neuron_type = nengo.LIF()
    b.neuron_type = nengo.LIF(initial_state={"voltage": np.full(20, 0.5)})
    with drawn.network:
        nengo.Ensemble(5, 1)
    moved, instant, decoded, left = read(drawn).notes
    assert moved.startswith("'a', 'b': their neurons' potentials are not 0 at first")
    assert instant.startswith("'a → b': without a synapse spikes arrive in the step")
    assert left.startswith("1 ensemble(s) or node(s) of the network lead nowhere")
    assert decoded.startswith("'a': decoders are solved for the rates of nengo.LIF")
    for ens in drawn.network.ensembles:
        ens.neuron_type = RELU
    assert read(drawn).notes == (left,)  # rates have none of these


def wrong() -> tuple[nengo.Network, dict[str, nengo.Probe]]:
    """A network in which most is."""
    with nengo.Network() as net:
        x = nengo.Node([0.0, 0.0], label="x")
        clock = nengo.Node(lambda t: t, label="clock")
        a = nengo.Ensemble(9, 2, label="a", neuron_type=nengo.AdaptiveLIF())
        b = nengo.Ensemble(9, 1, label="b", noise=nengo.processes.WhiteNoise())
        square = nengo.Node(lambda t, v: v**2, size_in=1, label="square")
        d = nengo.Ensemble(9, 1, label="d", neuron_type=nengo.Direct())
        nengo.Connection(x, a, synapse=nengo.Alpha(0.01))
        nengo.Connection(clock, a[0])
        learns = nengo.Connection(
            *(a, b), function=lambda v: v[0], learning_rule_type=nengo.PES()
        )
        nengo.Connection(b, learns.learning_rule)
        nengo.Connection(b, square)
        nengo.Connection(square, d)
        nengo.Connection(x[0], b, function=lambda v: v * 2, label="twice")
        nengo.Connection(nengo.Node(1.0, label="one"), b)
        around, about = (nengo.Node(size_in=1, label=name) for name in "rs")
        nengo.Connection(around, about, synapse=None)
        nengo.Connection(about, around, synapse=None)
        nengo.Connection(around, d, synapse=None)
        solid = nengo.Convolution(1, (1, 9, 1, 1), (1, 9, 1), (1, 1, 1))
        nengo.Connection(b.neurons, d, transform=solid)
        probes = {
            "d": nengo.Probe(d, synapse=nengo.Lowpass(0.1, method="euler")),
            "voltage": nengo.Probe(b.neurons, "voltage"),
            "weights": nengo.Probe(learns, "weights"),
        }
    return net, probes


def test_all_that_cannot_be_read_is_named_with_what_comes_nearest():
    net, probes = wrong()
    with pytest.raises(UnsupportedLayer) as found:
        graph_of(net, input=net.nodes[0], output=probes["d"])
    got = {(each.id, each.layer): each.fix for each in found.value.obstacles}
    assert set(got) == {
        ("neuron-type", "a"),
        ("neuron-type", "d"),
        ("synapse", "x → a"),
        ("several-inputs", "clock"),
        ("learning-rule", "a → b"),
        ("noise", "b"),
        ("node-function", "square"),
        ("node-function", "twice"),
        ("filtered-constant", "one → b"),
        ("transform", "b → d"),
        ("loop-without-synapse", "r, s"),
        ("synapse", "output"),
    }
    assert got["synapse", "x → a"].startswith("nengo.Lowpass(0.02), of the same mean")
    assert got["neuron-type", "a"] == "nengo.LIF without adaptation comes nearest"


@pytest.mark.parametrize("what", ["voltage", "weights"])
def test_a_probe_of_a_state_is_refused(what):
    net, probes = wrong()
    with pytest.raises(UnsupportedLayer, match=f"Probe 'output': it records '{what}'"):
        graph_of(net, input=net.nodes[0], output=probes[what])


def test_wrong_ends_are_refused():
    drawn, other = small(), small()
    with pytest.raises(ModelError, match="its input is .*, which is no nengo.Node of"):
        graph_of(drawn.network, input=other.input, output=drawn.output)
    with pytest.raises(ModelError, match="its output is 'x', which is no nengo.Probe"):
        graph_of(drawn.network, input=drawn.input, output=drawn.input)
    with pytest.raises(ModelError, match="it is a dict; a nengo.Network is allowed"):
        graph_of({}, input=drawn.input, output=drawn.output)
    with pytest.raises(ModelError, match="the simulator was built of another one"):
        read(drawn, simulator=other.simulated(1))
    with drawn.network:
        lonely = nengo.Node([1.0], label="lonely")
    with pytest.raises(ModelError, match="nothing leads from its input 'lonely'"):
        graph_of(drawn.network, input=lonely, output=drawn.output)


def test_what_nengo_cannot_build_is_said_so():
    drawn = small()
    drawn.network.ensembles[0].encoders = np.zeros((20, 2))
    with pytest.raises(ModelError, match="Nengo cannot build or read it"):
        read(drawn)


def test_it_is_kept_and_goes_on_as_a_bundle(tmp_path):
    imported = read(small())
    keep(Model(imported.graph, {}, imported.notes), tmp_path / "net.snn")
    kept = read_model(tmp_path / "net.snn")
    assert str(kept.graph) == str(imported.graph) and kept.remarks == imported.notes


def test_nengo_is_needed_and_named():
    code = (
        "import sys\n"
        "sys.modules['nengo'] = None\n"
        "from snn_deploy.toolchain.errors import ModelError\n"
        "from snn_deploy.toolchain.frontends.nengo.nengo import graph_of\n"
        "try:\n"
        "    graph_of(None, input=None, output=None)\n"
        "except ModelError as error:\n"
        "    print(error)\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Nengo network: reading it needs the package nengo")
    assert done.stdout.endswith("pip install 'snn-deploy[nengo]'\n")
