"""Loops and delays: what they mean, and that a core does it, spike for spike."""

from __future__ import annotations

import numpy as np
from drawn_loops import DT, loops, plainly
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_graphs import samples_for

from snn_deploy.targets.contract import find_target
from snn_deploy.toolchain.errors import DoesNotFit
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import interpret
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.quantize.quantize import quantize
from snn_deploy.toolchain.program.program import Program
from snn_deploy.toolchain.program.step import step

STEPS = 20
SEEDS = st.integers(0, 2**32 - 1)
relaxed = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def program_of(graph: Graph, x: np.ndarray, steps: int = STEPS) -> Program:
    try:
        return quantize(legalize(graph), x, steps=steps, dt=DT)
    except DoesNotFit:  # a drawn weight beyond a core's widths
        assume(False)
        raise


@relaxed
@given(loops(), SEEDS)
def test_interpret_does_what_the_equations_say(graph, seed):
    graph.check()
    names = [node.name for node in graph.nodes if isinstance(node, n.Neurons)]
    x = samples_for(graph, seed, count=2)
    found = interpret(graph, x, "spiking", steps=STEPS, record=names)
    for sample, one in enumerate(x):
        for name, wanted in plainly(graph, one, STEPS).items():
            got = found[name][sample].reshape(STEPS, -1)
            np.testing.assert_array_equal(got, wanted, err_msg=name)


@relaxed
@given(loops(), SEEDS)
def test_legalizing_keeps_every_spike(graph, seed):
    names = [node.name for node in graph.nodes if isinstance(node, n.Neurons)]
    x = samples_for(graph, seed, count=2)
    before, after = (
        interpret(each, x, "spiking", steps=STEPS, record=names)
        for each in (graph, legalize(graph))
    )
    for name in names:
        np.testing.assert_array_equal(before[name], after[name], err_msg=name)


@relaxed
@given(loops(), SEEDS)
def test_the_program_steps_as_its_arithmetic_says(graph, seed):
    x = samples_for(graph, seed, count=1)
    program = program_of(graph, x)
    with find_target("reference").load(program) as session:
        found = session.run(x)
    sent = {p.name: np.zeros((STEPS, p.size), np.int64) for p in program.populations}
    state = {p.name: [np.zeros(p.size, np.int64)] * 3 for p in program.populations}
    from snn_deploy.toolchain.program.host import encode

    stimulus = encode(program.encoder, x, STEPS, DT)
    for t in range(STEPS):
        for p in program.populations:
            q = np.zeros(p.size, np.int64)
            for c in program.incoming(p.name):
                if t >= c.delay:
                    source, target, weight = c.synapses()
                    shift = 2.0 ** (6 + c.exponent)
                    came = sent[c.source][t - c.delay][source]
                    np.add.at(q, target, (came * weight * shift).astype(np.int64))
            bias = stimulus.bias.get(p.name, p.bias[None])[0]
            fired, *state[p.name] = step(p, q, bias, *state[p.name])
            sent[p.name][t] = fired
    for name, wanted in sent.items():
        np.testing.assert_array_equal(found.spikes[name][0], wanted, err_msg=name)
