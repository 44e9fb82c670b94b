"""NetX files of lava-dl: its blocks' files and spikes, and its arithmetic, drawn."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from netx_cases import (
    dense,
    in_order,
    lava_spikes,
    names,
    networks,
    neuron,
    program_of,
    sample_for,
    write,
)

from snn_deploy.targets.contract import find_target
from snn_deploy.toolchain.errors import UnsupportedLayer
from snn_deploy.toolchain.frontends.netx.netx import imported
from snn_deploy.toolchain.graph.interpret import interpret
from snn_deploy.toolchain.passes.unroll import unrolled
from snn_deploy.toolchain.program.connections import SparseConnection

FILES = Path(__file__).parent / "netx_files"
STEPS = 40


def ran(program, x, target="reference"):
    with find_target(target).load(program) as session:
        return session.run(x[None])


def recorded(name):
    """A file of lava-dl, its sample as we take it, and what lava-dl computed."""
    with np.load(FILES / f"{name}.npz") as archive:
        found = {key: archive[key] for key in archive}
    x = found.pop("x").astype(float)
    program, _ = program_of(FILES / f"{name}.net", STEPS)
    return program, np.moveaxis(x, -1, 0) if program.inputs else x, found


@pytest.mark.parametrize("name", ["delays", "pictures", "pools", "loops"])
def test_lava_dls_own_networks_spike_as_lava_dl_says(name):
    """Its Network on Lava's fixed-point models, and slayer's forward pass: no spike
    differs in any layer."""
    program, x, expected = recorded(name)
    spikes = ran(program, x).spikes
    for key, sent in expected.items():
        (population,) = (p.name for p in program.populations if p.name[-1] == key[-1])
        assert 0.02 < sent.mean() < 0.98
        assert (in_order(program, population, spikes[population][0]) == sent).all(), key


@pytest.mark.parametrize("name", ["delays", "loops"])
def test_they_run_on_lava_too(name):
    pytest.importorskip("lava", reason="lava-nc is not installed")
    program, x, _ = recorded(name)
    here, there = ran(program, x), ran(program, x, "lava")
    for population in program.populations:
        both = here.spikes[population.name], there.spikes[population.name]
        assert (both[0] == both[1]).all()


@pytest.mark.parametrize("name", ["delays", "loops", "pictures"])
def test_they_run_on_the_emulator_of_loihi_with_delays_unrolled(name):
    pytest.importorskip("nengo_loihi", reason="nengo-loihi is not installed")
    program, x, _ = recorded(name)
    here, there = ran(program, x), ran(unrolled(program), x, "loihi-emulator")
    for population in program.populations:
        both = here.spikes[population.name], there.spikes[population.name]
        assert (both[0] == both[1]).all()


@settings(max_examples=60, deadline=None)
@given(layers=networks(), seed=st.integers(0, 99))
def test_layers_equal_lava_dls_arithmetic(tmp_path_factory, layers, seed):
    path = tmp_path_factory.mktemp("drawn") / "net.net"
    write(path, layers)
    program, _ = program_of(path, 24)
    x, given_ = sample_for(layers, 24, seed)
    expected = lava_spikes(layers, given_, 24)
    spikes = ran(program, x).spikes
    for number, name in names(layers).items():
        mine = in_order(program, name, spikes[name][0])
        assert (mine == expected[number]).all(), name


@settings(max_examples=60, deadline=None)
@given(layers=networks())
def test_a_program_has_the_very_integers_of_its_file(tmp_path_factory, layers):
    path = tmp_path_factory.mktemp("drawn") / "net.net"
    write(path, layers)
    program, found = program_of(path, 2)
    for number, name in names(layers).items():
        layer, population = layers[number], program[name]
        held = {key: int(layer[f"neuron/{key}"]) for key in ("iDecay", "vDecay")}
        assert population.decay_u == held["iDecay"] - 1
        assert population.decay_v == min(held["vDecay"], 4095)
        assert population.threshold == 64 * layer["neuron/vThMant"]
        assert population.v_min == (0 if held["vDecay"] == 4096 else 1 - 2**23)
        assert population.refractory == 1
        if layer["type"] != "input":
            bias = np.resize(layer.get("bias", [0]), population.shape[-1])
            rows = population.bias.reshape(-1, population.shape[-1])
            assert (rows == 64 * bias).all()
        for c in program.incoming(name):
            assert c.exponent == 0
            mantissas = {
                *np.unique(layer["weight"]),
                *np.unique(layer.get("weight_rec", 0)),
            }
            assert {*np.unique(c.weight).tolist()} <= mantissas | {0}
            late = {*np.unique(layer.get("delay", 0)).tolist(), 0}
            assert c.delay - 1 in late
    assert set(found.scales) == set(names(layers).values())


def test_delays_of_synapses_are_connections_of_their_own(tmp_path):
    weight = [[10, 20, 0], [30, 40, 50]]
    delay = [[0, 3, 9], [3, 62, 0]]
    write(tmp_path / "net.net", [dense(weight, delay=delay)])
    program, _ = program_of(tmp_path / "net.net", 4)
    found = {c.delay: c for c in program.connections}
    assert set(found) == {1, 4, 63}  # that of a weight of 0 is any
    held = np.zeros((3, 2))
    for c in found.values():
        assert isinstance(c, SparseConnection) or c.weight.shape == (3, 2)
        source, target, mantissa = c.synapses()
        np.add.at(held, (source, target), mantissa)
    assert (held == np.transpose(weight)).all()


def test_the_float_graph_means_what_the_integers_do():
    """In units of a threshold of 1, up to what decays and integers are rounded by,
    after which a loop goes its own way."""
    for name, alike in (("delays", 0.99), ("loops", 0.85)):
        found = imported(FILES / f"{name}.net")
        program, x, _ = recorded(name)
        wanted = [p.name for p in program.populations]
        spikes = ran(program, x).spikes
        still = np.zeros((1, *found.graph.input.shape))
        meant = interpret(
            found.graph,
            still,
            "spiking",
            steps=STEPS,
            record=wanted,
            sent={found.graph.input.name: x[None]},
        )
        for each in wanted:
            assert ((meant[each] > 0) == spikes[each]).mean() > alike


def test_an_average_and_potentials_are_computed_on_the_host():
    program, x, expected = recorded("pools")
    groups = expected["slayer4"].reshape(STEPS, 4, 3).mean(axis=(0, 2))
    assert np.allclose(ran(program, x).output, groups)
    program, x, expected = recorded("loops")
    found = imported(FILES / "loops.net").graph["dense3"]
    rates = expected["lava2"].mean(axis=0)
    assert np.allclose(ran(program, x).output, rates @ found.weight)


def test_an_average_of_a_picture_goes_by_its_channels(tmp_path):
    """As slayer's, which flattens (channels, height, width)."""
    conv = {
        **{"type": "conv", "groups": 1, "weight": np.full((4, 1, 1, 1), 2.0)},
        **{name: np.array([1, 1]) for name in ("stride", "dilation")},
        **{"padding": np.array([0, 0]), "shape": np.array([4, 2, 3])},
        **neuron(iDecay=4096, vThMant=1),
        "bias": np.array([0, 2, 0, 2]),
    }
    layers = [
        {"type": "input", "shape": np.array([1, 2, 3])},
        conv,
        {"type": "average", "shape": np.array([2, 1, 1])},
    ]
    write(tmp_path / "net.net", layers)
    program, _ = program_of(tmp_path / "net.net", 10)
    x = np.zeros((10, 1, 2, 3))
    assert np.allclose(ran(program, x).output, 0.5)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"neuron/iDecay": 0}, "its iDecay is 0, and here that is δ_u + 1"),
        ({"neuron/iDecay": [1, 2]}, "its iDecay differs from neuron to neuron"),
        ({"neuron/vDecay": 4096}, "its vDecay is 4096, of which δ_v = 4095 keeps"),
        ({"neuron/vDecay": 5000}, "its vDecay is 5000, and here that is δ_v"),
        ({"neuron/vThMant": 0}, "its vThMant is 0, and here that is θ / 64"),
        ({"neuron/refDelay": 64}, "its refDelay is 64, and here that is r"),
        ({"neuron/vDecay": 0, "neuron/refDelay": 2}, "an IF neuron here has no refr"),
        ({"neuron/gradedSpike": True}, "its neuron's gradedSpike is 1: graded spikes"),
        ({"neuron/messageBits": 16}, "messageBits is 16: spikes of more than a bit"),
        ({"neuron/weight_exp": 1.0}, "weight_exp is 1: weights that a batch"),
        ({"neuron/wgtExp": 2}, "wgtExp is 2: weights with an exponent"),
        ({"neuron/type": "SDNN"}, "its neuron is 'SDNN'; CUBA and LOIHI are read"),
        ({"neuron/type": "RF_PHASE"}, "its neuron is 'RF_PHASE'"),
        ({"weight": [[3, 2]]}, "its weight 3 is no mantissa of 8 bits"),
        ({"weight": [[-256, 2]]}, "its weight -256 is no mantissa"),
        ({"bias": [4096]}, "its bias is up to 4096"),
        ({"delay": [63]}, r"its delays are 63 … 63 steps"),
        ({"type": "concat"}, "its type is 'concat', a layer that takes several"),
        ({"type": "convT"}, "its type is 'convT', a transposed convolution"),
        ({"type": "dense_comp"}, "complex weights"),
        ({"type": "kwta"}, "no layer that is known"),
    ],
)
def test_what_no_register_holds_is_refused_by_name(tmp_path, more, named):
    write(tmp_path / "net.net", [{**dense([[2, 4]]), **more}])
    with pytest.raises(UnsupportedLayer) as told:
        imported(tmp_path / "net.net")
    assert named in str(told.value) and "'0'" in str(told.value)
    assert "\n" not in str(told.value)


def test_recurrence_with_delays_and_filtered_inputs_are_refused(tmp_path):
    layer = {
        **dense([[2, 4], [6, 8]]),
        "type": "dense_rec",
        "weight_rec": np.eye(2) * 2,
    }
    write(tmp_path / "net.net", [{**layer, "delay": np.array([1, 2])}])
    with pytest.raises(UnsupportedLayer, match="it is recurrent and has delays"):
        imported(tmp_path / "net.net")
    first = {"type": "input", "shape": np.array([2]), **neuron()}
    write(tmp_path / "net.net", [first, dense([[2, 4]])])
    with pytest.raises(UnsupportedLayer, match="its iDecay is 1024, which filters the"):
        imported(tmp_path / "net.net")


def test_all_obstacles_are_told_at_once(tmp_path):
    layers = [dense([[3, 4]]), dense([[2]], **{"neuron/iDecay": 0})]
    write(tmp_path / "net.net", layers)
    with pytest.raises(UnsupportedLayer) as told:
        imported(tmp_path / "net.net")
    assert [(x.layer, x.id) for x in told.value.obstacles] == [
        ("0", "netx-weight"),
        ("1", "netx-idecay"),
    ]


def test_what_lava_dls_network_leaves_out_is_noted(tmp_path):
    layer = dense([[40, 4]], **{"neuron/refDelay": 5})
    write(tmp_path / "net.net", [layer])
    program, found = program_of(tmp_path / "net.net", 2)
    assert program["dense0"].refractory == 5
    assert found.notes == (found.notes[0],) and "refDelay" in found.notes[0]


def test_scales_are_not_needed_to_read_and_are_data(tmp_path):
    """They are plain numbers of each population, which a bundle keeps as JSON."""
    found = imported(FILES / "loops.net")
    scales = dataclasses.asdict(found.scales["dense1"])
    assert scales["membrane"] == 64 * 80 and scales["channels"] == ()
    assert set(scales["weights"]) == {"dense0", "dense1"}
