"""NetX files that are damaged or hostile: one sentence, exit code 2, no file."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from netx_cases import dense, neuron, write

from snn_deploy.toolchain.errors import SnnDeployError
from snn_deploy.toolchain.frontends.netx.netx import imported, recognises

FILES = Path(__file__).parent / "netx_files"
PICTURE = {"type": "input", "shape": np.array([2, 4, 4])}
CONV = {
    **{"type": "conv", "groups": 1, "weight": np.full((3, 2, 2, 2), 2.0)},
    **{name: np.array([1, 1]) for name in ("stride", "dilation")},
    **{"padding": np.array([0, 0]), "shape": np.array([3, 3, 3])},
    **neuron(),
}


def without(layer, name):
    return {key: value for key, value in layer.items() if key != name}


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "it is damaged ("),
        ([PICTURE], "none of its layers ['input'] has neurons"),
        ([dense([[2]], spiking=False)], "none of its layers ['dense'] has neurons"),
        ([without(dense([[2]]), "type")], "layer 0, it has no type"),
        ([without(dense([[2]]), "weight")], "layer 0, it has no weight"),
        ([without(dense([[2]]), "neuron/iDecay")], "it has no neuron/iDecay"),
        ([{**dense([[2]]), "neuron/iDecay": 1.5}], "its neuron/iDecay holds 1.5"),
        ([{**dense([[2]]), "neuron/vDecay": np.nan}], "its neuron/vDecay holds nan"),
        ([{**dense([[2]]), "neuron/vThMant": []}], "its vThMant holds no number"),
        (
            [{**dense([[2]]), "neuron/vThMant": "64"}],
            "dataset 'layer/0/neuron/vThMant' holds object",
        ),
        ([{**dense([[2]]), "weight": np.full((1, 1), np.inf)}], "its weight holds inf"),
        ([{**dense([[2]]), "weight": np.full((1, 1), 1e30)}], "its weight holds 1e+30"),
        (
            [{**dense([[2]]), "shape": np.array([3])}],
            "(1, 1); (outputs, inputs) with 3",
        ),
        ([{**dense([[2]]), "shape": np.array([-1])}], "its shape is (-1,)"),
        ([{**dense([[2]]), "shape": np.array([], int)}], "its shape is ()"),
        ([{**dense([[2]]), "bias": np.zeros(3)}], "its bias holds 3 numbers"),
        ([{**dense([[2]]), "delay": np.zeros(3)}], "its delay is (3,)"),
        (
            [dense([[2]]), dense([[2, 2]])],
            "its weight takes 2 inputs, the layer before",
        ),
        ([dense([[2]]), PICTURE], "it is 'input', and an input is the first layer"),
        ([{"type": "flatten", "shape": [2]}], "an input is the first layer"),
        ([CONV], "no layer before it says (channels, height, width)"),
        ([PICTURE, {**CONV, "groups": 2}], "in 2 groups, the layer before it has 2"),
        ([PICTURE, {**CONV, "groups": 0}], "in 0 groups"),
        ([PICTURE, {**CONV, "stride": [0, 1]}], "strides and dilations from 1 are"),
        ([PICTURE, {**CONV, "stride": [1, 1, 1]}], "its stride holds 3 numbers"),
        ([PICTURE, {**CONV, "padding": [-1, 0]}], "strides and dilations from 1 are"),
        (
            [PICTURE, {**CONV, "shape": [3, 4, 4]}],
            "its shape is (3, 4, 4), and of (2, 4",
        ),
        (
            [{**PICTURE, "shape": [2, 4]}, dense([[2]])],
            "its shape is (2, 4); (neurons,)",
        ),
        (
            [dense(np.full((3, 2), 2)), {"type": "average", "shape": [2]}],
            "it averages 3 neurons to (2,)",
        ),
        (
            [{"type": "input", "shape": [1 << 30, 1 << 20, 1]}, dense([[2]])],
            "its weight takes 1 inputs",
        ),
    ],
)
def test_a_damaged_layer_is_one_sentence(layers, message, tmp_path, run_cli, capsys):
    path, out = tmp_path / "net.net", tmp_path / "net.snn"
    write(path, layers)
    assert run_cli("import", path, "--out", out) == 2
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1 and "Traceback" not in told
    assert not out.exists()


def linked(file):
    file["layer/0/weight"] = h5py.ExternalLink("other.h5", "/weight")


def soft(file):
    file["layer/0/weight"] = h5py.SoftLink("/weight")
    file["weight"] = np.full((1, 1), 2.0)


def outside(file):
    file["layer/0"].create_dataset(
        "weight", (1, 1), "f4", external=[("/etc/hostname", 0, 4)]
    )


def virtual(file):
    layout = h5py.VirtualLayout((1, 1), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "weight", (1, 1))
    file["layer/0"].create_virtual_dataset("weight", layout)


def promised(file):
    file["layer/0"].create_dataset("weight", (1, 1 << 40), "f4", chunks=(1, 1024))


def many(file):
    file["layer/0"].create_dataset("weight", (1, 1 << 30), "f4", chunks=(1, 1 << 20))


def texts(file):
    file["layer/0/weight"] = np.array([[b"import os"]])


def pair(file):
    kind = np.dtype([("a", "f4"), ("b", "f4")])
    file["layer/0"].create_dataset("weight", (1, 1), kind)


def group(file):
    file.create_group("layer/0/weight")


@pytest.mark.parametrize(
    "make", [linked, soft, outside, virtual, promised, many, texts, pair, group]
)
def test_hostile_files_read_nothing_else_and_allocate_nothing(
    make, tmp_path, run_cli, capsys
):
    path, out = tmp_path / "net.net", tmp_path / "net.snn"
    write(path, [without(dense([[2]]), "weight")])
    write(tmp_path / "other.h5", [])
    with h5py.File(tmp_path / "other.h5", "a") as file:
        file["weight"] = np.full((1, 1), 2.0)
    with h5py.File(path, "a") as file:
        make(file)
    assert run_cli("import", path, "--out", out) == 2
    told = capsys.readouterr().err
    assert "weight" in told or "damaged" in told
    assert told.count("\n") == 1 and not out.exists()


def test_layers_that_are_a_promised_array_are_refused_at_once(tmp_path):
    with h5py.File(tmp_path / "net.net", "w") as file:
        file.create_dataset("layer", (1 << 40,), "f4", chunks=(1024,))
    with pytest.raises(SnnDeployError, match="it is damaged"):
        imported(tmp_path / "net.net")


def test_words_of_a_file_are_shown_as_they_are(tmp_path, run_cli, capsys):
    """No escape reaches the terminal, and a long one is cut."""
    hostile = "\x1b[2J" + "x" * 500
    for layer in (
        {**dense([[2]]), "type": hostile},
        {**dense([[2]]), "neuron/type": hostile},
    ):
        write(tmp_path / "net.net", [layer])
        assert run_cli("import", tmp_path / "net.net", "--out", tmp_path / "o.snn") == 2
        told = capsys.readouterr().err
        assert "\x1b" not in told and len(told) < 600


def test_other_files_are_told_apart(tmp_path):
    assert recognises(FILES / "loops.net")
    (tmp_path / "loops.h5").write_bytes((FILES / "loops.net").read_bytes())
    assert recognises(tmp_path / "loops.h5")  # whatever it is called
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"] = np.zeros(3)
    assert not recognises(tmp_path / "data.h5")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    (tmp_path / "big.net").write_text(pointer)
    with pytest.raises(SnnDeployError, match="it is damaged"):
        imported(tmp_path / "big.net")


def test_an_output_that_is_not_there_is_refused():
    assert imported(FILES / "loops.net", "y").graph.output.name == "y"
    with pytest.raises(
        SnnDeployError, match="it has no output 'z'; its only one is 'y'"
    ):
        imported(FILES / "loops.net", "z")


@pytest.mark.parametrize("name", ["delays", "pictures", "pools", "loops"])
def test_mutated_files_are_networks_or_one_sentence(name, tmp_path):
    """Bytes changed, cut out or doubled: never another error, and no hang."""
    whole = (FILES / f"{name}.net").read_bytes()
    rng, path, read = np.random.default_rng(7), tmp_path / "net.net", 0
    for _ in range(100):
        path.write_bytes(mutated(whole, rng))
        try:
            imported(path).graph.check()
            read += 1
        except SnnDeployError as error:
            assert str(error)
    assert 0 < read < 100


def mutated(whole, rng):
    """The file with a few bytes changed, or a piece cut out or doubled."""
    content = bytearray(whole)
    kind, at = rng.integers(3), int(rng.integers(len(whole)))
    if kind == 0:
        for place in rng.integers(0, len(whole), rng.integers(1, 30)):
            content[place] = rng.integers(256)
    elif kind == 1:
        del content[at : at + int(rng.integers(1, 2000))]
    else:
        content[at:at] = content[at : at + int(rng.integers(1, 2000))]
    return bytes(content)
