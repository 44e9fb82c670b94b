"""Spiking networks as somebody wrote them: their step, neurons and rates stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn_loops import DT, example
from random_graphs import samples_for

from snn_deploy.calibration.balance import balance
from snn_deploy.deploy import CONVERTED
from snn_deploy.pipeline.compilation import Compilation, Settings, compiled, find_pass
from snn_deploy.targets.contract import find_target
from snn_deploy.toolchain.errors import ModelError, UnsupportedLayer
from snn_deploy.toolchain.frontends.onnx.export import to_onnx
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import interpret
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.quantize.quantize import quantize
from snn_deploy.toolchain.passes.unroll import unrolled
from snn_deploy.toolchain.program.host import spike_encoder

STEPS = 20


def test_another_step_than_its_own_is_refused():
    with pytest.raises(ModelError, match="for steps of 0.001 s .* at 0.002 s"):
        quantize(legalize(example()), np.zeros((1, 3)), steps=4, dt=0.002)
    asked = Settings(steps=4, dt=0.002)
    start = Compilation(graph=example(), samples=np.zeros((1, 3)), settings=asked)
    with pytest.raises(ModelError, match=r"steps of 0.001 s, and --dt is 0.002"):
        compiled(start, [find_pass("legalize"), find_pass("quantize")])


def test_a_soft_reset_is_refused_by_name_with_what_comes_nearest():
    with pytest.raises(UnsupportedLayer) as found:
        legalize(example(reset="subtract"))
    assert [(each.id, each.layer) for each in found.value.obstacles] == [
        ("soft-reset", "a"),
        ("soft-reset", "b"),
    ]
    assert found.value.obstacles[0].fix.startswith('reset "zero" comes nearest')
    with pytest.raises(ModelError, match="LIF 'a': reset is 'half'; allowed are zero"):
        example(reset="half").check()


def test_a_soft_reset_keeps_what_is_beyond_the_threshold():
    graph = Graph.chain(
        n.Input("x", shape=(1,)),
        n.LIF("a", amplitude=DT, tau_rc=0.02, tau_ref=0.0, reset="subtract"),
        n.Output("y"),
        dt=DT,
    )
    found = interpret(graph, np.full((1, 1), 9.0), "spiking", steps=9, record=["a"])
    v, wanted = 0.0, []
    for _ in range(9):
        v += (9.0 - v) * -np.expm1(-DT / 0.02)
        wanted.append(v > 1)
        v -= v > 1
    assert 2 < sum(wanted) < 9
    np.testing.assert_array_equal(found["a"].ravel(), wanted)
    with pytest.raises(ModelError, match="'subtract' it has no rate; run its steps"):
        interpret(graph, np.ones((1, 1)))


def test_what_a_soft_reset_leaves_above_the_threshold_spikes_at_the_next_step():
    """At its start, so that nothing of it is lost; later where it is refractory."""
    x = np.array([90, 1.2, 1.2, 0.2, 0.2, 0.2, 0.2, *[5.0] * 6]).reshape(1, 13, 1)
    found = {}
    for tau_ref in (0.0, 2 * DT):
        neurons = n.LIF("a", amplitude=DT, tau_ref=tau_ref, reset="subtract")
        graph = Graph.chain(n.Input("x", shape=(1,)), neurons, n.Output("y"), dt=DT)
        how = {"steps": 13, "record": ["a"], "sent": {"x": x}}
        found[tau_ref] = interpret(graph, x[:, 0], "spiking", **how)["a"].ravel()
    v, wanted = 0.0, []
    for current in x.ravel():
        v += (current - v) * -np.expm1(-DT / 0.02)
        wanted.append(v > 1)
        v -= v > 1
    assert wanted[:5] == [True, True, True, True, False]
    np.testing.assert_array_equal(found[0.0], wanted)
    np.testing.assert_array_equal(found[2 * DT][:4], [1, 0, 1, 0])


def test_a_network_of_rates_keeps_its_rectified_linear_neurons():
    """Their soft reset stands for a rate there; where steps are meant, it is meant."""
    rates = Graph.chain(
        n.Input("x", shape=(1,)),
        n.IF("a", amplitude=0.01),
        n.Output("y"),
    )
    assert isinstance(legalize(rates)["a"], n.IF)
    with pytest.raises(UnsupportedLayer, match="IF 'a'.*takes its threshold from"):
        legalize(replace(rates, dt=DT))


def events(dt: float = DT) -> Graph:
    """Spikes that wait for 3 steps, a threshold of 2 of them, and potentials read."""
    weight = np.array([[0.6, 0.3], [0.6, 0.3], [0.0, 0.3]])
    return Graph.chain(
        n.Input("x", shape=(3,)),
        n.Delay("wait", delay=3),
        n.Dense("count", weight=weight, bias=np.zeros(2)),
        n.Threshold("both", amplitude=dt),
        n.Dense("read", weight=np.array([[2.0], [1.0]]), bias=np.full(1, 0.5)),
        n.LI("potential", tau_rc=0.005),
        n.Output("y", settle=0.004),
        dt=dt,
    )


def test_events_pass_delays_a_threshold_and_a_leaky_integrator():
    graph = events()
    sent = (np.random.default_rng(2).random((2, 15, 3)) < 0.7) * 1.0
    came = np.concatenate([np.zeros((2, 3, 3)), sent[:, :-3]], axis=1)
    fired = came @ graph["count"].weight > 1
    assert 0 < fired.mean() < 1 and not fired[..., 1].any()
    v, potentials = np.zeros((2, 1)), []
    for t in range(15):
        v = v + (fired[:, t] @ [[2.0], [1.0]] + 0.5 - v) * -np.expm1(-0.2)
        potentials.append(v)
    read = np.mean(potentials[4:], axis=0)

    start = np.zeros((2, 3))
    how = {"steps": 15, "record": ["both"], "sent": {"x": sent}}
    meant = interpret(graph, start, "spiking", **how)
    np.testing.assert_array_equal(meant["both"] > 0, fired)
    np.testing.assert_allclose(meant["y"], read, rtol=1e-12)

    encoder = spike_encoder("events", "x", DT)
    legal = legalize(graph, input_spikes=True)
    program = quantize(legal, sent, steps=15, dt=DT, encoder=encoder)
    for each in (program, unrolled(program)):
        with find_target("reference").load(each) as session:
            ran = session.run(sent)
        np.testing.assert_array_equal(ran.spikes["both"], fired)
        np.testing.assert_allclose(ran.output, read, rtol=1e-12)


def cuba(bias: float = 0.0) -> Graph:
    """The current of the second population is filtered, as a CubaLIF's is."""
    rng = np.random.default_rng(3)
    weights = [rng.normal(scale=s, size=(5, 5)) for s in (6, 6, 12)]
    how = {"amplitude": DT, "tau_rc": 0.004, "tau_ref": 0.0, "min_voltage": -1e9}
    zero = np.zeros(5)
    return Graph(
        (
            n.Input("x", shape=(5,)),
            n.Dense("in", ("x",), weight=weights[0], bias=zero),
            n.LIF("a", ("in",), **how),
            n.Dense("on", ("a",), weight=weights[1], bias=np.full(5, bias)),
            n.Lowpass("back", ("b",), tau_syn=0.0, shape=(5,)),
            n.Dense("again", ("back",), weight=weights[2], bias=zero),
            n.Add("sum", ("on", "again")),
            n.LI("current", ("sum",), tau_rc=0.006),
            n.LIF("b", ("current",), **how),
            n.Output("y", ("b",)),
        ),
        dt=DT,
    )


@pytest.mark.parametrize("bias", [0.0, 0.3])
def test_a_leaky_integrator_before_a_population_filters_its_connections(bias):
    """With their step of delay; a bias then acts in full from the first step on."""
    graph, x = cuba(bias), samples_for(cuba(), 1, count=3)
    legal = legalize(graph)
    ways = {node.inputs: node for node in legal.nodes if isinstance(node, n.Lowpass)}
    assert {(w.tau_syn, w.delay) for w in ways.values()} == {(0.006, 1)}
    a, b = (
        interpret(each, x, "spiking", steps=40, record=["a", "b"])
        for each in (graph, legal)
    )
    np.testing.assert_array_equal(a["a"], b["a"])
    first, later = a["b"][:, :-1] > 0, b["b"][:, 1:] > 0
    assert first.any()
    assert (first == later).all() if not bias else (first == later).mean() > 0.7


def test_a_filter_of_what_the_host_computes_is_refused():
    graph = cuba()
    nodes = (replace(x, inputs=("x",)) if x.name == "on" else x for x in graph.nodes)
    kept = (x for x in nodes if x.name not in ("in", "a"))
    wrong = replace(graph, nodes=tuple(kept))
    with pytest.raises(UnsupportedLayer, match="LI 'current': it takes .*--encoder ev"):
        legalize(wrong)
    legalize(wrong, input_spikes=True)


def test_the_rates_of_a_spiking_network_are_what_they_are():
    x = samples_for(example(), 1)
    with pytest.raises(ModelError, match="spiking network, whose rates are what they"):
        balance(legalize(example()), x)
    start = Compilation(graph=example(), samples=x, settings=Settings(steps=STEPS))
    done = compiled(start, map(find_pass, CONVERTED))
    assert str(done.graph) == str(legalize(example()))
    assert not done.corrections and done.program.decoder.gain == 1
    alone = quantize(legalize(example()), x, steps=STEPS, dt=DT)
    assert str(done.program) == str(alone)


def test_a_network_of_rates_is_calibrated_and_keeps_its_delays():
    graph = Graph.chain(
        n.Input("x", shape=(3,)),
        n.Dense("first", weight=np.eye(3), bias=np.zeros(3)),
        n.ReLU("a"),
        n.Delay("wait", delay=3),
        n.Dense("second", weight=np.full((3, 2), 0.5), bias=np.ones(2)),
        n.ReLU("b"),
        n.Output("y"),
    )
    x = samples_for(graph, 1)
    start = Compilation(graph=graph, samples=x, settings=Settings(steps=32))
    done = compiled(start, map(find_pass, CONVERTED))
    assert done.corrections and [c.delay for c in done.program.connections] == [3]


def test_rates_of_a_spiking_network_are_no_onnx_file():
    with pytest.raises(ModelError, match="spiking network, and an ONNX file holds"):
        to_onnx(example())
