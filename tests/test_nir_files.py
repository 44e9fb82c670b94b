"""NIR files that are damaged, hostile or beyond us: a sentence and exit code 2."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from test_onnx_damage import damaged

nir = pytest.importorskip("nir", reason="nir is not installed")

from snn_deploy.model_files import read_model  # noqa: E402
from snn_deploy.toolchain.errors import SnnDeployError  # noqa: E402
from snn_deploy.toolchain.frontends.contract import Timing  # noqa: E402

RNG = np.random.default_rng(0)
ONE = np.ones(3, np.float32)


def lif(**how) -> nir.LIF:
    usual = {"tau": ONE / 50, "r": ONE, "v_leak": 0 * ONE, "v_threshold": ONE}
    return nir.LIF(**{**usual, **how})


def pixels() -> nir.LIF:
    """Two pixels, a time constant each."""
    one = np.ones((1, 1, 2), np.float32)
    return nir.LIF(one * [0.01, 0.02], one, 0 * one, one)


def line(*nodes: nir.NIRNode, shape=(4,), out=(3,)) -> nir.NIRGraph:
    """Input, the nodes, Output, without what nir would check or add."""
    every = [nir.Input(np.array(shape)), *nodes, nir.Output(np.array(out))]
    names = ["input", *(f"n{i}" for i in range(len(nodes))), "output"]
    edges = list(zip(names, names[1:]))
    return nir.NIRGraph(dict(zip(names, every)), edges, type_check=False)


def affine(inputs: int = 4, outputs: int = 3) -> nir.Affine:
    weight = RNG.normal(size=(outputs, inputs)).astype(np.float32)
    return nir.Affine(weight, np.zeros(outputs, np.float32))


def edited(change) -> object:
    """A file of a good graph, changed by hand."""

    def write(path: Path) -> None:
        nir.write(path, line(affine(), lif()))
        with h5py.File(path, "r+") as file:
            change(file["node/nodes"], file)

    return write


def of(graph: nir.NIRGraph) -> object:
    return lambda path: nir.write(path, graph)


def outside(group, file):
    del group["n0/weight"]
    group["n0/weight"] = h5py.ExternalLink("other.h5", "/weight")


def soft(group, file):
    del group["n0/weight"]
    group["n0/weight"] = h5py.SoftLink("/node/nodes/n1/tau")


def stored_outside(group, file):
    del group["n0/weight"]
    where = [("/etc/passwd", 0, 48)]
    group.create_dataset("n0/weight", (3, 4), np.float32, external=where)


def virtual(group, file):
    del group["n0/weight"]
    layout = h5py.VirtualLayout((3, 4), np.float32)
    layout[:] = h5py.VirtualSource("other.h5", "weight", (3, 4))
    group.create_virtual_dataset("n0/weight", layout)


def giant(group, file):
    del group["n0/weight"]
    group.create_dataset("n0/weight", (1 << 20, 1 << 20), np.float32, chunks=(1, 64))


def cycle(group, file):
    file["node/nodes/n0/inside"] = file["node"]


def endless_heap(path):
    """An entry of no length, which libhdf5 would read for ever."""
    nir.write(path, line(affine(), lif()))
    content = bytearray(path.read_bytes())
    place = content.index(b"GCOL") + 16
    content[place : place + 2] = content[place + 8 : place + 16] = bytes(2)
    content[place + 2 : place + 16] = bytes(14)
    path.write_bytes(content)


def replaced(name, value):
    def change(group, file):
        del group[name]
        if value is not None:
            group[name] = value

    return change


def many_names(group, file):
    """A long text that each edge names again."""
    del file["node/edges"]
    text = "x" * (1 << 20)
    file["node/edges"] = np.array([[text, text]] * 20, dtype=object)


def many_types(group, file):
    del file["node/type"]
    file["node/type"] = np.zeros(3)


def other_names(*pairs):
    def change(group, file):
        del file["node/edges"]
        file["node/edges"] = np.array(pairs, dtype=object)

    return change


LOOP = [("input", "n0"), ("n0", "n1"), ("n1", "n0"), ("n1", "output")]
BAD = {  # what is wrong → what writes it, and what of it is said
    "nothing": (lambda path: path.write_bytes(b""), "it is damaged"),
    "zeros": (lambda path: path.write_bytes(bytes(2000)), "it is damaged"),
    "a type of many": (edited(many_types), "it holds no NIRGraph"),
    "no graph": (
        lambda path: h5py.File(path, "w").close(),
        r"it is damaged \(it has no 'node'\); write it again with nir.write",
    ),
    "a link out of the file": (edited(outside), "'node/nodes/n0/weight' only points"),
    "a soft link": (edited(soft), "'node/nodes/n0/weight' only points to where"),
    "stored elsewhere": (edited(stored_outside), "only points to where it is"),
    "virtual": (edited(virtual), "only points to where it is; numbers in the file"),
    "more than it stores": (edited(giant), "says 4398046511104 bytes and stores 0"),
    "a group inside itself": (edited(cycle), "more than 32 deep"),
    "a heap without end": (endless_heap, "its heaps of texts have no end"),
    "texts without end": (
        edited(many_names),
        "a text of it has 1048576 bytes, 777728 are allowed",
    ),
    "an edge to nowhere": (
        edited(other_names(("input", "n9"))),
        "its edge 'input' → 'n9' names 'n9', which is no node",
    ),
    "no way from the Input": (
        edited(other_names(("n1", "output"))),
        "'n1': no edge leads to it from the Input 'input'",
    ),
    "edges of three": (edited(other_names(("a", "b", "c"))), "holds texts of shape"),
    "an unknown node": (
        edited(replaced("n1/type", "Izhikevich")),
        "Izhikevich 'n1': it is no kind of node that is read; Affine, AvgPool2d",
    ),
    "no type": (edited(replaced("n1/type", None)), "its node 'n1' has no type"),
    "no weights": (edited(replaced("n0/weight", None)), "'n0': its weight is missing"),
    "weights that are words": (
        edited(replaced("n0/weight", "many")),
        "Affine 'n0': its weight is no array of numbers",
    ),
    "weights of other numbers": (
        edited(replaced("n0/weight", np.ones((3, 4), complex))),
        "holds complex128; numbers of 16, 32 or 64 bits",
    ),
    "not finite": (
        of(line(affine(), lif(tau=ONE * np.nan))),
        "LIF 'n1': its tau holds 3 NaN or infinite",
    ),
    "a NaN that is signalled": (
        edited(replaced("n0/bias", np.full(3, 0x7FA00000, np.uint32).view(np.float32))),
        "Affine 'n0': its bias holds 3 NaN or infinite",
    ),
    "a bias of another length": (
        edited(replaced("n0/bias", np.zeros(7))),
        r"its bias is \(7,\), its outputs \(3,\)",
    ),
    "shapes that do not meet": (of(line(affine(5), lif())), r"takes \(5,\), its input"),
    "constants of other neurons": (
        of(line(affine(4, 5), lif())),
        r"LIF 'n1': its tau is \(3,\), its input \(5,\)",
    ),
    "a batch of matrices": (
        of(line(nir.Linear(np.ones((2, 3, 4), np.float32)), lif())),
        r"its weight is \(2, 3, 4\); \(outputs, inputs\) is allowed",
    ),
    "four axes": (
        of(line(affine(), shape=(1, 2, 3, 4))),
        "without the axis of samples",
    ),
    "a picture beyond memory": (
        of(line(affine(), shape=(1, 1 << 20, 1 << 20))),
        "GiB are needed in memory",
    ),
    "a shape of less than nothing": (of(line(affine(), shape=(-4,))), "from 1 on"),
    "a time constant of 0": (of(line(affine(), lif(tau=0 * ONE))), "its tau is 0 s"),
    "a threshold below the reset": (
        of(line(affine(), lif(v_reset=2 * ONE))),
        "v_threshold of it is not above v_reset",
    ),
    "a delay of half a step": (
        of(line(affine(), lif(), nir.Delay(0.0015 * ONE))),
        "its delay is 0.0015 s, 1.5 steps; whole numbers of steps .*--dt",
    ),
    "a delay back in time": (
        of(line(affine(), lif(), nir.Delay(-0.002 * ONE))),
        "its delay is -0.002 s",
    ),
    "a window beyond its picture": (
        of(
            line(
                nir.SumPool2d(np.array([9, 9]), np.array([1, 1]), np.array([0, 0])),
                shape=(2, 4, 4),
            )
        ),
        "SumPool2d 'n0': its window is larger than its padded input",
    ),
    "a window of hundreds of megabytes": (
        of(
            line(
                nir.SumPool2d(np.full(2, 6000), np.array([1, 1]), np.array([0, 0])),
                shape=(1, 6000, 6000),
            )
        ),
        "its window has 288000000 bytes; 268435456 are allowed",
    ),
    "time constants one a pixel": (
        of(line(pixels(), shape=(1, 1, 2))),
        "LIF 'n0': its neurons have 2 different time constants, .*nearest is one",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_one_sentence_and_nothing_written(what, tmp_path, run_cli, capfd):
    write, message = BAD[what]
    path = tmp_path / "net.nir"
    write(path)
    with pytest.raises(SnnDeployError, match=message):
        read_model(path)
    before = set(tmp_path.iterdir())
    assert run_cli("import", path, "--out", tmp_path / "net.snn") == 2
    out, err = capfd.readouterr()
    assert not out and err.count("\n") == 1 and err.startswith("Error: ")
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "graph",
    [
        line(affine(), lif()),
        line(
            nir.Conv2d((4, 4), np.ones((2, 1, 3, 3)), 1, "same", 1, 1, np.zeros(2)),
            nir.Flatten(np.array([2, 4, 4]), 0, -1),
            affine(32),
            lif(),
            shape=(1, 4, 4),
        ),
    ],
    ids=["a row", "a picture"],
)
def test_damage_is_told_or_does_no_harm(graph, tmp_path, capfd):
    nir.write(tmp_path / "net.nir", graph)
    content = (tmp_path / "net.nir").read_bytes()
    rng, refused = np.random.default_rng(0), 0
    for number in range(150):
        path = tmp_path / f"{number}.nir"
        path.write_bytes(damaged(content, rng))
        try:
            read_model(path)
        except SnnDeployError as error:
            refused += 1
            assert str(error)
    assert refused > 50
    assert capfd.readouterr().err == ""


def told(words, run_cli, capfd) -> tuple[int, str]:
    return run_cli(*words), " ".join(capfd.readouterr().err.split())


def test_import_says_once_what_it_assumes(tmp_path, run_cli, capfd):
    path, out = tmp_path / "net.nir", tmp_path / "net.snn"
    nir.write(path, line(affine(), lif()))
    code, err = told(("import", path, "--out", out), run_cli, capfd)
    assert code == 0 and err.count("NIR leaves timing open") == 1
    assert "steps of 0.001 s, exact exponential decay" in err
    assert "resets to v_reset, no refractory period" in err
    kept = read_model(out)
    assert kept.graph.dt == 0.001 and kept.remarks == read_model(path).remarks


def test_import_takes_the_timing(tmp_path, run_cli, capfd):
    path, out = tmp_path / "net.nir", tmp_path / "net.snn"
    nir.write(path, line(affine(), lif()))
    words = ("import", path, "--out", out, "--dt", "1e-4", "--reset", "subtract")
    words += ("--refractory", "0.002", "--discretization", "euler")
    code, err = told(words, run_cli, capfd)
    assert code == 0 and "steps of 0.0001 s, Euler's 1 − dt / tau" in err
    neurons = read_model(out).graph["n1"]
    assert neurons.reset == "subtract" and neurons.tau_ref == 0.002
    assert neurons.tau_rc == pytest.approx(-1e-4 / np.log(1 - 1e-4 / 0.02))
    assert read_model(out).graph.dt == 1e-4


def test_a_timing_is_refused_where_none_is_open(tmp_path, run_cli, capfd):
    nir.write(tmp_path / "net.nir", line(affine(), lif()))
    run_cli("import", tmp_path / "net.nir", "--out", tmp_path / "net.snn")
    capfd.readouterr()
    keras = Path(__file__).parent / "keras3" / "signal.h5"
    for path in (tmp_path / "net.snn", keras):
        words = ("import", path, "--out", tmp_path / "two.snn", "--dt", "0.002")
        code, err = told(words, run_cli, capfd)
        assert code == 2 and "its format leaves no timing open; leave out --dt" in err
        assert not (tmp_path / "two.snn").exists()


WRONG = {"dt": 0.0, "reset": "none", "tau_ref": -1.0, "grid": "midpoint"}


@pytest.mark.parametrize("what", WRONG)
def test_a_timing_that_no_neuron_has_is_refused(what, tmp_path):
    nir.write(tmp_path / "net.nir", line(affine(), lif()))
    with pytest.raises(SnnDeployError, match="Timing: "):
        read_model(tmp_path / "net.nir", timing=Timing(**{what: WRONG[what]}))


def test_check_reads_it(tmp_path, run_cli, capfd):
    nir.write(tmp_path / "net.nir", line(affine(), lif(), affine(3, 3), lif()))
    assert run_cli("check", tmp_path / "net.nir", "--target", "reference") == 0
    assert "can be deployed" in capfd.readouterr().out


def test_export_warns_once_with_what_nir_cannot_hold(tmp_path, run_cli, capfd):
    path, out = tmp_path / "net.nir", tmp_path / "net.snn"
    nir.write(path, line(affine(), lif()))
    run_cli("import", path, "--out", out, "--refractory", "0.002")
    capfd.readouterr()
    words = ("export", out, "--format", "nir", "--out", tmp_path / "again.nir")
    code, err = told(words, run_cli, capfd)
    assert code == 0 and err.count("warning: ") == 1
    assert "cannot hold: steps of 0.001 s, a refractory period (n1)" in err
    again = nir.read(tmp_path / "again.nir")
    np.testing.assert_array_equal(
        again.nodes["n0"].weight, nir.read(path).nodes["n0"].weight
    )
