"""A spiking network beside others: published break-evens, and both sides by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_deploy.calibration.counts.footprint import Footprint
from snn_deploy.calibration.energy.band import UNITS
from snn_deploy.calibration.energy.profile import TAGS, load_profile
from snn_deploy.calibration.energy.terms import energy_proxy
from snn_deploy.calibration.opponents.limits import LIMITS, held_to
from snn_deploy.calibration.opponents.opponent import (
    COUNTED,
    Work,
    activation_bits,
    energy_of,
    opponents,
    suited,
)
from snn_deploy.calibration.opponents.standing import Standing, standing
from snn_deploy.calibration.statistics import LayerStatistics, Rate

DAVIES = load_profile("loihi1_davies2018")
BY_NAME = {each.name: each for each in opponents()}
STEPS, NEURONS, MACS = 16, 1000, 100_000


def statistics(spikes: float, macs: int | None = MACS) -> LayerStatistics:
    """A layer of 1000 neurons and 100 000 synapses; a spike visits 100 of them."""
    rate = Rate(hz=spikes / NEURONS / STEPS * 1000, per_step=spikes / NEURONS / STEPS)
    return LayerStatistics(
        name="a",
        neurons=NEURONS,
        mean_rate=rate,
        median_rate=rate,
        p99_rate=rate,
        silent=0.0,
        saturated=0.0,
        spikes=spikes,
        spikes_std=0.0,
        synapses=MACS,
        synaptic_operations=100 * spikes,
        incoming_operations=100 * spikes,
        spikes_per_synapse=100 * spikes / MACS,
        incoming_synapses=MACS,
        nonzero_synapses=MACS,
        macs=macs,
        neuron_updates=NEURONS * STEPS,
        active_updates=spikes,
        inactive_updates=NEURONS * STEPS - spikes,
    )


MEMORY = (
    Footprint(
        name="a",
        weights=MACS,
        weight_bits=8 * MACS,
        state_bits=0,
        synapse_bits=None,
        input_axons=None,
        output_axons=None,
        axon_bits=None,
    ),
)


def stand(spikes: float, profile: str = DAVIES.name, macs: int | None = MACS):
    layer = statistics(spikes, macs)
    proxy = energy_proxy([layer], load_profile(profile))
    return standing(proxy, layer, [layer], MEMORY, STEPS)


def joules(spikes: float) -> float:
    """By Davies' constants."""
    updates = NEURONS * STEPS
    return 1e-12 * (2360 * spikes + 81 * spikes + 52 * (updates - spikes))


def test_every_constant_says_where_it_is_from():
    assert len(BY_NAME) == 17
    for each in BY_NAME.values():
        assert each.mac.tag in TAGS
        assert each.mac.unit in UNITS
        assert each.mac.low <= each.mac.value <= each.mac.high
        assert len(each.mac.source) > 20
        assert each.batch
        assert (each.memory == COUNTED) <= (each.weight_bits is not None)


@pytest.mark.parametrize(
    ("name", "break_even"),
    [  # E_MAC / 23.6 pJ, the reference's table
        ("CPU", 364),
        ("ARM", 38.1),
        ("GPU", 12.7),
        ("Myriad 2", 8.4),
        ("fp32 45 nm", 0.195),
        ("Edge TPU at peak", 0.042),
        ("int8 45 nm", 0.0098),
    ],
)
def test_break_even_spikes_a_synapse_are_the_published_ones(name, break_even):
    found = {each.name: each for each in stand(2000).against}[name]
    assert found.break_even == pytest.approx(break_even, rel=0.02)


def test_measured_networks_of_blouw_are_read_as_they_were_measured():
    for name, millijoules in (
        ("GPU measured", 29.8),
        ("CPU measured", 6.3),
        ("Jetson TX1 measured", 5.6),
        ("Movidius NCS measured", 1.5),
        ("Jetson TX1 measured, batch 64", 0.102),
    ):
        energy = energy_of(BY_NAME[name], Work(macs=172_800, weights=0, values=0))
        assert energy.value == pytest.approx(1e-3 * millijoules, rel=0.001)


def test_memory_of_an_int8_network_by_hand():
    work = Work(macs=50_000, weights=4096, values=4096)  # 8 KiB: 10 pJ for 64 bits
    energy = energy_of(BY_NAME["int8 45 nm + memory"], work)
    arithmetic, once = 50_000 * 0.23, (4096 + 2 * 4096) / 8 * 10
    every = 50_000 * 16 / 64 * 10
    assert energy.low == pytest.approx(1e-12 * (arithmetic + once))
    assert energy.value == pytest.approx(1e-12 * (arithmetic + once + every))
    assert energy.high == pytest.approx(1e-12 * (50_000 * 0.3 + once + every))


@given(macs=st.integers(1, 10**9), weights=st.integers(0, 10**8), bits=st.booleans())
def test_memory_is_a_band_and_more_bits_take_more(macs, weights, bits):
    work = Work(macs=macs, weights=weights, values=weights)
    small, large = (
        energy_of(BY_NAME[f"{kind} 45 nm + memory"], work) for kind in ("int8", "fp32")
    )
    assert small.low <= small.value <= small.high
    assert small.value < large.value
    assert large.low >= energy_of(BY_NAME["fp32 45 nm"], work).low


@given(st.integers(1, 10**6))
def test_a_spike_count_of_t_steps_needs_so_many_bits(steps):
    bits = activation_bits(steps)
    assert 2 ** (bits - 1) <= steps < 2**bits


def test_the_quantized_opponent_has_as_many_bits_as_the_steps():
    four, eight = (
        suited(BY_NAME["quantized ANN + memory"], steps) for steps in (15, 255)
    )
    assert (four.value_bits, four.name[:5]) == (4, "4-bit")
    assert four.mac.value == pytest.approx(0.03 + 0.2 * 4 / 8)
    assert eight.mac.value == pytest.approx(BY_NAME["int8 45 nm"].mac.value)


@pytest.mark.parametrize("spikes", [10.0, 300.0, 2000.0, 9000.0])
def test_with_the_share_of_spikes_that_is_told_both_take_as_much(spikes):
    found = stand(spikes)
    assert found.energy.value == pytest.approx(joules(spikes))
    assert found.silent.value == pytest.approx(joules(0))
    for each in found.against:
        assert each.factor == pytest.approx(joules(spikes) / each.energy.value)
        if each.spikes is None:
            assert joules(0) > each.energy.value
        else:
            assert joules(each.spikes * spikes) == pytest.approx(each.energy.value)
            assert (each.spikes < 1) == (each.factor > 1)


def test_the_sentence_says_who_wins_and_how_many_spikes_fewer_it_would_take():
    few, many = stand(300).sentence, stand(60_000).sentence
    less, more = few.split("; more than ")
    assert "less energy than" in less and "Myriad 2 (" in less
    assert "Edge TPU at peak (" in more
    assert "even without a spike: neuron updates alone take 0.832 µJ" in few
    assert "more than" in many
    against = {each.name: each for each in stand(60_000).against}
    fewer = 100 * (1 - against["Myriad 2"].spikes)
    assert f"as much with {fewer:.0f} % fewer spikes" in many
    assert "GPU measured" in many  # still beaten


def test_sides_follow_from_the_bands():
    for each in stand(2000).against:
        ours = stand(2000).energy
        if each.side == "less":
            assert ours.high < each.energy.low
        elif each.side == "more":
            assert ours.low > each.energy.high
        else:
            assert ours.high >= each.energy.low and ours.low <= each.energy.high


def test_where_there_is_nothing_to_hold_against_it_says_why():
    assert "not known" in stand(300, macs=None)
    assert "not known" in stand(300, macs=0)
    refused = stand(300, profile="loihi2")
    assert isinstance(refused, str)
    assert "no figure to hold against" in refused


def verdicts(a_synapse: float, a_step: float, steps: int) -> list[str]:
    return [held.verdict for held in held_to(LIMITS, a_synapse, a_step, steps)]


def test_published_limits():
    none = "not for so many steps"
    assert verdicts(2.0, 0.05, 8) == ["above", "above", "below", none]
    assert verdicts(1.0, 0.06, 10) == ["below", "between", "between", none]
    assert verdicts(0.1, 0.07, 5) == ["below", "below", "above", none]
    assert verdicts(0.1, 0.02, 64) == ["below", "below", none, "below"]
    assert verdicts(0.1, 0.02, 12) == ["below", "below", none, none]


def test_limits_are_told_with_what_they_are_of():
    told = [str(held) for held in held_to(LIMITS, 2.1, 0.06, 8)]
    assert told[0].startswith("2.1 spikes a synapse and inference: above 1.72 (David")
    assert "0.057–0.064 at 5 to 10 steps" in told[2]
    assert "0.03 at 17 steps and more" in told[3]


def test_the_network_of_the_limits_is_that_of_the_multiply_accumulates():
    found = stand(2000)
    assert isinstance(found, Standing)
    assert found.operations_a_mac == 2.0
    assert found.limits[0].ours == 2.0
    assert math.isclose(found.limits[2].ours, 2000 / NEURONS / STEPS)
    assert replace(found) == found
