"""A damaged or hostile bundle is refused in one sentence, and nothing in it runs."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import stat
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_bundle import every_node, small_bundle, small_program

from snn_deploy.toolchain.bundle import archive, manifest
from snn_deploy.toolchain.bundle.bundle import Bundle, load_bundle, save_bundle
from snn_deploy.toolchain.errors import BundleError, ModelError
from snn_deploy.toolchain.program.connections import ConvConnection


@pytest.fixture(params=["b.snn", "b"], ids=["zip", "directory"])
def path(request, tmp_path) -> Path:
    return tmp_path / request.param


def test_no_byte_can_change_unseen(path):
    save_bundle(path, small_bundle())
    files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]
    for file in files:
        content = file.read_bytes()
        for position in range(0, len(content), 1 if file == path else 5):
            damaged = bytearray(content)
            damaged[position] ^= 1 << position % 8
            file.write_bytes(damaged)
            with pytest.raises(BundleError, match="cannot be used"):
                load_bundle(path)
        file.write_bytes(content)
    load_bundle(path)


def test_a_truncated_file_is_refused(path):
    save_bundle(path, small_bundle())
    file = path if path.is_file() else path / "arrays" / "0.npy"
    content = file.read_bytes()
    for length in range(0, len(content), 7):
        file.write_bytes(content[:length])
        with pytest.raises(BundleError, match="cannot be used"):
            load_bundle(path)


def test_a_missing_bundle_is_refused(tmp_path):
    with pytest.raises(BundleError, match="cannot be read: No such file"):
        load_bundle(tmp_path / "nothing.snn")


def test_an_empty_directory_is_refused(tmp_path):
    with pytest.raises(BundleError, match="manifest is missing"):
        load_bundle(tmp_path)


# Hostility: everything below carries right hashes and a right seal.

Members = dict[str, bytes]
Manifest = dict[str, Any]


def forge(path: Path, change: Callable[[Manifest, Members], None]) -> None:
    """A bundle whose manifest and arrays are changed and then signed again."""
    save_bundle(path, small_bundle())
    read = archive.read_zip if path.is_file() else archive.read_directory
    members = read(path)
    manifest = json.loads(members["manifest.json"])
    change(manifest, members)
    for name, entry in manifest["arrays"].items():
        if isinstance(entry, dict):
            entry["sha256"] = hashlib.sha256(members.get(name, b"")).hexdigest()
    text = json.dumps(manifest).encode()
    members["manifest.json"] = text
    digest = hashlib.sha256(text).hexdigest()
    members["manifest.sha256"] = f"{digest}  manifest.json\n".encode()
    write = archive.write_zip if path.is_file() else archive.write_directory
    write(path, members)


def put(*keys: str | int, value: Any) -> Callable[[Manifest, Members], None]:
    """A change of one place in the manifest."""

    def change(manifest: Manifest, members: Members) -> None:
        place: Any = manifest
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return change


def array(content: bytes) -> Callable[[Manifest, Members], None]:
    """A change of the first array's file."""
    return lambda manifest, members: members.update({"arrays/0.npy": content})


def npy(values: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, values, **options)
    return file.getvalue()


class Bomb:
    """What a pickle would run."""

    def __reduce__(self):
        return os._exit, (13,)


SPIKES = {
    "class": "SpikeEncoder",
    "population": "a",
    "coding": "rate",
    "max_rate": 1000.0,
    "seed": -1,
    "graph": None,
}
FAR = b"(0, 9223372036854775807), }"  # as many bytes as it takes the place of
POPULATION = ("tree", "populations", 0)
HOSTILE = {
    "newer schema": (put("schema", value=3), "schema is 3.*upgrade snn-deploy"),
    "schema of no number": (put("schema", value="1"), "'schema' is '1'"),
    "unknown part": (put("code", value="import os"), "must have the fields"),
    "unknown class": (put(*POPULATION, "class", value="Popen"), "class 'Popen'"),
    "class of another kind": (put("tree", "class", value="LIF"), "its tree another"),
    "class in a wrong place": (
        put(*POPULATION, value={"class": "Timing", "dt": 0.001, "steps": 1}),
        "tree|populations is",
    ),
    "class that is no name": (put(*POPULATION, "class", value=["Dense"]), "class"),
    "unknown field": (put(*POPULATION, "evil", value=1), r"unknown fields \['evil'\]"),
    "text for a number": (put(*POPULATION, "decay_u", value="1"), "decay_u is '1'"),
    "truth for a number": (put(*POPULATION, "decay_u", value=True), "decay_u is True"),
    "infinite number": (put(*POPULATION, "scale", value=float("inf")), "scale is inf"),
    "number beyond the core": (put(*POPULATION, "decay_u", value=4096), "δ_u is 4096"),
    "unknown array": (put(*POPULATION, "bias", value={"array": "x"}), "'x' is not"),
    "huge shape": (put("arrays", "arrays/0.npy", "shape", value=[1 << 40]), "allowed"),
    "negative shape": (put("arrays", "arrays/0.npy", "shape", value=[-1]), "entry of"),
    "object dtype": (put("arrays", "arrays/0.npy", "dtype", value="O"), "entry of"),
    "dtype of no name": (put("arrays", "arrays/0.npy", "dtype", value=[]), "entry of"),
    "entry that is none": (put("arrays", "arrays/0.npy", value=7), "entry of"),
    "array not there": (put("arrays", "arrays/99.npy", value={}), "not those"),
    "pickle": (array(pickle.dumps(Bomb())), "no .npy file"),
    "pickled objects": (array(npy(np.array([Bomb()]))), "it holds object;"),
    "structured array": (array(npy(np.zeros(2, "i4,i4"))), "it holds"),
    "other shape": (array(npy(np.zeros(9, np.int32))), "the manifest says"),
    "archive in an archive": (array(b"PK\x03\x04" + b"\0" * 40), "no .npy file"),
    "header that lies": (
        array(npy(np.zeros(2, np.int32)).replace(b"(2,)", b"(9**9,)")),
        "no .npy file",
    ),
    "header of terabytes": (
        array(npy(np.zeros(2)).replace(b"(2,), }" + b" " * 12, b"(1099511627776,), }")),
        "its header says 8796093022208 bytes",
    ),
    "header of truth": (
        array(npy(np.zeros(1)).replace(b"(1,), }   ", b"(True,), }")),
        r"its header says shape \(True,\)",
    ),
    "header of nothing, far": (
        array(npy(np.zeros(0)).replace(b"(0,), }" + b" " * 20, FAR)),
        "its header says shape|the manifest says",
    ),
    "header of no type": (
        array(npy(np.zeros(2)).replace(b"'<f8'", b"()   ")),
        "no .npy file",
    ),
    "entry of another field": (
        put("arrays", "arrays/0.npy", "code", value="x"),
        "entry of",
    ),
    "deep tree": (put("tree", "inputs", value=None), "inputs is None"),
    "samples unlisted": (put("samples", value="/etc/passwd"), "is not listed"),
    "golden of no population": (put("golden", value={"q": "arrays/0.npy"}), "golden"),
    "number beyond floats": (put(*POPULATION, "scale", value=10**400), "401 digits"),
    "seed below 0": (put("tree", "encoder", value=SPIKES), "seed -1; allowed is"),
    "half a character": (put(*POPULATION, "name", value="\ud800"), "no JSON"),
    "a step of no time": (put("tree", "timing", "dt", value=5e-324), "5e-324 s; at le"),
    "header cut short": (
        array(npy(np.zeros(2)).replace(b"False", b"(((((")),
        "no .npy",
    ),
    "negative size": (
        put(*POPULATION, "shape", value=[-1, -2]),
        r"shape is \(-1, -2\) .*above 0",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_bundle_is_refused(name, path):
    change, message = HOSTILE[name]
    save_bundle(path, small_bundle())
    forge(path, change)
    with pytest.raises(BundleError, match=message) as caught:
        load_bundle(path)
    assert "\n" not in str(caught.value)


def test_the_forger_alone_does_no_harm(path):
    forge(path, lambda manifest, members: None)
    load_bundle(path)


def test_nan_weights_are_refused(tmp_path):
    graph, path = every_node(), tmp_path / "b.snn"
    save_bundle(path, Bundle(graph=graph))
    members = archive.read_zip(path)
    manifest = json.loads(members["manifest.json"])
    bad = npy(np.full((3, 3, 2, 2), np.nan))
    entry = manifest["arrays"]["arrays/0.npy"]
    entry["sha256"] = hashlib.sha256(bad).hexdigest()
    text = json.dumps(manifest).encode()
    digest = f"{hashlib.sha256(text).hexdigest()}  manifest.json\n".encode()
    members |= {"arrays/0.npy": bad, "manifest.json": text, "manifest.sha256": digest}
    archive.write_zip(path, members)
    with pytest.raises(BundleError, match="Conv2D 'conv': weight holds 36 NaN"):
        load_bundle(path)


def test_a_tree_too_deep_is_refused(path):
    deep: Any = []
    for _ in range(600):
        deep = [deep]
    forge(path, put("tree", "inputs", value=deep))
    with pytest.raises(BundleError):
        load_bundle(path)


def seal(path: Path, write: Callable[[zipfile.ZipFile], None]) -> None:
    """A zip with a right seal and any members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        write(out)
        out.comment = archive.SEAL + b"0" * 64
    body = file.getvalue()[:-64]
    path.write_bytes(body + hashlib.sha256(body).hexdigest().encode())


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "arrays/../../x.npy", "arrays/", "a\\..\\x", "x"]
)
def test_a_member_of_any_other_name_is_refused(name, tmp_path):
    seal(tmp_path / "b.snn", lambda out: out.writestr(name, "x"))
    with pytest.raises(BundleError, match="it holds .*allowed are manifest.json"):
        load_bundle(tmp_path / "b.snn")
    assert os.listdir(tmp_path) == ["b.snn"]


def test_a_link_in_a_zip_is_refused(tmp_path):
    def write(out: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo("manifest.json")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        out.writestr(info, "/etc/passwd")

    seal(tmp_path / "b.snn", write)
    with pytest.raises(BundleError, match="is a link"):
        load_bundle(tmp_path / "b.snn")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_listed_twice_is_refused(tmp_path):
    def write(out: zipfile.ZipFile) -> None:
        out.writestr("manifest.json", "{}")
        out.writestr("manifest.json", "[]")

    seal(tmp_path / "b.snn", write)
    with pytest.raises(BundleError, match="listed twice"):
        load_bundle(tmp_path / "b.snn")


def test_a_zip_bomb_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_BYTES", 1 << 20)
    seal(
        tmp_path / "b.snn",
        lambda out: out.writestr("arrays/0.npy", bytes((1 << 20) + 1)),
    )
    assert (tmp_path / "b.snn").stat().st_size < 2000
    with pytest.raises(BundleError, match="it holds 1048577 bytes"):
        load_bundle(tmp_path / "b.snn")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_packed_so_that_it_unpacks_at_once_is_refused(method, tmp_path):
    def write(out: zipfile.ZipFile) -> None:
        out.writestr("manifest.json", bytes(1 << 20), method)

    seal(tmp_path / "b.snn", write)
    with pytest.raises(BundleError, match="stored or deflated is allowed"):
        load_bundle(tmp_path / "b.snn")


def test_a_member_larger_than_the_zip_says_is_refused_unread(tmp_path):
    """The table says 100 bytes; more are never unpacked."""
    size = 20_000_003
    seal(tmp_path / "b.snn", lambda out: out.writestr("manifest.json", bytes(size)))
    content = (tmp_path / "b.snn").read_bytes()[:-64]
    said = size.to_bytes(4, "little")
    assert content.count(said) == 2
    lies = content.replace(said, (100).to_bytes(4, "little"))
    digest = hashlib.sha256(lies).hexdigest().encode()
    (tmp_path / "b.snn").write_bytes(lies + digest)
    with pytest.raises(BundleError, match="zip is damaged|another size"):
        load_bundle(tmp_path / "b.snn")


def test_a_manifest_too_large_to_parse_is_refused(tmp_path, monkeypatch):
    """JSON takes up to 28 times its size in memory."""
    monkeypatch.setattr(manifest, "MAX_MANIFEST", 100)
    save_bundle(tmp_path / "b.snn", small_bundle())
    with pytest.raises(BundleError, match="its manifest has .* bytes; allowed are 100"):
        load_bundle(tmp_path / "b.snn")


@pytest.mark.parametrize("member", ["manifest.json", "arrays/0.npy", "arrays", "new"])
def test_a_link_in_a_directory_is_refused(member, tmp_path):
    path, outside = tmp_path / "b", tmp_path / "outside"
    save_bundle(path, small_bundle())
    if (path / member).exists():
        os.rename(path / member, outside)
    (path / member).symlink_to(outside)
    with pytest.raises(BundleError, match="is a link"):
        load_bundle(path)


def test_what_is_no_file_in_a_directory_is_refused(tmp_path):
    save_bundle(tmp_path / "b", small_bundle())
    os.mkfifo(tmp_path / "b" / "arrays" / "77.npy")
    with pytest.raises(BundleError, match="is no file"):
        load_bundle(tmp_path / "b")


def test_a_convolution_of_impossible_geometry_is_refused(tmp_path):
    """A number that breaks the check itself is still one sentence."""
    network = small_program()
    conv = ConvConnection(
        source="events",
        target="p",
        weight=np.full((1, 1, 1, 1), 2, np.int16),
        shape=(1, 3, 1),
    )
    path = tmp_path / "b.snn"
    with pytest.raises(ModelError):
        save_bundle(path, Bundle(program=replace(network, connections=(conv,))))

    def change(manifest: Manifest, members: Members) -> None:
        manifest["tree"]["connections"][0] |= {
            "class": "ConvConnection",
            "shape": [1, 3, 1],
            "stride": [0, 1],
            "padding": [[0, 0], [0, 0]],
        }

    forge(path, change)
    with pytest.raises(BundleError, match="not in order"):
        load_bundle(path)
