"""Keras' files, those of Keras 2.11 and 3.15 kept here: read alike, none trusted.

``tests/keras_models.py`` wrote them (of the SavedModel only what is read is kept).
"""

from __future__ import annotations

import json
import shutil
import struct
import sys
import tracemalloc
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from tiny_files import CONV, DENSE, FLATTEN, write_model

from snn_deploy.toolchain.errors import ModelError, UnsupportedLayer
from snn_deploy.toolchain.frontends.keras import hdf5
from snn_deploy.toolchain.frontends.keras.building import to_graph
from snn_deploy.toolchain.frontends.keras.files import KerasModel
from snn_deploy.toolchain.frontends.keras.keras import read_keras
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.interpret import interpret
from snn_deploy.toolchain.rehearsal import in_this_process

HERE = Path(__file__).parent
KEPT = [HERE / "keras2", HERE / "keras3"]
FILES = sorted(
    path
    for folder in KEPT
    for path in folder.iterdir()
    if path.suffix in (".h5", ".keras") or path.is_dir()
)


def assert_answers(path: Path) -> None:
    """A model reads to a Graph that gives the answers beside it."""
    with np.load(path.with_suffix(".npz")) as kept:
        x, y = kept["x"].astype(float), kept["y"]
    graph = read_keras(path)
    got = interpret(graph, x)[graph.output.name]
    assert got.shape == y.shape
    np.testing.assert_allclose(got, y, rtol=1e-5, atol=1e-5 * np.abs(y).max())


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_every_file_gives_keras_answers(path):
    if path.is_dir():
        pytest.importorskip("tensorflow", reason="tensorflow reads the variables")
    assert_answers(path)


@pytest.mark.slow
def test_every_file_that_the_keras_here_writes_gives_its_answers(tmp_path):
    pytest.importorskip("tensorflow", reason="tensorflow is not installed")
    import keras_models

    keras_models.write(tmp_path)
    for name in keras_models.MODELS:
        for suffix in keras_models.SUFFIXES:
            assert_answers(tmp_path / f"{name}{suffix}")


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in KEPT[1].iterdir() if path.suffix == ".keras")
)
def test_zip_and_h5_of_keras_3_give_one_graph(name):
    zipped, plain = (
        read_keras(HERE / "keras3" / f"{name}{suffix}") for suffix in (".keras", ".h5")
    )
    assert [(type(x), x.name, x.inputs) for x in zipped.nodes] == [
        (type(x), x.name, x.inputs) for x in plain.nodes
    ]
    for one, other in zip(zipped.nodes, plain.nodes):
        if isinstance(one, n.Linear):
            np.testing.assert_array_equal(one.weight, other.weight)


def test_files_need_no_tensorflow_and_a_saved_model_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    for path in FILES:
        if not path.is_dir():
            assert read_keras(path)
    with pytest.raises(ModelError, match=r"needs TensorFlow, which cannot .*'net.h5'"):
        read_keras(HERE / "keras2" / "sequence")


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match="'.*gone.h5': no such file; a Keras .keras"):
        read_keras(tmp_path / "gone.h5")
    (tmp_path / "empty.h5").touch()
    (tmp_path / "text.keras").write_text("model: none")
    for name in ("empty.h5", "text.keras"):
        with pytest.raises(ModelError, match=f"{name}': it is neither HDF5 nor a zip"):
            read_keras(tmp_path / name)
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"] = [1, 2]
    with pytest.raises(ModelError, match="it holds no Keras model"):
        read_keras(tmp_path / "data.h5")
    with zipfile.ZipFile(HERE / "keras3" / "pixels.keras") as archive:
        archive.extract("model.weights.h5", tmp_path)
    with pytest.raises(ModelError, match="weights only; .*not save_weights"):
        read_keras(tmp_path / "model.weights.h5")
    with pytest.raises(ModelError, match="the folder holds no model; a Keras .keras"):
        read_keras(tmp_path)
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(ModelError, match=r"no layers; .*model.save\('net.keras'\)"):
        read_keras(tmp_path)


def test_an_exported_folder_is_refused(tmp_path):
    keras_models = pytest.importorskip("keras_models", reason="no tensorflow here")
    model = keras_models.sequence()
    if not hasattr(model, "export"):
        pytest.skip("this Keras has no model.export")
    model.export(tmp_path / "exported")
    with pytest.raises(ModelError, match="as model.export writes it, and no layers"):
        read_keras(tmp_path / "exported")


# a .keras: a zip


def rezip(path: Path, source: Path, change, method=zipfile.ZIP_STORED) -> Path:
    """A copy of a .keras, its members (name → bytes) changed by ``change``."""
    with zipfile.ZipFile(source) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


ZIP = HERE / "keras3" / "sequence.keras"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_that_are_not_keras_are_ignored(tmp_path, method):
    def add(members):
        members["snn-deploy.json"] = b'{"split": {}}'
        members["../evil.h5"] = b"\x00" * 99
        members["/etc/model.weights.h5"] = b"no"

    path = rezip(tmp_path / "sequence.keras", ZIP, add, method)
    shutil.copy(ZIP.with_suffix(".npz"), tmp_path)
    assert_answers(path)
    assert {p.name for p in tmp_path.iterdir()} == {"sequence.keras", "sequence.npz"}


def drop(name):
    return lambda members: members.pop(name)


def replaced(name, content):
    return lambda members: members.update({name: content})


def moved_end(members):
    """The address of HDF5's driver lies beyond every file."""
    weights = members["model.weights.h5"]
    members["model.weights.h5"] = weights[:48] + b"\0" * 7 + b"\x90" + weights[56:]


ZIPS = {
    "no config": (drop("config.json"), "holds 0 members 'config.json'; one"),
    "no weights": (drop("model.weights.h5"), "0 members 'model.weights.h5'"),
    "no json": (replaced("config.json", b"{"), "it is damaged"),
    "a json list": (replaced("config.json", b"[]"), "it is damaged .*no JSON object"),
    "deep json": (replaced("config.json", b"[" * 10**5), "damaged .*nested too deep"),
    "no hdf5": (replaced("model.weights.h5", b"no"), "it is damaged"),
    "subclassed": (
        replaced("config.json", b'{"class_name": "Mine", "config": {}}'),
        "it lists no layers",
    ),
    "an address beyond 64 bits": (moved_end, "it is damaged .*int too large"),
    "large": (
        replaced("config.json", b" " * (hdf5.MAX_JSON + 1)),
        f"config.json has {hdf5.MAX_JSON + 1} bytes; {hdf5.MAX_JSON} are allowed",
    ),
}


@pytest.mark.parametrize("what", ZIPS)
def test_a_zip_that_is_no_keras_is_refused(tmp_path, what):
    change, message = ZIPS[what]
    path = rezip(tmp_path / "net.keras", ZIP, change, zipfile.ZIP_DEFLATED)
    with pytest.raises(ModelError, match=message):
        read_keras(path)


@pytest.mark.parametrize(
    ("stored", "size", "message"),
    [
        (0x7FFF0000, 1000, "it is damaged .*weights.h5 ends beyond the file"),
        (1000, 0x7FFF0000, f"has {0x7FFF0000} bytes; {hdf5.MAX_BYTES} are allowed"),
    ],
)
def test_what_a_zip_claims_takes_no_memory(tmp_path, stored, size, message):
    path = rezip(tmp_path / "net.keras", ZIP, lambda members: None)
    content = path.read_bytes()
    entry = content.rindex(b"PK\x01\x02")  # of the last member, the weights
    claim = struct.pack("<LL", stored, size)
    path.write_bytes(content[: entry + 20] + claim + content[entry + 28 :])
    with in_this_process(), pytest.raises(ModelError, match=message):
        tracemalloc.start()
        try:
            read_keras(path)
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    assert peak < 10 * len(content)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_compressions_are_refused_unopened(tmp_path, method):
    path = rezip(tmp_path / "net.keras", ZIP, lambda members: None, method)
    with pytest.raises(ModelError, match=f"method {method}; stored or deflated is"):
        read_keras(path)


def test_a_member_listed_twice_is_refused(tmp_path):
    path = shutil.copy(ZIP, tmp_path / "net.keras")
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning):
        archive.writestr("config.json", b"{}")
    with pytest.raises(ModelError, match="holds 2 members 'config.json'"):
        read_keras(path)


def test_a_class_of_ones_own_is_not_taken_for_keras(tmp_path):
    def change(members):
        config = json.loads(members["config.json"])
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "Dense":
                layer |= {"module": "mine.layers", "registered_name": "Dense"}
        members["config.json"] = json.dumps(config).encode()

    path = rezip(tmp_path / "net.keras", ZIP, change)
    with pytest.raises(
        UnsupportedLayer, match="mine>Dense 'dense': it is a class of your own"
    ):
        read_keras(path)


def test_the_first_form_of_the_zip_is_read(tmp_path):
    """Keras 2.13 calls ``layers`` by another name."""
    weights = tmp_path / "w.h5"

    def rename(members):
        weights.write_bytes(members["model.weights.h5"])
        with h5py.File(weights, "a") as file:
            file.move("layers", "_layer_checkpoint_dependencies")
        members["model.weights.h5"] = weights.read_bytes()

    shutil.copy(ZIP.with_suffix(".npz"), tmp_path)
    assert_answers(rezip(tmp_path / "sequence.keras", ZIP, rename))


# HDF5, of both forms


@pytest.fixture(params=["keras2/sequence.h5", "keras3/sequence.h5", ZIP.name])
def hostile(request, tmp_path):
    """Puts something in the place of a kernel and reads the model."""

    def read(put):
        if request.param != ZIP.name:
            path = shutil.copy(HERE / request.param, tmp_path / "net.h5")
            with h5py.File(path, "a") as file:
                groups = file["model_weights"]
                layer = next(g for g in groups if len(groups[g].attrs["weight_names"]))
                name = groups[layer].attrs["weight_names"][0]
                name = name.decode() if isinstance(name, bytes) else name
                parent, _, name = f"{layer}/{name}".rpartition("/")
                del groups[parent][name]
                put(groups[parent], name)
            return read_keras(path)

        def change(members):
            weights = tmp_path / "w.h5"
            weights.write_bytes(members["model.weights.h5"])
            with h5py.File(weights, "a") as file:
                del file["layers/dense/vars/0"]
                put(file["layers/dense/vars"], "0")
            members["model.weights.h5"] = weights.read_bytes()

        return read_keras(rezip(tmp_path / "net.keras", ZIP, change))

    return read


def test_numbers_outside_the_file_are_never_read(hostile, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(np.ones((3, 4), np.float32).tobytes())
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.ones((3, 4), np.float32)

    def external(group, name):
        group.create_dataset(name, (3, 4), "f4", external=[(str(secret), 0, 48)])

    def virtual(group, name):
        layout = h5py.VirtualLayout((3, 4), "f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (3, 4))
        group.create_virtual_dataset(name, layout)

    def link(group, name):
        group[name] = h5py.ExternalLink(str(tmp_path / "other.h5"), "x")

    def soft(group, name):
        group[name] = h5py.SoftLink("/elsewhere")

    for put in (external, virtual, link, soft):
        with pytest.raises(ModelError, match="only points to where its numbers are"):
            hostile(put)


def test_arrays_that_the_file_does_not_hold_are_refused_before_they_are_made(hostile):
    def unwritten(group, name):
        group.create_dataset(name, (10**5, 10**7), "f4", chunks=(1, 1000))

    def filled(group, name):
        fill = {"fillvalue": 1.0, "compression": "gzip", "chunks": (1000, 1000)}
        group.create_dataset(name, (5000, 5000), "f4", **fill)

    for put in (unwritten, filled):
        with pytest.raises(ModelError, match="says [0-9]+ bytes and stores 0; all tog"):
            hostile(put)


def test_what_is_no_number_is_refused(hostile):
    for kind in ("c8", "S4", h5py.string_dtype(), "V2"):

        def put(group, name, kind=kind):
            group.create_dataset(name, (3, 4), kind)

        with pytest.raises(
            ModelError, match="numbers of 16, 32 or 64 bits are allowed"
        ):
            hostile(put)


def test_all_arrays_together_have_a_limit(hostile, monkeypatch):
    monkeypatch.setattr(hdf5, "MAX_BYTES", 80)

    def put(group, name):
        group[name] = np.zeros((3, 4), np.float32)

    with pytest.raises(ModelError, match="all together may have 80"):
        hostile(put)


def test_a_missing_or_misplaced_dataset_is_refused(hostile):
    with pytest.raises(ModelError, match="no 'kernel' for it|it is damaged"):
        hostile(lambda group, name: None)
    with pytest.raises(ModelError, match="it is damaged"):
        hostile(lambda group, name: group.create_group(name))


def test_compressed_weights_are_read(hostile):
    """As h5repack leaves them."""

    def put(group, name):
        group.create_dataset(name, data=np.ones((3, 4), np.float32), compression="gzip")

    assert hostile(put)


# damage


@pytest.fixture(
    params=[
        *("keras2/pixels.h5", "keras3/pixels.h5", "keras3/pixels.keras"),
        *("keras2/nested.h5", "keras3/nested.h5", "keras2/shared.h5"),
    ]
)
def copy(request, tmp_path):
    """A copy of a file to damage."""
    return Path(shutil.copy(HERE / request.param, tmp_path))


@pytest.mark.parametrize("left", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(copy, left):
    data = copy.read_bytes()
    copy.write_bytes(data[: int(left * len(data))])
    with pytest.raises(ModelError, match="it is damaged"):
        read_keras(copy)


def test_a_flipped_bit_of_the_description_is_refused_or_harmless(copy):
    """Never another exception than ModelError, wherever it lies."""
    data, draw = copy.read_bytes(), np.random.default_rng(0)
    if copy.suffix == ".h5":
        with h5py.File(copy) as file:
            description = file.attrs["model_config"]
        description = (
            description if isinstance(description, bytes) else description.encode()
        )
    else:
        with zipfile.ZipFile(copy) as archive:
            description = archive.read("config.json")
    start = data.index(description)
    outcomes = set()
    for place in draw.integers(start, start + len(description), 150):
        damaged = bytearray(data)
        damaged[place] ^= 1 << draw.integers(8)
        copy.write_bytes(damaged)
        try:
            read_keras(copy)
            outcomes.add("harmless")
        except ModelError:
            outcomes.add("refused")
    seen = copy.suffix == ".keras"  # by the zip's checksum
    assert outcomes == ({"refused"} if seen else {"harmless", "refused"})


@pytest.fixture
def h5(tmp_path):
    return Path(shutil.copy(HERE / "keras2" / "sequence.h5", tmp_path))


def test_nan_weights_are_refused_by_layer(h5):
    with h5py.File(h5, "a") as file:
        file["model_weights/dense/dense/kernel:0"][0, 1] = np.nan
    with pytest.raises(ModelError, match="'dense': weight holds 1 NaN"):
        read_keras(h5)


def test_weights_that_do_not_fit_are_refused_by_layer(h5):
    with h5py.File(h5, "a") as file:
        group = file["model_weights/dense_1"]
        del group["dense_1/bias:0"]
        group["dense_1/bias:0"] = np.zeros(5)
    with pytest.raises(
        ModelError, match=r"'dense_1': weight is \(16, 2\) and bias \(5,\)"
    ):
        read_keras(h5)
    with h5py.File(h5, "a") as file:
        file["model_weights/dense_1"].attrs["weight_names"] = [b"dense_1/kernel:0"]
    with pytest.raises(ModelError, match="'dense_1' .*no 'bias' for it, only .*kernel"):
        read_keras(h5)


def test_integers_that_an_early_keras_3_scales_are_refused(tmp_path):
    """Keras 3.3 names such a layer by its dtype alone, and keeps the scale apart."""
    config = CONV["config"] | {"dtype": "int8_from_float32"}
    path = write_model(tmp_path / "a.h5", CONV | {"config": config}, FLATTEN, DENSE)
    with pytest.raises(UnsupportedLayer, match="as it was before model.quantize"):
        read_keras(path)


def test_names_in_parts_are_read(h5):
    """Keras cuts an attribute of more than 64 kB."""
    with h5py.File(h5, "a") as file:
        attributes = file["model_weights"].attrs
        names = list(attributes["layer_names"])
        del attributes["layer_names"]
        attributes["layer_names0"], attributes["layer_names1"] = names[:2], names[2:]
    assert read_keras(h5)


def test_a_damaged_description_is_refused(h5):
    with h5py.File(h5, "a") as file:
        config = json.loads(file.attrs["model_config"])
        del config["config"]["layers"][1]["config"]["use_bias"]
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(
        ModelError, match=r"'dense' \(Dense\): its description .*use_bias"
    ):
        read_keras(h5)
    with h5py.File(h5, "a") as file:
        file.attrs["model_config"] = '{"class_name": "Seq'
    with pytest.raises(ModelError, match="sequence.h5': it is damaged"):
        read_keras(h5)
    with pytest.raises(ModelError, match="description cannot be read"):
        to_graph(KerasModel({"layers": [{"class_name": 3}]}, {}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"output_layers": []}, "it has no output"),
        ({"output_layers": {}}, "it has no output"),
        ({"input_layers": [["y", 0, 0]]}, "its input 'y' does not exist"),
        ({"input_layers": []}, "its layer 'x' is an input, and none of the inputs"),
    ],
)
def test_inputs_and_outputs_that_it_does_not_name_are_refused(change, message):
    first = {"name": "x", "class_name": "InputLayer", "inbound_nodes": []}
    first["config"] = {"name": "x", "batch_input_shape": [None, 2]}
    relu = {"name": "r", "class_name": "ReLU", "config": {"name": "r"}}
    relu["inbound_nodes"] = [[["x", 0, 0, {}]]]
    ends = {"input_layers": [["x", 0, 0]], "output_layers": [["r", 0, 0]]}
    config = {"name": "m", "layers": [first, relu], **ends}
    with pytest.raises(ModelError, match=message):
        to_graph(KerasModel({**config, **change}, {}))


@pytest.mark.parametrize("computing", [True, False])
def test_models_that_call_each_other_twice_and_twice_again_are_refused(computing):
    """A few lines of a file could be 2^40 calls, of layers or of models alone."""

    def model(*layers, end):
        first = {"name": "x", "class_name": "InputLayer", "inbound_nodes": []}
        first["config"] = {"name": "x", "batch_input_shape": [None, 2]}
        ends = {"input_layers": [["x", 0, 0]], "output_layers": [[*end, 0]]}
        return {"name": "m", "layers": [first, *layers], **ends}

    relu = {"name": "r", "class_name": "ReLU", "config": {"name": "r"}}
    relu["inbound_nodes"] = [[["x", 0, 0, {}]]]
    config = model(relu, end=("r", 0)) if computing else model(end=("x", 0))
    for _ in range(40):
        twice = {"name": "m", "class_name": "Functional", "config": config}
        twice["inbound_nodes"] = [[["x", 0, 0, {}]], [["m", 1, 0, {}]]]
        config = model(twice, end=("m", 2))
    with pytest.raises(ModelError, match="its layers are called more than 4096 times"):
        to_graph(KerasModel(config, {}))


@pytest.mark.parametrize("part", ["keras_metadata.pb", "variables/variables.index"])
def test_a_damaged_saved_model_is_refused(part, tmp_path):
    pytest.importorskip("tensorflow", reason="tensorflow reads the variables")
    folder = shutil.copytree(HERE / "keras2" / "sequence", tmp_path / "net")
    whole = (folder / part).read_bytes()
    for left in (0, 1, 40, len(whole) - 1):
        (folder / part).write_bytes(whole[:left])
        with pytest.raises(ModelError, match="it is damaged"):
            read_keras(folder)
