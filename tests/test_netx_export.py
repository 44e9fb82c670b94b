"""Programs → NetX files: every integer comes back, and what does not fit is said."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from netx_cases import changed, datasets, dense, networks, neuron, program_of, write

from snn_deploy.commands.cli import cli
from snn_deploy.model_files import program_of as integers_of
from snn_deploy.model_files import read_model
from snn_deploy.toolchain.bundle.bundle import Bundle, save_bundle
from snn_deploy.toolchain.errors import DoesNotFit, ModelError
from snn_deploy.toolchain.frontends.netx.export import to_netx
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.quantize.quantize import quantize, scales_of
from snn_deploy.toolchain.program.host import SpikeEncoder

FILES = Path(__file__).parent / "netx_files"


def run(*words):
    return CliRunner().invoke(cli, [str(word) for word in words])


@pytest.mark.parametrize("name", ["delays", "pictures", "pools", "loops"])
@pytest.mark.parametrize("built", [False, True])
def test_lava_dls_files_come_back_number_for_number(tmp_path, name, built):
    """Through a Graph in a bundle, and through a Program in one."""
    source, out = FILES / f"{name}.net", tmp_path / "out.net"
    bundle = tmp_path / "net.snn"
    assert run("import", source, "--out", bundle).exit_code == 0
    if built:
        program = integers_of(read_model(bundle))
        save_bundle(bundle, Bundle(program=program, metadata={}))
    found = run("export", bundle, "--format", "netx", "--out", out)
    assert found.exit_code == 0 and "warning" not in found.output
    assert changed(datasets(source), datasets(out)) == []


@settings(max_examples=60, deadline=None)
@given(layers=networks())
def test_a_program_comes_back_as_the_same_program(tmp_path_factory, layers):
    folder = tmp_path_factory.mktemp("drawn")
    write(folder / "one.net", layers)
    first, _ = program_of(folder / "one.net", 3)
    (folder / "two.net").write_bytes(to_netx(first).content)
    second, _ = program_of(folder / "two.net", 3)
    again = to_netx(second)
    kept = changed(datasets(folder / "two.net"), datasets(io.BytesIO(again.content)))
    assert kept == [] and again.notes == ()
    if [p.name for p in first.populations] == [p.name for p in second.populations]:
        assert str(first) == str(second)
        for one, other in zip(first.connections, second.connections):
            assert (one.weight == other.weight).all()


def trained(low=-1e9, moving=True):
    """A Program as fine-tuning makes one: exponents of 0, a scale for all channels."""
    rng = np.random.default_rng(0)
    graph = Graph.chain(
        n.Input("x", shape=(6,)),
        n.Lowpass("in", tau_syn=0.005),
        n.Dense("a", weight=rng.normal(size=(6, 5)) * 3, bias=np.zeros(5)),
        n.LIF("cells", amplitude=0.001, tau_ref=0.0, min_voltage=low),
        n.Lowpass("back", tau_syn=0.005, delay=3),
        n.Dense("b", weight=rng.normal(size=(5, 4)) * 3, bias=np.zeros(4)),
        n.LIF("answers", amplitude=0.001, tau_ref=0.002, min_voltage=low),
        n.Output("y"),
    )
    encoder = SpikeEncoder(population="x", max_rate=1000.0)
    legal, x = legalize(graph, input_spikes=True), np.zeros((1, 6))
    scales = scales_of(legal, x, encoder=encoder, moving=moving)
    return quantize(legal, x, steps=4, encoder=encoder, scales=scales)


def test_what_it_cannot_hold_is_in_one_warning(tmp_path):
    program = trained(low=-1.0)
    save_bundle(tmp_path / "p.snn", Bundle(program=program, metadata={}))
    found = run(
        "export", tmp_path / "p.snn", "--format", "netx", "--out", tmp_path / "p.net"
    )
    assert found.exit_code == 0 and found.output.count("warning: NetX cannot hold") == 1
    told = " ".join(found.output.split())
    for what in ("the rate coding", "v_min", "'cells'", "come back as dense1, dense2"):
        assert what in told
    back, read = program_of(tmp_path / "p.net", 4)
    assert [c.delay for c in back.connections] == [1, 3]
    assert [p.refractory for p in back.populations] == [1, 3]
    assert "refDelay" in read.notes[0]
    for one, other in zip(program.connections, back.connections):
        assert (one.weight == other.weight).all()
    for one, other in zip(program.populations, back.populations):
        for name in ("decay_u", "decay_v", "threshold"):
            assert getattr(one, name) == getattr(other, name)


def test_numbers_beyond_its_own_are_refused():
    program = trained()
    first, second = program.populations
    several = replace(first, threshold=np.array([64, 128, 64, 64, 64], np.int32))
    with pytest.raises(DoesNotFit, match="it has 2 thresholds, 64 … 128; one is allow"):
        to_netx(replace(program, populations=(several, second)))
    odd = replace(first, bias=np.full(5, 65, np.int32))
    with pytest.raises(
        DoesNotFit, match="its biases are 65 and others; multiples of 64"
    ):
        to_netx(replace(program, populations=(odd, second)))
    strong = replace(program.connections[0], exponent=2)
    with pytest.raises(
        DoesNotFit, match=r"a mantissa times 2\^2; even ones up to ±254"
    ):
        to_netx(replace(program, connections=(strong, *program.connections[1:])))


def test_networks_that_are_no_chain_are_refused():
    program = trained()
    skip = replace(program.connections[1], source="answers", target="cells")
    skip = replace(skip, weight=np.full((4, 5), 2, np.int16))
    with pytest.raises(
        ModelError, match="'answers' → 'cells': a NetX layer takes the la"
    ):
        to_netx(replace(program, connections=(*program.connections, skip)))


def test_a_network_of_floats_is_told_to_be_built(tmp_path, run_cli, capsys):
    graph = Graph.chain(n.Input("x", shape=(2,)), n.LIF("a"), n.Output("y"))
    source, out = tmp_path / "g.snn", tmp_path / "g.net"
    save_bundle(source, Bundle(graph=graph, metadata={}))
    assert run_cli("export", source, "--format", "netx", "--out", out) == 2
    told = capsys.readouterr().err
    assert "holds floats, and the format integers; build it" in told
    assert told.count("\n") == 1 and not out.exists()


def test_layers_of_the_host_are_refused(tmp_path):
    rng = np.random.default_rng(0)
    graph = Graph.chain(
        n.Input("x", shape=(3,)),
        n.Dense("d", weight=rng.normal(size=(3, 2)), bias=np.zeros(2)),
        n.LIF("a", amplitude=0.001),
        n.Output("y"),
    )
    program = quantize(legalize(graph), rng.random((2, 3)), steps=4)
    with pytest.raises(ModelError, match="the host computes layers of the network"):
        to_netx(program)


def test_forgetting_neurons_and_silent_layers_come_back(tmp_path):
    """vDecay 4096 below a vThMant of 64, and a layer whose potentials are read."""
    layers = [
        dense([[40, 2], [6, -8]], **{"neuron/vDecay": 4096, "neuron/vThMant": 63}),
        dense([[2, 64]], spiking=False),
    ]
    write(tmp_path / "one.net", layers)
    program, _ = program_of(tmp_path / "one.net", 4)
    assert (program["dense0"].decay_v, program["dense0"].v_min) == (4095, 0)
    (tmp_path / "two.net").write_bytes(to_netx(program).content)
    gone = {"layer/0/inFeatures", "layer/0/outFeatures"}
    gone |= {name.replace("0", "1") for name in gone}
    kept = changed(datasets(tmp_path / "one.net"), datasets(tmp_path / "two.net"))
    assert set(kept) == gone


def test_potentials_that_are_read_may_have_neurons(tmp_path):
    """PilotNet's last layer: θ that nothing reaches, no decay; a mean is read of it."""
    reading = neuron("LOIHI", iDecay=4096, vDecay=0, vThMant=131071)
    layers = [dense([[40, 2]]), dense([[32]], **reading, bias=np.array([64.0]))]
    write(tmp_path / "one.net", layers)
    program, _ = program_of(tmp_path / "one.net", 4)
    assert [p.name for p in program.populations] == ["dense0"]
    end = program.decoder.graph["dense1"]
    assert end.weight.tolist() == [[0.5]] and end.bias.tolist() == [1.0]
