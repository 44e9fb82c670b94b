"""A Program goes out as NIR with its integers beside it, and comes back bit for bit."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_loops import DT, example, loops
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_graphs import samples_for
from random_programs import programs

from snn_deploy.exporting import SIDECAR, SPIKES, export, restore, sidecar_of
from snn_deploy.model_files import read_model
from snn_deploy.targets.contract import find_target
from snn_deploy.toolchain.bundle.bundle import Bundle, load_bundle, save_bundle
from snn_deploy.toolchain.errors import BundleError, DoesNotFit, ModelError
from snn_deploy.toolchain.files import sha256_of
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import interpret
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.quantize.quantize import quantize
from snn_deploy.toolchain.program.host import spike_encoder

STEPS = 30
LOOP = example(min_voltage=-1e9)  # NIR has no least potential
relaxed = settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def bundle_of(graph: Graph, seed: int = 0) -> Bundle:
    """What a build keeps: the Program, two samples, and where it comes from."""
    x = samples_for(graph, seed)[:2].astype(np.float32).astype(float)
    try:
        program = quantize(legalize(graph), x, steps=STEPS, dt=DT)
    except DoesNotFit:  # a drawn weight beyond a core's widths
        assume(False)
        raise
    return Bundle(program=program, samples=x, metadata={"data": "drawn"})


def picture() -> Graph:
    """A convolution, whose channels stand last here and first in NIR."""
    rng = np.random.default_rng(3)
    return Graph.chain(
        n.Input("x", shape=(4, 5, 2)),
        n.Conv2D("in", weight=rng.normal(scale=4, size=(3, 3, 2, 3)), bias=np.ones(3)),
        n.LIF("cells", amplitude=DT, tau_ref=0.0),
        n.Output("y"),
        dt=DT,
    )


def there_and_back(bundle: Bundle, folder: Path) -> tuple[Path, Path]:
    """The bundle's file, and the one that comes back of it."""
    program, out, back = (folder / name for name in ("a.snn", "x.nir", "b.snn"))
    save_bundle(program, bundle)
    export(program, "nir", out)
    sidecar = sidecar_of(out)
    assert sidecar == folder / f"x{SIDECAR}"
    restore(out, sidecar, back)
    return program, back


@relaxed
@given(programs(recurrent=True, delays=True))
def test_any_program_comes_back_bit_for_bit(program):
    with tempfile.TemporaryDirectory() as folder:
        before, after = there_and_back(Bundle(program=program), Path(folder))
        assert after.read_bytes() == before.read_bytes()


@relaxed
@given(loops(), st.integers(0, 2**32 - 1))
def test_a_built_one_comes_back_with_its_samples_and_metadata(graph, seed):
    with tempfile.TemporaryDirectory() as folder:
        before, after = there_and_back(bundle_of(graph, seed), Path(folder))
        assert after.read_bytes() == before.read_bytes()


@pytest.fixture
def exported(tmp_path):
    """A folder with x.nir, x.program.snn and x.spikes.nir of a Program with a loop."""
    save_bundle(tmp_path / "program.snn", bundle_of(LOOP))
    export(tmp_path / "program.snn", "nir", tmp_path / "x.nir")
    return tmp_path


def test_the_side_car_names_the_hashes_of_both_files(exported):
    kept = load_bundle(exported / f"x{SIDECAR}").metadata
    assert kept["exported"] == {
        "network": sha256_of(exported / "x.nir"),
        "spikes": sha256_of(exported / f"x{SPIKES}"),
    }
    assert kept["data"] == "drawn"


@pytest.mark.parametrize("graph", [LOOP, picture()], ids=["loop", "picture"])
def test_golden_spikes_are_those_of_the_core_in_nirs_own_form(graph, tmp_path):
    nir = pytest.importorskip("nir", reason="nir is not installed")
    bundle = bundle_of(graph)
    save_bundle(tmp_path / "program.snn", bundle)
    export(tmp_path / "program.snn", "nir", tmp_path / "x.nir")
    held = nir.read_data(tmp_path / f"x{SPIKES}")
    network = nir.read(tmp_path / "x.nir")
    if graph is LOOP:  # of pictures nir 1.0.8 cannot compare the shapes
        held.check_nodes(network)
    with find_target("reference").load(bundle.program) as session:
        wanted = session.run(bundle.samples).spikes
    for population in bundle.program.populations:
        found = held.nodes[population.name].observables["spikes"]
        assert found.dt == DT and found.data.dtype == bool
        whole = wanted[population.name].reshape(2, STEPS, *population.shape)
        np.testing.assert_array_equal(
            found.data, np.moveaxis(whole, -1, 2).reshape(2, STEPS, -1)
        )
    given = held.nodes["x"].observables["input"]
    assert given.t_max == pytest.approx(STEPS * DT)
    np.testing.assert_array_equal(
        given.data.ravel(), np.moveaxis(bundle.samples, -1, 1).ravel()
    )


def test_spikes_that_enter_are_golden_too(tmp_path):
    nir = pytest.importorskip("nir", reason="nir is not installed")
    rng = np.random.default_rng(5)
    x = (rng.random((2, STEPS, 4)) < 0.4).astype(float)
    graph = Graph.chain(
        n.Input("x", shape=(4,)),
        n.Delay("on"),
        n.Dense("in", weight=rng.normal(scale=9, size=(4, 3)), bias=np.zeros(3)),
        n.LIF("cells", amplitude=DT, tau_ref=0.0),
        n.Output("y"),
        dt=DT,
    )
    legal, encoder = (
        legalize(graph, input_spikes=True),
        spike_encoder("events", "x", DT),
    )
    program = quantize(legal, x, steps=STEPS, dt=DT, encoder=encoder)
    save_bundle(tmp_path / "program.snn", Bundle(program=program, samples=x))
    export(tmp_path / "program.snn", "nir", tmp_path / "x.nir")
    held = nir.read_data(tmp_path / f"x{SPIKES}")
    held.check_nodes(nir.read(tmp_path / "x.nir"))
    np.testing.assert_array_equal(held.nodes["x"].observables["spikes"].data, x != 0)
    assert held.nodes["cells"].observables["spikes"].data.any()


def test_the_network_alone_spikes_as_the_program(exported):
    bundle = load_bundle(exported / "program.snn")
    graph = read_model(exported / "x.nir").graph
    names = [p.name for p in bundle.program.populations]
    found = interpret(graph, bundle.samples, "spiking", steps=STEPS, record=names)
    with find_target("reference").load(bundle.program) as session:
        wanted = session.run(bundle.samples).spikes
    differ = sum(((found[name] > 0) != wanted[name]).sum() for name in names)
    assert differ <= 2
    assert sum(wanted[name].sum() for name in names) > 20


def test_without_its_side_car_a_network_is_a_network(exported, run_cli):
    (exported / f"x{SIDECAR}").unlink()
    assert run_cli("import", exported / "x.nir", "--out", exported / "y.snn") == 0
    assert load_bundle(exported / "y.snn").graph is not None


def test_the_command_line_says_what_it_wrote_and_brings_it_back(
    exported, run_cli, capsys
):
    program, back = exported / "program.snn", exported / "back.snn"
    words = ("export", program, "--format", "nir", "--out", exported / "z.nir")
    assert run_cli(*words) == 0
    told = capsys.readouterr().err
    for ending in (".nir", SIDECAR, SPIKES):
        assert f"wrote {exported / f'z{ending}'}" in told
    assert run_cli("import", exported / "z.nir", "--out", back) == 0
    assert "a Program of 2 populations" in capsys.readouterr().err
    assert back.read_bytes() == program.read_bytes()
    assert run_cli("run", back, "--target", "reference") == 0


def changed(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def another(file: Path) -> None:
    """The side-car of another network, in order as it is."""
    folder = file.parent / "other"
    folder.mkdir()
    save_bundle(folder / "program.snn", bundle_of(example(tau_rc=0.004)))
    export(folder / "program.snn", "nir", folder / "x.nir")
    shutil.copy(folder / f"x{SIDECAR}", file)


def program_alone(file: Path) -> None:
    shutil.copy(file.parent / "program.snn", file)


def a_graph(file: Path) -> None:
    save_bundle(file, Bundle(graph=example()))


def strange(file: Path) -> None:
    bundle = load_bundle(file)
    save_bundle(file, replace(bundle, metadata={"exported": [1]}))


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        (SIDECAR, changed, "truncated or changed"),
        (SIDECAR, lambda file: file.write_bytes(b""), "truncated or changed"),
        (SIDECAR, another, "it belongs to another network than"),
        (SIDECAR, program_alone, "no Program that was exported"),
        (SIDECAR, a_graph, "no Program that was exported"),
        (SIDECAR, strange, "no Program that was exported"),
        (".nir", changed, "it belongs to another network than"),
        (SPIKES, changed, "it belongs to another spikes than"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_does_not_go_together_is_refused_by_name(
    exported, name, damage, message, run_cli, capsys
):
    damage(exported / f"x{name}")
    assert run_cli("import", exported / "x.nir", "--out", exported / "y.snn") == 2
    told = capsys.readouterr().err
    assert message in told and f"x{SIDECAR}" in told
    assert told.count("\n") == 1 and "Traceback" not in told
    assert not (exported / "y.snn").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("import", "x.nir", "--out", "y.onnx"), "has to end in .snn"),
        (("import", "x.nir", "--dt", "0.001", "--out", "y.snn"), "built already"),
        (("import", "x.nir", "--output", "y", "--out", "y.snn"), "built already"),
        (("export", "program.snn", "--format", "onnx", "--out", "y"), "built already"),
        (("export", "program.snn", "--format", "nir", "--out", "y"), "end in .nir"),
        (
            *(("export", "program.snn", "--format", "nir", "--out", "no/y.nir"),),
            "choose a folder that exists",
        ),
        (
            *(("export", "program.snn", "--format", "nir", "--output", "a"),),
            "leave out --output",
        ),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(
    exported, words, message, run_cli, capsys, monkeypatch
):
    monkeypatch.chdir(exported)
    if "--out" not in words:
        words = (*words, "--out", "y.nir")
    before = {path.name for path in exported.iterdir()}
    assert run_cli(*words) == 2
    assert message in capsys.readouterr().err
    assert {path.name for path in exported.iterdir()} == before


def test_no_half_of_it_is_written(tmp_path):
    """A name that is taken by a folder: none of the three files is there."""
    save_bundle(tmp_path / "program.snn", bundle_of(LOOP))
    (tmp_path / f"x{SPIKES}").mkdir()
    with pytest.raises(ModelError, match="cannot be written"):
        export(tmp_path / "program.snn", "nir", tmp_path / "x.nir")
    assert not (tmp_path / f"x{SIDECAR}").exists()


def test_a_missing_side_car_is_said(exported):
    with pytest.raises(BundleError, match="cannot be read"):
        restore(exported / "x.nir", exported / "gone.snn", exported / "y.snn")
    assert sidecar_of(exported / "program.snn") is None
