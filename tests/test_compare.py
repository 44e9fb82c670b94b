"""The verdict: how many spikes agree, and which is the first that does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import identity, simulate_oracle

from snn_deploy.toolchain.compare import Difference, compare, first_difference
from snn_deploy.toolchain.connections import DenseConnection
from snn_deploy.toolchain.errors import DataError
from snn_deploy.toolchain.host import BoolArray, Decoder, SpikeEncoder, encode
from snn_deploy.toolchain.program import Population, Program, SpikeInput, Timing
from snn_deploy.toolchain.recording import Recording

FLOW = ("in", "hidden", "out")


def recording(spikes: Mapping[str, BoolArray], target: str = "a") -> Recording:
    samples, steps, _ = spikes["in"].shape
    return Recording(
        target=target,
        kind="integer emulation",
        dt=0.001,
        steps=steps,
        counts={name: s.sum(axis=1) for name, s in spikes.items()},
        spikes=spikes,
        output=np.zeros((samples, 1)),
        wall_time=0.0,
    )


def random_spikes(seed: int = 0) -> dict[str, BoolArray]:
    rng = np.random.default_rng(seed)
    return {n: rng.random((3, 10, k)) < 0.3 for n, k in zip(FLOW, (4, 6, 2))}


def flipped(spikes: Mapping[str, BoolArray], *places: tuple) -> dict[str, BoolArray]:
    """A copy with a spike more or less at each (population, sample, step, neuron)."""
    changed = {name: s.copy() for name, s in spikes.items()}
    for name, *place in places:
        changed[name][tuple(place)] ^= True
    return changed


def test_equal_recordings_have_no_difference():
    spikes = random_spikes()
    verdict = compare([recording(spikes, t) for t in "abc"], FLOW)
    assert verdict.equal and verdict.first is None
    assert verdict.targets == ("a", "b", "c")
    assert (verdict.samples, verdict.steps) == (3, 10)
    assert verdict.spikes == sum(int(s.sum()) for s in spikes.values())
    assert verdict.compared == 2 * 3 * 10 * (4 + 6 + 2)
    assert verdict.differing == {t: dict.fromkeys(FLOW, 0) for t in "bc"}


@pytest.mark.parametrize(
    ("places", "first"),
    [
        # an earlier step comes before everything
        ([("in", 0, 5, 0), ("out", 2, 4, 1)], ("out", 4, 2, 1)),
        # then the population that comes first in the flow
        ([("out", 0, 5, 0), ("hidden", 2, 5, 5)], ("hidden", 5, 2, 5)),
        # then the sample
        ([("in", 2, 5, 0), ("in", 1, 5, 3)], ("in", 5, 1, 3)),
        # then the neuron
        ([("in", 1, 5, 3), ("in", 1, 5, 2)], ("in", 5, 1, 2)),
    ],
)
def test_the_first_difference_is_the_earliest_in_time_then_in_flow(places, first):
    a = random_spikes()
    b = flipped(a, *places)
    found = first_difference(recording(a), recording(b, "b"), FLOW)
    population, step, sample, neuron = first
    spiking, silent = "ab" if a[population][sample, step, neuron] else "ba"
    assert found == Difference(spiking, silent, population, step, sample, neuron)
    assert str(found).startswith(
        f"population {population!r}, step {step}, sample {sample}, neuron {neuron}: "
    )


def test_differing_spikes_are_counted_by_target_and_population():
    a = random_spikes()
    b = flipped(a, ("in", 0, 0, 0), ("out", 0, 0, 0), ("out", 1, 1, 1))
    c = flipped(a, ("hidden", 2, 9, 5))
    trio = [recording(a), recording(b, "b"), recording(c, "c")]
    verdict = compare(trio, FLOW)
    assert not verdict.equal
    assert verdict.differing == {
        "b": {"in": 1, "hidden": 0, "out": 2},
        "c": {"in": 0, "hidden": 1, "out": 0},
    }
    assert (verdict.first.population, verdict.first.step) == ("in", 0)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 999), flips=st.integers(1, 5))
def test_the_first_difference_is_that_of_a_plain_search(seed, flips):
    rng = np.random.default_rng(seed)
    a = random_spikes(seed)
    names = rng.choice(FLOW, flips)
    b = flipped(a, *((n, *rng.integers(a[n].shape)) for n in names))
    places = [
        (step, FLOW.index(name), sample, neuron)
        for name in FLOW
        for sample, step, neuron in np.argwhere(a[name] != b[name]).tolist()
    ]
    found = first_difference(recording(a), recording(b), FLOW)
    if not places:  # two flips of one place
        assert found is None
        return
    order = (found.step, FLOW.index(found.population), found.sample, found.neuron)
    assert order == min(places)


def chain() -> Program:
    """Spike input → hidden → out, of weights that make both fire."""
    rng = np.random.default_rng(1)

    def connection(source: str, target: str, shape: tuple[int, int]) -> DenseConnection:
        weight = 2 * rng.integers(-60, 128, shape)
        return DenseConnection(
            source=source, target=target, weight=weight.astype(np.int16)
        )

    def population(name: str, size: int) -> Population:
        return Population(
            name=name,
            shape=(size,),
            decay_u=4095,
            decay_v=100,
            threshold=12_800,
            bias=np.zeros(size, np.int32),
        )

    return Program(
        inputs=(SpikeInput(name="in", shape=(8,)),),
        populations=(population("hidden", 6), population("out", 3)),
        connections=(
            connection("in", "hidden", (8, 6)),
            connection("hidden", "out", (6, 3)),
        ),
        encoder=SpikeEncoder(population="in", max_rate=400.0),
        decoder=Decoder(graph=identity((3,)), population="out", amplitude=0.001),
        timing=Timing(dt=0.001, steps=40),
    )


def test_one_flipped_bit_of_one_weight_is_found():
    """The highest bit of one mantissa: population, step and sample are named."""
    program = chain()
    connection = program.connections[1]
    weight = connection.weight.copy()
    weight[2, 1] ^= 128
    damaged = replace(
        program,
        connections=(program.connections[0], replace(connection, weight=weight)),
    )
    damaged.check()
    samples = np.random.default_rng(2).random((3, 8))
    stimulus = encode(program.encoder, samples, 40, 0.001)
    runs = [
        recording({**stimulus.spikes, **simulate_oracle(p, stimulus)}, name)
        for p, name in ((program, "reference"), (damaged, "damaged"))
    ]
    verdict = compare(runs, FLOW)
    assert verdict.spikes > 100
    assert verdict.differing["damaged"]["in"] == 0
    assert verdict.differing["damaged"]["hidden"] == 0
    assert verdict.differing["damaged"]["out"] > 0
    first = verdict.first
    assert first.population == "out" and first.neuron == 1
    sent = runs[0].spikes["hidden"][first.sample, : first.step, 2]
    assert sent.any()  # the changed weight's source had spiked before


def test_recordings_of_other_runs_are_refused():
    spikes = random_spikes()
    shorter = {name: s[:, :5] for name, s in spikes.items()}
    with pytest.raises(DataError, match="'in'.*same samples and steps"):
        compare([recording(spikes), recording(shorter, "b")], FLOW)
    counts_only = replace(recording(spikes, "b"), spikes={})
    with pytest.raises(DataError, match="None of b"):
        compare([recording(spikes), counts_only], FLOW)
    with pytest.raises(DataError, match="needs two targets"):
        compare([recording(spikes)], FLOW)
