"""Energy proxies: constants times counts, and profiles that are refused."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import programs

from snn_deploy.calibration.energy.profile import load_profile
from snn_deploy.calibration.energy.terms import TITLE, energy_proxy
from snn_deploy.calibration.statistics import layer_statistics
from snn_deploy.toolchain.errors import DataError
from snn_deploy.toolchain.program.recording import Recording

LOIHI = "loihi1_davies2018"
DEEP = "cannot be read as TOML|it has the unknown a"  # newer Pythons read it
TEXT = (files("snn_deploy.calibration") / "devices" / f"{LOIHI}.toml").read_text()


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
    assert {(c.unit, c.tag, c.basis) for c in constants} == {
        ("pJ", "SIM", "incremental")
    }
    assert all("Davies et al. 2018" in c.source for c in constants)
    assert any("spike routing" in what for what in profile.excluded)


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_energy_is_constants_times_counts(data):
    program = data.draw(programs(recurrent=True))
    rng = np.random.default_rng(0)
    everyone = (*program.inputs, *program.populations)
    steps = program.timing.steps
    recording = Recording(
        target="t",
        kind="integer emulation",
        dt=0.001,
        steps=steps,
        counts={p.name: rng.integers(0, steps + 1, (2, p.size)) for p in everyone},
        spikes={},
        output=np.zeros((2, 1)),
        wall_time=0.0,
    )
    layers = layer_statistics(program, recording)
    proxy = energy_proxy(layers, load_profile(LOIHI))
    assert proxy.title == TITLE == "energy proxy, not a measurement"
    for layer, energy in zip(layers, proxy.layers, strict=True):
        picojoules = (
            23.6 * layer.synaptic_operations,
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
                35.5 * layer.synaptic_operations
                + 142.1 * layer.active_updates
                + 72.8 * layer.inactive_updates
            )
        )
    for bound in ("value", "low", "high"):
        expected = sum(getattr(energy.total, bound) for energy in proxy.layers)
        assert getattr(proxy.total.total, bound) == pytest.approx(expected)


def test_a_profile_can_be_a_file(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(TEXT.replace('unit = "pJ"', 'unit = "nJ"', 1))
    assert load_profile(own).synaptic_operation.unit == "nJ"
    assert load_profile(str(own)).active_update.unit == "pJ"


def test_an_unknown_profile_names_those_there_are():
    with pytest.raises(DataError, match=f"'loihi9'.*{LOIHI}"):
        load_profile("loihi9")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("value = 23.6", "value = ", "cannot be read as TOML"),
        ("value = 23.6\n", "", "synaptic_operation: it lacks value"),
        ("[inactive_update]", "[inactive]", "it lacks inactive_update"),
        ("low = 23.6", "low = -1", "synaptic_operation.low is -1"),
        ("low = 23.6", "low = 30", "low ≤ value ≤ high"),
        ("value = 23.6", "value = nan", "synaptic_operation.value is nan"),
        ("value = 23.6", f"value = {10**400}", "synaptic_operation.value is 1000"),
        ("value = 23.6", "value = 1e300", "a number from 0 to 1e+06"),
        ("value = 23.6", f"value = {'[' * 2000}", "cannot be read as TOML"),
        ("device =", f"{'a.' * 3000}b = 1\ndevice =", DEEP),
        ("value = 23.6", "value = true", "synaptic_operation.value is True"),
        ("value = 23.6", 'value = "much"', "synaptic_operation.value is 'much'"),
        ('unit = "pJ"', 'unit = "kWh"', "synaptic_operation.unit is 'kWh'"),
        ('tag = "SIM"', 'tag = "TRUE"', "synaptic_operation.tag is 'TRUE'"),
        ("excluded = [", "excluded = [ 1,", "excluded is"),
        ("device =", "hop = 3.0\ndevice =", "it has the unknown hop"),
    ],
)
def test_a_broken_profile_is_one_clear_error(tmp_path, old, new, says):
    assert old in TEXT
    file = tmp_path / "broken.toml"
    file.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(DataError) as error:
        load_profile(file)
    assert any(words in str(error.value) for words in says.split("|"))
    assert "broken.toml" in str(error.value)


def test_a_binary_file_is_no_profile(tmp_path):
    file = tmp_path / "binary.toml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read as TOML"):
        load_profile(file)
