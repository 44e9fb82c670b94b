"""Loops and delays: what they mean, and that a core does it, spike for spike."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from agreement import assert_same_spikes
from drawn_loops import DT, loops, plainly
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_graphs import samples_for

from snn_deploy.calibration.balance import balance
from snn_deploy.deploy import CONVERTED
from snn_deploy.pipeline.compilation import Compilation, Settings, compiled, find_pass
from snn_deploy.targets.contract import find_target
from snn_deploy.toolchain.bundle.bundle import Bundle, load_bundle, save_bundle
from snn_deploy.toolchain.errors import DoesNotFit, ModelError, UnsupportedLayer
from snn_deploy.toolchain.frontends.onnx.export import to_onnx
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import interpret
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.quantize.dequantize import dequantize
from snn_deploy.toolchain.passes.quantize.quantize import quantize
from snn_deploy.toolchain.passes.unroll import unrolled
from snn_deploy.toolchain.program.host import encode, spike_encoder
from snn_deploy.toolchain.program.program import Program
from snn_deploy.toolchain.program.step import step

STEPS = 20
SEEDS = st.integers(0, 2**32 - 1)
relaxed = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
few = settings(relaxed, max_examples=8)


def neurons(graph: Graph) -> list[str]:
    return [node.name for node in graph.nodes if isinstance(node, n.Neurons)]


def program_of(graph: Graph, x: np.ndarray) -> Program:
    try:
        return quantize(legalize(graph), x, steps=STEPS, dt=DT)
    except DoesNotFit:  # a drawn weight beyond a core's widths
        assume(False)
        raise


def spikes(program: Program, x: np.ndarray, target: str = "reference"):
    with find_target(target).load(program) as session:
        return session.run(x).spikes


@relaxed
@given(loops(), SEEDS)
def test_interpret_does_what_the_equations_say(graph, seed):
    graph.check()
    x = samples_for(graph, seed, count=2)
    found = interpret(graph, x, "spiking", steps=STEPS, record=neurons(graph))
    for sample, one in enumerate(x):
        for name, wanted in plainly(graph, one, STEPS).items():
            got = found[name][sample].reshape(STEPS, -1)
            np.testing.assert_array_equal(got, wanted, err_msg=name)


@relaxed
@given(loops(), SEEDS)
def test_legalizing_keeps_every_spike_and_the_timing(graph, seed):
    x, legal = samples_for(graph, seed, count=2), legalize(graph)
    before, after = (
        interpret(each, x, "spiking", steps=STEPS, record=neurons(graph))
        for each in (graph, legal)
    )
    for name in neurons(graph):
        np.testing.assert_array_equal(before[name], after[name], err_msg=name)
    assert legal.dt == DT and bool(legal.loop) == bool(graph.loop)


@relaxed
@given(loops(), SEEDS)
def test_the_program_steps_as_its_arithmetic_says(graph, seed):
    x = samples_for(graph, seed, count=1)
    program = program_of(graph, x)
    found = spikes(program, x)
    sent = {p.name: np.zeros((STEPS, p.size), np.int64) for p in program.populations}
    state = {p.name: [np.zeros(p.size, np.int64)] * 3 for p in program.populations}
    given_bias = encode(program.encoder, x, STEPS, DT).bias
    for t in range(STEPS):
        for p in program.populations:
            q = np.zeros(p.size, np.int64)
            for c in program.incoming(p.name):
                if t >= c.delay:
                    source, target, weight = c.synapses()
                    came = sent[c.source][t - c.delay][source]
                    np.add.at(
                        q, target, came * weight.astype(np.int64) << 6 + c.exponent
                    )
            bias = given_bias.get(p.name, p.bias[None])[0]
            fired, *state[p.name] = step(p, q, bias, *state[p.name])
            sent[p.name][t] = fired
    for name, wanted in sent.items():
        np.testing.assert_array_equal(found[name][0], wanted, err_msg=name)


@relaxed
@given(loops(), SEEDS)
def test_what_is_quantised_fires_about_as_the_float_network_first_does(graph, seed):
    """Rounding moves spikes, and a loop then goes its own way: so of the first few."""
    x = samples_for(graph, seed, count=4)
    program = program_of(graph, x)
    steps = 4
    wanted = interpret(graph, x, "spiking", steps=steps, record=neurons(graph))
    found = spikes(program, x)
    differing = [
        (found[name][:, :steps] != (wanted[name].reshape(4, steps, -1) > 0)).mean()
        for name in neurons(graph)
    ]
    assert np.mean(differing) < 0.1


@few
@given(graph=loops(), seed=SEEDS)
def test_a_bundle_holds_the_graph_and_the_program(graph, seed, tmp_path_factory):
    x, folder = samples_for(graph, seed, count=1), tmp_path_factory.mktemp("loops")
    program = program_of(graph, x)
    for name, bundle in (("g", Bundle(graph=graph)), ("p", Bundle(program=program))):
        save_bundle(folder / f"{name}.snn", bundle)
    kept = load_bundle(folder / "g.snn").graph
    assert kept is not None and str(kept) == str(graph) and kept.dt == graph.dt
    again = load_bundle(folder / "p.snn").program
    assert again is not None and str(again) == str(program)
    wanted, found = spikes(program, x), spikes(again, x)
    for name in neurons(graph):
        np.testing.assert_array_equal(found[name], wanted[name])


@few
@given(loops(), SEEDS)
def test_what_the_integers_stand_for_has_the_same_loops(graph, seed):
    program = program_of(graph, samples_for(graph, seed, count=1))
    try:
        held = dequantize(program)
    except ModelError as error:
        assume("biases differ within a channel" not in str(error))
        raise
    assert held.loop == program.graph.loop and held.dt == DT
    for node in held.nodes:
        if isinstance(node, n.Linear) and not node.name.startswith("x."):
            wanted = program.graph[node.name].weight
            limit = 0.02 * np.abs(wanted).max()
            np.testing.assert_allclose(node.weight, wanted, rtol=0, atol=limit)


@few
@given(loops(), SEEDS)
def test_unrolled_delays_keep_every_spike(graph, seed):
    x = samples_for(graph, seed, count=2)
    program = program_of(graph, x)
    short = unrolled(program)
    assert {c.delay for c in short.connections} <= {1}
    wanted, found = spikes(program, x), spikes(short, x)
    for name in neurons(graph):
        np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)
    float_spikes = interpret(
        short.graph, x, "spiking", steps=STEPS, record=neurons(graph)
    )
    wanted = interpret(graph, x, "spiking", steps=STEPS, record=neurons(graph))
    for name in neurons(graph):
        np.testing.assert_array_equal(float_spikes[name], wanted[name], err_msg=name)


@pytest.mark.skipif(not find_spec("nengo_loihi"), reason="nengo-loihi is not installed")
@few
@given(loops(), SEEDS)
def test_the_emulator_agrees_on_every_spike(graph, seed):
    x = samples_for(graph, seed, count=1)
    assert_same_spikes(unrolled(program_of(graph, x)), x)


def example(delay: int = 3, **how: object) -> Graph:
    """Two populations; the second leads back to both."""
    rng = np.random.default_rng(7)

    def weights(name: str, source: str, inputs: int, outputs: int) -> n.Dense:
        weight = rng.normal(scale=4, size=(inputs, outputs)) / inputs**0.5
        return n.Dense(name, (source,), weight=weight, bias=np.full(outputs, 0.4))

    how = {"amplitude": DT, "tau_rc": 0.005, "tau_ref": 0.0, **how}
    return Graph(
        (
            n.Input("x", shape=(3,)),
            weights("in", "x", 3, 5),
            n.Delay("back", ("b",), shape=(4,), delay=delay),
            weights("again", "back", 4, 5),
            n.Add("sum", ("in", "again")),
            n.LIF("a", ("sum",), **how),
            n.Lowpass("on", ("a",), tau_syn=0.003),
            weights("forth", "on", 5, 4),
            n.Lowpass("self", ("b",), shape=(4,), tau_syn=0.003),
            weights("over", "self", 4, 4),
            n.Add("both", ("forth", "over")),
            n.LIF("b", ("both",), **how),
            n.Output("y", ("b",)),
        ),
        dt=DT,
    )


@pytest.mark.skipif(not find_spec("lava"), reason="lava-nc is not installed")
def test_lava_agrees_on_every_spike():
    graph = example()
    x = samples_for(graph, 5, count=2)
    program = program_of(graph, x)
    assert all(s.any() for s in spikes(program, x).values())
    assert_same_spikes(program, x, ["lava"])


def test_a_graph_with_loops_has_a_text():
    text = str(example()).splitlines()
    assert text[2] == "back: Delay(b) delay 3 → 4"
    assert text[8] == "self: Lowpass(b) tau_syn 0.003 → 4"
    assert text[-1] == "timing: steps of 0.001 s"
    assert example().loop == ("back", "again", "sum", "a", "on", "forth", "both", "b")


def without(name: str, graph: Graph) -> Graph:
    """The node bridged."""
    (source,) = graph[name].inputs
    return replace(
        graph,
        nodes=tuple(
            replace(x, inputs=tuple(source if i == name else i for i in x.inputs))
            for x in graph.nodes
            if x.name != name
        ),
    )


def test_a_loop_without_a_step_of_delay_is_refused_with_its_path():
    shown = "over → both → b → over; put a Lowpass or a Delay into it"
    with pytest.raises(ModelError, match=f"Dense 'over': .* loop .*, {shown}"):
        without("self", example()).check()


def test_a_later_node_is_refused_where_no_time_passes():
    graph = example()
    late = [x for x in graph.nodes if x.name != "in"]
    last = replace(graph, nodes=(*late[:-1], graph["in"], late[-1]))
    with pytest.raises(ModelError, match="Add 'sum': its input 'in' stands after it"):
        last.check()


def changed(graph: Graph, name: str, **how: object) -> Graph:
    nodes = (replace(x, **how) if x.name == name else x for x in graph.nodes)
    return replace(graph, nodes=tuple(nodes))


WRONG = {
    "no shape": ({"shape": None}, "takes the later 'b' and says no shape"),
    "another shape": ({"shape": (5,)}, r"'again': takes \(4,\), its input is \(5,\)"),
    "no delay": ({"delay": 0}, "delay is 0; at least 1 is allowed"),
    "unknown": ({"inputs": ("c",)}, "its input 'c' is no node of the Graph"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_way_back_is_refused(what):
    how, message = WRONG[what]
    with pytest.raises(ModelError, match=message):
        changed(example(), "back", **how).check()


@pytest.mark.parametrize("dt", [0.0, -1.0, np.nan, 1e4])
def test_a_wrong_step_is_refused(dt):
    with pytest.raises(ModelError, match=r"steps are of .* s; 1e-09 to 1000 s"):
        replace(example(), dt=dt).check()


def test_rates_of_a_loop_are_refused_with_its_path():
    with pytest.raises(ModelError, match="its loop back → again → sum → .* → back"):
        interpret(example(), np.zeros((1, 3)))


def test_a_delay_beyond_the_core_is_refused():
    with pytest.raises(DoesNotFit, match="'b' → 'a': delay is 64; .* 1 … 63 steps"):
        quantize(legalize(example(64)), np.zeros((1, 3)), steps=4)


def test_a_delay_beyond_the_target_is_refused_and_unrolled_on_request():
    x = samples_for(example(), 1, count=2)
    start = Compilation(graph=example(), samples=x, settings=Settings(steps=STEPS))
    passes = [find_pass(name) for name in ("fold", "legalize", "calibrate", "quantize")]
    target = find_target("loihi-emulator")
    long = compiled(start, passes).program
    with pytest.raises(DoesNotFit, match="'b' → 'a' has a delay of 3 .*unroll-delays"):
        target.load(long)
    asked = replace(start, settings=replace(start.settings, unroll_delays=True))
    short = compiled(asked, passes).program
    assert [p.name for p in short.populations] == ["a", "b", "b.relay1", "b.relay2"]
    assert_same_spikes(short, x, ["loihi-emulator"] if find_spec("nengo_loihi") else [])


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


def test_a_leaky_integrator_before_a_population_is_refused():
    graph = events()
    late = n.LIF("late", ("potential",), amplitude=DT)
    last = n.Output("y", ("late",))
    wrong = replace(graph, nodes=(*graph.nodes[:-1], late, last))
    with pytest.raises(UnsupportedLayer, match="LI 'potential': it sends potentials"):
        legalize(wrong, input_spikes=True)


def test_the_rates_of_a_spiking_network_are_what_they_are():
    x = samples_for(example(), 1)
    with pytest.raises(ModelError, match="spiking network, whose rates are what they"):
        balance(legalize(example()), x)
    start = Compilation(graph=example(), samples=x, settings=Settings(steps=STEPS))
    done = compiled(start, map(find_pass, CONVERTED))
    assert str(done.graph) == str(legalize(example()))
    assert not done.corrections and done.program.decoder.gain == 1
    assert str(done.program) == str(program_of(example(), x))


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
