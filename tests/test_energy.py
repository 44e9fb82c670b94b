"""Energy proxies: constants times counts, profiles, and devices that are refused."""

from __future__ import annotations

import math
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import programs

from snn_deploy.calibration.counts.footprint import footprint
from snn_deploy.calibration.counts.traffic import Messages, Traffic
from snn_deploy.calibration.energy.band import Band, exactly
from snn_deploy.calibration.energy.latency import real_time
from snn_deploy.calibration.energy.memory import access, memory_energy
from snn_deploy.calibration.energy.profile import CONSTANTS, TAGS, load_profile
from snn_deploy.calibration.energy.terms import (
    TITLE,
    Surroundings,
    energy_proxy,
)
from snn_deploy.calibration.statistics import (
    HostStatistics,
    LayerStatistics,
    layer_statistics,
)
from snn_deploy.toolchain.errors import DataError
from snn_deploy.toolchain.program.program import Program
from snn_deploy.toolchain.program.recording import Recording

LOIHI = "loihi1_davies2018"
DEVICES = files("snn_deploy.calibration") / "devices"
SHIPPED = sorted(p.name.removesuffix(".toml") for p in DEVICES.iterdir())
REFUSED = {"akida", "loihi2", "speck", "xylo"}
DEEP = "cannot be read as TOML|it has the unknown a"  # newer Pythons read it
TEXT = (DEVICES / f"{LOIHI}.toml").read_text(encoding="utf-8")


def counted(program: Program) -> tuple[LayerStatistics, ...]:
    """Statistics of a run with random counts."""
    rng, steps = np.random.default_rng(0), program.timing.steps
    recording = Recording(
        target="t",
        kind="integer emulation",
        dt=0.001,
        steps=steps,
        counts={
            p.name: rng.integers(0, steps + 1, (2, p.size)) for p in program.members
        },
        spikes={},
        output=np.zeros((2, 1)),
        wall_time=0.0,
    )
    return layer_statistics(program, recording)


def test_the_profile_of_loihi_1_is_the_published_one():
    profile = load_profile(LOIHI)
    assert profile.name == LOIHI
    constants = (
        profile.synaptic_operation,
        profile.active_update,
        profile.inactive_update,
    )
    assert [c.value for c in constants] == [23.6, 81.0, 52.0]
    assert [(c.low, c.high) for c in constants] == [
        (23.6, 35.5),
        (72.8, 142.1),
        (51.2, 72.8),
    ]
    hops = (profile.spike_within_tile, profile.hop_east_west, profile.hop_north_south)
    assert [c.value for c in hops] == [1.7, 3.0, 4.0]
    assert {(c.unit, c.tag, c.basis, c.date) for c in (*constants, *hops)} == {
        ("pJ", "SIM", "incremental", "2018")
    }
    assert all("Davies et al. 2018" in c.source for c in (*constants, *hops))
    power = profile.static_power
    assert (power.value, power.low, power.high, power.unit) == (29, 29, 104, "mW")
    assert profile.times["barrier"].band.low == pytest.approx(113e-9)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_constant_has_its_source_and_date_or_says_why_it_is_not_there(name):
    profile = load_profile(name)
    assert profile.name == name
    for field in CONSTANTS:
        constant = getattr(profile, field)
        assert (constant is None) == (field in profile.absent), field
        if constant is not None:
            assert constant.source and constant.date, field
    assert all(anchor.tag in TAGS for anchor in profile.anchors)
    assert (profile.synaptic_operation is None) == (name in REFUSED)


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_energy_is_constants_times_counts(data):
    program = data.draw(programs(recurrent=True))
    layers = counted(program)
    proxy = energy_proxy(layers, load_profile(LOIHI))
    assert proxy.title == TITLE == "energy proxy, not a measurement"
    for layer, energy in zip(layers, proxy.layers, strict=True):
        picojoules = (
            23.6 * layer.incoming_operations,
            81.0 * layer.active_updates,
            52.0 * layer.inactive_updates,
        )
        terms = (energy.synaptic_operations, energy.active_updates)
        terms += (energy.inactive_updates,)
        for term, expected in zip(terms, picojoules):
            assert term.value == pytest.approx(expected * 1e-12)
            assert term.low <= term.value <= term.high
        assert energy.total.value == pytest.approx(sum(picojoules) * 1e-12)
        assert energy.total.high == pytest.approx(
            1e-12
            * (
                35.5 * layer.incoming_operations
                + 142.1 * layer.active_updates
                + 72.8 * layer.inactive_updates
            )
        )
    for bound in ("value", "low", "high"):
        expected = sum(getattr(energy.total, bound) for energy in proxy.layers)
        assert getattr(proxy.total.total, bound) == pytest.approx(expected)


def surroundings(program: Program, layers: tuple[LayerStatistics, ...]) -> Surroundings:
    rows = tuple(
        Messages(
            name=layer.name,
            messages=100.0,
            within_tile=10.0,
            east_west=20.0,
            north_south=30.0,
            between_chips=0.0,
        )
        for layer in layers
    )
    return Surroundings(
        host=HostStatistics(encoder_macs=1000, decoder_macs=10),
        traffic=Traffic(layers=rows, total=rows[0], cores=()),
        memory=footprint(program),
        latency=real_time(0.001, 50),
        chips=2,
    )


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_the_terms_add_up_to_the_whole(data):
    program = data.draw(programs(recurrent=True))
    layers = counted(program)
    around = surroundings(program, layers)
    proxy = energy_proxy(layers, load_profile(LOIHI), around)
    hops = len(layers) * (10 * 1.7 + 20 * 3.0 + 30 * 4.0) * 1e-12
    assert proxy.total.hops.value == pytest.approx(hops)
    parts = {"dynamic": proxy.total.total, "host": proxy.host, "static": proxy.static}
    for part, found in parts.items():
        terms = [term.energy for term in proxy.terms if term.part == part]
        for bound in ("value", "low", "high"):
            expected = sum(getattr(term, bound) for term in terms if term)
            assert getattr(found, bound) == pytest.approx(expected), part
    assert proxy.host.value == pytest.approx(1010 * 4.6e-12)
    assert proxy.static.value == pytest.approx(2 * 0.029 * 0.05)
    assert proxy.whole.value == pytest.approx(sum(p.value for p in parts.values()))
    assert {term.mode for term in proxy.terms if term.energy} == {"estimated"}


def test_sanafe_prices_messages_and_keras_spiking_no_way_at_all():
    layer = Messages(
        name="a",
        messages=5.0,
        within_tile=5.0,
        east_west=2.0,
        north_south=1.0,
        between_chips=0.0,
    )
    around = Surroundings(traffic=Traffic(layers=(layer,), total=layer, cores=()))
    row = _layer("a")
    sanafe = energy_proxy([row], load_profile("loihi1_sanafe"), around)
    assert sanafe.total.hops.value == pytest.approx(
        (5 * 111 + 2 * 3.0 + 1 * 4.2) * 1e-12
    )
    keras = energy_proxy([row], load_profile("loihi1_keras_spiking"), around)
    (hops,) = (t for t in keras.terms if t.name == "spikes between cores")
    assert (hops.mode, hops.energy) == ("unavailable", None)
    assert "no routing" in hops.source


def _layer(name: str, **figures: object) -> LayerStatistics:
    """A layer with one synaptic operation and no update."""
    fields = dict.fromkeys(LayerStatistics.__dataclass_fields__, 0.0)
    return LayerStatistics(
        **{**fields, "name": name, "incoming_operations": 1.0, **figures}
    )


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_chip_without_published_constants_gets_no_joules(name):
    profile = load_profile(name)
    around = Surroundings(
        host=HostStatistics(encoder_macs=5, decoder_macs=5),
        latency=real_time(0.001, 10),
    )
    proxy = energy_proxy([_layer("a")], profile, around)
    assert proxy.total.total is proxy.whole is proxy.host is proxy.static is None
    assert proxy.layers[0].total is None
    assert {term.mode for term in proxy.terms} == {"unavailable"}
    assert all(term.source for term in proxy.terms)
    assert profile.anchors


def test_what_is_not_counted_is_said_to_be_unavailable():
    proxy = energy_proxy([_layer("a")], load_profile(LOIHI))
    found = {term.name: (term.mode, term.source) for term in proxy.terms}
    assert found["synaptic operations"][0] == "estimated"
    assert found["spikes between cores"] == (
        "unavailable",
        "the target places no neuron on a core, so no spike has a way",
    )
    for name in ("encoder", "decoder", "static power", "memory accesses"):
        mode, why = found[name]
        assert mode == "unavailable" and "not known" in why, name


def test_memory_is_priced_by_its_size():
    assert access(8 << 10) == pytest.approx(10e-12)
    assert access(32 << 10) == pytest.approx(20e-12)
    layer = _layer("a", incoming_operations=640.0, neuron_updates=4, spikes=3.0)
    found = memory_energy([layer], None, 8.0, 32 << 10)
    state = 2 * 4 * 54 / 64  # u, v and counter, read and written
    assert found.value == pytest.approx((80 + 3) * 20e-12 + state * 10e-12)
    assert found.high == pytest.approx((640 + 3) * 20e-12 + 2 * 4 * 10e-12)
    assert found.low <= found.value <= found.high


positive = st.floats(0, 1e6)


@given(st.lists(st.tuples(positive, positive, positive).map(sorted), min_size=2))
def test_bands_stay_in_order(triples):
    first, *rest = (Band(low=a, value=b, high=c) for a, b, c in triples)
    for band in rest:
        for combined in (first + band, first.times(band)):
            assert combined.low <= combined.value <= combined.high
    assert exactly(2.0).times(first).value == 2 * first.value


def test_a_profile_can_be_a_file(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(TEXT.replace('unit = "pJ"', 'unit = "nJ"', 1), encoding="utf-8")
    assert load_profile(own).synaptic_operation.unit == "nJ"
    assert load_profile(str(own)).active_update.unit == "pJ"


def test_a_profile_need_hold_no_more_than_synapses(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(
        'name = "mine"\ndevice = "my chip"\nexcluded = []\n[synaptic_operation]\n'
        'value = 1\nlow = 1\nhigh = 2\nunit = "pJ"\ntag = "MEAS"\n'
        'basis = "average"\nsource = "my bench"\n'
    )
    proxy = energy_proxy([_layer("a")], load_profile(own))
    assert proxy.total.total.value == pytest.approx(1e-12)
    (term,) = (t for t in proxy.terms if t.name == "active updates")
    assert term.source == "profile mine has no active_update"


def test_an_unknown_profile_names_those_there_are():
    with pytest.raises(DataError, match=f"'loihi9'.*{LOIHI}"):
        load_profile("loihi9")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("value = 23.6", "value = ", "cannot be read as TOML"),
        ("value = 23.6\n", "", "synaptic_operation: it lacks value"),
        ("[synaptic_operation]", "[synapse]", "it has the unknown synapse"),
        ("[inactive_update]", "[inactive]", "it has the unknown inactive"),
        ("low = 23.6", "low = -1", "synaptic_operation.low is -1"),
        ("low = 23.6", "low = 30", "low ≤ value ≤ high"),
        ("value = 23.6", "value = nan", "synaptic_operation.value is nan"),
        ("value = 23.6", f"value = {10**400}", "synaptic_operation.value is 1000"),
        ("value = 23.6", "value = 1e300", "a number from 0 to 1e+06"),
        ("value = 23.6", f"value = {'[' * 2000}", "cannot be read as TOML"),
        ("device =", f"{'a.' * 3000}b = 1\ndevice =", DEEP),
        (
            "excluded = [",
            f"excluded = [0x{'f' * 5000}, ",
            "excluded is a list of too",
        ),
        (
            "value = 23.6",
            f"value = 0x{'f' * 5000}",
            "value is a int of too many digits",
        ),
        ("device =", "#" * (1 << 20) + "\ndevice =", "more than 1048576 bytes"),
        ("value = 23.6", "value = true", "synaptic_operation.value is True"),
        ("value = 23.6", 'value = "much"', "synaptic_operation.value is 'much'"),
        ('unit = "pJ"', 'unit = "kWh"', "synaptic_operation.unit is 'kWh'"),
        ('unit = "pJ"', 'unit = "mW"', "synaptic_operation.unit is 'mW'"),
        ('unit = "ns"', 'unit = "pJ"', "times.synaptic_operation.unit is 'pJ'"),
        ('tag = "SIM"', 'tag = "TRUE"', "synaptic_operation.tag is 'TRUE'"),
        ('date = "2018"', "date = 2018", "synaptic_operation.date is 2018"),
        ("excluded = [", "excluded = [ 1,", "excluded is"),
        ("device =", "hop = 3.0\ndevice =", "it has the unknown hop"),
        ("placed = true", "placed = 1", "placed is 1"),
        ("core_memory = 131072", "core_memory = 0", "core_memory is 0"),
        ("[times.barrier]", "[times.lunch]", "times is"),
        ("spike_message =", "active_update =", "absent is 'active_update'"),
        ('tag = "MEAS"\ndate', 'tag = "TRUE"\ndate', "anchors.tag is 'TRUE'"),
    ],
)
def test_a_broken_profile_is_one_clear_error(tmp_path, old, new, says):
    assert old in TEXT
    file = tmp_path / "broken.toml"
    file.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DataError) as error:
        load_profile(file)
    assert any(words in str(error.value) for words in says.split("|"))
    assert "broken.toml" in str(error.value)


def test_a_profile_without_synapses_must_say_why(tmp_path):
    file = tmp_path / "none.toml"
    file.write_text('name = "n"\ndevice = "d"\nexcluded = []\n')
    with pytest.raises(DataError, match="lacks synaptic_operation.*why none"):
        load_profile(file)


def test_a_binary_file_is_no_profile(tmp_path):
    file = tmp_path / "binary.toml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read as TOML"):
        load_profile(file)


def test_real_time_is_a_presentation():
    latency = real_time(0.001, 64)
    assert math.isclose(latency.seconds.value, 0.064)
    assert (latency.mode, latency.source) == (
        "estimated",
        "assumed real time: 64 steps of 1 ms",
    )
