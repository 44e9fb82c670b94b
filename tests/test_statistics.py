"""Counts that a report is made of, against counting one by one."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import identity, programs, simulate_oracle, stimuli, synapses

from snn_deploy.calibration.overflow import synaptic_sums
from snn_deploy.calibration.statistics import (
    host_statistics,
    layer_statistics,
    total_statistics,
)
from snn_deploy.toolchain.errors import DataError
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.program.connections import (
    Connection,
    ConvConnection,
    DenseConnection,
)
from snn_deploy.toolchain.program.host import BiasEncoder, Decoder, SpikeEncoder, encode
from snn_deploy.toolchain.program.program import Population, Program, SpikeInput, Timing
from snn_deploy.toolchain.program.recording import Recording


def nonzero_synapses(c: Connection) -> int:
    """Of 1 through each synapse whose weight is not 0, every target's sum."""
    ones = replace(c, weight=(c.weight != 0).astype(np.int16), exponent=-6)
    every = np.ones((c.delay + 1, math.prod(c.source_shape)), bool)
    return int(synaptic_sums(ones, every)[-1].sum())


def recording(program: Program, stimulus) -> Recording:
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


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_every_count_equals_counting_one_by_one(data):
    program = data.draw(programs(recurrent=True, delays=True))
    result = recording(program, data.draw(stimuli(program)))
    layers = layer_statistics(program, result)
    every = {c: list(synapses(c)) for c in program.connections}
    assert [layer.name for layer in layers] == [
        p.name for p in (*program.inputs, *program.populations)
    ]
    for layer in layers:
        spikes = result.spikes[layer.name]
        sent = spikes.sum(axis=(0, 1)).tolist()
        senders = [i for c in program.outgoing(layer.name) for i, _, _ in every[c]]
        visited = sum(sent[i] for i in senders)
        assert layer.synaptic_operations == visited / len(spikes), layer.name
        weighed = {True: 0, False: 0}  # not 0, or 0: spikes through such synapses
        for c in program.incoming(layer.name):
            counts = result.spikes[c.source].sum(axis=(0, 1)).tolist()
            for i, _, weight in every[c]:
                weighed[weight != 0] += counts[i]
        arrived = sum(weighed.values()) / len(spikes)
        assert layer.incoming_operations == arrived, layer.name
        assert layer.effective_operations == weighed[True] / len(spikes), layer.name
        incoming = [len(every[c]) for c in program.incoming(layer.name)]
        assert layer.incoming_synapses == sum(incoming), layer.name
        nonzero = sum(nonzero_synapses(c) for c in program.incoming(layer.name))
        assert layer.nonzero_synapses == nonzero, layer.name
        assert layer.spikes == pytest.approx(spikes.sum() / len(spikes))
        rates = spikes.mean(axis=(0, 1))
        assert layer.mean_rate.per_step == pytest.approx(rates.mean())
        assert layer.mean_rate.hz == pytest.approx(rates.mean() / 0.001)
        assert layer.median_rate.per_step == pytest.approx(np.median(rates))
        assert layer.silent == (~spikes.any(axis=(0, 1))).mean()
        if layer.name in {p.name for p in program.populations}:
            assert layer.neuron_updates == layer.neurons * result.steps
            assert layer.active_updates == pytest.approx(layer.spikes)
        else:
            assert layer.neuron_updates == layer.active_updates == 0


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_total_is_the_sum_of_the_layers(data):
    program = data.draw(programs(recurrent=True))
    result = recording(program, data.draw(stimuli(program)))
    layers = layer_statistics(program, result)
    total = total_statistics(program, result)
    assert total.neurons == program.neurons
    for field in (
        "synapses",
        "synaptic_operations",
        "incoming_operations",
        "effective_operations",
        "incoming_synapses",
        "inactive_updates",
    ):
        expected = sum(getattr(layer, field) for layer in layers)
        assert getattr(total, field) == pytest.approx(expected), field
    assert total.active_updates == pytest.approx(total.spikes)
    assert total.incoming_operations == pytest.approx(total.synaptic_operations)


def chain(refractory: int) -> Program:
    """Four spike inputs, one to one on "a" (2 × 2 × 1), all to all on "b" (3)."""

    def population(name: str, shape: n.Shape) -> Population:
        return Population(
            name=name,
            shape=shape,
            decay_u=4095,
            decay_v=0,
            threshold=64,
            bias=np.zeros(math.prod(shape), np.int32),
            refractory=refractory,
        )

    return Program(
        inputs=(SpikeInput(name="in", shape=(2, 2, 1)),),
        populations=(population("a", (2, 2, 1)), population("b", (3,))),
        connections=(
            ConvConnection(
                source="in",
                target="a",
                weight=np.full((1, 1, 1, 1), 100, np.int16),
                shape=(2, 2, 1),
                delay=2,
            ),
            DenseConnection(
                source="a",
                target="b",
                weight=np.zeros((4, 3), np.int16),
                shape=(2, 2, 1),
            ),
        ),
        encoder=SpikeEncoder(population="in", coding="events"),
        decoder=Decoder(graph=identity((3,)), population="b", amplitude=1.0),
        timing=Timing(dt=0.002, steps=20),
    )


def counted(steps: int = 20, **counts: list[list[int]]) -> Recording:
    return Recording(
        target="t",
        kind="integer emulation",
        dt=0.002,
        steps=steps,
        counts={name: np.array(c) for name, c in counts.items()},
        spikes={},
        output=np.zeros((len(counts["in"]), 3)),
        wall_time=0.0,
    )


def test_figures_of_a_network_small_enough_to_count_by_hand():
    counts = {"in": [[20, 0, 1, 1], [20, 0, 3, 1]], "a": [[9, 0, 1, 0], [8, 0, 1, 2]]}
    result = counted(**counts, b=[[0, 0, 0], [0, 0, 0]])
    inputs, a, b = layer_statistics(chain(refractory=2), result)
    assert inputs.saturated == 0.25  # spikes in all 20 steps
    assert inputs.synaptic_operations == inputs.spikes == 23.0
    assert (inputs.spikes_std, a.spikes_std) == (1.0, 0.5)
    assert a.mean_rate.per_step == (8.5 + 0 + 1 + 1) / 4 / 20
    assert a.mean_rate.hz == pytest.approx(a.mean_rate.per_step / 0.002)
    assert a.silent == 0.25
    assert a.saturated == 0.25  # 9 of (20 − 2) / 2 spikes, in the first sample
    assert a.synaptic_operations == 10.5 * 3
    assert a.spikes_per_synapse == 10.5 * 3 / 12
    assert (inputs.incoming_operations, a.incoming_operations) == (0.0, 23.0)
    assert (b.incoming_operations, b.effective_operations) == (10.5 * 3, 0.0)
    assert a.skipped_updates is None
    assert (a.incoming_synapses, b.incoming_synapses) == (4, 12)
    assert (a.nonzero_synapses, b.nonzero_synapses) == (4, 0)
    assert (inputs.macs, a.macs) == (0, None)
    assert (a.active_updates, a.inactive_updates) == (10.5, 80 - 10.5)
    assert (b.silent, b.synaptic_operations, b.spikes_per_synapse) == (1.0, 0.0, None)


@pytest.mark.parametrize("refractory", [1, 2, 3, 4])
def test_a_neuron_driven_in_every_step_is_saturated_and_its_source_alone_not(
    refractory,
):
    program = chain(refractory)
    program.check()
    events = np.ones((1, 20, 2, 2, 1))
    events[:, ::2, 1] = 0  # two of four inputs in every other step only
    result = recording(program, encode(program.encoder, events, 20, 0.002))
    inputs, a, b = layer_statistics(program, result)
    assert inputs.saturated == 0.5
    assert a.saturated == (1.0 if refractory % 2 == 0 else 0.5)
    assert b.saturated == 0.0


@pytest.mark.parametrize(
    "counts",
    [
        {"in": [[0] * 4], "a": [[0] * 4]},
        {"in": [[0] * 4], "a": [[0] * 4], "b": [[0] * 4]},
        {name: np.zeros((0, k)) for name, k in (("in", 4), ("a", 4), ("b", 3))},
    ],
    ids=["population missing", "other size", "no sample"],
)
def test_a_recording_of_something_else_is_refused(counts):
    with pytest.raises(DataError, match="Recording of 't'"):
        layer_statistics(chain(1), counted(**counts))


def test_macs_of_the_host_leave_padding_out():
    conv = n.Conv2D(
        "conv",
        ("x",),
        weight=np.zeros((3, 3, 2, 4)),
        bias=np.zeros(4),
        stride=(2, 2),
        padding=((1, 1), (1, 1)),
    )
    back = n.ConvTranspose2D(
        "back", ("conv",), weight=np.zeros((2, 2, 4, 1)), bias=np.zeros(1)
    )
    graph = Graph(
        (
            n.Input("x", shape=(5, 5, 2)),
            conv,
            back,
            n.Flatten("flat", ("back",)),
            n.Dense("dense", ("flat",), weight=np.zeros((16, 3)), bias=np.zeros(3)),
            n.Output("y", ("dense",)),
        )
    )
    graph.check()
    inside = 2 + 3 + 2  # of three windows of three pixels over five and a border
    expected = inside**2 * 2 * 4 + 9 * 4 * 4 * 1 + 16 * 3
    encoder = BiasEncoder(graph=graph, population="b", scale=1.0)
    host = host_statistics(replace(chain(1), encoder=encoder))
    assert (host.encoder_macs, host.decoder_macs) == (expected, 0)
    assert (host.encoder_values, host.decoder_values) == (3, 3)
    assert host_statistics(chain(1)).encoder_macs == 0
