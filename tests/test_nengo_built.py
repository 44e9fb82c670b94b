"""Nengo's networks on cores, beside nengo-loihi's."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from agreement import assert_same_spikes

nengo = pytest.importorskip("nengo")
from drawn_nengo import AT_REST, DT  # noqa: E402

from snn_deploy.targets.contract import find_target  # noqa: E402
from snn_deploy.targets.nengo_dl.network import build_network  # noqa: E402
from snn_deploy.toolchain.bundle.bundle import (  # noqa: E402
    Bundle,
    load_bundle,
    save_bundle,
)
from snn_deploy.toolchain.errors import ModelError, UnsupportedLayer  # noqa: E402
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
]
STEPS = 200
WAYS = ("Nengo", "nengo-loihi", "snn-deploy")
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
        with pytest.raises(ModelError, match="the simulator is one of nengo_loihi"):
            ends = {"input": network.nodes[0], "output": probe}
            graph_of(network, **ends, simulator=alone)
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
    with pytest.raises(UnsupportedLayer, match="IF 'a'.* reset \"zero\" comes near"):
        legalize(graphs["soft"])
    x = np.array([[0.5, 1.0]])
    assert_same_spikes(quantize(legalize(graphs["hard"]), x, steps=50), x, HERE)


def test_whole_steps_are_kept_in_a_bundle_and_by_integer_targets_alone(tmp_path):
    graph = Graph.chain(
        n.Input("x", shape=(2,)), n.LIF("a", whole_steps=True), n.Output("y"), dt=DT
    )
    save_bundle(tmp_path / "net.snn", Bundle(graph=graph))
    kept = load_bundle(tmp_path / "net.snn").graph
    assert kept["a"].whole_steps and str(kept) == str(graph)
    with pytest.raises(UnsupportedLayer, match="LIF 'a': a spike takes its step to"):
        build_network(legalize(graph))


def test_the_page_shows_the_table_of_the_benchmark():
    root = Path(__file__).parent.parent
    page = (root / "docs" / "nengo.md").read_text()
    table = (root / "benchmarks" / "results" / "nengo_beside.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()]
    rows = [row for row in rows if row[2:3] and row[2] in WAYS]
    assert len(rows) == 18
    for row in rows:
        shown = [*row[:6], row[7], row[9]]
        assert f"| {' | '.join(shown)} |" in page
        if row[2] == "snn-deploy":
            assert row[10] == "0 on loihi-emulator, 0 on lava"
