"""A Program in floats spikes as the core does, up to what rounding moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_programs import presentations, programs

from snn_deploy.calibration.overflow import find_overflow
from snn_deploy.targets.contract import find_target
from snn_deploy.toolchain.errors import DataError, ModelError
from snn_deploy.toolchain.graph.interpret import interpret
from snn_deploy.toolchain.graph.nodes import FloatArray, Neurons
from snn_deploy.toolchain.passes.quantize.float_network import float_network
from snn_deploy.toolchain.program.host import BiasEncoder, encode
from snn_deploy.toolchain.program.program import Program

relaxed = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def with_constants(program: Program, **constants: int) -> Program:
    """Without refractory steps, and with these constants in every population."""
    populations = (replace(p, refractory=1, **constants) for p in program.populations)
    return replace(program, populations=tuple(populations))


def differing(program: Program, samples: FloatArray, steps: int) -> tuple[int, int]:
    """Spikes that differ from the core's, of so many neurons times steps.

    Of a run in which no sum wraps around, and no bias is beyond the core's.
    """
    try:
        with find_target("reference").load(program) as session:
            recording = session.run(samples, steps)
    except DataError:
        assume(False)
    assume(not any(o.overflows for o in find_overflow(program, recording)))
    graph = float_network(program)
    graph.check()
    names = [node.name for node in graph.nodes if isinstance(node, Neurons)]
    stimulus = encode(program.encoder, samples, steps, program.timing.dt)
    sent, given = {}, samples
    for member in program.inputs:  # spikes that enter are the same
        sent[member.name] = stimulus.spikes[member.name].reshape(
            len(samples), steps, *member.shape
        )
        given = sent[member.name][:, 0]
    found = interpret(graph, given, "spiking", steps=steps, record=names, sent=sent)
    counts = np.zeros(2, int)
    for name in names:
        meant = recording.spikes[name]
        counts += [((found[name].reshape(meant.shape) > 0) != meant).sum(), meant.size]
    return int(counts[0]), int(counts[1])


@pytest.mark.parametrize("encoder", ["bias", "spikes"])
def test_without_decay_it_spikes_as_the_core_does(encoder):
    """Whole numbers are added: nothing is rounded, so that not one spike differs."""

    @relaxed
    @given(programs(recurrent=True, delays=True, encoder=encoder), st.data())
    def same(program, data):
        samples, steps = data.draw(presentations(program))
        if isinstance(program.encoder, BiasEncoder):
            samples = np.rint(samples)  # biases too are whole
            program = replace(
                program, encoder=replace(program.encoder, scale=64 * 200.0)
            )
        bare = with_constants(program, decay_u=4095, decay_v=0, v_min=0)
        assert differing(bare, samples, steps)[0] == 0

    same()


def test_decays_move_few_spikes():
    """Of 25 Programs with loops and delays together; ⌊…⌋ is at most a unit a step."""
    totals = np.zeros(2, int)

    @relaxed
    @given(programs(recurrent=True, delays=True, encoder="bias"), st.data())
    def count(program, data):
        samples, steps = data.draw(presentations(program))
        totals[:] += differing(with_constants(program), samples, steps)

    count()
    assert totals[1] > 5_000
    assert totals[0] <= 0.01 * totals[1]


@given(programs(recurrent=True))
@settings(max_examples=20, deadline=None)
def test_it_is_of_the_programs_steps_and_gives_what_the_host_reads(program):
    graph = float_network(program)
    assert graph.dt == program.timing.dt
    shown = graph.shapes[graph.output.name]
    assert shown == program.decoder.graph.shapes[program.decoder.graph.output.name]
    assert all(node.amplitude == graph.dt for node in graph.nodes if neurons(node))


def neurons(node: object) -> bool:
    return isinstance(node, Neurons)


@given(programs(encoder="bias"))
@settings(max_examples=5, deadline=None)
def test_a_population_that_nothing_feeds_is_refused_by_name(program):
    lonely = replace(program.populations[0], name="lonely")
    with pytest.raises(ModelError, match="'lonely': nothing feeds it"):
        float_network(replace(program, populations=(*program.populations, lonely)))
