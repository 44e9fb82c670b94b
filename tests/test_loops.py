"""Loops and delays: what they mean, and that a core does it, spike for spike."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from agreement import assert_same_spikes
from drawn_loops import DT, example, loops, plainly
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_graphs import samples_for

from snn_deploy.pipeline.compilation import Compilation, Settings, compiled, find_pass
from snn_deploy.targets.contract import find_target
from snn_deploy.toolchain.bundle.bundle import Bundle, load_bundle, save_bundle
from snn_deploy.toolchain.errors import DoesNotFit, ModelError
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import interpret
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.quantize.dequantize import dequantize
from snn_deploy.toolchain.passes.quantize.quantize import quantize
from snn_deploy.toolchain.passes.unroll import unrolled
from snn_deploy.toolchain.program.host import encode
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
