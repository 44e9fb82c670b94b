"""SANA-FE's opinion of a placed Program: its counts are ours, its sums are right."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import identity, programs, synapses

from snn_deploy.calibration.arrivals import core_work
from snn_deploy.calibration.opinion import opinion as module
from snn_deploy.calibration.opinion.architecture import SYNAPSE, synapse_unit
from snn_deploy.calibration.opinion.opinion import second_opinion
from snn_deploy.toolchain.errors import DataError, TargetUnavailable
from snn_deploy.toolchain.passes.place.limits import CoreLimits
from snn_deploy.toolchain.passes.place.place import Placement, place
from snn_deploy.toolchain.program.connections import (
    Connection,
    ConvConnection,
    ConvTransposeConnection,
    DenseConnection,
    SparseConnection,
)
from snn_deploy.toolchain.program.host import BiasEncoder, Decoder, SpikeEncoder
from snn_deploy.toolchain.program.program import Population, Program, SpikeInput, Timing
from snn_deploy.toolchain.program.recording import Recording

SMALL = CoreLimits(
    compartments=24, input_axons=512, output_axons=4096, synapse_bits=1 << 17
)
ROOMY = CoreLimits(
    compartments=20, input_axons=4096, output_axons=1 << 20, synapse_bits=1 << 20
)
SAME = ((1, 1), (1, 1))
STEPS = 12


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_work_of_cores_equals_counting_every_spike_and_synapse(data):
    program = data.draw(programs(recurrent=True, delays=True))
    placement = place(program, ROOMY, 128, chips=None)
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    spikes = {p.name: rng.integers(0, 9, (2, p.size)) for p in program.members}
    work = core_work(program, spikes, placement)
    done = {p.name: np.zeros((2, p.size), int) for p in program.populations}
    for c in program.connections:
        for source, target, _ in synapses(c):
            done[c.target][:, target] += spikes[c.source][:, source]
    for n, core in enumerate(placement.cores):
        name, neurons = core.block.population, core.block.neurons
        sent = spikes[name][:, neurons].sum(axis=1)
        assert work.operations[:, n].tolist() == done[name][:, neurons].sum(1).tolist()
        assert work.spikes[:, n].tolist() == sent.tolist()


def weights(*shape: int) -> np.ndarray:
    held = np.random.default_rng(0).integers(-60, 60, shape) * 2
    return held.astype(np.int16)


def dense(source: str, target: str, inputs: int, outputs: int) -> Connection:
    held = weights(inputs, outputs)
    return DenseConnection(source=source, target=target, weight=held)


def strided() -> Program:
    """Two convolutions, with padding and stride, then all to all; biases come in."""
    first = ConvConnection(
        source="a",
        target="b",
        weight=weights(3, 3, 2, 4),
        shape=(8, 8, 2),
        stride=(2, 2),
        padding=SAME,
    )
    second = ConvConnection(
        source="b", target="c", weight=weights(3, 3, 4, 4), shape=(4, 4, 4)
    )
    return network(first, second, dense("c", "d", 16, 10))


def transposed() -> Program:
    """Spikes come in, sparsely connected; a transposed convolution; a loop."""
    rng = np.random.default_rng(1)
    chosen = np.sort(rng.choice(40 * 36, 300, replace=False))
    sparse = SparseConnection(
        source="in",
        target="a",
        weight=weights(300),
        sender=(chosen // 36).astype(np.int32),
        receiver=(chosen % 36).astype(np.int32),
        shape=(40,),
        into=(3, 3, 4),
    )
    up = ConvTransposeConnection(
        source="a",
        target="b",
        weight=weights(2, 2, 4, 3),
        shape=(3, 3, 4),
        stride=(2, 2),
        padding=((0, 1), (0, 1)),
    )
    return network(sparse, up, dense("b", "b", 75, 75))


def branched() -> Program:
    """A branch beside a long way, meeting in a population of two kinds of synapses."""
    grouped = ConvConnection(
        source="in",
        target="a",
        weight=weights(3, 3, 1, 6),
        shape=(7, 5, 2),
        groups=2,
        dilation=(2, 1),
        padding=SAME,
    )
    last = ConvConnection(
        source="a", target="b", weight=weights(1, 1, 6, 2), shape=(5, 5, 6)
    )
    return network(grouped, last, replace(dense("in", "b", 70, 50), delay=3))


def network(*connections: Connection) -> Program:
    """Every source that is no target is a spike input, or "a" is fed with biases."""
    shapes = {c.target: c.target_shape for c in connections}
    first = connections[0]
    inputs = ()
    if first.source == "in":
        inputs = (SpikeInput(name="in", shape=first.source_shape),)
        encoder = SpikeEncoder(population="in")
    else:
        shapes = {first.source: first.source_shape, **shapes}
        encoder = BiasEncoder(
            graph=identity(first.source_shape), population="a", scale=1.0
        )
    populations = tuple(
        Population(
            name=name,
            shape=shape,
            decay_u=4095,
            decay_v=0,
            threshold=64,
            bias=np.zeros(math.prod(shape), np.int32),
        )
        for name, shape in shapes.items()
    )
    last = populations[-1]
    program = Program(
        inputs=inputs,
        populations=populations,
        connections=connections,
        encoder=encoder,
        decoder=Decoder(
            graph=identity(last.shape), population=last.name, amplitude=1.0
        ),
        timing=Timing(dt=0.001, steps=STEPS),
    )
    program.check()
    return program


def recorded(program: Program, samples: int = 2, rate: float = 0.2) -> Recording:
    """Any spikes: what they cost does not depend on why they are sent."""
    rng = np.random.default_rng(2)
    spikes = {
        p.name: rng.random((samples, STEPS, p.size)) < rate for p in program.members
    }
    return Recording(
        target="reference",
        kind="integer emulation",
        dt=0.001,
        steps=STEPS,
        counts={name: s.sum(axis=1, dtype=np.int64) for name, s in spikes.items()},
        spikes=spikes,
        output=np.zeros(samples),
        wall_time=0.0,
    )


def placed(program: Program, cores: int = 128) -> Placement:
    return place(program, SMALL, cores, chips=None)


@pytest.mark.parametrize("make", [strided, transposed, branched])
def test_it_counts_as_we_do_and_its_energy_is_that_of_its_cores_and_hops(make):
    pytest.importorskip("sanafe", reason="SANA-FE is not installed")
    program = make()
    recording, placement = recorded(program), placed(program)
    assert len(placement.cores) > 3
    found = second_opinion(program, recording, placement)
    visited = [
        int(recording.counts[c.source].sum(axis=0) @ c.fan_out)
        for c in program.connections
    ]
    assert found.synaptic_operations == sum(visited) / 2
    assert found.spikes == sum(int(s.sum()) for s in recording.spikes.values()) / 2
    assert sum(c.synaptic_operations for c in found.cores) == found.synaptic_operations
    assert sum(c.neurons for c in found.cores) == program.neurons
    parts = found.synapse_energy + found.neuron_energy + found.network_energy
    assert parts == pytest.approx(found.energy)
    sent_from_outside = 111e-12 * (
        sum(c.received for c in found.cores) - sum(c.sent for c in found.cores)
    )
    hops = found.energy - sum(c.energy for c in found.cores) - sent_from_outside
    assert 0.99 * 3e-12 * found.hops <= hops <= 1.01 * 4.2e-12 * found.hops
    assert found.latency == pytest.approx(STEPS * found.step_time)
    assert 0 < found.shortest_step <= found.step_time <= found.longest_step
    busiest = max(c.neuron_time + c.message_time for c in found.cores)
    assert found.latency > busiest / 2


def test_several_chips_stand_side_by_side():
    pytest.importorskip("sanafe", reason="SANA-FE is not installed")
    program = strided()
    one = second_opinion(program, recorded(program), placed(program))
    two = second_opinion(program, recorded(program), placed(program, cores=4))
    assert len({c.chip for c in two.cores}) > 1
    assert two.hops > one.hops
    assert two.synaptic_operations == one.synaptic_operations


def test_twice_the_spikes_cost_more_energy_and_time():
    pytest.importorskip("sanafe", reason="SANA-FE is not installed")
    program = strided()
    few, many = (
        second_opinion(program, recorded(program, rate=rate), placed(program))
        for rate in (0.1, 0.4)
    )
    assert many.energy > few.energy
    assert many.latency > few.latency


def test_one_count_that_differs_is_told_and_nothing_else():
    program = strided()
    placement = placed(program)
    counts = {n: c.sum(axis=0)[None] for n, c in recorded(program).counts.items()}
    work = core_work(program, counts, placement)
    fired = sum(int(c.sum()) for c in counts.values())
    done = work.operations[0].tolist()
    result = {
        "steps": [{"spikes": fired, "synaptic_operations": sum(done)}],
        "cores": {"spikes": work.spikes[0].tolist(), "synaptic_operations": done},
    }
    module._check(work, fired, program, placement, result)
    done[-1] += 1
    with pytest.raises(DataError, match="counts .* synaptic operations on core"):
        module._check(work, fired, program, placement, result)


def test_the_dearest_unit_of_several_kinds_of_synapses():
    program = branched()
    kinds = [synapse_unit(program.incoming(p.name)) for p in program.populations]
    assert kinds == ["conv", "dense"]
    assert SYNAPSE["dense"] == max(SYNAPSE.values())


def test_a_recording_of_counts_alone_is_refused():
    pytest.importorskip("sanafe", reason="SANA-FE is not installed")
    program = strided()
    counts_alone = replace(recorded(program), spikes={})
    with pytest.raises(DataError, match="has no spikes"):
        second_opinion(program, counts_alone, placed(program))


def test_without_sana_fe_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    program = strided()
    with pytest.raises(TargetUnavailable, match=r"snn-deploy\[sanafe\]"):
        second_opinion(program, recorded(program), placed(program))


def test_what_sana_fe_says_is_told_when_it_fails(monkeypatch):
    pytest.importorskip("sanafe", reason="SANA-FE is not installed")
    monkeypatch.setattr(module, "described", lambda placement, inputs: "tile: []")
    program = strided()
    with pytest.raises(TargetUnavailable, match="ended with exit code"):
        second_opinion(program, recorded(program), placed(program))
