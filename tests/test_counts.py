"""Hops, updates, memory and effective operations, against counting one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import (
    identity,
    programs,
    simulate_oracle,
    stimuli,
    synapses,
)
from test_statistics import chain

from snn_deploy.calibration.counts.effective import effective_macs
from snn_deploy.calibration.counts.footprint import footprint
from snn_deploy.calibration.counts.traffic import FIELDS, traffic
from snn_deploy.calibration.counts.updates import updates
from snn_deploy.calibration.energy.profile import load_profile
from snn_deploy.calibration.report.measure import Shown, measure
from snn_deploy.calibration.report.report import Report
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.passes.place.limits import CoreLimits
from snn_deploy.toolchain.passes.place.place import Core, Placement, place
from snn_deploy.toolchain.passes.place.synapses import weight_format
from snn_deploy.toolchain.program.arithmetic import decay
from snn_deploy.toolchain.program.connections import DenseConnection
from snn_deploy.toolchain.program.host import BoolArray, Decoder, encode
from snn_deploy.toolchain.program.program import Program, SpikeInput, Timing
from snn_deploy.toolchain.program.recording import Recording
from snn_deploy.toolchain.program.step import step

SMALL = CoreLimits(
    compartments=24, input_axons=4096, output_axons=4096, synapse_bits=1 << 20
)


def recorded(program: Program, stimulus) -> Recording:
    spikes = {**stimulus.spikes, **simulate_oracle(program, stimulus)}
    return Recording(
        target="oracle",
        kind="integer emulation",
        dt=program.timing.dt,
        steps=stimulus.steps,
        counts={k: s.sum(axis=1, dtype=np.int64) for k, s in spikes.items()},
        spikes=spikes,
        output=np.zeros(stimulus.samples),
        wall_time=0.0,
    )


def walked(a: Core, b: Core) -> dict[str, int]:
    """The way of one spike from tile to tile, a hop at a time."""
    (x, y), (to_x, to_y) = (
        (core.chip * 8 + core.number // 4 // 4, core.number // 4 % 4) for core in (a, b)
    )
    way = {"east_west": 0, "north_south": 0}
    while x != to_x:
        x += 1 if to_x > x else -1
        way["east_west"] += 1
    while y != to_y:
        y += 1 if to_y > y else -1
        way["north_south"] += 1
    return way


def sent_one_by_one(
    program: Program, placement: Placement, recording: Recording, name: str
) -> dict[str, float]:
    """Every spike to every core with a synapse of it, connection by connection."""
    home = {
        (core.block.population, int(neuron)): core
        for core in placement.cores
        for neuron in core.block.neurons
    }
    found = dict.fromkeys(FIELDS, 0.0)
    counts = recording.counts[name].mean(axis=0)
    for c in program.outgoing(name):
        goes = {
            (i, home[c.target, j].chip, home[c.target, j].number): home[c.target, j]
            for i, j, _ in synapses(c)
        }
        for (i, _, _), there in goes.items():
            found["messages"] += counts[i]
            if isinstance(program[name], SpikeInput):
                continue
            here = home[name, i]
            way = walked(here, there)
            same = here.chip == there.chip and here.number // 4 == there.number // 4
            found["within_tile"] += counts[i] * same
            found["between_chips"] += counts[i] * (here.chip != there.chip)
            for hops, number in way.items():
                found[hops] += counts[i] * number
    return found


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_every_hop_equals_walking_spike_by_spike(data):
    program = data.draw(programs(recurrent=True))
    recording = recorded(program, data.draw(stimuli(program)))
    chip_cores = data.draw(st.sampled_from((3, 8, 128)))
    placement = place(program, SMALL, chip_cores, chips=None)
    found = traffic(program, recording, placement)
    for row in found.layers:
        expected = sent_one_by_one(program, placement, recording, row.name)
        for name in FIELDS:
            assert getattr(row, name) == pytest.approx(expected[name]), name
    for name in FIELDS:
        total = sum(getattr(row, name) for row in found.layers)
        assert getattr(found.total, name) == pytest.approx(total)
    assert sum(c.received for c in found.cores) == pytest.approx(found.total.messages)
    inside = sum(row.messages for row in found.layers if row.name not in ("first",)) + (
        0 if program.inputs else found.layers[0].messages
    )
    assert sum(c.sent for c in found.cores) == pytest.approx(inside)
    assert [c.compartments for c in found.cores] == [
        core.usage.compartments for core in placement.cores
    ]


def test_a_spike_goes_once_to_each_core_however_many_synapses_it_has_there():
    program, recording = two_layers()
    limits = replace(SMALL, compartments=2)
    placement = place(program, limits, 128)
    assert [core.block.population for core in placement.cores] == [*"aabbb"]
    found = traffic(program, recording, placement)
    # six spikes of each of 4 neurons, to the 3 cores of b; cores 0-3 are tile 0
    assert found.total.messages == 6 * 4 * 3
    assert found.total.within_tile == 6 * 4 * 2
    assert (found.total.east_west, found.total.north_south) == (0, 6 * 4)
    assert [c.sent for c in found.cores] == [36, 36, 0, 0, 0]
    assert [c.received for c in found.cores] == [0, 0, 24, 24, 24]
    assert [(c.column, c.row) for c in found.cores] == [(0, 0)] * 4 + [(0, 1)]
    apart = traffic(program, recording, place(program, limits, 4, chips=None))
    assert apart.total.between_chips == 6 * 4
    assert (apart.total.east_west, apart.total.north_south) == (8 * 6 * 4, 0)


def two_layers() -> tuple[Program, Recording]:
    """Four neurons all to all on six; six spikes of each of the four."""
    program = chain(1)
    a, b = program.populations
    b = replace(b, shape=(6,), bias=np.zeros(6, np.int32))
    dense = DenseConnection(source="a", target="b", weight=np.full((4, 6), 2, np.int16))
    program = replace(
        program,
        inputs=(),
        populations=(a, b),
        connections=(dense,),
        decoder=Decoder(graph=identity((6,)), population="b", amplitude=1.0),
    )
    counts = {"a": np.full((2, 4), 6), "b": np.zeros((2, 6), np.int64)}
    recording = Recording(
        target="t",
        kind="integer emulation",
        dt=0.001,
        steps=20,
        counts=counts,
        spikes={},
        output=np.zeros((2, 6)),
        wall_time=0.0,
    )
    return program, recording


def skipped_one_by_one(program: Program, name: str, spikes: dict, bias) -> int:
    """Neuron by neuron; whoever is skipped does nothing that anybody could see."""
    population = program[name]
    steps = len(spikes[name])
    arrivals = np.zeros((steps, population.size), np.int64)
    q = np.zeros_like(arrivals)
    for c in program.incoming(name):
        for i, j, weight in synapses(c):
            for t in np.flatnonzero(spikes[c.source][:, i]) + c.delay:
                if t < steps:
                    arrivals[t, j] += 1
                    q[t, j] += weight
    u, v, counter = np.zeros((3, population.size), np.int64)
    skipped = 0
    for t in range(steps):
        still = np.array(
            [
                arrivals[t, i] == 0
                and decay(u[i], 4095 - population.decay_u) == 0
                and bias[i] == 0
                and (v[i] == 0 or population.decay_v == 0)
                and counter[i] == 0
                for i in range(population.size)
            ]
        )
        before = v
        spiked, u, v, counter = step(population, q[t], bias, u, v, counter)
        assert not spiked[still].any() and (v == before)[still].all()
        assert (u[still] == 0).all() and (counter[still] == 0).all()
        skipped += still.sum()
    return skipped


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_skipped_updates_change_nothing_and_are_counted_one_by_one(data):
    program = data.draw(programs(recurrent=True, delays=True, encoder="spikes"))
    quiet = data.draw(st.sets(st.sampled_from([p.name for p in program.populations])))
    program = replace(
        program,
        populations=tuple(
            replace(p, bias=0 * p.bias, decay_u=4095) if p.name in quiet else p
            for p in program.populations
        ),
    )
    rng, steps = np.random.default_rng(1), program.timing.steps
    samples = rng.random((2, *program.inputs[0].shape)) * (rng.random() < 0.7)
    if program.encoder.coding == "events":
        samples = (rng.random((2, steps, *program.inputs[0].shape)) < 0.1).astype(float)
    recording = recorded(
        program, encode(program.encoder, samples, steps, program.timing.dt)
    )
    found = updates(program, samples, recording)
    for population in program.populations:
        expected = [
            skipped_one_by_one(
                program,
                population.name,
                {name: s[i] for name, s in recording.spikes.items()},
                population.bias,
            )
            for i in range(2)
        ]
        assert found[population.name].skipped == sum(expected) / 2
        moved = found[population.name].moved
        assert population.size <= moved <= population.size * recording.steps


def test_a_network_that_nothing_drives_is_skipped_all_the_time():
    program = chain(1)
    silent: BoolArray = np.zeros((1, 20, 2, 2, 1), bool)
    recording = recorded(
        program, encode(program.encoder, silent.astype(float), 20, 0.002)
    )
    found = updates(program, silent.astype(float), recording)
    assert (found["a"].skipped, found["b"].skipped) == (4 * 20, 3 * 20)
    assert (found["a"].moved, found["b"].moved) == (4, 3)  # the first step counts


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_memory_is_the_widths_times_the_numbers(data):
    program = data.draw(programs(recurrent=True))
    bare = footprint(program)
    placement = place(program, SMALL, 8, chips=None)
    placed = footprint(program, placement)
    for p, row, on_core in zip(program.populations, bare, placed, strict=True):
        incoming = program.incoming(p.name)
        assert row.weights == sum(c.weight.size for c in incoming)
        bits = sum(c.weight.size * weight_format(c)[0] for c in incoming)
        assert row.weight_bits == on_core.weight_bits == bits
        # u and v of 24 bits, 6 of the counter; 16 of the bias; q of 22 a step
        delay = max((c.delay for c in incoming), default=0)
        assert row.state_bits == p.size * (24 + 24 + 6 + 16 + 22 * delay)
        assert row.bits == bits + row.state_bits
        used = placement.utilization[p.name].total
        assert on_core.synapse_bits == used.synapse_bits
        assert (on_core.input_axons, on_core.output_axons) == (
            used.input_axons,
            used.output_axons,
        )
        cores = (8 * placement.chips - 1).bit_length()
        addresses = used.input_axons * 14 + used.output_axons * (cores + 12)
        assert on_core.axon_bits == addresses


def test_effective_macs_leave_zeros_out():
    conv = n.Conv2D(
        "conv",
        ("x",),
        weight=np.array([1.0, 0.0, 2.0]).reshape(3, 1, 1, 1),
        bias=np.ones(1),
        padding=((1, 1), (0, 0)),
    )
    dense = n.Dense("d", ("flat",), weight=np.ones((4, 2)), bias=np.zeros(2))
    graph = Graph(
        (
            n.Input("x", shape=(4, 1, 1)),
            conv,
            n.Flatten("flat", ("conv",)),
            dense,
            n.Output("y", ("d",)),
        )
    )
    graph.check()
    x = np.array([1.0, 0.0, -1.0, 3.0]).reshape(1, 4, 1, 1)
    # windows (·, 1, 0), (1, 0, −1), (0, −1, 3), (−1, 3, ·): of 1 and 2, not of 0
    # give 0, 2, 1, 1 products; and the values 1, 0, 7, 0 are 2 · 2 products
    values = [1 + 2 * 0, 1 + 1 - 2, 1 + 0 + 6, 1 - 1]
    assert values == [1, 0, 7, 0]
    assert effective_macs(graph, x) == (0 + 2 + 1 + 1) + 2 * 2


def test_a_placed_report_has_every_figure_and_survives_its_file(tmp_path):
    program = replace(chain(1), timing=Timing(dt=0.001, steps=20))
    events = (np.random.default_rng(0).random((3, 20, 2, 2, 1)) < 0.3).astype(float)
    recording = recorded(program, encode(program.encoder, events, 20, 0.001))
    report = measure(
        program,
        recording,
        load_profile("loihi1_davies2018"),
        source="t",
        placement=place(program, SMALL, 8),
        shown=Shown.of(events, recording),
    )
    assert set(report.unavailable) == {"opponents", "second_opinion"}  # not asked
    assert {term.mode for term in report.energy.terms} == {"estimated"}
    assert {metric.mode for metric in report.neurobench} == {"counted"}
    skipped = [layer.skipped_updates for layer in report.layers]
    assert skipped[0] is None and report.total.skipped_updates == sum(skipped[1:]) > 0
    report.to_json(tmp_path / "report.json")
    assert Report.from_json(tmp_path / "report.json") == report


def test_of_float_neurons_no_update_and_no_silence_is_counted():
    program = chain(1)
    events = np.zeros((2, 20, 2, 2, 1))
    recording = replace(
        recorded(program, encode(program.encoder, events, 20, 0.002)),
        kind="float simulation",
    )
    profile = load_profile("loihi1_davies2018")
    shown = Shown.of(events, recording)
    report = measure(program, recording, profile, source="t", shown=shown)
    assert "float ones" in report.unavailable["skipped_updates"]
    found = {metric.name: metric for metric in report.neurobench}
    for name in ("ActivationSparsity", "MembraneUpdates"):
        assert (found[name].mode, found[name].value) == ("unavailable", None)
