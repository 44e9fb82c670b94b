"""overflow: sums recomputed from spikes equal the core's, and wrapping is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_programs import programs, simulate_oracle, stimuli, synaptic_sum

from snn_deploy.calibration.overflow import check_overflow, find_overflow
from snn_deploy.toolchain.errors import DataError, DoesNotFit
from snn_deploy.toolchain.program import arithmetic as core
from snn_deploy.toolchain.program.host import Stimulus, decode
from snn_deploy.toolchain.program.program import Program
from snn_deploy.toolchain.program.recording import Recording


def recorded(program: Program, stimulus: Stimulus) -> Recording:
    spikes = {**stimulus.spikes, **simulate_oracle(program, stimulus)}
    return Recording(
        target="oracle",
        kind="integer emulation",
        dt=program.timing.dt,
        steps=stimulus.steps,
        counts={name: train.sum(axis=1) for name, train in spikes.items()},
        spikes=spikes,
        output=decode(program.decoder, spikes, 0.001),
        wall_time=0.0,
    )


def peaks(program: Program, run: Recording, name: str) -> tuple[int, int, bool]:
    """Largest |q|, largest |u| or |u + bias|, and whether one wrapped; step by step."""
    population, q_peak, u_peak, wrapped = program[name], 0, 0, False
    for sample in range(run.samples):
        u = [0] * population.size
        for t in range(run.steps):
            q = np.zeros((1, population.size), np.int64)
            for c in program.incoming(name):
                if t >= c.delay:
                    spikes = run.spikes[c.source][sample : sample + 1, t - c.delay]
                    q += synaptic_sum(c, spikes)
            for i, arriving in enumerate(q[0].tolist()):
                held = int(core.wrap(arriving, 21))
                wide = int(core.decay(np.int64(u[i]), 4095 - population.decay_u)) + held
                u[i] = int(core.wrap(wide, 23))
                total = u[i] + int(population.bias[i])
                q_peak = max(q_peak, abs(arriving))
                u_peak = max(u_peak, abs(wide), abs(total))
                wrapped |= held != arriving or u[i] != wide
                wrapped |= int(core.wrap(total, 23)) != total
    return q_peak, u_peak, wrapped


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_peaks_are_those_of_the_core(data: st.DataObject) -> None:
    program = data.draw(programs(recurrent=True, delays=True))
    run = recorded(program, data.draw(stimuli(program)))
    found = find_overflow(program, run)
    fed = [p.name for p in program.populations if program.incoming(p.name)]
    assert [o.population for o in found] == fed
    for o in found:
        expected = peaks(program, run, o.population)
        assert (o.peak_q, o.peak_u, o.overflows) == expected
        assert o.peak_q <= o.bound_q
        if not o.overflows:
            assert o.peak_u <= o.bound_u
        else:
            assert o.could_overflow


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_a_run_that_wraps_is_refused_by_name(data: st.DataObject) -> None:
    program = data.draw(programs())
    run = recorded(program, data.draw(stimuli(program)))
    wraps = [o for o in find_overflow(program, run) if o.overflows]
    if wraps:
        message = f"'{wraps[0].population}'.*(q|u) reached.*fewer --weight-bits"
        with pytest.raises(DoesNotFit, match=message):
            check_overflow(program, run)
    else:
        assert check_overflow(program, run) == find_overflow(program, run)


@settings(deadline=None, max_examples=5)
@given(st.data())
def test_counts_are_not_enough(data: st.DataObject) -> None:
    program = data.draw(programs())
    assume(program.connections)
    run = recorded(program, data.draw(stimuli(program)))
    with pytest.raises(DataError, match="no spikes of"):
        find_overflow(program, replace(run, spikes={}))
