"""Time on the chip from published times: by hand, and against the bounds it keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import programs, stimuli
from test_place import chain, dense
from test_statistics import recording

from snn_deploy.calibration.counts.traffic import traffic
from snn_deploy.calibration.energy.chip_time import EVEN, TIMED, ChipTime, chip_time
from snn_deploy.calibration.energy.profile import load_profile
from snn_deploy.toolchain.passes.place.limits import CoreLimits
from snn_deploy.toolchain.passes.place.place import place
from snn_deploy.toolchain.program.program import Program
from snn_deploy.toolchain.program.recording import Recording

DAVIES = load_profile("loihi1_davies2018")
SMALL = CoreLimits(
    compartments=20, input_axons=4096, output_axons=1 << 20, synapse_bits=1 << 20
)


def timed(program: Program, seen: Recording) -> ChipTime:
    placement = place(program, SMALL, 128, chips=None)
    ways = traffic(program, seen, placement)
    return chip_time(program, seen, placement, ways, DAVIES)


def two_layers() -> tuple[Program, Recording]:
    """3 inputs → 4 neurons → 2 neurons, each on a core of one tile; two steps."""
    program = chain(dense("in", "a", 3, 4), dense("a", "b", 4, 2))
    spikes = {
        "in": np.array([[1, 1, 0], [0, 0, 0]], bool)[None],
        "a": np.array([[1, 0, 0, 0], [1, 1, 1, 0]], bool)[None],
        "b": np.zeros((1, 2, 2), bool),
    }
    counts = {name: s.sum(axis=1, dtype=np.int64) for name, s in spikes.items()}
    seen = Recording(
        target="reference",
        kind="integer emulation",
        dt=0.001,
        steps=2,
        counts=counts,
        spikes=spikes,
        output=np.zeros(1),
        wall_time=0.0,
    )
    return program, seen


def test_two_steps_by_hand():
    found = timed(*two_layers())
    # a's core: 2 · 4 synaptic operations, 1 of 4 neurons active; then none, 3 active
    first = 8 * 3.5 + 1 * 8.4 + 3 * 5.3
    second = 0 * 3.5 + 3 * 8.4 + 1 * 5.3  # b's: 3 · 2 · 3.5 + 2 · 5.3 = 31.6 is more
    other = 6 * 3.5 + 2 * 5.3
    slowest = (first + max(second, other)) / 2
    messages, within = 2 * 1 + 4 * 1, 4  # from the host there is no way
    way = within * 2.1 / messages
    assert found.step.value == pytest.approx(1e-9 * (slowest + way + 465))
    assert found.inference.value == pytest.approx(2 * found.step.value)
    overlapped = (8 * 3.5 + max(3 * 8.4 + 5.3, 6 * 3.5)) / 2
    low = overlapped + min(2.1, way) + 113
    assert found.step.low == pytest.approx(1e-9 * low)
    assert found.busiest.population == "a"
    assert found.busiest.synapses == pytest.approx(1e-9 * 8 * 3.5 / 2)


def test_counts_alone_hide_the_busy_steps_and_say_so():
    program, seen = two_layers()
    even = timed(program, replace(seen, spikes={}))
    assert EVEN in even.source
    assert even.step.value < timed(program, seen).step.value
    by_core = {core.population: core for core in even.cores}
    for core in timed(program, seen).cores:  # means are the same
        assert by_core[core.population].updates == pytest.approx(core.updates)
        assert by_core[core.population].synapses == pytest.approx(core.synapses)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_the_slowest_core_is_between_the_busiest_on_average_and_all_in_a_row(data):
    program = data.draw(programs(recurrent=True))
    found = timed(program, recording(program, data.draw(stimuli(program))))
    assert 0 < found.step.low <= found.step.value <= found.step.high
    each = [core.updates + core.synapses for core in found.cores]
    slowest = found.step.value - found.way.value - found.barrier.value
    assert max(each) * (1 - 1e-9) <= slowest <= sum(each) * (1 + 1e-9)


def test_davies_published_all_times_that_are_needed():
    assert set(TIMED) <= set(DAVIES.times)
    assert DAVIES.times["barrier"].low == 113
    assert DAVIES.times["barrier"].high == 465
